//! A job whose load can be set: numbers are shuffled by key, each key has some state, and the folder tells how far it is.
//!
//!     cargo run --release --example load -- --folder FOLDER [--keys N] [--bytes N] [--rate N] [--events N] [--backend hashmap|rocksdb]
//!         [--interval MS]
//!
//! Number n belongs to key n mod N, whose state is the sum of its numbers and so many bytes. The sums go to a sink, which writes now and then to
//! FOLDER/progress-<process>-<subtask> how many it has taken, and at once when it has taken its first. So whoever kills processes sees when the
//! next ones begin to give results, and whoever reads the figures of the tasks sees what a shuffled record costs. Without a rate it goes as fast as it
//! can; without a number of events it goes on for ever. Without arguments it runs a little in a temporary folder and checks the sums.

use brisk::prelude::*;
use brisk::state::{StateDeclarations, ValueState};
use brisk::stream::function::{KeyedContext, KeyedProcessFunction};
use std::fs;
use std::path::PathBuf;

/// How many results a sink takes before it writes again how many there have been.
const EVERY: u64 = 500;

#[derive(Clone)]
struct Arguments {
    folder: PathBuf,
    keys: u64,
    bytes: usize,
    rate: Option<f64>,
    events: Option<u64>,
    backend: String,
    interval_ms: Option<u64>,
}

/// Keeps the sum and the bytes of a key.
struct Load {
    kept: ValueState<(u64, Vec<u8>)>,
    bytes: usize,
}

impl KeyedProcessFunction for Load {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { kept: state.value("kept"), bytes: 0 }
    }

    fn process_element(&mut self, number: u64, cx: &mut KeyedContext<'_, u64>, out: &mut Collector<u64>) -> Result<()> {
        let bytes = self.bytes;
        let sum = self.kept.update(cx, |kept| {
            let (sum, kept) = kept.get_or_insert_with(|| (0, filled(number, bytes)));
            *sum += number;
            // What is kept is read and written, not only carried along.
            if let Some(first) = kept.first_mut() {
                *first = first.wrapping_add(1);
            }
            *sum
        })?;
        out.collect(sum);
        Ok(())
    }
}

/// Bytes that are not the same for each key.
fn filled(number: u64, bytes: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(bytes).collect()
}

/// Writes how many results its subtask has taken.
#[derive(Clone)]
struct Progress {
    folder: PathBuf,
    file: PathBuf,
    taken: u64,
}

impl MapFunction for Progress {
    type In = u64;
    type Out = u64;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.file = self.folder.join(format!("progress-{}-{}", std::process::id(), cx.task.subtask));
        Ok(())
    }

    fn map(&mut self, sum: u64) -> Result<u64> {
        if self.taken.is_multiple_of(EVERY) {
            fs::write(&self.file, self.taken.to_string())?;
        }
        self.taken += 1;
        Ok(sum)
    }
}

fn main() -> Result<()> {
    match arguments()? {
        Some(arguments) => job(&arguments)?.execute("load").map(drop),
        None => demonstrate(),
    }
}

fn arguments() -> Result<Option<Arguments>> {
    let mut words = std::env::args().skip(1);
    let mut found = Arguments {
        folder: PathBuf::new(),
        keys: 1_000_000,
        bytes: 0,
        rate: None,
        events: None,
        backend: "hashmap".to_owned(),
        interval_ms: None,
    };
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        let mut value = || words.next().ok_or_else(|| Error::user(format!("{word} needs a value")));
        match word.as_str() {
            "--folder" => found.folder = value()?.into(),
            "--keys" => found.keys = value()?.parse()?,
            "--bytes" => found.bytes = value()?.parse()?,
            "--rate" => found.rate = Some(value()?.parse()?),
            "--events" => found.events = Some(value()?.parse()?),
            "--backend" => found.backend = value()?,
            "--interval" => found.interval_ms = Some(value()?.parse()?),
            _ => return Err(Error::user(format!("there is no option '{word}'"))),
        }
    }
    Ok(any.then_some(found))
}

/// The sums of the job, behind its shuffle.
fn sums(arguments: &Arguments) -> Result<(StreamEnvironment, DataStream<u64>)> {
    let env = StreamEnvironment::get()?;
    let Arguments { folder, keys, bytes, rate, events, backend, interval_ms } = arguments.clone();
    let checkpoints = folder.join("checkpoints").display().to_string();
    env.with_config(|config| {
        config.set_text("state.backend.type", backend);
        config.set_text("execution.checkpointing.incremental", "true");
        if let Some(interval) = interval_ms {
            config.set_text("execution.checkpointing.interval", format!("{interval} ms"));
            config.set_text("execution.checkpointing.dir", checkpoints);
        }
    });
    let mut numbers = DataGeneratorSource::new(|number| number);
    if let Some(rate) = rate {
        numbers = numbers.per_second(rate);
    }
    if let Some(events) = events {
        numbers = numbers.count(events);
    }
    let sums = env
        .from_source(numbers, WatermarkStrategy::no_watermarks(), "Numbers")
        .uid("numbers")
        .key_by(move |number: &u64| number % keys)
        .process_with(move |state| Load { bytes, ..Load::declare(state) })
        .uid("load")
        .map_with(Progress { folder, file: PathBuf::new(), taken: 0 });
    Ok((env, sums))
}

fn job(arguments: &Arguments) -> Result<StreamEnvironment> {
    fs::create_dir_all(&arguments.folder)?;
    let (env, sums) = sums(arguments)?;
    sums.add_sink(|_| {});
    Ok(env)
}

/// Runs a little, and checks the sums of all keys.
fn demonstrate() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("brisk-load-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (keys, events) = (10, 2_000);
    let arguments = Arguments {
        folder: folder.clone(),
        keys,
        bytes: 16,
        rate: None,
        events: Some(events),
        backend: "hashmap".to_owned(),
        interval_ms: None,
    };
    let (env, sums) = sums(&arguments)?;
    env.set_parallelism(2);
    let mut all = sums.collect()?;
    assert_eq!(all.len() as u64, events);
    // The last sums of the keys are the greatest ones of all.
    all.sort_unstable_by(|one, two| two.cmp(one));
    let per_key = events / keys;
    let mut expected: Vec<u64> = (0..keys).map(|key| (0..per_key).map(|round| round * keys + key).sum()).collect();
    expected.sort_unstable_by(|one, two| two.cmp(one));
    assert_eq!(all[..keys as usize], expected[..]);
    let told = fs::read_dir(&folder)?
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("progress-")));
    println!("{} sums of {keys} keys, told by {} subtasks", all.len(), told.count());
    fs::remove_dir_all(&folder)?;
    Ok(())
}

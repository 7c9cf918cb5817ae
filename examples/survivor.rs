//! A job that may be killed at any moment: started again, it goes on from its newest checkpoint, and each of its results is in the output
//! exactly once.
//!
//!     cargo run --release --example survivor -- --folder FOLDER [--events N] [--rate N] [--backend hashmap|rocksdb]
//!
//! Departures from New York come again and again, numbered, and are counted per airport. Each event with its count goes into csv files below
//! FOLDER/out. Whoever kills the program and starts it again until it says `finished` finds each number, and each count of each airport,
//! once: `--check` looks. Without arguments it runs a little in a temporary folder, is stopped with a savepoint in the middle, goes on, and
//! checks itself.

use brisk::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Number of the event, airport, how many of this airport there have been.
type Counted = (u64, String, u64);

const AIRPORTS: [&str; 3] = ["EWR", "JFK", "LGA"];

struct Arguments {
    folder: PathBuf,
    events: u64,
    rate: f64,
    backend: String,
    check: bool,
}

fn main() -> Result<()> {
    match arguments()? {
        Some(arguments) if arguments.check => check(&arguments.folder.join("out"), arguments.events),
        Some(arguments) => {
            job(&arguments, newest_checkpoint(&arguments.folder.join("checkpoints")))?.execute("survivor")?;
            println!("finished");
            Ok(())
        }
        None => demonstrate(),
    }
}

fn arguments() -> Result<Option<Arguments>> {
    let mut words = std::env::args().skip(1);
    let mut found = Arguments { folder: PathBuf::new(), events: 1_000_000, rate: 200_000.0, backend: "hashmap".to_owned(), check: false };
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        let mut value = || words.next().ok_or_else(|| Error::user(format!("{word} needs a value")));
        match word.as_str() {
            "--folder" => found.folder = value()?.into(),
            "--events" => found.events = value()?.parse()?,
            "--rate" => found.rate = value()?.parse()?,
            "--backend" => found.backend = value()?,
            "--check" => found.check = true,
            _ => return Err(Error::user(format!("there is no option '{word}'"))),
        }
    }
    Ok(any.then_some(found))
}

/// The job, going on from a checkpoint or savepoint.
fn job(arguments: &Arguments, from: Option<PathBuf>) -> Result<StreamEnvironment> {
    let env = StreamEnvironment::get()?;
    let (checkpoints, backend) = (arguments.folder.join("checkpoints").display().to_string(), arguments.backend.clone());
    env.with_config(|config| {
        config.set_text("execution.checkpointing.interval", "20 ms");
        config.set_text("execution.checkpointing.dir", checkpoints);
        config.set_text("execution.checkpointing.num-retained", "2");
        config.set_text("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        config.set_text("state.backend.type", backend);
        if let Some(from) = from {
            config.set_text("execution.state-recovery.path", from.display().to_string());
        }
    });
    env.set_parallelism(2);
    let events = DataGeneratorSource::new(|number| number).count(arguments.events).per_second(arguments.rate);
    env.from_source(events, WatermarkStrategy::no_watermarks(), "Departures")
        .uid("departures")
        .map(|number: u64| (number, AIRPORTS[(number * number % 7 % 3) as usize].to_owned(), 1))
        .key_by(|event: &Counted| event.1.clone())
        .reduce(|before: Counted, event| (event.0, event.1, before.2 + event.2))
        .uid("count")
        .map(|(number, airport, count): Counted| format!("{number},{airport},{count}"))
        .sink_to(FileSink::text(arguments.folder.join("out")).rolling(RollingPolicy::default().max_bytes(1 << 20)));
    Ok(env)
}

/// The newest checkpoint of any run that completed.
fn newest_checkpoint(folder: &Path) -> Option<PathBuf> {
    let folders = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: PathBuf| {
        let number: u64 = path.file_name()?.to_str()?.strip_prefix("chk-")?.parse().ok()?;
        path.join("_metadata").is_file().then_some((number, path))
    };
    folders(folder).flat_map(|job| folders(&job).filter_map(number).collect::<Vec<_>>()).max().map(|(_, path)| path)
}

/// Each number once, and the counts of each airport from 1 without a gap.
fn check(folder: &Path, events: u64) -> Result<()> {
    let mut numbers = vec![0u32; events as usize];
    let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_none_or(|name| !name.to_string_lossy().starts_with("part-")) {
            continue;
        }
        for line in fs::read_to_string(&path)?.lines() {
            let mut fields = line.split(',');
            let wrong = || Error::user(format!("{}: '{line}' is no event", path.display()));
            let (Some(number), Some(airport), Some(count)) = (fields.next(), fields.next(), fields.next()) else { return Err(wrong()) };
            let number: usize = number.parse()?;
            *numbers.get_mut(number).ok_or_else(wrong)? += 1;
            counts.entry(airport.to_owned()).or_default().push(count.parse()?);
        }
    }
    let missing = numbers.iter().filter(|seen| **seen == 0).count();
    let twice = numbers.iter().filter(|seen| **seen > 1).count();
    println!("{events} events: {missing} missing, {twice} more than once");
    counts.values_mut().for_each(|counts| counts.sort_unstable());
    let gaps = counts.values().filter(|counts| !counts.iter().copied().eq(1..=counts.len() as u64)).count();
    println!("{} airports: the counts of {gaps} are not gapless", counts.len());
    if missing + twice + gaps == 0 { Ok(()) } else { Err(Error::user("the output does not hold each event exactly once")) }
}

/// Stops the job with a savepoint in the middle, and lets it go on from there.
fn demonstrate() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("brisk-survivor-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let arguments = Arguments { folder: folder.clone(), events: 20_000, rate: 40_000.0, backend: "hashmap".to_owned(), check: false };
    let client = job(&arguments, None)?.execute_async("survivor")?;
    while client.progress().records_in < 2_000 {
        std::thread::yield_now();
    }
    let savepoint = client.stop_with_savepoint(false, Some(&folder.join("savepoints").display().to_string()))?;
    client.wait()?;
    println!("stopped with {}", savepoint.replace(&folder.display().to_string(), "..."));
    job(&arguments, Some(savepoint.into()))?.execute("survivor")?;
    let checked = check(&folder.join("out"), arguments.events);
    fs::remove_dir_all(&folder)?;
    checked
}

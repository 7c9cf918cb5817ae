//! Unaligned checkpoints in front of a slow sink: the channels are full all the time, and barriers do not wait for them to drain.

use super::environment;
use super::measured::Folder;
use crate::blocks::BlockSource;
use crate::digest::mix;
use crate::{Outcome, Spec};
use anyhow::{Result, ensure};
use brisk::prelude::*;
use brisk::sink::{Sink, SinkWriter};
use brisk::world::World;
use std::time::Duration;

/// What the sink takes for a record; what is before it takes about a hundredth of that.
const PER_RECORD: Duration = Duration::from_micros(10);

/// Between two checkpoints.
const INTERVAL: Duration = Duration::from_secs(1);

struct SlowSink;

struct Writer(World);

impl Sink for SlowSink {
    type In = u64;

    fn create_writer(&self, cx: &RuntimeContext) -> brisk::Result<Box<dyn SinkWriter<u64>>> {
        Ok(Box::new(Writer(cx.world.clone())))
    }
}

impl SinkWriter<u64> for Writer {
    fn write(&mut self, _value: u64, _timestamp: Timestamp) -> brisk::Result<()> {
        let begin = self.0.mono();
        while self.0.mono().since(begin) < PER_RECORD {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn flush(&mut self, _end_of_input: bool) -> brisk::Result<()> {
        Ok(())
    }
}

pub(super) fn run(spec: &Spec) -> Result<Outcome> {
    let folder = Folder::new("slow-sink")?;
    let env = environment(spec, "hashmap", Some("1 s"), &folder, ("taskmanager.memory.managed.size", "1g"))?;
    env.with_config(|config| {
        config.set_text("execution.checkpointing.unaligned.enabled", "true");
        config.set_text("execution.checkpointing.num-retained", "10000");
    });
    let numbers = env.from_source(BlockSource { count: spec.records }, WatermarkStrategy::no_watermarks(), "numbers");
    numbers.key_by(|n| mix(*n) % 1000).sink_to(SlowSink);
    let watched = env.execute_async("slow-sink").map_err(|error| super::said(&error))?;
    // The checkpoints are deleted when the job ends.
    let mut completed = Vec::new();
    let ended = loop {
        let now = folder.completed();
        if now.len() > completed.len() {
            completed = now;
        }
        if let Some(ended) = watched.wait_for(Duration::from_millis(20)) {
            break ended;
        }
    };
    ended.map_err(|error| super::said(&error))?;
    ensure!(completed.len() > 2, "{} checkpoints are too few", completed.len());
    let gaps = completed.windows(2).filter_map(|pair| pair[1].0.duration_since(pair[0].0).ok());
    // One checkpoint at a time, and one a second: what lies between two beyond a second, the later one took.
    let longest = gaps.max().unwrap_or_default().saturating_sub(INTERVAL);
    let mut outcome = Outcome::new(spec.records, 0);
    outcome.extra.insert("checkpoints".to_string(), completed.len().into());
    outcome.extra.insert("longest_checkpoint_s".to_string(), longest.as_secs_f64().into());
    Ok(outcome)
}

//! State of gigabytes, and what checkpoints of it cost: throughput, the task's pauses, memory, and the time to begin again.

mod job;
mod measured;
mod recovery;
mod sink;
mod turns;

use crate::{Benchmark, Outcome, Spec, engine, no_engine, nothing_to_prepare};
use anyhow::{Result, anyhow};
use brisk::prelude::*;
use job::{Held, Plan};
use measured::Folder;

/// Two gigabytes are loaded, and then changed at random for some minutes. The engines are intervals of full checkpoints.
pub(crate) const HASHMAP: Benchmark =
    Benchmark { name: "state-hashmap", records: 300_000_000, engines: &[("off", 1), ("60s", 1)], prepare: nothing_to_prepare, run };

/// The same on the other backend, with incremental checkpoints every 10 s in turns. A third of the records loads the state, and the length of
/// the turns goes by them, too.
pub(crate) const ROCKSDB: Benchmark =
    Benchmark { name: "state-rocksdb", records: 60_000_000, engines: &[("rocksdb", 1)], prepare: nothing_to_prepare, run: turns::run };

/// Ten gigabytes in a budget of one.
pub(crate) const BUDGET: Benchmark =
    Benchmark { name: "state-budget", records: 12_000_000, engines: &[("rocksdb", 1)], prepare: nothing_to_prepare, run: in_budget };

/// Two gigabytes, from their checkpoint to the first record.
pub(crate) const RESTORE: Benchmark = Benchmark {
    name: "state-restore",
    records: 20_000_000,
    engines: &[("hashmap", 1), ("rocksdb", 1)],
    prepare: nothing_to_prepare,
    run: recovery::run,
};

/// Unaligned checkpoints in front of a sink that takes a hundred times as long as all before it.
pub(crate) const SLOW_SINK: Benchmark =
    Benchmark { name: "slow-sink", records: 2_000_000, engines: &[("brisk", 1)], prepare: nothing_to_prepare, run: sink::run };

/// Bytes of a value, and keys that make two gigabytes with them.
const VALUE: usize = 100;
const KEYS: u64 = 20_000_000;

fn run(spec: &Spec) -> Result<Outcome> {
    let interval = match spec.engine.as_str() {
        "off" => None,
        "60s" => Some("60 s"),
        _ => return Err(no_engine(spec)),
    };
    let folder = Folder::new("state")?;
    let env = environment(spec, "hashmap", interval, &folder, ("taskmanager.memory.managed.size", "1g"))?;
    let plan = Plan { records: spec.records, keys: KEYS.min(spec.records / 3), value: VALUE };
    let held = plan.job(&env);
    engine::execute(&env, "state")?;
    Ok(held.outcome(spec.records, &folder))
}

/// The memory of the process is taken from outside.
fn in_budget(spec: &Spec) -> Result<Outcome> {
    let folder = Folder::new("state-budget")?;
    let env = environment(spec, "rocksdb", Some("30 s"), &folder, ("taskmanager.memory.process.size", "1g"))?;
    let keys = spec.records * 5 / 6;
    let held = Plan { records: spec.records, keys, value: 1000 }.job(&env);
    engine::execute(&env, "state-budget")?;
    let mut outcome = held.outcome(spec.records, &folder);
    outcome.extra.insert("state_gb".to_string(), (keys as f64 * 1008.0 / 1e9).into());
    Ok(outcome)
}

/// An environment whose checkpoints and databases lie in `folder`.
fn environment(spec: &Spec, backend: &str, interval: Option<&str>, folder: &Folder, memory: (&str, &str)) -> Result<StreamEnvironment> {
    let env = engine::environment(spec)?;
    let (checkpoints, databases) = (folder.text("checkpoints"), folder.text("databases"));
    std::fs::create_dir_all(&databases)?;
    env.with_config(|config| {
        config.set_text("state.backend.type", backend);
        config.set_text("state.backend.rocksdb.localdir", databases);
        config.set_text(memory.0, memory.1);
        config.set_text("execution.checkpointing.incremental", "true");
        config.set_text("execution.checkpointing.dir", checkpoints);
        config.set_text("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
        if let Some(interval) = interval {
            config.set_text("execution.checkpointing.interval", interval);
        }
    });
    Ok(env)
}

/// What the engine said.
fn said(error: &brisk::Error) -> anyhow::Error {
    anyhow!("{error}")
}

impl Held {
    fn outcome(&self, records: u64, folder: &Folder) -> Outcome {
        let mut outcome = Outcome::new(records, self.digest());
        self.report(&mut outcome.extra);
        outcome.extra.insert("checkpoints".to_string(), folder.checkpoints().into());
        outcome
    }
}

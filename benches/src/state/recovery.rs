//! How long a job takes from its checkpoint to its first record: two gigabytes are loaded, a checkpoint is made, the job is cancelled, and
//! begins again.

use super::job::Plan;
use super::measured::Folder;
use super::{VALUE, environment, said};
use crate::{Outcome, Spec};
use anyhow::{Context as _, Result};
use brisk::job::JobClient;
use std::time::Duration;

pub(super) fn run(spec: &Spec) -> Result<Outcome> {
    let folder = Folder::new("state-restore")?;
    let plan = Plan { records: Plan::ENDLESS, keys: spec.records, value: VALUE };
    let env = environment(spec, &spec.engine, Some("1 s"), &folder, ("taskmanager.memory.managed.size", "1g"))?;
    let held = plan.job(&env);
    let client = env.execute_async("state-load").map_err(|error| said(&error))?;
    until(&*client, || held.meter.seen() > plan.keys)?;
    let before = folder.completed().len();
    // The checkpoint under way may have begun before the last key came.
    let newest = |folder: &Folder| folder.completed().last().map(|(time, _)| *time);
    let loaded = newest(&folder);
    until(&*client, || newest(&folder) > loaded)?;
    let first = newest(&folder);
    until(&*client, || newest(&folder) > first)?;
    client.cancel();
    let _ = client.wait();
    drop((client, env));
    let (_, checkpoint) = folder.completed().pop().with_context(|| format!("there were {before} checkpoints, and none is left"))?;

    let env = environment(spec, &spec.engine, None, &folder, ("taskmanager.memory.managed.size", "1g"))?;
    env.with_config(|config| {
        config.set_text("execution.state-recovery.path", checkpoint.display().to_string());
    });
    let held = plan.job(&env);
    let client = env.execute_async("state-restore").map_err(|error| said(&error))?;
    until(&*client, || held.meter.first_after_s().is_some())?;
    client.cancel();
    let _ = client.wait();
    let mut outcome = Outcome::new(spec.records, 0);
    outcome.extra.insert("restore_s".to_string(), held.meter.first_after_s().into());
    Ok(outcome)
}

/// Waits until something is true, and the job runs.
pub(super) fn until(client: &dyn JobClient, mut is_so: impl FnMut() -> bool) -> Result<()> {
    while !is_so() {
        if let Some(ended) = client.wait_for(Duration::from_millis(5)) {
            ended.map_err(|error| said(&error))?;
            anyhow::bail!("the job has ended early");
        }
    }
    Ok(())
}

//! What the engine's side of each benchmark has in common.

use crate::Spec;
use anyhow::{Result, anyhow};
use brisk::options::EXECUTOR_WORKERS;
use brisk::prelude::*;

/// The engine held to one core, to see what a second one brings: at parallelism 1 a pipeline of two tasks would use both.
pub(crate) const ONE_CORE: &str = "one-core";

/// An environment with as many subtasks as asked for; nothing else is set.
pub(crate) fn environment(spec: &Spec) -> Result<StreamEnvironment> {
    let mut config = Configuration::new();
    if spec.engine == ONE_CORE {
        config.set(&EXECUTOR_WORKERS, 1);
    }
    let env = StreamEnvironment::get_with(config).map_err(|error| anyhow!("{error}"))?;
    env.set_parallelism(u32::try_from(spec.parallelism)?);
    Ok(env)
}

/// Runs the job to its end.
pub(crate) fn execute(env: &StreamEnvironment, name: &str) -> Result<()> {
    env.execute(name).map(drop).map_err(|error| anyhow!("{error}"))
}

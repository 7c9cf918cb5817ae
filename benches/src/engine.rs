//! What the engine's side of each benchmark has in common.

use crate::Spec;
use anyhow::{Result, anyhow};
use brisk::prelude::*;

/// An environment with as many subtasks as asked for; nothing else is set.
pub(crate) fn environment(spec: &Spec) -> Result<StreamEnvironment> {
    let env = StreamEnvironment::get().map_err(|error| anyhow!("{error}"))?;
    env.set_parallelism(u32::try_from(spec.parallelism)?);
    Ok(env)
}

/// Runs the job to its end.
pub(crate) fn execute(env: &StreamEnvironment, name: &str) -> Result<()> {
    env.execute(name).map(drop).map_err(|error| anyhow!("{error}"))
}

//! What a job's configuration says of its checkpoints.

use crate::options::CHECKPOINT_HISTORY;
use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::{
    ALIGNED_CHECKPOINT_TIMEOUT, CHECKPOINT_INTERVAL, CHECKPOINT_MIN_PAUSE, CHECKPOINT_MODE, CHECKPOINT_RETENTION, CHECKPOINT_TIMEOUT,
    MAX_CONCURRENT_CHECKPOINTS, NUM_RETAINED_CHECKPOINTS, TOLERABLE_FAILED_CHECKPOINTS, UNALIGNED_ENABLED,
};
use brisk_base::{Error, Result};
use brisk_core::checkpoint::Alignment;
use std::time::Duration;

/// What becomes of the last checkpoints of a job that ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retention {
    /// They are deleted, however it ends.
    Never,
    /// They are kept after a failure.
    OnFailure,
    /// They are kept after a failure and after a cancellation.
    OnCancellation,
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CheckpointSettings {
    /// How often; `None`: never.
    pub interval: Option<Duration>,
    /// How barriers travel.
    pub alignment: Alignment,
    /// How long one may take.
    pub timeout: Duration,
    /// Least time between two.
    pub min_pause: Duration,
    /// How many at once.
    pub max_concurrent: usize,
    /// Failures in a row that do not fail the job.
    pub tolerable_failures: u32,
    /// How many are kept.
    pub retained: usize,
    /// How many are shown.
    pub history: usize,
    /// What becomes of them in the end.
    pub retention: Retention,
}

impl CheckpointSettings {
    /// The settings in a configuration.
    ///
    /// # Errors
    /// When a value is wrong.
    pub fn of(config: &Configuration) -> Result<Self> {
        let at_least_once = match &*config.get(&CHECKPOINT_MODE)? {
            "EXACTLY_ONCE" | "exactly_once" | "exactly-once" => false,
            "AT_LEAST_ONCE" | "at_least_once" | "at-least-once" => true,
            other => {
                return Err(Error::user(format!("'{}' is '{other}': expected EXACTLY_ONCE or AT_LEAST_ONCE", CHECKPOINT_MODE.key())));
            }
        };
        let unaligned = config.get(&UNALIGNED_ENABLED)?;
        if unaligned && at_least_once {
            let (unaligned, mode) = (UNALIGNED_ENABLED.key(), CHECKPOINT_MODE.key());
            return Err(Error::user(format!("'{unaligned}' needs '{mode}' EXACTLY_ONCE: with AT_LEAST_ONCE no channel is blocked anyway")));
        }
        let after = config.get(&ALIGNED_CHECKPOINT_TIMEOUT)?;
        let alignment = match (at_least_once, unaligned, after.is_zero()) {
            (true, ..) => Alignment::AtLeastOnce,
            (_, false, _) => Alignment::Aligned,
            (_, true, true) => Alignment::Unaligned,
            (_, true, false) => Alignment::AlignedTimeout(after),
        };
        let retention = match &*config.get(&CHECKPOINT_RETENTION)? {
            "NO_EXTERNALIZED_CHECKPOINTS" => Retention::Never,
            "DELETE_ON_CANCELLATION" => Retention::OnFailure,
            "RETAIN_ON_CANCELLATION" => Retention::OnCancellation,
            other => {
                return Err(Error::user(format!(
                    "'{}' is '{other}': expected NO_EXTERNALIZED_CHECKPOINTS, DELETE_ON_CANCELLATION or RETAIN_ON_CANCELLATION",
                    CHECKPOINT_RETENTION.key()
                )));
            }
        };
        let max_concurrent = if unaligned { 1 } else { config.get(&MAX_CONCURRENT_CHECKPOINTS)?.max(1) as usize };
        Ok(Self {
            interval: config.get(&CHECKPOINT_INTERVAL)?.filter(|interval| !interval.is_zero()),
            alignment,
            timeout: config.get(&CHECKPOINT_TIMEOUT)?,
            min_pause: config.get(&CHECKPOINT_MIN_PAUSE)?,
            max_concurrent,
            tolerable_failures: config.get(&TOLERABLE_FAILED_CHECKPOINTS)?,
            retained: config.get(&NUM_RETAINED_CHECKPOINTS)?.max(1) as usize,
            history: config.get(&CHECKPOINT_HISTORY)? as usize,
            retention,
        })
    }
}

//! Options of checkpoints, savepoints, state and recovery, with Flink's keys and defaults.

use super::MemorySize;
use std::time::Duration;

crate::options! {
    /// How often a checkpoint is triggered. Checkpoints are off when it is not set, or 0.
    pub CHECKPOINT_INTERVAL: Option<Duration> = "execution.checkpointing.interval", None;

    /// `EXACTLY_ONCE`: each record counts once in the state after a recovery; `AT_LEAST_ONCE`: it may count more than once, and no channel is blocked for a checkpoint.
    pub CHECKPOINT_MODE: String = "execution.checkpointing.mode", "EXACTLY_ONCE", aliases ["execution.checkpointing.consistency-mode"];

    /// How long a checkpoint may take before it is given up.
    pub CHECKPOINT_TIMEOUT: Duration = "execution.checkpointing.timeout", Duration::from_secs(600);

    /// Least time between the end of a checkpoint and the begin of the next.
    pub CHECKPOINT_MIN_PAUSE: Duration = "execution.checkpointing.min-pause", Duration::ZERO;

    /// How many checkpoints may be under way at once. Unaligned checkpoints are taken one at a time.
    pub MAX_CONCURRENT_CHECKPOINTS: u32 = "execution.checkpointing.max-concurrent-checkpoints", 1;

    /// How many checkpoints in a row may fail before the job fails.
    pub TOLERABLE_FAILED_CHECKPOINTS: u32 = "execution.checkpointing.tolerable-failed-checkpoints", 0;

    /// Whether barriers overtake records under way on hashed exchanges, so that a checkpoint does not depend on back-pressure.
    pub UNALIGNED_ENABLED: bool = "execution.checkpointing.unaligned.enabled", false, aliases ["execution.checkpointing.unaligned"];

    /// With unaligned checkpoints: how long barriers are aligned before they overtake. 0: they overtake at once.
    pub ALIGNED_CHECKPOINT_TIMEOUT: Duration = "execution.checkpointing.aligned-checkpoint-timeout", Duration::ZERO;

    /// How many completed checkpoints are kept.
    pub NUM_RETAINED_CHECKPOINTS: u32 = "execution.checkpointing.num-retained", 1, aliases ["state.checkpoints.num-retained"];

    /// What becomes of the last checkpoints when the job ends: `NO_EXTERNALIZED_CHECKPOINTS` or `DELETE_ON_CANCELLATION`: they are deleted when it finishes or is cancelled; `RETAIN_ON_CANCELLATION`: they are kept when it is cancelled. After a failure `NO_EXTERNALIZED_CHECKPOINTS` alone deletes them.
    pub CHECKPOINT_RETENTION: String = "execution.checkpointing.externalized-checkpoint-retention", "NO_EXTERNALIZED_CHECKPOINTS";

    /// Where checkpoints lie: a path or an URI. Without it they are kept in the memory of the JobManager, and end with it.
    pub CHECKPOINT_DIR: Option<String> = "execution.checkpointing.dir", None, aliases ["state.checkpoints.dir"];

    /// Where savepoints go that name no folder of their own.
    pub SAVEPOINT_DIR: Option<String> = "execution.checkpointing.savepoint-dir", None, aliases ["state.savepoints.dir"];

    /// State of a subtask up to this size is kept in the checkpoint's metadata, without a file of its own.
    pub DATA_INLINE_THRESHOLD: MemorySize = "execution.checkpointing.data-inline-threshold", MemorySize(20 * 1024), aliases ["state.storage.fs.memory-threshold"];

    /// The savepoint or retained checkpoint that the job begins from.
    pub STATE_RECOVERY_PATH: Option<String> = "execution.state-recovery.path", None, aliases ["execution.savepoint.path"];

    /// Whether the job may leave out state of operators that it does not have any more.
    pub IGNORE_UNCLAIMED_STATE: bool = "execution.state-recovery.ignore-unclaimed-state", false, aliases ["execution.savepoint.ignore-unclaimed-state"];

    /// Who owns the files that the job begins from: `NO_CLAIM`: the user; `CLAIM`: the job, which deletes them when it needs them no more.
    pub STATE_CLAIM_MODE: String = "execution.state-recovery.claim-mode", "NO_CLAIM", aliases ["execution.savepoint-restore-mode"];

    /// The state backend: `hashmap`, `rocksdb`, or the name of one that the program has registered.
    pub STATE_BACKEND: String = "state.backend.type", "hashmap", aliases ["state.backend"];

    /// What happens after a failure: `none`, `fixed-delay`, `failure-rate` or `exponential-delay`. Not set: `exponential-delay` with checkpoints, `none` without.
    pub RESTART_STRATEGY: Option<String> = "restart-strategy.type", None, aliases ["restart-strategy"];

    /// With `fixed-delay`: how often the job is restarted before it fails.
    pub FIXED_DELAY_ATTEMPTS: u32 = "restart-strategy.fixed-delay.attempts", 1;

    /// With `fixed-delay`: how long after a failure.
    pub FIXED_DELAY: Duration = "restart-strategy.fixed-delay.delay", Duration::from_secs(1);

    /// With `failure-rate`: how many failures within the interval are survived.
    pub FAILURE_RATE_MAX: u32 = "restart-strategy.failure-rate.max-failures-per-interval", 1;

    /// With `failure-rate`: the interval.
    pub FAILURE_RATE_INTERVAL: Duration = "restart-strategy.failure-rate.failure-rate-interval", Duration::from_secs(60);

    /// With `failure-rate`: how long after a failure the job is restarted.
    pub FAILURE_RATE_DELAY: Duration = "restart-strategy.failure-rate.delay", Duration::from_secs(1);

    /// With `exponential-delay`: the first delay.
    pub EXPONENTIAL_INITIAL: Duration = "restart-strategy.exponential-delay.initial-backoff", Duration::from_secs(1);

    /// With `exponential-delay`: the longest delay.
    pub EXPONENTIAL_MAX: Duration = "restart-strategy.exponential-delay.max-backoff", Duration::from_secs(60);

    /// With `exponential-delay`: by how much the delay grows with each failure.
    pub EXPONENTIAL_MULTIPLIER: f64 = "restart-strategy.exponential-delay.backoff-multiplier", 1.5;

    /// With `exponential-delay`: after so long without a failure the delay is the first one again.
    pub EXPONENTIAL_RESET: Duration = "restart-strategy.exponential-delay.reset-backoff-threshold", Duration::from_secs(3600);

    /// With `exponential-delay`: the part of the delay that is random, so that not all jobs restart at once.
    pub EXPONENTIAL_JITTER: f64 = "restart-strategy.exponential-delay.jitter-factor", 0.1;

    /// With `exponential-delay`: how many failures without a reset are survived; not set: any number.
    pub EXPONENTIAL_ATTEMPTS: Option<u32> = "restart-strategy.exponential-delay.attempts-before-reset-backoff", None;
}

/// Whether the value of an option is a place in a file system: a relative path means one in the folder of whoever sets it.
pub fn is_location(key: &str) -> bool {
    let keys = [
        CHECKPOINT_DIR.key(),
        "state.checkpoints.dir",
        SAVEPOINT_DIR.key(),
        "state.savepoints.dir",
        STATE_RECOVERY_PATH.key(),
        "execution.savepoint.path",
    ];
    keys.contains(&key)
}

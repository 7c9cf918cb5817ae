//! Options of the control plane, with Flink's keys and defaults.

use std::time::Duration;

brisk_base::options! {
    /// How long a job waits for slots that other jobs hold before it fails.
    pub SLOT_REQUEST_TIMEOUT: Duration = "slot.request.timeout", Duration::from_secs(300);

    /// How many checkpoints of a job can be looked at, besides the latest of each kind.
    pub CHECKPOINT_HISTORY: u32 = "web.checkpoints.history", 10;

    /// How many failures of a job can be looked at.
    pub FAILURE_HISTORY: u32 = "web.exception-history-size", 16;

    /// How many jobs can be looked at when they are over.
    pub JOB_STORE_CAPACITY: u32 = "jobstore.max-capacity", 100;

    /// How long a job can be looked at when it is over.
    pub JOB_STORE_EXPIRATION: Duration = "jobstore.expiration-time", Duration::from_secs(3600);

    /// How long the answer of a savepoint that was asked for over REST is kept.
    pub OPERATION_STORE_DURATION: Duration = "rest.async.store-duration", Duration::from_secs(300);
}

//! Options of the control plane, with Flink's keys and defaults.

use std::time::Duration;

brisk_base::options! {
    /// How long a job waits for slots that other jobs hold before it fails.
    pub SLOT_REQUEST_TIMEOUT: Duration = "slot.request.timeout", Duration::from_secs(300);
}

//! Options that every job has, with Flink's keys and defaults.

use super::MemorySize;
use std::time::Duration;

crate::options! {
    /// Parallelism of operators that set none.
    pub PARALLELISM_DEFAULT: u32 = "parallelism.default", 1;

    /// Name of the job where the program gives none.
    pub PIPELINE_NAME: Option<String> = "pipeline.name", None;

    /// Number of key groups of operators that set none: the highest parallelism that state can be spread to. Derived from the
    /// parallelism when not set. State cannot be restored with another number.
    pub MAX_PARALLELISM: Option<u32> = "pipeline.max-parallelism", None;

    /// How often watermark generators that emit periodically are asked. 0 turns periodic watermarks off.
    pub AUTO_WATERMARK_INTERVAL: Duration = "pipeline.auto-watermark-interval", Duration::from_millis(200);

    /// Whether operators are chained into one task where that is possible.
    pub OPERATOR_CHAINING_ENABLED: bool = "pipeline.operator-chaining.enabled", true, aliases ["pipeline.operator-chaining"];

    /// Upper bound on how long a batch that is not full waits before it is sent on. Batches are sent at once whenever the input
    /// drains, so this bounds only the wait under steady load.
    pub BUFFER_TIMEOUT: Duration = "execution.buffer-timeout.interval", Duration::from_millis(100), aliases ["execution.buffer-timeout"];

    /// Whether the buffer timeout is obeyed. Without it, batches are sent when they are full or the input drains.
    pub BUFFER_TIMEOUT_ENABLED: bool = "execution.buffer-timeout.enabled", true;

    /// How often a task that is being cancelled is reminded of it, when its user code does not return.
    pub TASK_CANCELLATION_INTERVAL: Duration = "task.cancellation.interval", Duration::from_secs(30);

    /// How long cancelling a task may take before it is given up as stuck. 0 means for ever.
    pub TASK_CANCELLATION_TIMEOUT: Duration = "task.cancellation.timeout", Duration::from_secs(180);

    /// How much memory a process that runs a job's tasks may take; one that wants more fails. Not limited when it is not set.
    pub TASK_MANAGER_PROCESS_MEMORY: Option<MemorySize> = "taskmanager.memory.process.size", None;

    /// How many slots a TaskManager offers: how many subtasks of one operator it can run.
    pub NUM_TASK_SLOTS: u32 = "taskmanager.numberOfTaskSlots", 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_documented_and_has_a_key_of_its_own() {
        let mut keys: Vec<&str> = OPTIONS.iter().flat_map(|option| option.aliases().iter().copied().chain([option.key()])).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
        for option in OPTIONS {
            assert!(option.doc().ends_with('.'), "{}", option.key());
            option.check(&option.default_text()).expect("the default is a value of the option");
        }
    }
}

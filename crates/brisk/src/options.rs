//! Options of the embedded engine, and the options of all others.

pub use brisk_base::options::{
    AnyOption, ConfigOption, Configuration, KeyStatus, MemorySize, OptionValue, checkpoint_options, classify, core_options,
};
pub use brisk_cluster::options as cluster_options;
#[cfg(feature = "rest")]
pub use brisk_rest::options as rest_options;
pub use brisk_stream::options as stream_options;
#[cfg(feature = "sql")]
pub use brisk_table::options as table_options;

brisk_base::option_enum! {
    /// Which threads poll the tasks of an embedded engine.
    pub enum ExecutorKind {
        /// As many threads as there are cores share all tasks.
        Core = "core",
        /// Each task has a thread of its own.
        Dedicated = "dedicated",
    }
}

brisk_base::option_enum! {
    /// Where the command line runs programs and statements.
    pub enum Target {
        /// In a process of its own, with an engine of its own.
        Local = "local",
        /// On a cluster, which is reached over REST.
        Remote = "remote",
    }
}

brisk_base::options! {
    /// Where the command line runs programs and statements: `local`, with an engine of their own, or `remote`, on the cluster that
    /// `rest.address` and `rest.port` name. Not set: `brisk run` remotely, `brisk sql` locally.
    pub EXECUTION_TARGET: Option<Target> = "execution.target", None;

    /// Which threads poll the tasks of an embedded engine: `core` threads that share all tasks, or one `dedicated` to each task.
    pub EXECUTOR: ExecutorKind = "brisk.executor", ExecutorKind::Core;

    /// Number of threads that share all tasks. 0 stands for as many as the process may use cores.
    pub EXECUTOR_WORKERS: u32 = "brisk.executor.workers", 0;
}

/// All options that an embedded engine obeys.
pub fn all() -> Vec<&'static dyn AnyOption> {
    [
        #[cfg(feature = "rocksdb")]
        brisk_state::rocksdb::OPTIONS,
        #[cfg(feature = "rest")]
        brisk_rest::options::OPTIONS,
        core_options::OPTIONS,
        checkpoint_options::OPTIONS,
        brisk_core::job_graph::OPTIONS,
        cluster_options::OPTIONS,
        stream_options::OPTIONS,
        #[cfg(feature = "sql")]
        table_options::OPTIONS,
        OPTIONS,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_key_of_its_own_and_a_sound_default() {
        let mut keys: Vec<&str> = all().iter().map(|option| option.key()).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count);
        for option in OPTIONS {
            option.check(&option.default_text()).expect("the default is a value of the option");
        }
    }
}

//! The programs of the book, as doc tests: every chapter that has any is named here.
//!
//! Nothing of this is compiled into the crate.

/// One chapter: its snippets run by `cargo test --doc -p brisk`.
macro_rules! chapter {
    ($name:ident, $path:literal) => {
        #[doc = include_str!($path)]
        struct $name;
    };
}

chapter!(FirstJob, "../../../docs/book/src/first-job.md");
chapter!(EventTime, "../../../docs/book/src/event-time.md");
chapter!(State, "../../../docs/book/src/state.md");
chapter!(Checkpoints, "../../../docs/book/src/checkpoints-and-recovery.md");
chapter!(Savepoints, "../../../docs/book/src/savepoints-and-upgrades.md");
chapter!(Backends, "../../../docs/book/src/choosing-a-backend.md");
chapter!(Windows, "../../../docs/book/src/windows.md");
chapter!(ProcessFunctions, "../../../docs/book/src/process-functions.md");
chapter!(SourcesAndSinks, "../../../docs/book/src/sources-and-sinks.md");
chapter!(Testing, "../../../docs/book/src/testing.md");
#[cfg(feature = "sql")]
chapter!(Sql, "../../../docs/book/src/sql.md");
chapter!(Joins, "../../../docs/book/src/joins.md");
chapter!(Executors, "../../../docs/book/src/executors.md");
chapter!(Metrics, "../../../docs/book/src/metrics.md");
chapter!(Rest, "../../../docs/book/src/rest.md");
chapter!(ConfigurationKeys, "../../../docs/book/src/configuration.md");

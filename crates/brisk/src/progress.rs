//! What a person at a terminal sees of a job while the program waits for it: one line on standard error, and a summary at the end.
//!
//! Nothing is shown when standard error is no terminal.

use brisk_base::world::World;
use brisk_core::job::JobClient;
use brisk_core::job_graph::StreamGraph;
use std::sync::Arc;

/// How a job is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Display {
    /// Not at all.
    Nothing,
    /// A summary at the end only: the job itself prints to the terminal, and its lines would mix with ours.
    Summary(String),
    /// A line while it runs, and a summary.
    Line(String),
}

impl Display {
    /// What suits this job and this terminal.
    pub(crate) fn of(graph: &StreamGraph) -> Self {
        use std::io::IsTerminal;
        let prints = graph.nodes.iter().any(|node| node.name.starts_with("Sink: Print"));
        let name = graph.name.clone();
        if !cfg!(feature = "progress") || !std::io::stderr().is_terminal() {
            Self::Nothing
        } else if prints {
            Self::Summary(name)
        } else {
            Self::Line(name)
        }
    }

    /// A client that shows the job while somebody waits for it.
    #[cfg(feature = "progress")]
    pub(crate) fn watch(self, client: Arc<dyn JobClient>, world: &World) -> Arc<dyn JobClient> {
        let (name, live) = match self {
            Self::Nothing => return client,
            Self::Summary(name) => (name, false),
            Self::Line(name) => (name, true),
        };
        Arc::new(line::WatchedClient { client, name, live, world: world.clone() })
    }

    /// The client as it is.
    #[cfg(not(feature = "progress"))]
    pub(crate) fn watch(self, client: Arc<dyn JobClient>, _world: &World) -> Arc<dyn JobClient> {
        client
    }
}

#[cfg(feature = "progress")]
mod line {
    //! Draws the line.

    use brisk_base::ids::JobId;
    use brisk_base::world::{MonoTime, World};
    use brisk_base::{Result, Timestamp};
    use brisk_core::accumulator::AccumulatorValue;
    use brisk_core::checkpoint::SnapshotKind;
    use brisk_core::checkpoint_statistics::CheckpointStatistics;
    use brisk_core::job::{JobClient, JobProgress, JobResult, JobStatus};
    use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    /// How often the line is drawn.
    const DRAW_INTERVAL: Duration = Duration::from_millis(100);
    /// Over what time the rate is taken.
    const RATE_SPAN: Duration = Duration::from_secs(1);

    /// Shows a job while [`wait`](JobClient::wait) waits for it.
    pub(super) struct WatchedClient {
        pub(super) client: Arc<dyn JobClient>,
        /// The job's name.
        pub(super) name: String,
        /// Whether there is a line while it runs.
        pub(super) live: bool,
        pub(super) world: World,
    }

    impl WatchedClient {
        fn show_end(&self, result: &JobResult) {
            let JobProgress { records_in, records_out, .. } = self.client.progress();
            let seconds = result.net_runtime.as_secs_f64();
            eprintln!("{}: {} records in, {} out, {seconds:.2} s", self.name, HumanCount(records_in), HumanCount(records_out));
        }
    }

    impl JobClient for WatchedClient {
        fn job_id(&self) -> JobId {
            self.client.job_id()
        }

        fn status(&self) -> JobStatus {
            self.client.status()
        }

        fn cancel(&self) {
            self.client.cancel();
        }

        fn savepoint(&self, folder: Option<&str>, kind: SnapshotKind) -> Result<String> {
            self.client.savepoint(folder, kind)
        }

        fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
            self.client.accumulators()
        }

        fn progress(&self) -> JobProgress {
            self.client.progress()
        }

        fn checkpoints(&self) -> CheckpointStatistics {
            self.client.checkpoints()
        }

        fn wait_for(&self, timeout: Duration) -> Option<Result<JobResult>> {
            self.client.wait_for(timeout)
        }

        fn wait(&self) -> Result<JobResult> {
            let target = if self.live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
            let bar = ProgressBar::with_draw_target(None, target);
            bar.set_style(ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
            let mut rate = Rate::new(self.world.mono());
            let result = loop {
                if let Some(result) = self.client.wait_for(DRAW_INTERVAL) {
                    break result;
                }
                let progress = self.client.progress();
                let per_second = rate.update(self.world.mono(), progress.records_in);
                bar.set_message(message(&self.name, &progress, per_second));
                bar.tick();
            };
            bar.finish_and_clear();
            if let Ok(result) = &result {
                self.show_end(result);
            }
            result
        }
    }

    /// Records per second over about the last [`RATE_SPAN`].
    struct Rate {
        since: MonoTime,
        records: u64,
        per_second: f64,
    }

    impl Rate {
        fn new(now: MonoTime) -> Self {
            Self { since: now, records: 0, per_second: 0.0 }
        }

        fn update(&mut self, now: MonoTime, records: u64) -> u64 {
            let span = now.since(self.since);
            let per_second = records.saturating_sub(self.records) as f64 / span.as_secs_f64().max(1e-9);
            let first = self.records == 0;
            if span >= RATE_SPAN {
                *self = Self { since: now, records, per_second };
            }
            (if first { per_second } else { self.per_second }) as u64
        }
    }

    fn message(name: &str, progress: &JobProgress, per_second: u64) -> String {
        let JobProgress { records_in, records_out, watermark, tasks_running, tasks, .. } = *progress;
        let watermark = match watermark {
            i64::MIN => String::new(),
            watermark => format!(" | watermark {}", Timestamp(watermark)),
        };
        format!(
            "{name}: {} records in, {}/s, {} out{watermark} | {tasks_running}/{tasks} tasks",
            HumanCount(records_in),
            HumanCount(per_second),
            HumanCount(records_out)
        )
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_line_says_how_far_the_job_is() {
            let progress = JobProgress {
                records_in: 1_234_567,
                records_out: 89,
                watermark: 1_357_035_300_000,
                tasks_running: 3,
                tasks: 4,
                state_entries: 0,
            };
            let expected = "flights: 1,234,567 records in, 5,000/s, 89 out | watermark 2013-01-01 10:15:00 | 3/4 tasks";
            assert_eq!(message("flights", &progress, 5000), expected);
            let begun = message("flights", &JobProgress { watermark: i64::MIN, tasks: 4, ..JobProgress::default() }, 0);
            assert_eq!(begun, "flights: 0 records in, 0/s, 0 out | 0/4 tasks");
        }

        #[test]
        fn the_rate_is_that_of_the_last_second() {
            let at = |millis: u64| MonoTime(millis * 1_000_000);
            let mut rate = Rate::new(at(0));
            assert_eq!(rate.update(at(500), 1000), 2000, "the average as long as there is no full second");
            assert_eq!(rate.update(at(1000), 3000), 3000);
            assert_eq!(rate.update(at(1900), 9000), 3000);
            assert_eq!(rate.update(at(2000), 13_000), 10_000);
            assert_eq!(rate.update(at(2100), 13_000), 10_000, "until the next second is full");
        }
    }
}

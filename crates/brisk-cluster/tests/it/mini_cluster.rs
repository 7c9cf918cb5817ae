//! Real jobs on real threads.

use crate::jobs::{Enumerator, Numbers, bounded, endless, source_to_sink};
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result};
use brisk_cluster::MiniCluster;
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::job::{JobClient, JobExecutor, JobResult, JobStatus};
use brisk_core::job_graph::StreamGraph;
use brisk_core::operator::RuntimeContext;
use brisk_core::registry::OperatorRegistry;
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// A cluster with the workers it runs on.
struct Cluster {
    cluster: MiniCluster,
    workers: Arc<CoreWorkers>,
}

impl Cluster {
    fn new(config: &[(&str, &str)]) -> Self {
        let world = World::real();
        let workers = CoreWorkers::start(world.clone(), CoreWorkersOptions { workers: 2, ..CoreWorkersOptions::default() });
        let workers = Arc::new(workers.expect("there are threads"));
        let config: Configuration = config.iter().copied().collect();
        let cluster = MiniCluster::start(&config, &world, workers.clone(), OperatorRegistry::default()).expect("a good configuration");
        Self { cluster, workers }
    }

    fn submit(&self, graph: StreamGraph) -> Arc<dyn JobClient> {
        self.cluster.submit(graph, &Configuration::new()).expect("a good job")
    }

    fn run(&self, graph: StreamGraph) -> Result<JobResult> {
        end(&*self.submit(graph))
    }

    /// Ends the cluster; nothing may be left of it.
    fn finish(self) {
        self.cluster.shutdown().expect("everything ends");
        assert_eq!(self.workers.live_tasks(), 0, "no task is left");
        assert_eq!(self.workers.shutdown(LONG).given_up, [""; 0]);
    }
}

fn end(client: &dyn JobClient) -> Result<JobResult> {
    client.wait_for(LONG).expect("the job ends")
}

fn ok(_: &RuntimeContext) -> Result<()> {
    Ok(())
}

/// Blocks the operators that call `wait` until it is opened, and tells when the first has begun to wait.
#[derive(Clone)]
struct Gate {
    waits: Sender<()>,
    opened: Arc<Mutex<Receiver<()>>>,
}

impl Gate {
    fn new() -> (Self, Receiver<()>, Sender<()>) {
        let (waits, waiting) = channel();
        let (open, opened) = channel();
        (Self { waits, opened: Arc::new(Mutex::new(opened)) }, waiting, open)
    }

    fn wait(&self) -> Result<()> {
        let _ = self.waits.send(());
        let _ = self.opened.lock().expect("a sound test").recv();
        Ok(())
    }
}

#[test]
fn a_job_runs_to_its_end_and_tells_how_it_went() {
    let cluster = Cluster::new(&[]);
    let client = cluster.submit(source_to_sink((bounded(5000), 3), 2, ok));
    let result = end(&*client).expect("it finishes");
    assert_eq!(result.accumulators["rows"], AccumulatorValue::Count(15_000));
    assert_eq!((result.name.as_str(), client.status()), ("numbers", JobStatus::Finished));
    let progress = client.progress();
    assert_eq!((progress.records_in, progress.records_out, progress.watermark, progress.tasks), (15_000, 15_000, i64::MAX, 5));
    cluster.finish();
}

#[test]
fn an_endless_job_shows_progress_and_is_cancelled() {
    let cluster = Cluster::new(&[]);
    let client = cluster.submit(source_to_sink((endless(), 2), 3, ok));
    while client.progress().records_out == 0 || client.progress().tasks_running < 5 || client.accumulators().is_empty() {
        assert!(client.wait_for(Duration::from_millis(1)).is_none(), "it runs");
    }
    assert_eq!(client.status(), JobStatus::Running);
    client.cancel();
    let error = end(&*client).expect_err("cancelled").to_string();
    assert_eq!((client.status(), error.as_str()), (JobStatus::Canceled, "job 'numbers': the job was cancelled"));
    assert!(client.progress().records_in > 0, "the last figures stay");
    cluster.finish();
}

#[test]
fn a_failure_names_job_operator_and_subtask() {
    let cluster = Cluster::new(&[]);
    let fail = |cx: &RuntimeContext| if cx.task.subtask == 1 { Err(Error::user("no luck")) } else { Ok(()) };
    let client = cluster.submit(source_to_sink((endless(), 1), 2, fail));
    let error = end(&*client).expect_err("fails").to_string();
    assert_eq!((error.as_str(), client.status()), ("job 'numbers': operator 'sink' (2/2): no luck", JobStatus::Failed));
    let panic = |_: &RuntimeContext| -> Result<()> { panic!("out of luck") };
    let error = cluster.run(source_to_sink((endless(), 1), 1, panic)).expect_err("panics").to_string();
    assert!(error.starts_with("job 'numbers': operator 'sink' (1/1): ") && error.contains("out of luck"), "{error}");
    cluster.run(source_to_sink((bounded(10), 1), 1, ok)).expect("the cluster goes on");
    cluster.finish();
}

#[test]
fn user_code_in_an_enumerator_cannot_harm_the_cluster() {
    let cluster = Cluster::new(&[]);
    for (enumerator, expected) in [
        (Enumerator::FailsAtStart, "job 'numbers': coordinator of operator 'source': no such topic"),
        (Enumerator::PanicsAtRequest, "job 'numbers': coordinator of operator 'source': user code panicked: made to panic"),
        (Enumerator::PanicsWhenMade, "job 'numbers': coordinator of operator 'source': user code panicked: made to panic"),
    ] {
        let error = cluster.run(source_to_sink((Numbers { enumerator, rows: Some(1) }, 2), 1, ok)).expect_err("fails").to_string();
        assert_eq!(error, expected);
    }
    let dropped = Numbers { enumerator: Enumerator::PanicsWhenDropped, rows: Some(1) };
    cluster.run(source_to_sink((dropped, 2), 1, ok)).expect("a panic at the very end harms nobody");
    cluster.finish();
}

#[test]
fn slots_are_counted_when_they_are_configured() {
    let cluster = Cluster::new(&[("taskmanager.numberOfTaskSlots", "2")]);
    let error = cluster.cluster.submit(source_to_sink((bounded(2), 3), 1, ok), &Configuration::new()).err().expect("too few slots");
    assert!(error.to_string().starts_with("job 'numbers': not enough slots: the job needs 3, there are 2; raise"), "{error}");
    let first = cluster.submit(source_to_sink((endless(), 2), 2, ok));
    let second = cluster.submit(source_to_sink((bounded(2), 2), 2, ok));
    while first.progress().records_out == 0 {
        assert!(second.wait_for(Duration::from_millis(1)).is_none(), "it waits for slots");
    }
    first.cancel();
    end(&*second).expect("it gets the slots of the cancelled job");
    cluster.finish();
}

#[test]
fn a_job_waits_for_slots_only_so_long() {
    let cluster = Cluster::new(&[("taskmanager.numberOfTaskSlots", "1"), ("slot.request.timeout", "20 ms")]);
    let first = cluster.submit(source_to_sink((endless(), 1), 1, ok));
    let error = cluster.run(source_to_sink((bounded(2), 1), 1, ok)).expect_err("no slots").to_string();
    assert!(error.contains("other jobs have held the slots for 0.02 s ('slot.request.timeout')"), "{error}");
    assert_eq!(first.status(), JobStatus::Running);
    cluster.finish();
}

#[test]
fn a_wrong_graph_is_refused_at_once() {
    let cluster = Cluster::new(&[]);
    let error = cluster.cluster.submit(StreamGraph::default(), &Configuration::new()).err().expect("nothing to run").to_string();
    assert!(error.contains("no operators defined"), "{error}");
    cluster.finish();
}

#[test]
fn a_task_that_does_not_return_is_given_up_and_named() {
    let cluster = Cluster::new(&[("task.cancellation.timeout", "50 ms")]);
    let (gate, waiting, open) = Gate::new();
    let client = cluster.submit(source_to_sink((endless(), 1), 1, move |_| gate.wait()));
    waiting.recv().expect("the sink blocks");
    client.cancel();
    let error = end(&*client).expect_err("cancelled").to_string();
    let expected = "gave up waiting for task 'sink' (1/1): user code in operator 'sink' did not return within 0.05 s of the cancellation";
    assert!(error.contains(expected) && error.ends_with("the job was cancelled"), "{error}");
    assert_eq!(client.status(), JobStatus::Canceled);
    drop(open);
    cluster.cluster.shutdown().expect("nobody waits for it any more");
    assert_eq!(cluster.workers.shutdown(LONG).given_up, [""; 0], "it has returned");
}

#[test]
fn dropping_the_cluster_and_its_clients_cancels_its_jobs() {
    let Cluster { cluster, workers } = Cluster::new(&[]);
    let client = cluster.submit(source_to_sink((endless(), 2), 2, ok), &Configuration::new()).expect("a good job");
    drop(cluster);
    while client.progress().records_out == 0 {
        assert!(client.wait_for(Duration::from_millis(1)).is_none(), "a client keeps the cluster");
    }
    drop(client);
    assert_eq!(workers.live_tasks(), 0);
}

#[test]
fn a_cluster_that_is_shut_down_takes_no_jobs() {
    let cluster = Cluster::new(&[]);
    let running = cluster.submit(source_to_sink((endless(), 1), 1, ok));
    cluster.cluster.shutdown().expect("everything ends");
    cluster.cluster.shutdown().expect("once is enough");
    assert_eq!(end(&*running).expect_err("cancelled").message(), "the job was cancelled");
    let error = cluster.run(source_to_sink((bounded(2), 1), 1, ok)).expect_err("too late").to_string();
    assert_eq!(error, "job 'numbers': the cluster was shut down before the job ended");
    cluster.finish();
}

#[test]
fn many_subtasks_come_up_and_are_cancelled() {
    let cluster = Cluster::new(&[]);
    let client = cluster.submit(source_to_sink((endless(), 100), 100, ok));
    while client.progress().tasks_running < 200 {
        assert!(client.wait_for(Duration::from_millis(1)).is_none(), "it runs");
    }
    client.cancel();
    end(&*client).expect_err("cancelled");
    cluster.finish();
}

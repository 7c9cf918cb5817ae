//! A cluster with a REST server, and a client for it.

use brisk_base::metrics::Counter;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result, Timestamp};
use brisk_cluster::MiniCluster;
use brisk_connectors::datagen::DataGeneratorSource;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::job::JobClient;
use brisk_core::operator::RuntimeContext;
use brisk_core::registry::OperatorRegistry;
use brisk_rest::RestServer;
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions};
use brisk_stream::StreamEnvironment;
use brisk_stream::function::MapFunction;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::yield_now;

/// A cluster that serves REST on some free port.
pub(crate) struct Served {
    cluster: MiniCluster,
    address: SocketAddr,
    /// Where Prometheus scrapes, besides.
    pub(crate) reported: Vec<SocketAddr>,
    config: Configuration,
}

impl Served {
    pub(crate) fn new(config: &[(&str, &str)]) -> Self {
        let world = World::real();
        let workers = CoreWorkers::start(world.clone(), CoreWorkersOptions { workers: 2, ..CoreWorkersOptions::default() });
        let config: Configuration = config.iter().copied().collect();
        let cluster = MiniCluster::start(&config, &world, Arc::new(workers.expect("there are threads")), OperatorRegistry::default());
        let cluster = cluster.expect("a good configuration");
        let server = RestServer::start(cluster.gateway(), 0).expect("there is a free port");
        let (address, reported) = (server.address(), server.reported().to_vec());
        cluster.keep(server);
        Self { cluster, address, reported, config }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A keyed job without end, two subtasks a vertex.
    pub(crate) fn start_job(&self, name: &str) -> Arc<dyn JobClient> {
        let env = StreamEnvironment::new(Arc::new(self.cluster.clone()), self.config.clone());
        env.set_parallelism(2);
        let numbers = DataGeneratorSource::new(|n| (n % 7, 1u64)).per_second(5_000.0);
        let watermarks = WatermarkStrategy::monotonous_timestamps().with_timestamp(|pair: &(u64, u64)| Timestamp(pair.0 as i64));
        env.from_source(numbers, watermarks, "Numbers").key_by(|pair| pair.0).sum(|pair| &mut pair.1).try_add_sink(|_| Ok(()));
        env.execute_async(name).expect("a good job")
    }

    /// A source that waits for a sink, which does not return before what is given here is dropped.
    pub(crate) fn start_stuck_job(&self, name: &str) -> (Arc<dyn JobClient>, Sender<()>) {
        let env = StreamEnvironment::new(Arc::new(self.cluster.clone()), self.config.clone());
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let numbers = DataGeneratorSource::new(|n| n);
        env.from_source(numbers, WatermarkStrategy::no_watermarks(), "Numbers").rebalance().try_add_sink(move |_| {
            // An error: nobody is left to let it go on.
            let _: Result<(), _> = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
            Ok(())
        });
        (env.execute_async(name).expect("a good job"), sender)
    }

    /// A path whose answer is no JSON.
    pub(crate) fn text(&self, path: &str) -> String {
        let (status, body) = self.raw(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes(), false);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A job of a source and a sink that fails when it is told to.
    pub(crate) fn start_failing_job(&self, name: &str) -> FailingJob {
        let env = StreamEnvironment::new(Arc::new(self.cluster.clone()), self.config.clone());
        let failures = Arc::new(AtomicU32::new(0));
        let wanted = Arc::clone(&failures);
        let numbers = DataGeneratorSource::new(|n| n).per_second(2_000.0);
        env.from_source(numbers, WatermarkStrategy::no_watermarks(), "Numbers").rebalance().map_with(Counting::default()).try_add_sink(
            move |_| {
                let fails = wanted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok();
                if fails { Err(Error::transient("made to fail")) } else { Ok(()) }
            },
        );
        FailingJob { job: env.execute_async(name).expect("a good job"), failures }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.request("GET", path, "")
    }

    /// What a path answers with 200.
    pub(crate) fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Asks again and again, until the answer is as wanted.
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..100_000 {
            let (_, body) = self.get(path);
            if wanted(&body) {
                return body;
            }
            yield_now();
        }
        panic!("{path} has not become what it should be: {}", self.get(path).1)
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        let (status, body) = self.raw(format!("{head}{body}").as_bytes(), false);
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{method} {path} is answered with '{body}': {error}")))
    }

    /// Sends bytes, and says that there are no more if `end`; the status and the body that come back. 0 if nothing does.
    pub(crate) fn raw(&self, bytes: &[u8], end: bool) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        // The server may refuse what it has not read yet.
        let _ = stream.write_all(bytes);
        if end {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
    }
}

/// Counts in a metric of its own.
#[derive(Clone, Default)]
struct Counting(Option<Counter>);

impl MapFunction for Counting {
    type In = u64;
    type Out = u64;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.0 = Some(cx.metrics.counter("counted"));
        Ok(())
    }

    fn map(&mut self, value: u64) -> Result<u64> {
        self.0.iter().for_each(Counter::inc);
        Ok(value)
    }
}

/// A job that fails when it is told to.
pub(crate) struct FailingJob {
    pub(crate) job: Arc<dyn JobClient>,
    failures: Arc<AtomicU32>,
}

impl FailingJob {
    pub(crate) fn fail(&self) {
        self.failures.fetch_add(1, Ordering::SeqCst);
    }
}

/// Starts a job and waits until all of its tasks run.
pub(crate) fn running_job(served: &Served) -> (Arc<dyn JobClient>, String) {
    let job = served.start_job("state");
    let path = format!("/jobs/{}", job.job_id());
    served.until(&path, |body| {
        body["vertices"]
            .as_array()
            .is_some_and(|vertices| vertices.iter().all(|vertex| vertex["tasks"]["RUNNING"] == vertex["parallelism"]))
    });
    (job, path)
}

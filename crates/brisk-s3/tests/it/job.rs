//! A job whose checkpoints lie in the store: cancelled, and begun again from its newest one.

use crate::server::Server;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result};
use brisk_cluster::MiniCluster;
use brisk_cluster::services::{Services, StorageProvider};
use brisk_connectors::datagen::DataGeneratorSource;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::job::JobStatus;
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions};
use brisk_state::checkpoint_storage::CheckpointStorage;
use brisk_stream::StreamEnvironment;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Records, half of them of each key.
const RECORDS: u64 = 4_000;

/// Folders of the server.
struct InServer(Vec<(String, String)>);

impl StorageProvider for InServer {
    fn open(&self, uri: &str) -> Result<Arc<dyn CheckpointStorage>> {
        brisk_s3::open_with(uri, self.0.clone())
    }
}

fn cluster(server: &Server) -> MiniCluster {
    let world = World::real();
    let workers = CoreWorkers::start(world.clone(), CoreWorkersOptions { workers: 2, ..CoreWorkersOptions::default() });
    let services = Services::default().with_storages(Arc::new(InServer(server.settings())));
    MiniCluster::start(&Configuration::new(), &world, Arc::new(workers.expect("there are threads")), services)
        .expect("a good configuration")
}

/// Counts the records of two keys.
fn job(cluster: &MiniCluster, settings: &[(&str, &str)], counts: Sender<(u64, u64)>) -> StreamEnvironment {
    let mut config: Configuration = settings.iter().copied().collect();
    config.set_text("execution.checkpointing.dir", "s3://flights/checkpoints");
    config.set_text("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    config.set_text("execution.checkpointing.data-inline-threshold", "0");
    let env = StreamEnvironment::new(Arc::new(cluster.clone()), config);
    env.set_parallelism(2);
    env.from_source(DataGeneratorSource::new(|n| n).count(RECORDS).per_second(2_000.0), WatermarkStrategy::no_watermarks(), "Numbers")
        .uid("numbers")
        .map(|n: u64| (n % 2, 1))
        .key_by(|pair: &(u64, u64)| pair.0)
        .reduce(|a, b| (a.0, a.1 + b.1))
        .uid("count")
        .try_add_sink(move |pair| counts.send(pair).map_err(|_| Error::user("nobody listens")));
    env
}

/// The folder of the newest checkpoint in the store.
fn newest(server: &Server) -> Option<String> {
    let number = |path: &str| path.split("chk-").nth(1)?.split('/').next()?.parse::<u64>().ok();
    let files = server.folder("checkpoints").list("").expect("the server answers");
    let complete = files.into_iter().filter_map(|file| file.path.strip_suffix("/_metadata").map(str::to_owned));
    complete.max_by_key(|path| number(path)).map(|path| format!("s3://flights/checkpoints/{path}"))
}

#[test]
fn a_job_goes_on_from_its_checkpoint_in_the_store() {
    let server = Server::start();
    let before = cluster(&server);
    let (counts, received) = channel();
    let env = job(&before, &[("execution.checkpointing.interval", "50 ms")], counts);
    let client = env.execute_async("counts").expect("a good job");
    received.recv_timeout(PATIENCE).expect("it counts");
    let first = std::iter::repeat_with(|| newest(&server)).flatten().next();
    std::iter::repeat_with(|| newest(&server)).find(|path| *path != first);
    client.cancel();
    let _ = client.wait_for(PATIENCE).expect("it ends");
    assert_eq!(client.status(), JobStatus::Canceled);
    before.shutdown().expect("everything ends");

    let from = newest(&server).expect("it has been kept");
    let after = cluster(&server);
    let (counts, received) = channel();
    let env = job(&after, &[("execution.state-recovery.path", &from)], counts);
    env.execute_async("goes on").expect("a good job").wait_for(PATIENCE).expect("it ends").expect("it finishes");
    drop(env);
    let received: Vec<_> = received.try_iter().collect();
    assert!(received.len() < RECORDS as usize, "it began again from the begin");
    for key in 0..2 {
        let last = received.iter().filter(|pair| pair.0 == key).map(|pair| pair.1).max();
        assert_eq!(last, Some(RECORDS / 2), "key {key}");
    }
    after.shutdown().expect("everything ends");
}

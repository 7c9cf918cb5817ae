//! Options of the control plane, with Flink's keys and defaults.

use crate::link::LinkTimes;
use brisk_base::Result;
use brisk_base::options::Configuration;
use std::time::Duration;

brisk_base::option_enum! {
    /// How much is logged.
    pub enum LogLevel {
        /// What somebody must act upon.
        Error = "error",
        /// What may need somebody's attention, too.
        Warn = "warn",
        /// What happens to jobs and processes, too.
        Info = "info",
        /// What helps to find mistakes, too.
        Debug = "debug",
        /// All there is.
        Trace = "trace",
    }
}

brisk_base::option_enum! {
    /// How events are logged.
    pub enum LogFormat {
        /// Lines for people.
        Text = "text",
        /// A JSON object per line.
        Json = "json",
    }
}

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

    /// Where TaskManagers reach the JobManager: the host.
    pub JOB_MANAGER_RPC_ADDRESS: String = "jobmanager.rpc.address", "localhost";

    /// Where TaskManagers reach the JobManager: the port. For the JobManager itself, 0 stands for any free one.
    pub JOB_MANAGER_RPC_PORT: u16 = "jobmanager.rpc.port", 6123;

    /// The address that the JobManager binds its port to. The default can be reached from this machine only.
    pub JOB_MANAGER_BIND_HOST: String = "jobmanager.bind-host", "localhost";

    /// The host at which the processes of other TaskManagers reach this TaskManager's.
    pub TASK_MANAGER_HOST: String = "taskmanager.host", "localhost";

    /// The address that a TaskManager's processes bind their ports to. The default can be reached from this machine only.
    pub TASK_MANAGER_BIND_HOST: String = "taskmanager.bind-host", "localhost";

    /// How often the processes of a cluster tell each other that they live.
    pub HEARTBEAT_INTERVAL: Duration = "heartbeat.interval", Duration::from_secs(10);

    /// How long a process may be silent before it is taken for dead. One whose connection breaks is so at once.
    pub HEARTBEAT_TIMEOUT: Duration = "heartbeat.timeout", Duration::from_secs(50);

    /// How long a process may take to answer a request of another one.
    pub ASK_TIMEOUT: Duration = "pekko.ask.timeout", Duration::from_secs(10), aliases ["akka.ask.timeout"];

    /// Where the JobManager keeps uploaded programs, and its processes their files.
    pub JOB_MANAGER_WORKING_DIR: Option<String> = "process.jobmanager.working-dir", None, aliases ["process.working-dir"];

    /// Where a TaskManager keeps the programs of its jobs, and their processes their files.
    pub TASK_MANAGER_WORKING_DIR: Option<String> = "process.taskmanager.working-dir", None;

    /// The folder of log files: those of the daemons, and what the processes of jobs print.
    pub LOG_DIR: Option<String> = "env.log.dir", None;

    /// How much daemons, workers and drivers log. Not set: daemons and workers up to `info`, drivers up to `warn`. It can be changed while they
    /// run, over REST.
    pub LOG_LEVEL: Option<LogLevel> = "brisk.log.level", None;

    /// How they log: lines for people, or a JSON object per line.
    pub LOG_FORMAT: LogFormat = "brisk.log.format", LogFormat::Text;

    /// A durable folder in which the JobManager notes which jobs run, so that one that is started again goes on with them. Nothing is noted
    /// when it is not set.
    pub HA_STORAGE_DIR: Option<String> = "high-availability.storageDir", None;

    /// How long a program that is run on the cluster may take until it executes its first job; then it is ended. 0: for ever.
    pub DRIVER_TIMEOUT: Duration = "brisk.driver.timeout", Duration::from_secs(300);

    /// Whether a program is ended, and its jobs cancelled, when the client that waits for it ends before it.
    pub SHUTDOWN_ON_ATTACHED_EXIT: bool = "execution.shutdown-on-attached-exit", false;

    /// How long the client of such a program may be silent before it is taken for dead.
    pub CLIENT_HEARTBEAT_TIMEOUT: Duration = "client.heartbeat.timeout", Duration::from_secs(180);

    /// Whether records are compressed with lz4 on their way to another process.
    pub EXCHANGE_COMPRESSION: bool = "brisk.exchange.compression", false;
}

/// How long things may take between the processes of a cluster.
///
/// # Errors
/// When an option's value is wrong.
pub fn link_times(config: &Configuration) -> Result<LinkTimes> {
    Ok(LinkTimes {
        heartbeat_interval: config.get(&HEARTBEAT_INTERVAL)?,
        heartbeat_timeout: config.get(&HEARTBEAT_TIMEOUT)?,
        ask_timeout: config.get(&ASK_TIMEOUT)?,
    })
}

//! Control plane of Brisk: dispatcher, resource manager, a JobMaster per job, TaskManagers.
//!
//! Components are actors that exchange messages (see [`transport`]); none sees another's state. Decisions are taken by state machines
//! without I/O; the actors around them only carry messages. This crate decides where tasks run and what becomes of a job; it never
//! touches a record, and knows neither connectors nor SQL.
//!
//! The way of a job: a client [submits](Gateway::submit_keeping) it to the [dispatcher](job_manager::Dispatcher), which starts a
//! [JobMaster](job_manager::job_master); that asks the [resource manager](job_manager::ResourceManager) for slots, has the
//! [TaskManager](task_manager::TaskManager) open a [TaskHost](task_manager::TaskHost), deploys the tasks there, hears of their states,
//! and publishes the job's end to its [view](client::JobView).

pub mod blob;
pub mod client;
mod cluster;
mod control;
pub mod details;
mod gateway;
pub mod inspect;
pub mod job;
pub mod job_manager;
pub mod link;
mod mini_cluster;
pub mod options;
pub mod process;
pub mod services;
pub mod task_manager;
pub mod transport;
pub mod user_metrics;
pub mod wire;

pub use cluster::{Gateway, ProgramsGateway};
pub use gateway::SnapshotRequest;
pub use job_manager::operations::OperationKey;
pub use mini_cluster::MiniCluster;

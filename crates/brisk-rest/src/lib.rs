//! HTTP view of a cluster, with Flink's paths, verbs, status codes and JSON, so that Flink's own tools can look at Brisk.
//!
//! | what | file |
//! |---|---|
//! | [`RestServer`]: binds, serves, ends | [`server`] |
//! | which path is answered by what | `routes` |
//! | asking the cluster | `cluster` |
//! | ports for Prometheus alone | `reporter` |
//! | what is answered when something is wrong | `error` |
//! | finding the file in an uploaded form | `multipart` |
//! | JSON of what the cluster tells | `view` |
//!
//! It sees nothing but the cluster's [`Gateway`](brisk_cluster::Gateway), decides nothing, and keeps nothing. What a client sends can not
//! make it panic or grow: bodies have a limit, answers a deadline.

mod cluster;
mod error;
mod multipart;
pub mod options;
mod reporter;
mod routes;
pub mod server;
mod view;

pub use server::RestServer;

//! Metrics: counters, gauges, meters and histograms that a task updates without locks and a reporter reads at any time.
//!
//! Handles are cheap to clone and belong to one writer, the task. A [`MetricGroup`] gives them out under Flink's scopes (job, task,
//! operator, then groups of the user's own); the [`MetricRegistry`] lists all that live. A group and what is registered in it disappear
//! when the last handle on its task or operator group is dropped, so that an ended task leaves nothing behind.
//!
//! This module reports to nobody; reporters read [`MetricRegistry::list`].

mod group;
mod histogram;
mod registry;
mod value;

pub use self::group::MetricGroup;
pub use self::histogram::{Histogram, HistogramSnapshot};
pub use self::registry::{MetricRegistry, MetricSnapshot};
pub use self::value::{Counter, Gauge, Meter, MetricValue};

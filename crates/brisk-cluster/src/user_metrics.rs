//! Metrics of operators, and those that functions of users have registered, as they are told to whoever looks at the job: plain data.
//!
//! Gauges that are computed run code of users, which may block or panic. A TaskHost has them read by an actor with a thread of its own, and
//! does without them if that takes long.

use crate::task_manager::TaskHostMessage;
use crate::transport::plane::guarded;
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::metrics::{HistogramSnapshot, MetricGroup, MetricSnapshot, MetricValue};
use std::collections::BTreeMap;

/// Metrics of one process that are told; more are left out.
const MOST: usize = 20_000;

/// The shares of a histogram that are told.
pub const QUANTILES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.999];

/// Scopes above an operator's own: host, `taskmanager`, its id, job, task, subtask.
const ABOVE_OPERATOR: usize = 6;

/// A metric at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct UserMetric {
    /// Names of the scopes it lies in, outermost first.
    pub scope: Vec<String>,
    /// What kinds of scopes these are: `taskmanager`, `job`, `task`, `operator`, then groups of the user's own.
    pub kinds: Vec<String>,
    /// Flink's scope variables: `job_name`, `subtask_index`, ...
    pub variables: BTreeMap<String, String>,
    /// Its own name.
    pub name: String,
    /// What it shows.
    pub value: UserValue,
}

/// What a metric shows.
#[derive(Clone, PartialEq, Debug)]
pub enum UserValue {
    /// A counter.
    Counter(u64),
    /// A gauge of a whole number.
    Int(i64),
    /// A gauge of a number.
    Float(f64),
    /// A gauge of a text.
    Text(String),
    /// A meter.
    Meter {
        /// Events so far.
        count: u64,
        /// Events per second.
        rate: f64,
    },
    /// A histogram.
    Histogram(Distribution),
}

/// What is told of a histogram.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Distribution {
    /// How many numbers were recorded.
    pub count: u64,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub std_dev: f64,
    /// What the shares of [`QUANTILES`] do not exceed.
    pub quantiles: Vec<u64>,
}

impl UserMetric {
    /// What it is called within its task: names of the operator, of the user's groups, and its own, with `_` for spaces and what has a
    /// meaning in names, as Flink has them. `None` if it is no operator's.
    pub fn name_in_task(&self) -> Option<String> {
        let own = self.scope.get(ABOVE_OPERATOR..).filter(|own| !own.is_empty())?;
        Some(own.iter().chain([&self.name]).map(|part| part.replace([' ', '.', ':', ','], "_")).collect::<Vec<_>>().join("."))
    }
}

impl From<MetricSnapshot> for UserMetric {
    fn from(metric: MetricSnapshot) -> Self {
        let value = match metric.value {
            MetricValue::Counter(count) => UserValue::Counter(count),
            MetricValue::Int(value) => UserValue::Int(value),
            MetricValue::Float(value) => UserValue::Float(value),
            MetricValue::Text(text) => UserValue::Text(text),
            MetricValue::Meter { count, rate } => UserValue::Meter { count, rate },
            MetricValue::Histogram(histogram) => UserValue::Histogram((&*histogram).into()),
        };
        Self {
            scope: (*metric.scope).clone(),
            kinds: (*metric.logical_scope).clone(),
            variables: (*metric.variables).clone(),
            name: metric.name,
            value,
        }
    }
}

impl From<&HistogramSnapshot> for Distribution {
    fn from(histogram: &HistogramSnapshot) -> Self {
        Self {
            count: histogram.count(),
            min: histogram.min(),
            max: histogram.max(),
            mean: histogram.mean(),
            std_dev: histogram.std_dev(),
            quantiles: QUANTILES.iter().map(|quantile| histogram.quantile(*quantile)).collect(),
        }
    }
}

/// All metrics of a scope.
pub(crate) fn read(group: &MetricGroup) -> Vec<UserMetric> {
    let mut all = group.list();
    if all.len() > MOST {
        tracing::warn!(metrics = all.len(), told = MOST, "there are more metrics than are told");
        all.truncate(MOST);
    }
    all.into_iter().map(UserMetric::from).collect()
}

/// Reads metrics that run code of users.
pub(crate) struct MetricReader {
    pub(crate) group: MetricGroup,
    pub(crate) host: Address<TaskHostMessage>,
}

/// Read, for this request.
pub(crate) struct ReadMetrics(pub(crate) u64);

impl Actor for MetricReader {
    type Message = ReadMetrics;

    fn handle(&mut self, ReadMetrics(request): ReadMetrics, cx: &mut ActorContext<'_>) {
        let metrics = guarded(|| read(&self.group)).unwrap_or_else(|panic| {
            tracing::warn!(panic, "a metric of a user's function has panicked; those of the job are left out");
            Vec::new()
        });
        cx.send(&self.host, TaskHostMessage::MetricsRead { request, metrics });
    }
}

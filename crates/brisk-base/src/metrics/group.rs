//! The tree of scopes under which metrics are registered.

use super::{Counter, Gauge, Histogram, Meter, MetricSnapshot, MetricValue};
use crate::ids::{AttemptId, JobId, OperatorId, TaskManagerId};
use crate::world::{Clock, World};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A scope: where metrics are registered, and where scopes below it begin. Clones are handles on the same scope.
#[derive(Clone)]
pub struct MetricGroup(Arc<Node>);

/// One scope of the tree.
struct Node {
    /// The scope above; none for the root, and for a user's group, whose components and variables are complete.
    parent: Option<MetricGroup>,
    /// What this scope adds to the identifier, such as a job's name and a subtask's index.
    components: Vec<String>,
    /// What kinds of scopes it adds, such as `job` and `task`; a user's group is its own kind.
    kinds: Vec<String>,
    /// What this scope adds to the variables, such as `<job_name>`.
    variables: Vec<(String, String)>,
    /// For meters.
    clock: Arc<dyn Clock>,
    /// The metrics and scopes registered here.
    content: Mutex<Content>,
}

#[derive(Default)]
struct Content {
    /// Metrics by name.
    metrics: BTreeMap<String, Metric>,
    /// The user's own groups by name; they live as long as this scope.
    groups: BTreeMap<String, Arc<Node>>,
    /// Scopes of jobs, tasks and operators; they live as long as somebody holds a handle.
    scopes: Vec<Weak<Node>>,
}

/// A registered metric.
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Meter(Meter),
    Histogram(Histogram),
    /// A gauge computed when it is read.
    Computed(Arc<dyn Fn() -> MetricValue + Send + Sync>),
}

impl MetricGroup {
    /// The root of a tree of its own: for a registry, and for tests.
    pub fn root(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Node {
            parent: None,
            components: Vec::new(),
            kinds: Vec::new(),
            variables: Vec::new(),
            clock,
            content: Mutex::default(),
        }))
    }

    /// A group that no registry lists.
    pub fn unregistered(world: &World) -> Self {
        Self::root(Arc::clone(&world.clock))
    }

    /// Scope of a TaskManager.
    #[must_use]
    pub fn task_manager(&self, host: &str, id: TaskManagerId) -> Self {
        let id = id.to_string();
        self.scope("taskmanager", [host, "taskmanager", &id], [("host", host), ("tm_id", &id)])
    }

    /// Scope of a job.
    #[must_use]
    pub fn job(&self, id: JobId, name: &str) -> Self {
        self.scope("job", [name], [("job_id", id.to_string().as_str()), ("job_name", name)])
    }

    /// Scope of a task, below its job.
    #[must_use]
    pub fn task(&self, attempt: AttemptId, name: &str) -> Self {
        let AttemptId { vertex, subtask, attempt: number } = attempt;
        let [vertex, id, subtask, number] = [vertex.to_string(), attempt.to_string(), subtask.to_string(), number.to_string()];
        self.scope(
            "task",
            [name, &subtask],
            [
                ("task_id", vertex.as_str()),
                ("task_name", name),
                ("task_attempt_id", &id),
                ("task_attempt_num", &number),
                ("subtask_index", &subtask),
            ],
        )
    }

    /// Scope of an operator, below its task.
    #[must_use]
    pub fn operator(&self, id: OperatorId, name: &str) -> Self {
        self.scope("operator", [name], [("operator_id", id.to_string().as_str()), ("operator_name", name)])
    }

    /// A group of the user's own. The same name gives the same group.
    #[must_use]
    pub fn add_group(&self, name: &str) -> Self {
        self.user_group(name, &[name], &[])
    }

    /// A group named by a key and a value; the value is also the variable `<key>`.
    #[must_use]
    pub fn add_key_value_group(&self, key: &str, value: &str) -> Self {
        self.user_group(&format!("{key}={value}"), &[key, value], &[(key, value)])
    }

    /// The counter of this name.
    pub fn counter(&self, name: &str) -> Counter {
        self.register(
            name,
            |metric| if let Metric::Counter(counter) = metric { Some(counter.clone()) } else { None },
            Counter::new,
            Metric::Counter,
        )
    }

    /// The settable gauge of this name.
    pub fn gauge(&self, name: &str) -> Gauge {
        self.register(name, |metric| if let Metric::Gauge(gauge) = metric { Some(gauge.clone()) } else { None }, Gauge::new, Metric::Gauge)
    }

    /// The histogram of this name.
    pub fn histogram(&self, name: &str) -> Histogram {
        let existing = |metric: &Metric| if let Metric::Histogram(histogram) = metric { Some(histogram.clone()) } else { None };
        self.register(name, existing, Histogram::new, Metric::Histogram)
    }

    /// The meter of this name, with a counter of its own.
    pub fn meter(&self, name: &str) -> Meter {
        self.meter_of(name, Counter::new())
    }

    /// The meter of this name; a new one shows the rate of `counter`.
    pub fn meter_of(&self, name: &str, counter: Counter) -> Meter {
        let existing = |metric: &Metric| if let Metric::Meter(meter) = metric { Some(meter.clone()) } else { None };
        self.register(name, existing, || Meter::new(counter, Arc::clone(&self.0.clock)), Metric::Meter)
    }

    /// Registers a gauge that is computed, on the reader's thread, when it is read. Replaces an earlier one of this name.
    pub fn computed_gauge<V: Into<MetricValue>>(&self, name: &str, read: impl Fn() -> V + Send + Sync + 'static) {
        let mut content = self.content();
        if content.metrics.get(name).is_some_and(|metric| !matches!(metric, Metric::Computed(_))) {
            drop(content);
            return self.warn_of_collision(name);
        }
        content.metrics.insert(name.to_owned(), Metric::Computed(Arc::new(move || read().into())));
    }

    /// The names of this scope and those above, outermost first.
    pub fn scope_components(&self) -> Vec<String> {
        let mut components = self.0.parent.as_ref().map_or_else(Vec::new, Self::scope_components);
        components.extend(self.0.components.iter().cloned());
        components
    }

    /// The kinds of this scope and of those above, outermost first (Flink's logical scope): `taskmanager`, `job`, `task`, `operator`, then
    /// groups of the user's own.
    pub fn logical_scope(&self) -> Vec<String> {
        let mut kinds = self.0.parent.as_ref().map_or_else(Vec::new, Self::logical_scope);
        kinds.extend(self.0.kinds.iter().cloned());
        kinds
    }

    /// Flink's variables (`<job_name>`, `<subtask_index>`, ...) with their values, without the angle brackets.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.0.parent.as_ref().map_or_else(BTreeMap::new, Self::variables);
        variables.extend(self.0.variables.iter().cloned());
        variables
    }

    /// Whether somebody's code computes a gauge of this scope or of one below it when it is read.
    pub fn has_computed(&self) -> bool {
        let below: Vec<Self> = {
            let content = self.content();
            if content.metrics.values().any(|metric| matches!(metric, Metric::Computed(_))) {
                return true;
            }
            let scopes = content.scopes.iter().filter_map(Weak::upgrade);
            content.groups.values().cloned().chain(scopes).map(Self).collect()
        };
        below.iter().any(Self::has_computed)
    }

    /// The metrics of this scope and of all below it, with their present values.
    pub fn list(&self) -> Vec<MetricSnapshot> {
        let mut out = Vec::new();
        self.list_into(&mut out);
        out
    }

    fn list_into(&self, out: &mut Vec<MetricSnapshot>) {
        let (metrics, below) = {
            let mut content = self.content();
            content.scopes.retain(|scope| scope.strong_count() > 0);
            let metrics: Vec<_> = content.metrics.iter().map(|(name, metric)| (name.clone(), metric.reader())).collect();
            let scopes = content.scopes.iter().filter_map(Weak::upgrade);
            (metrics, content.groups.values().cloned().chain(scopes).map(Self).collect::<Vec<_>>())
        };
        // Gauges run the user's code: without a lock.
        if !metrics.is_empty() {
            let (scope, variables) = (Arc::new(self.scope_components()), Arc::new(self.variables()));
            let logical_scope = Arc::new(self.logical_scope());
            out.extend(metrics.into_iter().map(|(name, read)| MetricSnapshot {
                scope: Arc::clone(&scope),
                logical_scope: Arc::clone(&logical_scope),
                variables: Arc::clone(&variables),
                name,
                value: read(),
            }));
        }
        below.iter().for_each(|group| group.list_into(out));
    }

    /// A scope of the engine: a new one each time, gone with its last handle.
    fn scope<'a>(
        &self,
        kind: &'a str,
        components: impl IntoIterator<Item = &'a str>,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let child = self.child(Some(self.clone()), [kind], components, variables);
        let mut content = self.content();
        content.scopes.retain(|scope| scope.strong_count() > 0);
        content.scopes.push(Arc::downgrade(&child.0));
        child
    }

    fn user_group(&self, name: &str, components: &[&str], variables: &[(&str, &str)]) -> Self {
        if let Some(group) = self.content().groups.get(name) {
            return Self(Arc::clone(group));
        }
        // Held by its parent, so it must not hold the parent: what it needs of it is copied.
        let above = self.scope_components();
        let (known, kinds) = (self.variables(), self.logical_scope());
        // A group named by a key and a value is of the key's kind.
        let kinds = kinds.iter().map(String::as_str).chain(components.first().copied());
        let components = above.iter().map(String::as_str).chain(components.iter().copied());
        let variables = known.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(variables.iter().copied());
        let child = self.child(None, kinds, components, variables);
        Self(Arc::clone(self.content().groups.entry(name.to_owned()).or_insert(child.0)))
    }

    fn child<'a>(
        &self,
        parent: Option<Self>,
        kinds: impl IntoIterator<Item = &'a str>,
        components: impl IntoIterator<Item = &'a str>,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self(Arc::new(Node {
            parent,
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            components: components.into_iter().map(str::to_owned).collect(),
            variables: variables.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            clock: Arc::clone(&self.0.clock),
            content: Mutex::default(),
        }))
    }

    /// The metric of this name if there is one of this kind, else a new one. One of another kind stays; the new one is then not listed.
    fn register<T: Clone>(
        &self,
        name: &str,
        existing: impl FnOnce(&Metric) -> Option<T>,
        make: impl FnOnce() -> T,
        wrap: impl FnOnce(T) -> Metric,
    ) -> T {
        let mut content = self.content();
        match content.metrics.get(name).map(existing) {
            Some(Some(handle)) => handle,
            Some(None) => {
                drop(content);
                self.warn_of_collision(name);
                make()
            }
            None => {
                let handle = make();
                content.metrics.insert(name.to_owned(), wrap(handle.clone()));
                handle
            }
        }
    }

    fn warn_of_collision(&self, name: &str) {
        tracing::warn!(
            metric = name,
            scope = self.scope_components().join("."),
            "two metrics of different kinds share a name; the later is not reported"
        );
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MetricGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetricGroup({})", self.scope_components().join("."))
    }
}

impl Metric {
    /// Reads the metric later, without the group's lock.
    fn reader(&self) -> Box<dyn FnOnce() -> MetricValue> {
        match self {
            Self::Counter(counter) => {
                let counter = counter.clone();
                Box::new(move || MetricValue::Counter(counter.count()))
            }
            Self::Gauge(gauge) => {
                let gauge = gauge.clone();
                Box::new(move || MetricValue::Int(gauge.get()))
            }
            Self::Meter(meter) => {
                let meter = meter.clone();
                Box::new(move || MetricValue::Meter { count: meter.count(), rate: meter.rate() })
            }
            Self::Histogram(histogram) => {
                let histogram = histogram.clone();
                Box::new(move || MetricValue::Histogram(Box::new(histogram.snapshot())))
            }
            Self::Computed(read) => {
                let read = Arc::clone(read);
                Box::new(move || read())
            }
        }
    }
}

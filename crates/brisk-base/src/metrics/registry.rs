//! All metrics of a process.

use super::{MetricGroup, MetricValue};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The metrics of one process. Clones are handles on the same registry.
#[derive(Clone, Debug)]
pub struct MetricRegistry {
    /// The scope above all others.
    root: MetricGroup,
}

/// One metric at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricSnapshot {
    /// Names of the scopes it lies in, outermost first.
    pub scope: Arc<Vec<String>>,
    /// What kinds of scopes these are, outermost first: `taskmanager`, `job`, `task`, `operator`, then groups of the user's own.
    pub logical_scope: Arc<Vec<String>>,
    /// Flink's scope variables without angle brackets: `job_name`, `subtask_index`, ...
    pub variables: Arc<BTreeMap<String, String>>,
    /// Its own name.
    pub name: String,
    /// What it shows.
    pub value: MetricValue,
}

impl MetricRegistry {
    /// An empty registry.
    pub fn new(world: &World) -> Self {
        Self { root: MetricGroup::root(Arc::clone(&world.clock)) }
    }

    /// The scope above all others.
    pub fn root(&self) -> &MetricGroup {
        &self.root
    }

    /// Every metric that lives, with its present value. Gauges that are computed run on the caller's thread.
    pub fn list(&self) -> Vec<MetricSnapshot> {
        self.root.list()
    }
}

impl MetricSnapshot {
    /// Scope and name in one, joined by `delimiter`; in the names themselves it becomes `_`.
    pub fn identifier(&self, delimiter: char) -> String {
        let names = self.scope.iter().chain(std::iter::once(&self.name));
        names.map(|name| name.replace(delimiter, "_")).collect::<Vec<_>>().join(delimiter.to_string().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AttemptId, JobId, OperatorId, VertexId};

    fn operator(registry: &MetricRegistry, subtask: u32) -> MetricGroup {
        let attempt = AttemptId { vertex: VertexId(2), subtask, attempt: 0 };
        registry.root().job(JobId(1), "my.job").task(attempt, "Map -> Sink").operator(OperatorId(3), "Map")
    }

    fn identifiers(registry: &MetricRegistry) -> Vec<String> {
        registry.list().iter().map(|metric| metric.identifier('.')).collect()
    }

    #[test]
    fn lists_by_scope_with_variables() {
        let registry = MetricRegistry::new(&World::real());
        let group = operator(&registry, 4);
        group.counter("numRecordsIn").inc_by(7);
        group.add_group("mine").add_key_value_group("table", "t1").gauge("size").set(-3);
        group.computed_gauge("backlog", || 12u64);
        group.histogram("latency").update(5);
        assert_eq!(
            identifiers(&registry),
            [
                "my_job.Map -> Sink.4.Map.backlog",
                "my_job.Map -> Sink.4.Map.latency",
                "my_job.Map -> Sink.4.Map.numRecordsIn",
                "my_job.Map -> Sink.4.Map.mine.table.t1.size"
            ]
        );
        let list = registry.list();
        assert_eq!(*list[0].logical_scope, ["job", "task", "operator"]);
        assert_eq!(*list[3].logical_scope, ["job", "task", "operator", "mine", "table"]);
        assert_eq!(list[0].value, MetricValue::Int(12));
        assert_eq!(list[2].value, MetricValue::Counter(7));
        assert_eq!(list[3].value, MetricValue::Int(-3));
        let variables = &list[3].variables;
        for (key, value) in
            [("job_name", "my.job"), ("subtask_index", "4"), ("operator_name", "Map"), ("table", "t1"), ("task_attempt_num", "0")]
        {
            assert_eq!(variables.get(key).map(String::as_str), Some(value), "{key}");
        }
    }

    #[test]
    fn a_scope_goes_with_its_last_handle() {
        let registry = MetricRegistry::new(&World::real());
        let (first, second) = (operator(&registry, 0), operator(&registry, 1));
        first.add_group("kept").counter("a");
        second.counter("b");
        assert_eq!(identifiers(&registry), ["my_job.Map -> Sink.0.Map.kept.a", "my_job.Map -> Sink.1.Map.b"]);
        drop(first);
        assert_eq!(identifiers(&registry), ["my_job.Map -> Sink.1.Map.b"]);
        drop(second);
        assert!(registry.list().is_empty());
    }

    #[test]
    fn a_name_belongs_to_the_first_kind() {
        let registry = MetricRegistry::new(&World::real());
        let counter = registry.root().counter("x");
        registry.root().counter("x").inc();
        assert_eq!(counter.count(), 1);
        registry.root().gauge("x").set(9);
        registry.root().computed_gauge("x", || 9i64);
        let list = registry.list();
        assert_eq!((list.len(), &list[0].value), (1, &MetricValue::Counter(1)));
    }
}

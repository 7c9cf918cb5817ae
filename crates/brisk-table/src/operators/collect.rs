//! A sink that keeps rows in memory, for tests and small results.

use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, Columns};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, OperatorSpec, Rest, RuntimeContext};
use brisk_core::registry::OperatorRegistry;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows that a sink may keep unless it is told otherwise.
const MAX_ROWS: usize = 10_000_000;

/// What the sinks of one job have collected. Clones are the same collection.
#[derive(Clone)]
pub struct Collected {
    kept: Arc<Mutex<Kept>>,
    max_rows: usize,
}

/// What all sinks of the job share.
#[derive(Default)]
struct Kept {
    batches: Vec<Columns>,
    /// Rows in all batches.
    rows: usize,
}

impl Default for Collected {
    fn default() -> Self {
        Self { kept: Arc::default(), max_rows: MAX_ROWS }
    }
}

impl Collected {
    /// A collection that refuses more rows than these.
    pub fn with_limit(max_rows: usize) -> Self {
        Self { max_rows, ..Self::default() }
    }

    /// Makes the sink known under a name of the program's choice.
    pub fn register(&self, registry: &mut OperatorRegistry, name: &str) {
        let collected = self.clone();
        registry.register(name, move |_| Ok(collected.clone()));
    }

    /// How a graph names the sink.
    pub fn spec(name: &str) -> OperatorSpec {
        OperatorSpec::Registered { name: name.to_owned(), config: Vec::new() }
    }

    /// The batches so far; those of one subtask in their order.
    pub fn batches(&self) -> Vec<Columns> {
        self.lock().batches.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OperatorFactory for Collected {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(CollectOperator(self.clone())))
    }
}

struct CollectOperator(Collected);

impl Operator for CollectOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let mut kept = self.0.lock();
        kept.rows += batch.rows;
        if kept.rows > self.0.max_rows {
            return Err(Error::user(format!(
                "more than {} rows to collect in memory: write large results to a real sink",
                self.0.max_rows
            )));
        }
        kept.batches.push(batch);
        Ok(Rest::Consumed)
    }
}

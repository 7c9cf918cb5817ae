//! A source of the rows that a query brings itself. It gives them once, and the end of event time.

use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Columns};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext, SnapshotContext, SourcePoll};
use brisk_core::state::{OperatorSnapshot, Redistribution};

use super::calc::emit;

/// Name of the operator state: how many rows have been given.
const GIVEN: &str = "$given";

/// Makes the operator. There is one subtask.
#[derive(Clone, Debug)]
pub(crate) struct RowValues {
    pub(crate) rows: Columns,
}

impl OperatorFactory for RowValues {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(RowValuesOperator { rows: self.rows.clone(), given: 0 }))
    }
}

struct RowValuesOperator {
    rows: Columns,
    given: u64,
}

impl Operator for RowValuesOperator {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.given = cx.runtime.state.operator_state::<u64>(GIVEN)?.into_iter().max().unwrap_or(0);
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        let from = usize::try_from(self.given).unwrap_or(usize::MAX).min(self.rows.rows);
        self.given = self.rows.rows as u64;
        emit(self.rows.slice(from..self.rows.rows), cx);
        cx.emit_watermark(Timestamp::MAX);
        Ok(SourcePoll::Finished)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, _cx: &mut SnapshotContext<'_>) -> Result<()> {
        snapshot.add_operator_state(GIVEN, Redistribution::Union, &[self.given]);
        Ok(())
    }
}

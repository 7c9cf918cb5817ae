//! A sink that drops everything: for measurements, as Flink's `blackhole` connector.

use brisk_base::Result;
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, OperatorSpec, Rest, RuntimeContext};
use brisk_core::table::{TableConnector, TableDeclaration, TableSinkOperator};
use std::sync::Arc;

/// Serves tables with `'connector' = 'blackhole'`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlackholeTable;

impl TableConnector for BlackholeTable {
    fn sink(&self, table: &TableDeclaration) -> Result<TableSinkOperator> {
        table.options().finish()?;
        Ok(TableSinkOperator { operator: OperatorSpec::Factory(Arc::new(Blackhole)), takes_changes: true, parallelism: None })
    }
}

struct Blackhole;

impl OperatorFactory for Blackhole {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Self))
    }
}

impl Operator for Blackhole {
    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}

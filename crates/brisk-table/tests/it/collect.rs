//! The collection of a job's results, over failures.

use crate::driver::Driver;
use arrow_array::{Array, Int64Array};
use brisk_base::ids::CheckpointId;
use brisk_core::batch::Columns;
use brisk_core::operator::OperatorFactory;
use brisk_table::operators::collect::Collected;
use std::sync::Arc;

fn batch(numbers: &[i64]) -> Columns {
    Columns::new(vec![Arc::new(Int64Array::from(numbers.to_vec()))]).expect("one column")
}

fn numbers(collected: &Collected) -> Vec<i64> {
    let of = |batch: &Columns| {
        let column: &Int64Array = batch.columns[0].as_any().downcast_ref().expect("numbers");
        column.values().to_vec()
    };
    collected.batches().iter().flat_map(of).collect()
}

#[test]
fn rows_come_in_once_with_their_checkpoint() {
    let collected = Collected::default();
    let factory: &dyn OperatorFactory = &collected;
    let mut driver = Driver::with_checkpoints(factory);
    driver.batch(batch(&[1, 2])).expect("consumed");
    let first = driver.snapshot(CheckpointId(1));
    assert!(numbers(&collected).is_empty());
    driver.call(|operator, cx| operator.checkpoint_complete(CheckpointId(1), cx)).expect("no failure");
    assert_eq!(numbers(&collected), [1, 2]);
    driver.batch(batch(&[3])).expect("consumed");
    driver = driver.restored(first, factory);
    driver.batch(batch(&[3])).expect("consumed");
    let second = driver.snapshot(CheckpointId(2));
    assert_eq!(numbers(&collected), [1, 2], "given out before the failure, and not again");
    driver.restored(second, factory);
    assert_eq!(numbers(&collected), [1, 2, 3], "a checkpoint from which a job goes on is complete");
}

#[test]
fn without_checkpoints_rows_come_in_at_once() {
    let collected = Collected::default();
    let mut driver = Driver::new(&collected);
    driver.batch(batch(&[1])).expect("consumed");
    assert_eq!(numbers(&collected), [1]);
}

//! Operators go on from a checkpoint as if nothing had happened.

use super::keyed::{Counting, counting_model};
use crate::function::{
    AsyncFn, AsyncOptions, AsyncOrder, BroadcastContext, BroadcastDeclarations, BroadcastProcessFunction, BroadcastStates, CoMap,
    CoMapFunction, KeyedBroadcastProcessFunction, KeyedProcessFunction, KeyedReadOnlyContext, MapFunction, MapStateDescriptor,
    ReadOnlyContext,
};
use crate::key_selector::KeyBy;
use crate::operators::driver::{Driver, rows, steps};
use crate::operators::{
    AsyncWaitOperator, BroadcastProcessOperator, ByReduce, CoProcessOperator, CollectOperator, GlobalCommitOperator, Handoff,
    KeyedBroadcastProcess, KeyedOperator, KeyedProcess, MapOperator, RollingOperator, SinkOperator, TimestampsOperator,
};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_core::batch::{Rows, Step};
use brisk_core::element::StreamStatus;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{Collector, FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{Operator, RuntimeContext};
use brisk_core::sink::{AnyCommitter, Committable, Committer, SinkWriter};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Made = Box<dyn Operator>;

fn new(make: impl FnOnce(&RuntimeContext) -> Made) -> Driver {
    Driver::with_runtime(&[], |_| {}, make)
}

fn with_checkpoints(make: impl FnOnce(&RuntimeContext) -> Made) -> Driver {
    Driver::with_runtime(&[], |runtime| runtime.state.checkpointing = true, make)
}

fn counting(cx: &RuntimeContext) -> Made {
    let declare = |state: &mut brisk_core::state::StateDeclarations| KeyedProcess::new(Counting::declare(state));
    Box::new(KeyedOperator::<KeyedProcess<Counting, _>>::new(KeyBy(|value: &i64| value % 3), cx, declare).expect("opens"))
}

/// Steps with the rows between two watermarks sorted: timers of one time fire in an order of their own after a restart.
fn sorted<T: std::fmt::Debug>(steps: &[Step<T>]) -> Vec<String> {
    let mut all = Vec::new();
    let mut rows = Vec::new();
    for step in steps {
        match step {
            Step::Row(..) => rows.push(format!("{step:?}")),
            Step::Watermark(watermark) => {
                rows.sort();
                all.append(&mut rows);
                all.push(format!("watermark {watermark}"));
            }
        }
    }
    rows.sort();
    all.append(&mut rows);
    all
}

proptest! {
    #[test]
    fn keyed_state_and_timers(
        values in proptest::collection::vec(0i64..60, 0..40),
        at in proptest::collection::btree_set(0u32..40, 0..10),
        cut in 1usize..12,
        restarts: u64,
        hurried: bool,
    ) {
        let marks: BTreeMap<u32, i64> = at.into_iter().filter(|row| (*row as usize) < values.len()).map(|row| (row, i64::from(row) * 2)).collect();
        let (mut driver, mut other) = (new(counting).hurried(hurried), new(counting).hurried(hurried));
        for (index, chunk) in values.chunks(cut).enumerate() {
            if restarts >> (index % 64) & 1 == 1 {
                driver = driver.restart(counting);
                prop_assert_eq!(driver.state_entries(), other.state_entries());
            }
            let first = (index * cut) as u32;
            let within: Vec<_> = marks.range(first..first + chunk.len() as u32).map(|(row, watermark)| (row - first, *watermark)).collect();
            driver.batch(0, rows(chunk, &within));
            other.batch(0, rows(chunk, &within));
        }
        driver.end(1);
        other.end(1);
        let expected = other.steps::<(i64, i64, i64)>(0);
        prop_assert_eq!(sorted(&driver.steps::<(i64, i64, i64)>(0)), sorted(&expected));
        prop_assert_eq!(expected, counting_model(&values, &marks));
    }
}

#[test]
fn rolling_aggregates() {
    let make = |cx: &RuntimeContext| -> Made {
        let sum = ByReduce::new(|a: (i64, i64), b: (i64, i64)| Ok((a.0, a.1 + b.1)));
        Box::new(RollingOperator::new(KeyBy(|pair: &(i64, i64)| pair.0), sum, cx).expect("opens"))
    };
    let mut driver = new(make);
    driver.batch(0, Rows::from(vec![(1i64, 10i64), (2, 20)]));
    driver = driver.restart(make);
    assert_eq!(driver.state_entries(), 2);
    driver.batch(0, Rows::from(vec![(1i64, 1i64), (3, 3)]));
    driver = driver.restart(make).restart(make);
    driver.batch(0, Rows::from(vec![(2i64, 2i64), (3, 3)]));
    assert_eq!(driver.values::<(i64, i64)>(0), [(1, 10), (2, 20), (1, 11), (3, 3), (2, 22), (3, 6)]);
}

#[test]
fn requests_under_way_are_made_again_in_their_order() {
    for order in [AsyncOrder::Ordered, AsyncOrder::Unordered] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let make = |answers: bool| {
            let asked = Arc::clone(&asked);
            let function = AsyncFn::new(move |question: i64| {
                asked.lock().expect("not poisoned").push(question);
                async move { if answers || question == 2 { ready(Ok::<i64, Error>(question * 10)).await } else { pending().await } }
            });
            move |cx: &RuntimeContext| -> Made { Box::new(AsyncWaitOperator::new(function, order, AsyncOptions::default(), cx)) }
        };
        let mut driver = new(make(false));
        driver.batch(0, rows(&[1, 2, 3], &[(2, 9)]));
        driver.watermark(20);
        driver.poll();
        let before: Vec<i64> = driver.values(0);
        asked.lock().expect("not poisoned").clear();
        driver = driver.restart(make(true));
        driver.poll();
        let all: Vec<Step<i64>> = driver.steps(0);
        let row = |value: i64| Step::Row(value * 10, Timestamp(value), 0);
        if order == AsyncOrder::Ordered {
            assert_eq!((before, &*asked.lock().expect("not poisoned")), (vec![], &vec![1, 2, 3]));
            assert_eq!(all, [row(1), row(2), row(3), Step::Watermark(Timestamp(20))]);
        } else {
            assert_eq!((before, &*asked.lock().expect("not poisoned")), (vec![20], &vec![1, 3]), "2 has left");
            assert_eq!(all, [row(1), row(3), Step::Watermark(Timestamp(20))]);
        }
    }
}

#[test]
fn watermarks_do_not_go_back() {
    let strategy =
        WatermarkStrategy::<i64>::bounded_out_of_orderness(Millis(2)).with_timestamp(|t: &i64| Timestamp(*t)).with_idleness(Millis(50));
    let make = |_: &RuntimeContext| -> Made { Box::new(TimestampsOperator::new(&strategy)) };
    let mut driver = new(make);
    driver.batch(0, rows(&[10], &[]));
    driver.time(100);
    assert_eq!(driver.statuses(), [StreamStatus::Idle]);
    driver = driver.restart(make);
    driver.time(100);
    assert_eq!(driver.statuses(), [StreamStatus::Idle], "said again");
    driver.batch(0, rows(&[5, 11], &[]));
    assert_eq!(driver.statuses(), [StreamStatus::Active]);
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 10), ('w', 7), ('r', 5), ('r', 11), ('w', 8)]));
}

/// Lets values up to the broadcast limit through.
#[derive(Clone)]
struct UpTo;

fn limits() -> MapStateDescriptor<i64, i64> {
    MapStateDescriptor::new("limits")
}

impl BroadcastProcessFunction for UpTo {
    type In = i64;
    type BroadcastIn = i64;
    type Out = i64;

    fn process_element(&mut self, value: i64, ctx: &mut ReadOnlyContext<'_>, out: &mut Collector<i64>) -> Result<()> {
        if ctx.broadcast_state(&limits())?.get(&0).is_some_and(|limit| value <= *limit) {
            out.collect(value);
        }
        Ok(())
    }

    fn process_broadcast_element(&mut self, limit: i64, ctx: &mut BroadcastContext<'_>, _out: &mut Collector<i64>) -> Result<()> {
        ctx.broadcast_state(&limits())?.put(0, limit);
        Ok(())
    }
}

#[test]
fn broadcast_state() {
    let make = |cx: &RuntimeContext| -> Made {
        let mut declared = BroadcastDeclarations::default();
        assert!(declared.add(&limits()));
        Box::new(BroadcastProcessOperator::new(UpTo, &declared, cx).expect("declared once"))
    };
    let mut driver = new(make);
    driver.batch(1, rows(&[5], &[]));
    driver = driver.restart(make);
    driver.batch(0, rows(&[4, 6], &[]));
    assert_eq!(driver.values::<i64>(0), [4]);
}

/// Numbers its records.
#[derive(Clone, Default)]
struct Numbering {
    next: i64,
    completed: Arc<Mutex<Vec<CheckpointId>>>,
    /// Under which name the number is stored.
    name: &'static str,
}

impl MapFunction for Numbering {
    type In = i64;
    type Out = (i64, i64);

    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        self.next = state.list_state::<i64>(self.name)?.into_iter().sum();
        assert_eq!(state.is_restored(), state.restored_checkpoint().is_some());
        Ok(())
    }

    fn map(&mut self, value: i64) -> Result<(i64, i64)> {
        self.next += 1;
        Ok((self.next, value))
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        state.put_list_state(self.name, &[self.next])?;
        state.put_union_list_state("seen by", &[state.runtime().task.subtask])?;
        state.put_broadcast_state("settings", &BTreeMap::from([(1u32, "one".to_owned())]))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.completed.lock().expect("not poisoned").push(checkpoint);
        Ok(())
    }
}

#[test]
fn functions_keep_state_of_their_own() {
    let function = Numbering { name: "next", ..Numbering::default() };
    let make = |cx: &RuntimeContext| -> Made {
        let state = FunctionInitializationContext::new(cx);
        let settings = state.broadcast_state::<u32, String>("settings").expect("of these types");
        assert_eq!(settings.contains_key(&1), state.is_restored());
        Box::new(MapOperator::new(function.clone()))
    };
    let mut driver = new(make);
    driver.batch(0, rows(&[7, 8], &[]));
    driver = driver.restart(make);
    driver.batch(0, rows(&[9], &[]));
    driver.snapshot();
    driver.complete();
    assert_eq!(driver.values::<(i64, i64)>(0), [(1, 7), (2, 8), (3, 9)]);
    assert_eq!(*function.completed.lock().expect("not poisoned"), [CheckpointId(2)]);
}

#[test]
fn wrong_uses_of_function_state_are_errors() {
    let snapshot = |name: &'static str| {
        let mut operator = MapOperator::new(Numbering { name, ..Numbering::default() });
        let mut driver = new(|_| Box::new(MapOperator::new(Numbering { name: "next", ..Numbering::default() })));
        let barrier = driver.barrier();
        let mut snapshot = brisk_core::state::OperatorSnapshot::default();
        let mut cx = brisk_core::operator::SnapshotContext { barrier, runtime: &driver.runtime };
        operator.snapshot(&mut snapshot, &mut cx).expect_err("a bad name").to_string()
    };
    assert!(snapshot("$next").contains("'$next' cannot be the name of a state"));
    assert!(snapshot("seen by").contains("'seen by' is stored twice"));
    let make = |_: &RuntimeContext| -> Made { Box::new(MapOperator::new(Numbering { name: "next", ..Numbering::default() })) };
    let driver = new(make).restart(make);
    let error = FunctionInitializationContext::new(&driver.runtime).union_list_state::<u8>("next").expect_err("another type").to_string();
    assert!(error.contains("was stored as Split of i64 and is read as Union of u8"), "{error}");
}

/// Adds what came on the second side to what comes on the first.
#[derive(Clone, Default)]
struct Adding {
    sum: i64,
}

impl CoMapFunction for Adding {
    type In1 = i64;
    type In2 = i64;
    type Out = i64;

    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        self.sum = state.union_list_state::<i64>("sum")?.into_iter().sum();
        Ok(())
    }

    fn map1(&mut self, value: i64) -> Result<i64> {
        Ok(self.sum + value)
    }

    fn map2(&mut self, value: i64) -> Result<i64> {
        self.sum += value;
        Ok(self.sum)
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        state.put_union_list_state("sum", &[self.sum])
    }
}

/// Counts the records of all keys that are above the broadcast limit.
struct Above {
    all: i64,
}

impl KeyedBroadcastProcessFunction for Above {
    type Key = i64;
    type In = i64;
    type BroadcastIn = i64;
    type Out = i64;

    fn declare(_: &mut brisk_core::state::StateDeclarations) -> Self {
        Self { all: 0 }
    }

    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        self.all = state.list_state::<i64>("all")?.into_iter().sum();
        Ok(())
    }

    fn process_element(&mut self, value: i64, ctx: &mut KeyedReadOnlyContext<'_, i64>, out: &mut Collector<i64>) -> Result<()> {
        self.all += i64::from(ctx.broadcast_state(&limits())?.get(&0).is_some_and(|limit| value > *limit));
        out.collect(self.all);
        Ok(())
    }

    fn process_broadcast_element(&mut self, limit: i64, ctx: &mut BroadcastContext<'_>, _out: &mut Collector<i64>) -> Result<()> {
        ctx.broadcast_state(&limits())?.put(0, limit);
        Ok(())
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        state.put_list_state("all", &[self.all])
    }
}

#[test]
fn functions_of_two_inputs_keep_state_of_their_own() {
    let make = |cx: &RuntimeContext| -> Made { Box::new(CoProcessOperator::new(CoMap(Adding::default()), cx)) };
    let mut driver = new(make);
    driver.batch(1, rows(&[10, 5], &[]));
    driver = driver.restart(make);
    driver.batch(0, rows(&[1], &[]));
    assert_eq!(driver.values::<i64>(0), [10, 15, 16]);

    let make = |cx: &RuntimeContext| -> Made {
        let mut declared = BroadcastDeclarations::default();
        assert!(declared.add(&limits()));
        let broadcast = BroadcastStates::new(&declared, cx).expect("declared once");
        let logic = |state: &mut brisk_core::state::StateDeclarations| KeyedBroadcastProcess::new(Above::declare(state), broadcast);
        Box::new(KeyedOperator::<KeyedBroadcastProcess<Above, _>>::new(KeyBy(|value: &i64| value % 3), cx, logic).expect("opens"))
    };
    let mut driver = new(make);
    driver.batch(1, rows(&[5], &[]));
    driver.batch(0, rows(&[4, 6], &[]));
    driver = driver.restart(make);
    driver.batch(0, rows(&[5, 7], &[]));
    assert_eq!(driver.values::<i64>(0), [0, 1, 1, 2]);
}

/// Prepares the sum of what it has written, and remembers how much that was in all.
#[derive(Default)]
struct Summing {
    open: i64,
    total: i64,
}

impl SinkWriter<i64> for Summing {
    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        self.total = state.list_state::<i64>("total")?.into_iter().sum();
        Ok(())
    }

    fn write(&mut self, value: i64, _timestamp: Timestamp) -> Result<()> {
        self.open += value;
        self.total += value;
        Ok(())
    }

    fn prepare_commit(&mut self) -> Result<Vec<Committable>> {
        let sum = std::mem::take(&mut self.open);
        Ok((sum > 0).then(|| Committable::new(&(sum, self.total))).into_iter().collect())
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        state.put_list_state("total", &[self.total])
    }
}

/// Keeps what is committed, and whether the end has come; a total is there once.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<(BTreeMap<i64, i64>, bool)>>);

impl Committer<(i64, i64)> for Ledger {
    fn commit(&mut self, committables: Vec<(i64, i64)>) -> Result<Vec<(i64, i64)>> {
        self.0.lock().expect("not poisoned").0.extend(committables.into_iter().map(|(sum, total)| (total, sum)));
        Ok(Vec::new())
    }

    fn end_of_input(&mut self) -> Result<()> {
        self.0.lock().expect("not poisoned").1 = true;
        Ok(())
    }
}

impl Ledger {
    fn sums(&self) -> Vec<i64> {
        self.0.lock().expect("not poisoned").0.values().copied().collect()
    }
}

#[test]
fn sinks_commit_what_belongs_to_a_complete_checkpoint() {
    let ledger = Ledger::default();
    let make = |_: &RuntimeContext| -> Made {
        Box::new(SinkOperator::<i64>::new(Box::new(Summing::default()), Some(AnyCommitter::new(ledger.clone()))))
    };
    let mut driver = with_checkpoints(make);
    driver.batch(0, rows(&[1, 2], &[]));
    let first = driver.snapshot();
    driver.batch(0, rows(&[4], &[]));
    assert!(ledger.sums().is_empty(), "not complete");
    driver = driver.restored(first, make);
    assert_eq!(ledger.sums(), [3], "a checkpoint from which a job goes on is complete");
    driver.batch(0, rows(&[5], &[]));
    driver.end(1);
    assert_eq!(ledger.sums(), [3], "the end waits for the last checkpoint");
    driver.snapshot();
    driver.complete();
    assert_eq!(ledger.sums(), [3, 5]);

    let without = Ledger::default();
    let committer = AnyCommitter::new(without.clone());
    let mut driver = new(|_| Box::new(SinkOperator::<i64>::new(Box::new(Summing::default()), Some(committer))));
    driver.batch(0, rows(&[6], &[]));
    driver.end(1);
    assert_eq!(without.sums(), [6], "without checkpoints the end commits");
}

#[test]
fn a_global_committer_commits_what_has_come_before_the_barrier() {
    let ledger = Ledger::default();
    let make = |_: &RuntimeContext| -> Made { Box::new(GlobalCommitOperator::new(Some(AnyCommitter::new(ledger.clone())))) };
    let mut writer = with_checkpoints(|_| Box::new(SinkOperator::<i64>::with_global_committer(Box::new(Summing::default()))));
    writer.batch(0, rows(&[1], &[]));
    writer.snapshot();
    let mut driver = with_checkpoints(make);
    driver.batch(0, Rows::from(writer.values::<Vec<u8>>(0)));
    driver = driver.restart(make);
    assert_eq!(ledger.sums(), [1]);
    writer.batch(0, rows(&[2], &[]));
    writer.end(1);
    driver.batch(0, Rows::from(writer.values::<Vec<u8>>(0)));
    writer.snapshot();
    assert!(writer.values::<Vec<u8>>(0).is_empty(), "nothing comes behind the end");
    driver.end(1);
    assert_eq!((ledger.sums(), ledger.0.lock().expect("not poisoned").1), (vec![1], false));
    driver.snapshot();
    driver.complete();
    assert_eq!((ledger.sums(), ledger.0.lock().expect("not poisoned").1), (vec![1, 2], true));
}

#[test]
fn the_program_gets_each_result_once() {
    let handoff = Handoff::<i64>::new();
    let make = |cx: &RuntimeContext| -> Made { Box::new(CollectOperator::new(Arc::clone(&handoff), cx)) };
    let got = || std::iter::from_fn(|| handoff.take(Duration::ZERO)).flatten().collect::<Vec<i64>>();
    let mut driver = with_checkpoints(make);
    driver.batch(0, rows(&[1], &[]));
    let first = driver.snapshot();
    assert!(got().is_empty());
    driver.complete();
    assert_eq!(got(), [1]);
    driver.batch(0, rows(&[2], &[]));
    let again = driver.snapshot();
    driver = driver.restored(first, make);
    assert!(got().is_empty(), "given out before the failure");
    driver.batch(0, rows(&[2], &[]));
    let other = again.operator.len();
    driver = driver.restored(again, make);
    assert_eq!((got(), other), (vec![2], 1), "complete, but the news was lost");
    driver.snapshot();
    driver.complete();
    assert!(got().is_empty());
}

//! Broadcast state: written by one side, read by the other.

use crate::function::{
    BroadcastContext, BroadcastDeclarations, BroadcastProcessFunction, BroadcastStates, KeyedBroadcastProcessFunction,
    KeyedReadOnlyContext, MapStateDescriptor, ReadOnlyContext,
};
use crate::key_selector::KeyBy;
use crate::operators::driver::{Driver, rows};
use crate::operators::{BroadcastProcessOperator, KeyedBroadcastProcess, KeyedOperator};
use brisk_base::{Result, Timestamp};
use brisk_core::batch::Rows;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::state::{StateDeclarations, ValueState};

fn limits() -> MapStateDescriptor<i64, i64> {
    MapStateDescriptor::new("limits")
}

fn declared() -> BroadcastDeclarations {
    let mut declared = BroadcastDeclarations::default();
    assert!(declared.add(&limits()));
    assert!(!declared.clone().add(&limits()), "twice");
    declared
}

/// Gives numbers up to the limit of their last digit.
#[derive(Clone)]
struct Limited;

impl BroadcastProcessFunction for Limited {
    type In = i64;
    type BroadcastIn = (i64, Option<i64>);
    type Out = i64;

    fn process_element(&mut self, value: i64, ctx: &mut ReadOnlyContext<'_>, out: &mut Collector<i64>) -> Result<()> {
        match ctx.broadcast_state(&limits())?.get(&(value % 10)) {
            Some(limit) if value > *limit => ctx.output(&OutputTag::new("over"), value),
            _ => {
                out.collect(value);
                Ok(())
            }
        }
    }

    fn process_broadcast_element(
        &mut self,
        (digit, limit): Self::BroadcastIn,
        ctx: &mut BroadcastContext<'_>,
        _: &mut Collector<i64>,
    ) -> Result<()> {
        let state = ctx.broadcast_state(&limits())?;
        match limit {
            Some(limit) => state.put(digit, limit),
            None => drop(state.remove(&digit)),
        }
        Ok(())
    }
}

#[test]
fn rules_hold_from_the_record_that_brings_them() {
    let mut driver =
        Driver::new(&["over"], |cx| BroadcastProcessOperator::new(Limited, &declared(), cx).expect("declared once")).hurried(true);
    driver.batch(0, rows(&[11, 21], &[]));
    driver.batch(1, Rows::from(vec![(1i64, Some(15i64)), (2, Some(0))]));
    driver.batch(0, rows(&[11, 21, 33, 12], &[]));
    driver.batch(1, Rows::from(vec![(1i64, None::<i64>)]));
    driver.batch(0, rows(&[31, 22], &[]));
    assert_eq!(driver.values::<i64>(0), [11, 21, 11, 33, 31]);
    assert_eq!(driver.values::<i64>(1), [21, 12, 22]);
}

#[test]
fn states_that_were_not_declared_are_refused() {
    #[derive(Clone)]
    struct Wrong(bool);
    impl BroadcastProcessFunction for Wrong {
        type In = i64;
        type BroadcastIn = i64;
        type Out = i64;
        fn process_element(&mut self, _: i64, ctx: &mut ReadOnlyContext<'_>, _: &mut Collector<i64>) -> Result<()> {
            if self.0 {
                ctx.broadcast_state(&MapStateDescriptor::<i64, i64>::new("other")).map(drop)
            } else {
                ctx.broadcast_state(&MapStateDescriptor::<i64, String>::new("limits")).map(drop)
            }
        }
        fn process_broadcast_element(&mut self, _: i64, _: &mut BroadcastContext<'_>, _: &mut Collector<i64>) -> Result<()> {
            Ok(())
        }
    }
    for (unknown, message) in [(true, "without the state 'other'"), (false, "'limits' was declared with other types")] {
        let mut driver = Driver::new(&[], |cx| BroadcastProcessOperator::new(Wrong(unknown), &declared(), cx).expect("declared once"));
        let error = driver.try_batch(0, Box::new(rows(&[1], &[]))).expect_err("not declared");
        assert!(error.to_string().contains(message), "{error}");
    }
}

/// Counts per key up to the broadcast limit; at 100, gives the count that each key has beside the number of limits.
struct Counted {
    count: ValueState<i64>,
}

impl KeyedBroadcastProcessFunction for Counted {
    type Key = i64;
    type In = i64;
    type BroadcastIn = (i64, i64);
    type Out = (i64, i64, i64);

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { count: state.value_with_default("count", 0) }
    }

    fn process_element(&mut self, _: i64, ctx: &mut KeyedReadOnlyContext<'_, i64>, _: &mut Collector<Self::Out>) -> Result<()> {
        let limit = ctx.broadcast_state(&limits())?.get(ctx.key()).copied().unwrap_or(0);
        self.count.update(ctx, |count| *count = Some((count.unwrap_or(0) + 1).min(limit)))?;
        ctx.timers().register_event_time(Timestamp(100));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        (key, limit): (i64, i64),
        ctx: &mut BroadcastContext<'_>,
        _: &mut Collector<Self::Out>,
    ) -> Result<()> {
        ctx.broadcast_state(&limits())?.put(key, limit);
        Ok(())
    }

    fn on_timer(&mut self, _: Timestamp, ctx: &mut KeyedReadOnlyContext<'_, i64>, out: &mut Collector<Self::Out>) -> Result<()> {
        let all = ctx.broadcast_state(&limits())?.len() as i64;
        out.collect((*ctx.key(), self.count.get(ctx)?.unwrap_or(0), all));
        Ok(())
    }
}

#[test]
fn keyed_functions_read_broadcast_state_and_fire_timers_at_marks_of_either_side() {
    let mut driver = Driver::new(&[], |cx| {
        let broadcast = BroadcastStates::new(&declared(), cx).expect("declared once");
        let logic = |state: &mut StateDeclarations| KeyedBroadcastProcess::new(Counted::declare(state), broadcast);
        KeyedOperator::<KeyedBroadcastProcess<Counted, _>>::new(KeyBy(|value: &i64| value % 10), cx, logic).expect("opens")
    });
    driver.batch(1, Rows::from(vec![(1i64, 2i64), (2, 9)]));
    driver.batch(0, rows(&[1, 11, 21, 2, 12, 22], &[]));
    let mut change = Rows::from(vec![(3i64, 3i64), (4, 4)]);
    change.marks = vec![brisk_core::batch::Mark { row: 1, watermark: Timestamp(100) }];
    driver.batch(1, change);
    let mut found = driver.values::<(i64, i64, i64)>(0);
    found.sort_unstable();
    assert_eq!(found, [(1, 2, 3), (2, 3, 3)], "fired before the fourth limit came");
}

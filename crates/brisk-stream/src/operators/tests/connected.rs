//! Operators with two inputs.

use crate::function::{CoFlatMap, CoFlatMapFn, CoMap, CoMapFn, CoProcessFunction, ProcessContext};
use crate::operators::CoProcessOperator;
use crate::operators::driver::{Driver, rows};
use brisk_base::Result;
use brisk_core::batch::{Rows, Step};
use brisk_core::function::{Collector, OutputTag};

#[test]
fn closures_map_each_side() {
    let function = CoMap(CoMapFn::new((|a: i64| format!("a{a}"), |b: String| b + "!")));
    let mut driver = Driver::new(&[], |cx| CoProcessOperator::new(function, cx));
    driver.batch(0, rows(&[1], &[]));
    driver.batch(1, Rows::from(vec!["b".to_owned()]));
    driver.batch(0, rows(&[2], &[]));
    assert_eq!(driver.values::<String>(0), ["a1", "b!", "a2"]);

    let function = CoFlatMap(CoFlatMapFn::new((
        |a: i64, out: &mut Collector<i64>| (0..a).for_each(|i| out.collect(i)),
        |_: String, _: &mut Collector<i64>| {},
    )));
    let mut driver = Driver::new(&[], |cx| CoProcessOperator::new(function, cx)).hurried(true);
    driver.batch(0, rows(&[2, 0, 3], &[]));
    driver.batch(1, Rows::from(vec!["b".to_owned()]));
    assert_eq!(driver.values::<i64>(0), [0, 1, 0, 1, 2]);
}

/// Adds the last number of the second stream to each of the first; the second goes to a side output, too.
#[derive(Clone, Default)]
struct AddLast {
    last: i64,
}

impl CoProcessFunction for AddLast {
    type In1 = i64;
    type In2 = i64;
    type Out = (i64, i64);

    fn process_element1(&mut self, value: i64, ctx: &mut ProcessContext<'_>, out: &mut Collector<(i64, i64)>) -> Result<()> {
        out.collect((value + self.last, ctx.current_watermark().0));
        Ok(())
    }

    fn process_element2(&mut self, value: i64, ctx: &mut ProcessContext<'_>, _out: &mut Collector<(i64, i64)>) -> Result<()> {
        self.last = value;
        ctx.output(&OutputTag::new("second"), value)
    }
}

#[test]
fn a_function_knows_both_sides_and_the_watermark() {
    let mut driver = Driver::new(&["second"], |cx| CoProcessOperator::new(AddLast::default(), cx));
    driver.batch(0, rows(&[1], &[]));
    driver.batch(1, rows(&[100], &[(1, 50)]));
    driver.batch(0, rows(&[2], &[]));
    driver.watermark(60);
    driver.batch(0, rows(&[3], &[]));
    assert_eq!(driver.values::<(i64, i64)>(0), [(1, i64::MIN), (102, 50), (103, 60)]);
    let side = driver.steps::<i64>(1);
    assert!(matches!(side[..], [Step::Row(100, ..), Step::Watermark(_)]), "{side:?}");
    driver.try_batch(2, Box::new(rows(&[1], &[]))).expect_err("no third input");
}

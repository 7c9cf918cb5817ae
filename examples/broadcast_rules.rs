//! Payments above a limit that changes while they come: the limits are broadcast, so that every subtask knows them all.
//!
//! The two streams are not ordered against each other. Each payment therefore waits for the watermark to reach its time: then all limits
//! up to that time are known, and the result does not depend on which stream was faster.

use brisk::prelude::*;

#[derive(Clone, Debug, PartialEq, PartialOrd, Record)]
struct Payment {
    account: String,
    time: Timestamp,
    amount: u64,
}

#[derive(Clone, Debug, Record)]
struct Limit {
    from: Timestamp,
    amount: u64,
}

/// Limits by the time from which they hold.
fn limits() -> MapStateDescriptor<Timestamp, u64> {
    MapStateDescriptor::new("limits")
}

/// Gives the payments that are above the limit of their time.
struct AboveLimit {
    waiting: ListState<Payment>,
}

impl KeyedBroadcastProcessFunction for AboveLimit {
    type Key = String;
    type In = Payment;
    type BroadcastIn = Limit;
    type Out = Payment;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { waiting: state.list("waiting") }
    }

    fn process_element(
        &mut self,
        payment: Payment,
        ctx: &mut KeyedReadOnlyContext<'_, String>,
        _out: &mut Collector<Payment>,
    ) -> Result<()> {
        ctx.timers().register_event_time(payment.time);
        self.waiting.add(ctx, payment)
    }

    fn process_broadcast_element(&mut self, limit: Limit, ctx: &mut BroadcastContext<'_>, _out: &mut Collector<Payment>) -> Result<()> {
        ctx.broadcast_state(&limits())?.put(limit.from, limit.amount);
        Ok(())
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedReadOnlyContext<'_, String>, out: &mut Collector<Payment>) -> Result<()> {
        let (due, later): (Vec<_>, Vec<_>) = self.waiting.take(ctx)?.into_iter().partition(|payment| payment.time <= at);
        self.waiting.add_all(ctx, later)?;
        let limit = ctx.broadcast_state(&limits())?.iter().take_while(|(from, _)| **from <= at).last();
        let limit = limit.map_or(u64::MAX, |(_, amount)| *amount);
        due.into_iter().filter(|payment| payment.amount > limit).for_each(|payment| out.collect(payment));
        Ok(())
    }
}

fn main() -> Result<()> {
    let at = |minute: i64| Timestamp(0) + minutes(minute);
    let payment = |(account, minute, amount): (&str, i64, u64)| Payment { account: account.to_owned(), time: at(minute), amount };
    let payments = [("ada", 1, 900), ("bob", 5, 60), ("ada", 11, 90), ("bob", 12, 110), ("ada", 25, 110), ("bob", 31, 21)].map(payment);
    let changes = [(3, 100), (20, 200), (30, 20)].map(|(minute, amount)| Limit { from: at(minute), amount });

    let env = StreamEnvironment::get()?;
    let limit_changes = env
        .from_elements(changes)
        .assign_timestamps_and_watermarks(WatermarkStrategy::monotonous_timestamps().with_timestamp(|limit: &Limit| limit.from))
        .broadcast_state(&limits());
    let mut alerts = env
        .from_elements(payments)
        .assign_timestamps_and_watermarks(WatermarkStrategy::monotonous_timestamps().with_timestamp(|payment: &Payment| payment.time))
        .key_by_ref(|payment| &payment.account)
        .connect_broadcast(&limit_changes)
        .process::<AboveLimit>()
        .set_parallelism(2)
        .collect()?;
    alerts.sort_by_key(|payment| payment.time);
    for Payment { account, time, amount } in &alerts {
        println!("{time} {account} paid {amount}");
    }
    assert_eq!(alerts, [("bob", 12, 110), ("bob", 31, 21)].map(payment));
    Ok(())
}

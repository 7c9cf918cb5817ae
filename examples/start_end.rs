//! How long it takes from START to END, for each user; who has not come to the END after four hours is given up.
//!
//! A `KeyedProcessFunction` with a value in state and a timer per key.

use brisk::prelude::*;

#[derive(Clone, Debug, Record)]
struct Event {
    user: String,
    kind: Kind,
    time: Timestamp,
}

#[derive(Clone, Copy, Debug, Record)]
enum Kind {
    Start,
    End,
}

const PATIENCE: Millis = hours(4);

/// Time between START and END of each user.
struct StartEnd {
    started: ValueState<Timestamp>,
}

impl KeyedProcessFunction for StartEnd {
    type Key = String;
    type In = Event;
    type Out = (String, Millis);

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { started: state.value("started") }
    }

    fn process_element(&mut self, event: Event, ctx: &mut Context<'_, Self>, out: &mut Collector<Self::Out>) -> Result<()> {
        match event.kind {
            Kind::Start => {
                self.started.put(ctx, event.time)?;
                ctx.timers().register_event_time(event.time + PATIENCE);
            }
            Kind::End => {
                if let Some(start) = self.started.take(ctx)? {
                    ctx.timers().delete_event_time(start + PATIENCE);
                    out.collect((ctx.key().clone(), event.time - start));
                }
            }
        }
        Ok(())
    }

    fn on_timer(&mut self, _at: Timestamp, ctx: &mut TimerContext<'_, Self>, _out: &mut Collector<Self::Out>) -> Result<()> {
        self.started.clear(ctx)
    }
}

fn event(user: &str, kind: Kind, at: Millis) -> Event {
    Event { user: user.to_owned(), kind, time: Timestamp(0) + at }
}

fn main() -> Result<()> {
    let env = StreamEnvironment::get()?;
    let events = [
        event("ada", Kind::Start, hours(0)),
        event("bob", Kind::Start, hours(1)),
        event("ada", Kind::End, hours(2)),
        event("ada", Kind::Start, hours(3)),
        event("cyd", Kind::End, hours(4)),
        event("dan", Kind::Start, hours(6)),
        // Bob comes too late: the watermark has passed the fifth hour, and with it his timer.
        event("bob", Kind::End, hours(6)),
        // Ada's second time is not touched by the timer of her first.
        event("ada", Kind::End, hours(6) + minutes(30)),
    ];
    let mut durations = env
        .from_elements(events)
        .assign_timestamps_and_watermarks(WatermarkStrategy::monotonous_timestamps().with_timestamp(|event: &Event| event.time))
        .key_by_ref(|event| &event.user)
        .process::<StartEnd>()
        .collect()?;
    durations.sort();
    for (user, duration) in &durations {
        println!("{user}: {} minutes", duration.0 / 60_000);
    }
    assert_eq!(durations, [("ada".to_owned(), hours(2)), ("ada".to_owned(), hours(3) + minutes(30))]);
    Ok(())
}

//! Records of a keyed stream with state and timers.

use super::KeyedContext;
use super::hooks::checkpointed_hooks;
use brisk_base::{Result, Timestamp};
use brisk_core::function::Collector;
use brisk_core::operator::RuntimeContext;
use brisk_core::state::StateDeclarations;
use brisk_core::types::{Key, Record};

/// The context of a keyed function: see [`KeyedContext`].
pub type Context<'a, F> = KeyedContext<'a, <F as KeyedProcessFunction>::Key>;

/// The context of a keyed function's timer: see [`KeyedContext`].
pub type TimerContext<'a, F> = KeyedContext<'a, <F as KeyedProcessFunction>::Key>;

/// Takes the records of a keyed stream one by one, with state and timers per key (Flink's `KeyedProcessFunction`); for
/// [`KeyedStream::process`](crate::KeyedStream::process).
///
/// Fields that are not state handles are shared by all keys of the subtask, and are lost when the job restarts.
///
/// ```
/// use brisk_base::time::hours;
/// use brisk_base::{Result, Timestamp};
/// use brisk_core::function::Collector;
/// use brisk_core::state::{StateDeclarations, ValueState};
/// use brisk_stream::function::{Context, KeyedProcessFunction, TimerContext};
///
/// /// Gives the sum of each user's payments, an hour after the first of them.
/// struct HourAfterFirst {
///     sum: ValueState<u64>,
/// }
///
/// impl KeyedProcessFunction for HourAfterFirst {
///     type Key = String;
///     type In = (String, u64);
///     type Out = (String, u64);
///
///     fn declare(state: &mut StateDeclarations) -> Self {
///         Self { sum: state.value("sum") }
///     }
///
///     fn process_element(&mut self, payment: Self::In, ctx: &mut Context<'_, Self>, _out: &mut Collector<Self::Out>) -> Result<()> {
///         let before = self.sum.get(ctx)?;
///         if let (None, Some(at)) = (before, ctx.timestamp()) {
///             ctx.timers().register_event_time(at + hours(1));
///         }
///         self.sum.put(ctx, before.unwrap_or(0) + payment.1)
///     }
///
///     fn on_timer(&mut self, _at: Timestamp, ctx: &mut TimerContext<'_, Self>, out: &mut Collector<Self::Out>) -> Result<()> {
///         if let Some(sum) = self.sum.take(ctx)? {
///             out.collect((ctx.key().clone(), sum));
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait KeyedProcessFunction: Sized + Send + 'static {
    /// The key of the stream.
    type Key: Key;
    /// What it takes.
    type In: Record;
    /// What it makes.
    type Out: Record;

    /// Makes the function of one subtask, with the handles of its states. A function with settings has them set by
    /// [`process_with`](crate::KeyedStream::process_with): `|state| Limit { limit: 10, ..Limit::declare(state) }`.
    fn declare(state: &mut StateDeclarations) -> Self;

    /// Called once per subtask, before the first record. There is no current key.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each record.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(&mut self, value: Self::In, ctx: &mut Context<'_, Self>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called when a timer is due that this key has set.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(&mut self, _at: Timestamp, _ctx: &mut TimerContext<'_, Self>, _out: &mut Collector<Self::Out>) -> Result<()> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Takes the records of two streams with the same keys, with state and timers per key that both sides share (Flink's
/// `KeyedCoProcessFunction`); for [`KeyedConnectedStreams::process`](crate::KeyedConnectedStreams::process).
pub trait KeyedCoProcessFunction: Sized + Send + 'static {
    /// The key of both streams.
    type Key: Key;
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
    type In2: Record;
    /// What it makes.
    type Out: Record;

    /// Makes the function of one subtask, with the handles of its states.
    fn declare(state: &mut StateDeclarations) -> Self;

    /// Called once per subtask, before the first record. There is no current key.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element1(&mut self, value: Self::In1, ctx: &mut KeyedContext<'_, Self::Key>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element2(&mut self, value: Self::In2, ctx: &mut KeyedContext<'_, Self::Key>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called when a timer is due that this key has set.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(&mut self, _at: Timestamp, _ctx: &mut KeyedContext<'_, Self::Key>, _out: &mut Collector<Self::Out>) -> Result<()> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

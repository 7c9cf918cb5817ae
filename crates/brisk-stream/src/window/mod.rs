//! Windows: assigners, triggers, evictors, and the streams and operators that use them.
//!
//! [`WindowedStream`] picks between three operators with the same results: `operator` does everything, `aligned` is the fast one for
//! windows of fixed length that fire once the watermark has passed them, `session_operator` the one for sessions that do. Source for names and semantics: Flink, "Windows".

mod aligned;
mod aligned_rows;
mod all_windowed_stream;
pub mod assigner;
mod contents;
mod erased;
pub mod evictor;
mod fired;
mod fold;
mod function;
mod merging;
mod operator;
mod session_operator;
#[cfg(test)]
mod tests;
pub mod time_window;
mod timers;
pub mod trigger;
mod windowed_stream;

pub use all_windowed_stream::AllWindowedStream;
pub use assigner::{
    AlignedWindows, AssignerContext, DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EventTimeSessionWindows,
    GlobalWindows, MergeTimeWindows, MergeWindows, ProcessingTimeSessionWindows, SlidingEventTimeWindows, SlidingProcessingTimeWindows,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner,
};
pub use evictor::{CountEvictor, DeltaEvictor, Evictor, EvictorContext, TimeEvictor, WindowElements};
pub use function::{GlobalState, Outcome, ProcessWindowContext, ProcessWindowFunction, WindowState};
pub use time_window::{GlobalWindow, TimeWindow, Window};
pub use trigger::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger, EndOfStreamTrigger, EventTimeTrigger,
    NeverTrigger, ProcessingTimeTrigger, ProcessingTimeoutTrigger, PurgingTrigger, Trigger, TriggerContext, TriggerResult,
};
pub use windowed_stream::WindowedStream;

//! Windows: assigners, triggers, evictors, and the streams and operators that use them.
//!
//! Source for names and semantics: Flink, "Windows".

pub mod assigner;
pub mod evictor;
pub mod time_window;
pub mod trigger;

pub use assigner::{
    AlignedWindows, AssignerContext, DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EventTimeSessionWindows,
    GlobalWindows, MergeTimeWindows, MergeWindows, ProcessingTimeSessionWindows, SlidingEventTimeWindows, SlidingProcessingTimeWindows,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner,
};
pub use evictor::{CountEvictor, DeltaEvictor, Evictor, EvictorContext, TimeEvictor, WindowElements};
pub use time_window::{GlobalWindow, TimeWindow, Window};
pub use trigger::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger, EndOfStreamTrigger, EventTimeTrigger,
    NeverTrigger, ProcessingTimeTrigger, ProcessingTimeoutTrigger, PurgingTrigger, Trigger, TriggerContext, TriggerResult,
};

//! What most programs need: `use brisk::prelude::*;`.

pub use crate::environment::EnvironmentExt;
pub use brisk_base::options::Configuration;
pub use brisk_base::time::{days, hours, millis, minutes, seconds};
pub use brisk_base::{Error, ErrorKind, Millis, Result, ResultExt, Timestamp};
pub use brisk_connectors::datagen::DataGeneratorSource;
pub use brisk_connectors::files::{FileSink, FileSource, RollingPolicy};
pub use brisk_connectors::socket::{SocketSink, SocketSource};
pub use brisk_core::function::watermark::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
pub use brisk_core::function::{
    AggregateFunction, Collector, FunctionInitializationContext, FunctionSnapshotContext, OutputTag, ReduceFunction,
};
pub use brisk_core::job::{JobClient, JobResult, JobStatus};
pub use brisk_core::operator::RuntimeContext;
pub use brisk_core::state::{AggregatingState, ListState, MapState, ReducingState, StateDeclarations, ValueState};
#[cfg(feature = "serde")]
pub use brisk_core::types::Serde;
pub use brisk_core::types::{Key, Record, Str};
pub use brisk_stream::function::{
    AsyncFunction, AsyncOptions, AsyncOrder, AsyncResult, AsyncRetry, BroadcastContext, BroadcastProcessFunction, BroadcastState,
    CoFlatMapFunction, CoMapFunction, CoProcessFunction, Context, FilterFunction, FlatMapFunction, KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction, KeyedContext, KeyedProcessFunction, KeyedReadOnlyContext, MapFunction, MapStateDescriptor, ProcessContext,
    ProcessFunction, ReadOnlyContext, TimeDomain, TimerContext,
};
pub use brisk_stream::join::{CoGroupFunction, FlatJoinFunction, JoinContext, JoinFunction, ProcessJoinFunction, TaggedUnion};
pub use brisk_stream::window::{
    AllWindowedStream, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger, DeltaEvictor, DeltaTrigger,
    DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EndOfStreamTrigger, EventTimeSessionWindows, EventTimeTrigger,
    GlobalWindow, GlobalWindows, NeverTrigger, ProcessWindowContext, ProcessWindowFunction, ProcessingTimeSessionWindows,
    ProcessingTimeTrigger, ProcessingTimeoutTrigger, PurgingTrigger, SlidingEventTimeWindows, SlidingProcessingTimeWindows, TimeEvictor,
    TimeWindow, Trigger, TriggerContext, TriggerResult, TumblingEventTimeWindows, TumblingProcessingTimeWindows, Window, WindowedStream,
};
pub use brisk_stream::{
    BroadcastStream, ConnectedStreams, DataStream, DataStreamSink, KeySelector, KeyedConnectedStreams, KeyedStream, StreamEnvironment,
};

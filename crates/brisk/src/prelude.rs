//! What most programs need: `use brisk::prelude::*;`.

pub use crate::environment::EnvironmentExt;
pub use brisk_base::options::Configuration;
pub use brisk_base::time::{days, hours, millis, minutes, seconds};
pub use brisk_base::{Error, ErrorKind, Millis, Result, ResultExt, Timestamp};
pub use brisk_connectors::datagen::DataGeneratorSource;
pub use brisk_connectors::files::{FileSink, FileSource};
pub use brisk_connectors::socket::{SocketSink, SocketSource};
pub use brisk_core::function::watermark::WatermarkStrategy;
pub use brisk_core::function::{AggregateFunction, Collector, OutputTag, ReduceFunction};
pub use brisk_core::job::{JobClient, JobResult, JobStatus};
pub use brisk_core::operator::RuntimeContext;
pub use brisk_core::state::{AggregatingState, ListState, MapState, ReducingState, StateDeclarations, ValueState};
pub use brisk_core::types::{Key, Record};
pub use brisk_stream::function::{
    AsyncFunction, AsyncOptions, AsyncOrder, AsyncRetry, BroadcastContext, BroadcastProcessFunction, CoFlatMapFunction, CoMapFunction,
    CoProcessFunction, Context, FilterFunction, FlatMapFunction, KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedContext,
    KeyedProcessFunction, KeyedReadOnlyContext, MapFunction, MapStateDescriptor, ProcessContext, ProcessFunction, ReadOnlyContext,
    TimerContext,
};
pub use brisk_stream::window::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger, DeltaEvictor, DeltaTrigger,
    DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EndOfStreamTrigger, EventTimeSessionWindows, EventTimeTrigger,
    GlobalWindow, GlobalWindows, ProcessWindowContext, ProcessWindowFunction, ProcessingTimeSessionWindows, ProcessingTimeTrigger,
    PurgingTrigger, SlidingEventTimeWindows, SlidingProcessingTimeWindows, TimeEvictor, TimeWindow, TumblingEventTimeWindows,
    TumblingProcessingTimeWindows, WindowedStream,
};
pub use brisk_stream::{
    BroadcastStream, ConnectedStreams, DataStream, DataStreamSink, KeyedConnectedStreams, KeyedStream, StreamEnvironment,
};

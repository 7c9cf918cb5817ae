//! Tasks: where they run, what they begin with, how they stand, what they store.

use super::{Bytes, Input, Output, Wire, wire_enum, wire_struct};
use crate::details::Hardware;
use crate::inspect::{LogFile, ProcessFigures, ThreadInfo, WhichLog};
use crate::job::{
    JobReport, SlotId, SnapshotFigures, SnapshotTarget, TaskAck, TaskDeployment, TaskFigures, TaskReport, TaskRestorePlan, TaskSnapshot,
};
use crate::user_metrics::{Distribution, UserMetric, UserValue};
use brisk_base::Result;
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::checkpoint_statistics::CheckpointStatistics;
use brisk_core::job::{ExecutionState, JobProgress, JobStatus};
use brisk_core::source::SourceEvent;
use brisk_core::state::FileRef;
use brisk_core::types::put_bytes;
use brisk_runtime::exchange::{Endpoint, Locations};
use brisk_runtime::task::TaskPace;
use brisk_state::snapshot::{OperatorSubtaskState, StateData, TaskStateHandle};
use std::sync::Arc;

wire_struct! {
    SlotId { task_manager, index }
    TaskDeployment { attempt, vertex, slot, restore }
    TaskRestorePlan { checkpoint, base, own_files, operators, in_flight }
    SnapshotTarget { base, savepoint }
    TaskAck { target, state, in_flight, figures }
    SnapshotFigures { start_delay, alignment, sync, asynchronous, full_bytes, stored_bytes, in_flight_bytes, in_flight_records }
    TaskFigures { records_in, records_out, bytes_in, bytes_out, watermark, state_entries, lived, idle, back_pressured, pace }
    TaskPace { records_in, records_out, bytes_in, bytes_out, idle, back_pressured }
    UserMetric { scope, kinds, variables, name, value }
    LogFile { name, size, modified_ms }
    ThreadInfo { name, text }
    ProcessFigures { cpu_time_ns, cpu_load, threads, open_files, most_files, resident }
    Distribution { count, min, max, mean, std_dev, quantiles }
    TaskSnapshot { figures, accumulators }
    TaskReport { attempt, state, error, last, given_up }
    JobProgress { records_in, records_out, watermark, state_entries, tasks_running, tasks }
    Barrier { checkpoint, timestamp, kind, alignment }
    Endpoint { host, address }
    Locations { endpoints, subtasks }
    Hardware { cpu_cores, physical_memory }
    FileRef { path, size, checksum }
}

wire_enum! {
    ExecutionState {
        0 = Created, 1 = Scheduled, 2 = Deploying, 3 = Initializing, 4 = Running, 5 = Finished, 6 = Canceling, 7 = Canceled, 8 = Failed,
        9 = Reconciling,
    }
    JobStatus {
        0 = Initializing, 1 = Created, 2 = Running, 3 = Failing, 4 = Failed, 5 = Cancelling, 6 = Canceled, 7 = Finished, 8 = Restarting,
        9 = Suspended, 10 = Reconciling,
    }
    AccumulatorValue {
        0 = Count(value), 1 = Sum(value), 2 = Min(value), 3 = Max(value), 4 = Average { sum, count }, 5 = Histogram(counts),
    }
    WhichLog { 0 = Main, 1 = Stdout, 2 = Named(name) }
    UserValue {
        0 = Counter(value), 1 = Int(value), 2 = Float(value), 3 = Text(text), 4 = Meter { count, rate }, 5 = Histogram(distribution),
    }
    SnapshotKind { 0 = Checkpoint, 1 = Savepoint, 2 = StopWithSavepoint { drain } }
    Alignment { 0 = AtLeastOnce, 1 = Aligned, 2 = Unaligned, 3 = AlignedTimeout(after) }
}

/// What a job's checkpoints took stays with its JobMaster: whoever wants to know asks over REST.
impl Wire for JobReport {
    fn put(&self, out: &mut Output<'_>) {
        self.progress.put(out);
        self.accumulators.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self { progress: Wire::get(input)?, accumulators: Wire::get(input)?, checkpoints: CheckpointStatistics::default() })
    }
}

impl Wire for SourceEvent {
    fn put(&self, out: &mut Output<'_>) {
        match self {
            Self::RequestSplit => out.bytes.push(0),
            Self::ReportWatermark(watermark) => {
                out.bytes.push(1);
                watermark.put(out);
            }
            Self::AddSplits(splits) => {
                out.bytes.push(2);
                splits.len().put(out);
                splits.iter().for_each(|split| put_bytes(&mut out.bytes, split));
            }
            Self::NoMoreSplits => out.bytes.push(3),
            Self::WatermarkLimit(limit) => {
                out.bytes.push(4);
                limit.put(out);
            }
            Self::Custom(message) => {
                out.bytes.push(5);
                put_bytes(&mut out.bytes, message);
            }
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        Ok(match input.decoder.byte()? {
            0 => Self::RequestSplit,
            1 => Self::ReportWatermark(Wire::get(input)?),
            2 => Self::AddSplits(Vec::<Bytes>::get(input)?.into_iter().map(|split| split.0).collect()),
            3 => Self::NoMoreSplits,
            4 => Self::WatermarkLimit(Wire::get(input)?),
            5 => Self::Custom(Bytes::get(input)?.0),
            other => return Err(input.decoder.unknown_variant("SourceEvent", u64::from(other))),
        })
    }
}

/// As in checkpoints, with a length in front.
macro_rules! handles {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Output<'_>) {
                put_bytes(&mut out.bytes, &self.encode());
            }

            fn get(input: &mut Input<'_>) -> Result<Self> {
                Self::decode(input.decoder.bytes()?)
            }
        }
    )*};
}
handles!(TaskStateHandle, OperatorSubtaskState);

impl Wire for StateData {
    fn put(&self, out: &mut Output<'_>) {
        match self {
            Self::Inline(bytes) => {
                out.bytes.push(0);
                put_bytes(&mut out.bytes, bytes);
            }
            Self::File(file) => {
                out.bytes.push(1);
                file.put(out);
            }
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        match input.decoder.byte()? {
            0 => Ok(Self::Inline(Arc::from(input.decoder.bytes()?))),
            1 => Wire::get(input).map(Self::File),
            other => Err(input.decoder.unknown_variant("StateData", u64::from(other))),
        }
    }
}

//! A job as it is told to other processes.
//!
//! Code does not travel: what comes out at the other side has the graph's shape, names and ids, and stands for the code in the program that
//! both sides know. Where code would be called, there is an error instead.

use super::{Input, Output, Wire, wire_enum, wire_struct};
use crate::job::{CollectedResult, JobSpec, ProgramSpec, RecordedResult};
use brisk_base::{Error, Millis, Result};
use brisk_core::batch::AnyBatch;
use brisk_core::job_graph::{ChainedOperator, JobEdge, JobGraph, JobVertex, KeyHasher, OutputRoute, Partitioner, RouteTarget, RowSelector};
use brisk_core::operator::OperatorSpec;
use brisk_core::types::put_bytes;
use std::sync::Arc;

/// The name that stands for code of the program.
const CODE: &str = "(code of the program)";

wire_struct! {
    JobSpec { id, graph, config, program }
    ProgramSpec { blob, size, arguments, number, base, once, results }
    RecordedResult { id, name, net_runtime, accumulators, collected }
    CollectedResult { operator, subtask, bytes }
    JobGraph { name, vertices, edges, job_parameters }
    JobVertex {
        id, name, operators, parallelism, max_parallelism, inputs, incoming, outgoing, slot_sharing_group, co_location_group, dedicated_thread,
    }
    ChainedOperator { id, name, uid, spec, source, keyed, outputs }
    OutputRoute { tag, targets }
    JobEdge { from, from_output, to, input, to_gate, partitioner, buffer_timeout }
}

wire_enum! {
    RouteTarget { 0 = Chained(index), 1 = Exchange(index) }
}

impl Wire for Millis {
    fn put(&self, out: &mut Output<'_>) {
        self.0.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        i64::get(input).map(Self)
    }
}

impl Wire for OperatorSpec {
    fn put(&self, out: &mut Output<'_>) {
        let (name, config): (&str, &[u8]) = match self {
            Self::Factory(_) => (CODE, &[]),
            Self::Registered { name, config } => (name, config),
        };
        put_bytes(&mut out.bytes, name.as_bytes());
        put_bytes(&mut out.bytes, config);
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        Ok(Self::Registered { name: input.decoder.text()?.to_owned(), config: input.decoder.bytes()?.to_vec() })
    }
}

impl Wire for Partitioner {
    fn put(&self, out: &mut Output<'_>) {
        out.bytes.push(match self {
            Self::Forward => 0,
            Self::Rebalance => 1,
            Self::Rescale => 2,
            Self::Shuffle => 3,
            Self::Broadcast => 4,
            Self::Global => 5,
            Self::Hash(_) => 6,
            Self::Custom(_) => 7,
        });
        if let Self::Hash(hasher) = self {
            hasher.describe().put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self> {
        Ok(match input.decoder.byte()? {
            0 => Self::Forward,
            1 => Self::Rebalance,
            2 => Self::Rescale,
            3 => Self::Shuffle,
            4 => Self::Broadcast,
            5 => Self::Global,
            6 => Self::Hash(Arc::new(Elsewhere(String::get(input)?))),
            7 => Self::Custom(Arc::new(Elsewhere(CODE.to_owned()))),
            other => return Err(input.decoder.unknown_variant("Partitioner", u64::from(other))),
        })
    }
}

/// Stands for code that is in another process.
struct Elsewhere(String);

impl Elsewhere {
    fn error(&self) -> Error {
        Error::bug(format!("'{}' is code of the program, which does not run in this process", self.0))
    }
}

impl KeyHasher for Elsewhere {
    fn hash(&self, _batch: &dyn AnyBatch, _hashes: &mut Vec<u64>) -> Result<()> {
        Err(self.error())
    }

    fn describe(&self) -> String {
        self.0.clone()
    }
}

impl RowSelector for Elsewhere {
    fn select(&self, _batch: &dyn AnyBatch, _count: u32, _targets: &mut Vec<u32>) -> Result<()> {
        Err(self.error())
    }
}

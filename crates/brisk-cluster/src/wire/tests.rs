//! What is put comes out again, and nothing that arrives panics.

use super::{Input, Output, Wire};
use crate::job::{JobSpec, SnapshotTarget, TaskAck, TaskDeployment, TaskReport, TaskRestorePlan, TaskSnapshot};
use crate::job::{ProgramSpec, RecordedResult, SlotId};
use crate::job_manager::{DispatcherMessage, JobMasterMessage, ResourceManagerMessage};
use crate::link::Link;
use crate::link::handshake::testing_link;
use crate::task_manager::{TaskHostMessage, TaskManagerMessage};
use crate::wire::Bytes;
use brisk_base::Error;
use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId, TaskManagerId, VertexId};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::job::ExecutionState;
use brisk_core::job_graph::{ChainedOperator, JobEdge, JobGraph, JobVertex, OutputRoute, Partitioner, RouteTarget};
use brisk_core::operator::OperatorSpec;
use brisk_core::types::Decoder;
use brisk_state::snapshot::{OperatorSubtaskState, StateData};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

fn bytes<T: Wire>(value: &T, link: &Arc<Link>) -> Vec<u8> {
    let mut out = Output::new(Vec::new(), link);
    value.put(&mut out);
    out.finish().expect("it may be sent")
}

/// Reads it back and writes it again: the bytes are the same.
fn round_trip<T: Wire>(value: &T, link: &Arc<Link>) -> T {
    let first = bytes(value, link);
    let mut input = Input::new(Decoder::new(&first), link);
    let back = T::get(&mut input).expect("its own bytes");
    input.decoder.finish().expect("all of them");
    assert_eq!(bytes(&back, link), first);
    back
}

const ATTEMPT: AttemptId = AttemptId { vertex: VertexId(1 << 100), subtask: 3, attempt: 4 };

fn graph() -> JobGraph {
    let operator = ChainedOperator {
        id: OperatorId(5),
        name: "map".to_owned(),
        uid: Some("m".to_owned()),
        spec: OperatorSpec::Registered { name: "print".to_owned(), config: vec![1, 2] },
        source: true,
        keyed: false,
        outputs: vec![OutputRoute { tag: Some("late".to_owned()), targets: vec![RouteTarget::Chained(1), RouteTarget::Exchange(0)] }],
    };
    let vertex = JobVertex {
        id: VertexId(5),
        name: "map".to_owned(),
        operators: vec![operator],
        parallelism: 2,
        max_parallelism: 128,
        inputs: 1,
        incoming: vec![0],
        outgoing: vec![0],
        slot_sharing_group: "default".to_owned(),
        co_location_group: None,
        dedicated_thread: true,
    };
    let edge = JobEdge { from: 0, from_output: 0, to: 0, input: 0, to_gate: 0, partitioner: Partitioner::Rescale, buffer_timeout: None };
    JobGraph {
        name: "job".to_owned(),
        vertices: vec![vertex],
        edges: vec![edge],
        job_parameters: [("a".to_owned(), "b".to_owned())].into(),
    }
}

#[test]
fn what_is_put_comes_out_again() {
    let link = &testing_link();
    let collected = crate::job::CollectedResult { operator: OperatorId(5), subtask: 1, bytes: Bytes(vec![1, 2]) };
    let accumulators = [("n".to_owned(), AccumulatorValue::Average { sum: 1.5, count: 2 })].into();
    let result = RecordedResult {
        id: JobId(1),
        name: "first".to_owned(),
        net_runtime: Duration::from_millis(3),
        accumulators,
        collected: Some(vec![collected]),
    };
    let program = ProgramSpec {
        blob: crate::blob::BlobId(9),
        size: 10,
        arguments: vec!["--input".to_owned(), "x y".to_owned()],
        number: 1,
        base: [("parallelism.default", "3")].into_iter().collect(),
        once: [("seed".to_owned(), Bytes(vec![7]))].into(),
        results: [(0, result)].into(),
    };
    let job = JobSpec { program: Some(Arc::new(program.clone())), ..JobSpec::local(JobId(2), Arc::new(graph()), Arc::default()) };
    let back = round_trip(&job, link);
    assert_eq!((back.program.as_deref(), format!("{:?}", back.graph)), (Some(&program), format!("{:?}", job.graph)));
    let plan = TaskRestorePlan {
        checkpoint: CheckpointId(7),
        base: "/tmp".to_owned(),
        own_files: true,
        operators: vec![(OperatorId(5), OperatorSubtaskState::default())],
        in_flight: vec![(VertexId(5), 0, 2, StateData::Inline(Arc::from([1u8, 2].as_slice())))],
    };
    let slot = SlotId { task_manager: TaskManagerId(8), index: 1 };
    let deployment = TaskDeployment { attempt: ATTEMPT, vertex: 0, slot, restore: Some(Arc::new(plan)) };
    assert_eq!(round_trip(&deployment, link), deployment);
    let ack = TaskAck { target: SnapshotTarget { base: "b".to_owned(), savepoint: true }, ..TaskAck::default() };
    assert_eq!(round_trip(&ack, link), ack);
    let error = Error::transient("no answer").context("task 'map'").context("job 'x'");
    let report =
        TaskReport { last: Some(TaskSnapshot::default()), ..TaskReport::new(ATTEMPT, ExecutionState::Failed).with_error(Some(error)) };
    let back = round_trip(&report, link).error.expect("it is there");
    assert_eq!(back.to_string(), "job 'x': task 'map': no answer");
}

proptest! {
    #[test]
    fn whatever_arrives_is_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), tag in 0u8..14) {
        let link = &testing_link();
        let mut tagged = vec![tag];
        tagged.extend(bytes);
        let input = || Input::new(Decoder::new(&tagged), link);
        let _ = JobMasterMessage::get(&mut input());
        let _ = TaskHostMessage::get(&mut input());
        let _ = TaskManagerMessage::get(&mut input());
        let _ = ResourceManagerMessage::get(&mut input());
        let _ = DispatcherMessage::get(&mut input());
        let _ = JobSpec::get(&mut input());
    }
}

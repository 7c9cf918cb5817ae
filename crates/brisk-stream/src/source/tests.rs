//! The sources of the program's own records, through enumerator and readers.

use super::{CollectionSource, SequenceSource};
use crate::operators::driver::{Driver, HandClock};
use crate::operators::kept::Kept;
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::Element;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::operator::{
    Budget, Operator, OperatorContext, OperatorFactory, Output, Port, RuntimeContext, SnapshotContext, SourcePoll, TaskInfo,
};
use brisk_core::source::{CoordinatorContext, Source, SourceCoordinator, SourceEvent, SourceOperatorFactory};
use brisk_core::state::{OperatorRestore, OperatorSnapshot};
use std::sync::Arc;
use std::task::Waker;

/// What one reader emits and asks for.
#[derive(Default)]
struct Emitted {
    rows: Vec<Box<dyn AnyBatch>>,
    watermarks: Vec<Timestamp>,
    requests: Vec<SourceEvent>,
}

impl Output for Emitted {
    fn emit(&mut self, _port: Port, element: Element) {
        match element {
            Element::Batch(batch) => self.rows.push(batch),
            Element::Watermark(watermark) => self.watermarks.push(watermark),
            _ => {}
        }
    }

    fn ports(&self) -> usize {
        1
    }

    fn send_event(&mut self, event: SourceEvent) {
        self.requests.push(event);
    }
}

/// A runtime context, and the clock under it.
fn base() -> (RuntimeContext, Arc<HandClock>) {
    let driver = Driver::new(&[], |_| crate::operators::FilterOperator::new(crate::function::FilterFn::new(|_: &i64| true)));
    (driver.runtime.clone(), driver.clock.clone())
}

/// Runs all readers to their end, one after the other; gives what each of them read.
fn read_all<S: Source<Out = i64>>(source: S, parallelism: u32) -> Vec<Vec<i64>> {
    let factory = SourceOperatorFactory::new(source, WatermarkStrategy::no_watermarks());
    let mut coordinator = factory.coordinator(parallelism, None).expect("made").expect("a source has one");
    coordinator.start(&mut CoordinatorContext::default()).expect("starts");
    (0..parallelism).map(|subtask| read_one(&factory, coordinator.as_mut(), subtask, parallelism)).collect()
}

fn read_one<S: Source<Out = i64>>(
    factory: &SourceOperatorFactory<S>,
    coordinator: &mut dyn brisk_core::source::SourceCoordinator,
    subtask: u32,
    parallelism: u32,
) -> Vec<i64> {
    let (runtime, clock) = base();
    let runtime = RuntimeContext { task: TaskInfo { subtask, parallelism, ..runtime.task.clone() }, ..runtime };
    let (mut budget, mut out) = (Budget::new(clock), Emitted::default());
    let mut reader = factory.create(&runtime).expect("made");
    reader.open(&mut OperatorContext::new(&runtime, &mut budget, Waker::noop(), &mut out)).expect("opens");
    loop {
        let mut answers = CoordinatorContext::default();
        for request in std::mem::take(&mut out.requests) {
            coordinator.handle_event(subtask, request, &mut answers).expect("answers");
        }
        let mut cx = OperatorContext::new(&runtime, &mut budget, Waker::noop(), &mut out);
        for (to, event) in answers.to_subtasks {
            assert_eq!(to, subtask);
            reader.handle_event(event, &mut cx).expect("takes it");
        }
        if reader.poll_source(&mut cx).expect("reads") == SourcePoll::Finished {
            break;
        }
    }
    assert_eq!(out.watermarks, [Timestamp::MAX]);
    out.rows.into_iter().flat_map(|batch| Rows::<i64>::from_any(batch).expect("of this type").values).collect()
}

#[test]
fn each_reader_gets_a_stretch_and_together_they_get_everything() {
    let numbers: Vec<i64> = (0..10_000).map(|n| n * 3).collect();
    for parallelism in [1, 2, 7] {
        let parts = read_all(CollectionSource::new(&numbers), parallelism);
        assert_eq!(parts.concat(), numbers);
        assert!(parts.iter().all(|part| part.len().abs_diff(numbers.len() / parallelism as usize) <= 1));
        let parts = read_all(SequenceSource::new(-5_000, 4_999), parallelism);
        assert_eq!(parts.concat(), (-5_000..5_000).collect::<Vec<_>>());
    }
}

#[test]
fn short_and_empty_collections_end() {
    assert_eq!(read_all(CollectionSource::<i64>::new(&[]), 3), [Vec::<i64>::new(), vec![], vec![]]);
    assert_eq!(read_all(CollectionSource::new(&[4i64]), 3).concat(), [4]);
    assert_eq!(read_all(SequenceSource::new(i64::MAX, i64::MAX), 2).concat(), [i64::MAX]);
    assert_eq!(read_all(SequenceSource::new(2, 1), 2).concat(), Vec::<i64>::new());
}

/// A reader that is driven by hand.
struct Reader {
    operator: Box<dyn Operator>,
    runtime: RuntimeContext,
    budget: Budget,
    out: Emitted,
}

impl Reader {
    fn open<S: Source<Out = i64>>(
        factory: &SourceOperatorFactory<S>,
        (subtask, parallelism): (u32, u32),
        restored: Option<OperatorRestore>,
    ) -> Self {
        let (runtime, clock) = base();
        let mut runtime = RuntimeContext { task: TaskInfo { subtask, parallelism, ..runtime.task.clone() }, ..runtime };
        runtime.state.restored = restored.map(Arc::new);
        let operator = factory.create(&runtime).expect("made");
        let mut reader = Self { operator, runtime, budget: Budget::new(clock), out: Emitted::default() };
        let mut cx = OperatorContext::new(&reader.runtime, &mut reader.budget, Waker::noop(), &mut reader.out);
        reader.operator.open(&mut cx).expect("opens");
        reader
    }

    /// Has its requests answered, then polls it.
    fn poll(&mut self, coordinator: &mut dyn SourceCoordinator) -> SourcePoll {
        let mut answers = CoordinatorContext::default();
        for request in std::mem::take(&mut self.out.requests) {
            coordinator.handle_event(self.runtime.task.subtask, request, &mut answers).expect("answers");
        }
        let mut cx = OperatorContext::new(&self.runtime, &mut self.budget, Waker::noop(), &mut self.out);
        for (_, event) in answers.to_subtasks {
            self.operator.handle_event(event, &mut cx).expect("takes it");
        }
        self.operator.poll_source(&mut cx).expect("reads")
    }

    fn snapshot(&mut self) -> OperatorSnapshot {
        let (kind, alignment) = (SnapshotKind::Checkpoint, Alignment::Aligned);
        let barrier = Barrier { checkpoint: CheckpointId(1), timestamp: Timestamp(0), kind, alignment };
        let mut snapshot = OperatorSnapshot::default();
        self.operator.snapshot(&mut snapshot, &mut SnapshotContext { barrier, runtime: &self.runtime }).expect("no failure");
        snapshot
    }

    fn values(&mut self) -> Vec<i64> {
        let rows = std::mem::take(&mut self.out.rows).into_iter();
        rows.flat_map(|batch| Rows::<i64>::from_any(batch).expect("of this type").values).collect()
    }
}

/// Reads with two readers for `polls` polls each, takes a checkpoint, reads on a little, and goes on from the checkpoint with one.
fn read_over_a_checkpoint<S: Source<Out = i64>>(source: S, polls: usize) -> Vec<i64> {
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|value: &i64| Timestamp(*value));
    let factory = SourceOperatorFactory::new(source, strategy);
    let mut coordinator = factory.coordinator(2, None).expect("made").expect("a source has one");
    coordinator.start(&mut CoordinatorContext::default()).expect("starts");
    let mut readers: Vec<_> = (0..2).map(|subtask| Reader::open(&factory, (subtask, 2), None)).collect();
    let mut values = Vec::new();
    for reader in &mut readers {
        let _ = (0..polls).take_while(|_| reader.poll(coordinator.as_mut()) != SourcePoll::Finished).count();
        values.extend(reader.values());
    }
    let enumerator = coordinator.snapshot().expect("no failure");
    let mut left = OperatorSnapshot::default();
    for snapshot in readers.iter_mut().map(Reader::snapshot) {
        for state in snapshot.operator {
            match left.operator.iter_mut().find(|other| other.name == state.name) {
                Some(other) => other.items.extend(state.items),
                None => left.operator.push(state),
            }
        }
    }
    for reader in &mut readers {
        reader.poll(coordinator.as_mut());
    }

    let mut coordinator = factory.coordinator(1, Some(&enumerator)).expect("made").expect("a source has one");
    coordinator.start(&mut CoordinatorContext::default()).expect("starts");
    let restored = Kept::restore(left, CheckpointId(1), Timestamp::MIN);
    let mut reader = Reader::open(&factory, (0, 1), Some(restored));
    for _ in 0..1000 {
        if reader.poll(coordinator.as_mut()) == SourcePoll::Finished {
            values.extend(reader.values());
            values.sort_unstable();
            return values;
        }
    }
    panic!("the reader does not end");
}

#[test]
fn each_record_is_read_once_over_a_checkpoint_and_with_fewer_readers() {
    let numbers: Vec<i64> = (0..9_000).collect();
    for polls in [0, 1, 2, 4, 100] {
        assert_eq!(read_over_a_checkpoint(CollectionSource::new(&numbers), polls), numbers, "{polls} polls");
        assert_eq!(read_over_a_checkpoint(SequenceSource::new(0, 8_999), polls), numbers, "{polls} polls");
    }
}

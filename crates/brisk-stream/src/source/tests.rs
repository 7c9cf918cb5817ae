//! The sources of the program's own records, through enumerator and readers.

use super::{CollectionSource, SequenceSource};
use crate::operators::driver::{Driver, HandClock};
use brisk_base::Timestamp;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::element::Element;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::operator::{Budget, OperatorContext, OperatorFactory, Output, Port, RuntimeContext, SourcePoll, TaskInfo};
use brisk_core::source::{CoordinatorContext, Source, SourceEvent, SourceOperatorFactory};
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

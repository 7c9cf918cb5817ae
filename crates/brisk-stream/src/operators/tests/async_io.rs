//! Asynchronous requests: order, watermarks, capacity, timeouts and retries.

use crate::function::{AsyncFn, AsyncFunction, AsyncOptions, AsyncOrder, AsyncResult, AsyncRetry};
use crate::operators::AsyncWaitOperator;
use crate::operators::driver::{Driver, rows, steps};
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Step};
use brisk_core::operator::Progress;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// A service that answers when the test says so.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<ServiceState>>);

#[derive(Default)]
struct ServiceState {
    /// Answers given, not read yet.
    answers: BTreeMap<i64, Result<i64, String>>,
    /// Who waits for which answer.
    waiting: BTreeMap<i64, Waker>,
    /// Every request made, in order.
    requests: Vec<i64>,
}

impl Service {
    async fn ask(self, question: i64) -> Result<i64> {
        self.0.lock().expect("not poisoned").requests.push(question);
        poll_fn(move |cx| {
            let mut state = self.0.lock().expect("not poisoned");
            match state.answers.remove(&question) {
                Some(answer) => Poll::Ready(answer.map_err(Error::transient)),
                None => {
                    state.waiting.insert(question, cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn answer(&self, question: i64, answer: Result<i64, &str>) {
        let mut state = self.0.lock().expect("not poisoned");
        state.answers.insert(question, answer.map_err(str::to_owned));
        let waker = state.waiting.remove(&question);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn requests(&self) -> Vec<i64> {
        self.0.lock().expect("not poisoned").requests.clone()
    }
}

fn driver(service: &Service, order: AsyncOrder, options: AsyncOptions<i64>) -> Driver {
    let service = service.clone();
    let function = AsyncFn::new(move |question| service.clone().ask(question));
    Driver::new(&[], |cx| AsyncWaitOperator::new(function, order, options, cx))
}

#[test]
fn ordered_results_wait_for_those_before_them() {
    let service = Service::default();
    let mut driver = driver(&service, AsyncOrder::Ordered, AsyncOptions::default());
    driver.batch(0, rows(&[1, 2, 3], &[(2, 9)]));
    service.answer(3, Ok(30));
    service.answer(2, Ok(20));
    assert!(driver.woken.0.load(Ordering::Relaxed));
    assert_eq!(driver.poll(), Progress::Waiting);
    assert!(driver.steps::<i64>(0).is_empty());
    service.answer(1, Ok(10));
    assert_eq!(driver.poll(), Progress::Done);
    let row = |value, timestamp| Step::Row(value, Timestamp(timestamp), 0);
    assert_eq!(driver.steps::<i64>(0), [row(10, 1), row(20, 2), Step::Watermark(Timestamp(9)), row(30, 3)]);
    assert!(!driver.has_pending());
}

#[test]
fn unordered_results_pass_each_other_but_no_watermark() {
    let service = Service::default();
    let mut driver = driver(&service, AsyncOrder::Unordered, AsyncOptions::default());
    driver.batch(0, rows(&[1, 2, 3, 4], &[(2, 9)]));
    service.answer(2, Ok(2));
    service.answer(4, Ok(4));
    assert_eq!(driver.poll(), Progress::Waiting);
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 2)]));
    service.answer(1, Ok(1));
    driver.poll();
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 1), ('w', 9), ('r', 4)]));
    driver.watermark(20);
    assert!(driver.steps::<i64>(0).is_empty(), "3 is still under way");
    service.answer(3, Ok(3));
    assert_eq!(driver.poll(), Progress::Done);
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 3), ('w', 20)]));
}

#[test]
fn the_stream_waits_at_the_capacity_and_the_end_for_all() {
    let service = Service::default();
    let mut driver = driver(&service, AsyncOrder::Ordered, AsyncOptions::default().capacity(2));
    let rest = driver.try_batch(0, Box::new(rows(&[1, 2, 3], &[]))).expect("no failure").expect("no room for the third");
    assert_eq!((rest.len(), service.requests()), (1, vec![1, 2]));
    service.answer(2, Ok(2));
    assert_eq!(driver.poll(), Progress::Waiting, "2 waits for 1 and still takes its place");
    let rest = driver.try_batch(0, rest).expect("no failure").expect("no room yet");
    service.answer(1, Ok(1));
    driver.poll();
    assert!(driver.try_batch(0, rest).expect("no failure").is_none());
    driver.watermark(i64::MAX);
    assert_eq!(driver.call(|operator, cx| operator.finish(cx)).expect("no failure"), Progress::Waiting);
    service.answer(3, Ok(3));
    assert_eq!(driver.call(|operator, cx| operator.finish(cx)).expect("no failure"), Progress::Done);
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 1), ('r', 2), ('r', 3), ('w', i64::MAX)]));
}

#[test]
fn a_request_that_takes_too_long_fails_the_job_or_gives_the_functions_choice() {
    let service = Service::default();
    let mut plain = driver(&service, AsyncOrder::Ordered, AsyncOptions::timeout(Millis(50)));
    plain.batch(0, rows(&[1], &[]));
    let error = plain.call(|operator, cx| operator.on_processing_time(Timestamp(50), cx)).expect_err("timed out");
    assert!(error.to_string().contains("timed out"), "{error}");

    #[derive(Clone)]
    struct Never;
    impl AsyncFunction for Never {
        type In = i64;
        type Out = i64;
        fn async_invoke(&mut self, _input: i64) -> AsyncResult<i64> {
            Box::pin(std::future::pending())
        }
        fn timeout(&mut self, input: i64) -> Result<Vec<i64>> {
            Ok(vec![-input, -input])
        }
    }
    let mut chosen = Driver::new(&[], |cx| AsyncWaitOperator::new(Never, AsyncOrder::Ordered, AsyncOptions::timeout(Millis(50)), cx));
    chosen.batch(0, rows(&[7], &[]));
    chosen.time(49);
    assert!(chosen.values::<i64>(0).is_empty());
    chosen.time(50);
    assert_eq!(chosen.values::<i64>(0), [-7, -7]);
    assert!(!chosen.has_pending());
}

#[test]
fn errors_and_refused_results_are_retried_until_the_last_attempt() {
    let service = Service::default();
    let retry = AsyncRetry::exponential_backoff(3, Millis(10), Millis(1_000), 3.0).if_result(|results: &[i64]| results == [0]);
    let mut driver = driver(&service, AsyncOrder::Ordered, AsyncOptions::default().retry(retry));
    driver.batch(0, rows(&[1], &[]));
    service.answer(1, Err("busy"));
    driver.poll();
    driver.time(9);
    assert_eq!(service.requests(), [1]);
    driver.time(10);
    assert_eq!(service.requests(), [1, 1]);
    service.answer(1, Ok(0));
    driver.poll();
    driver.time(39);
    assert_eq!(service.requests(), [1, 1], "30 ms after the second");
    driver.time(40);
    service.answer(1, Err("still busy"));
    let error = driver.call(|operator, cx| operator.poll_pending(cx)).expect_err("three attempts are all");
    assert!(error.to_string().contains("still busy"), "{error}");
}

#[test]
fn only_chosen_errors_are_retried() {
    let service = Service::default();
    let retry = AsyncRetry::fixed_delay(9, Millis(1)).if_error(|error| error.message() == "busy");
    let mut driver = driver(&service, AsyncOrder::Ordered, AsyncOptions::default().retry(retry));
    driver.batch(0, rows(&[1], &[]));
    service.answer(1, Err("no such thing"));
    driver.call(|operator, cx| operator.poll_pending(cx)).expect_err("not worth a retry");
}

proptest! {
    /// Whatever the order of the answers: every record once; in its order, or at least between its watermarks.
    #[test]
    fn any_order_of_answers_keeps_the_promises(
        order in Just((0..20i64).collect::<Vec<_>>()).prop_shuffle(),
        marks in proptest::collection::btree_set(0u32..20, 0..6),
        unordered: bool,
        capacity in 1usize..25,
    ) {
        let service = Service::default();
        let mode = if unordered { AsyncOrder::Unordered } else { AsyncOrder::Ordered };
        let mut driver = driver(&service, mode, AsyncOptions::default().capacity(capacity));
        let marks: Vec<_> = marks.into_iter().map(|row| (row, i64::from(row) + 100)).collect();
        let values: Vec<i64> = (0..20).collect();
        let mut rest: Option<Box<dyn AnyBatch>> = Some(Box::new(rows(&values, &marks)));
        let mut open = order;
        let mut found = Vec::new();
        while rest.is_some() || driver.has_pending() {
            if let Some(batch) = rest.take() {
                rest = driver.try_batch(0, batch).expect("no failure");
            }
            let asked = service.requests();
            if let Some(at) = open.iter().position(|value| asked.contains(value)) {
                service.answer(open[at], Ok(open[at]));
                open.remove(at);
            }
            driver.poll();
            found.extend(driver.steps::<i64>(0));
        }
        let mut watermark = -1;
        let mut seen = Vec::new();
        for step in found {
            match step {
                Step::Watermark(at) => watermark = at.0,
                Step::Row(value, timestamp, _) => {
                    prop_assert_eq!(timestamp.0, value);
                    let before = marks.iter().filter(|(row, _)| i64::from(*row) <= value).map(|(_, at)| *at).max().unwrap_or(-1);
                    prop_assert_eq!(watermark, before);
                    seen.push(value);
                }
            }
        }
        if unordered { seen.sort_unstable() }
        prop_assert_eq!(seen, values);
    }
}

//! A scripted operator and what it needs, for the tests of chains and tasks.

use brisk_base::ids::{AttemptId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::accumulator::Accumulators;
use brisk_core::batch::{AnyBatch, Rows, Step};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Progress, Rest, RuntimeContext, SourcePoll, TaskInfo};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happened, in order: `name what`.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Lines about one operator since the last call; the others are dropped.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name} ");
        self.take().into_iter().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
    }
}

type Call<A, R> = Box<dyn FnMut(A, &mut OperatorContext<'_>) -> Result<R> + Send>;

/// Logs its calls and passes everything on, except for what a test replaces.
pub(crate) struct Probe {
    pub(crate) name: &'static str,
    pub(crate) log: Log,
    pub(crate) on_batch: Option<Call<Rows<i64>, Rest>>,
    pub(crate) on_watermark: Option<Call<Timestamp, Progress>>,
    pub(crate) on_time: Option<Call<Timestamp, Progress>>,
    pub(crate) on_pending: Option<Call<(), Progress>>,
    pub(crate) on_finish: Option<Call<(), Progress>>,
    pub(crate) on_source: Option<Call<(), SourcePoll>>,
    pub(crate) on_close: Option<Box<dyn FnMut() -> Result<()> + Send>>,
    /// What `next_processing_time` says.
    pub(crate) time: Arc<Mutex<Option<Timestamp>>>,
}

impl Probe {
    pub(crate) fn new(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            log: log.clone(),
            on_batch: None,
            on_watermark: None,
            on_time: None,
            on_pending: None,
            on_finish: None,
            on_source: None,
            on_close: None,
            time: Arc::default(),
        }
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.log.add(format!("{} {what}", self.name));
    }
}

/// Rows and watermarks of a batch, watermarks as `<5`.
pub(crate) fn show(rows: &Rows<i64>) -> String {
    let mut copy = Rows::from(rows.values.clone());
    copy.marks.clone_from(&rows.marks);
    let step = |step: Step<i64>| match step {
        Step::Row(value, ..) => value.to_string(),
        Step::Watermark(watermark) => format!("<{}", watermark.0),
    };
    copy.into_cursor().map(step).collect::<Vec<_>>().join(",")
}

pub(crate) fn batch(values: impl IntoIterator<Item = i64>) -> Box<dyn AnyBatch> {
    Box::new(Rows::from(values.into_iter().collect::<Vec<_>>()))
}

impl Operator for Probe {
    fn open(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.note("open");
        Ok(())
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let rows = Rows::<i64>::from_any(batch)?;
        self.note(if input == 0 { show(&rows) } else { format!("{input}:{}", show(&rows)) });
        match &mut self.on_batch {
            Some(call) => call(rows, cx),
            None => {
                cx.emit(MAIN_PORT, Box::new(rows));
                Ok(Rest::Consumed)
            }
        }
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.note(format_args!("<{}", watermark.0));
        match &mut self.on_watermark {
            Some(call) => call(watermark, cx),
            None => {
                cx.emit_watermark(watermark);
                Ok(Progress::Done)
            }
        }
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        *self.time.lock().unwrap()
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.note(format_args!("time {}", now.0));
        self.on_time.as_mut().map_or(Ok(Progress::Done), |call| call(now, cx))
    }

    fn has_pending(&self) -> bool {
        self.on_pending.is_some()
    }

    fn poll_pending(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.note("pending");
        self.on_pending.as_mut().map_or(Ok(Progress::Done), |call| call((), cx))
    }

    fn back_pressured(&mut self, span: Duration) {
        self.note(format_args!("back-pressured {span:?}"));
    }

    fn end_input(&mut self, input: usize, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.note(format_args!("end {input}"));
        Ok(Progress::Done)
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.note("finish");
        self.on_finish.as_mut().map_or(Ok(Progress::Done), |call| call((), cx))
    }

    fn close(&mut self) -> Result<()> {
        self.note("close");
        self.on_close.as_mut().map_or(Ok(()), |call| call())
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        match &mut self.on_source {
            Some(call) => call((), cx),
            None => Err(Error::bug("no source")),
        }
    }
}

/// A clock that moves by hand.
#[derive(Default)]
pub(crate) struct Hand(pub(crate) AtomicU64);

impl Hand {
    pub(crate) fn set_ms(&self, ms: u64) {
        self.0.store(ms * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp((self.0.load(Ordering::SeqCst) / 1_000_000) as i64)
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::SeqCst))
    }
}

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, name: &str, _: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other(format!("no thread for {name} here")))
    }
}

pub(crate) fn world(clock: &Arc<Hand>) -> World {
    World::new(Arc::<Hand>::clone(clock), Arc::new(NoThreads), 1)
}

pub(crate) fn task_info(vertex: VertexId) -> TaskInfo {
    TaskInfo {
        job_id: JobId(1),
        job_name: "test".into(),
        attempt: AttemptId { vertex, subtask: 0, attempt: 0 },
        subtask: 0,
        parallelism: 1,
        max_parallelism: 128,
    }
}

pub(crate) fn runtime(name: &str, world: &World) -> RuntimeContext {
    RuntimeContext {
        task: task_info(VertexId(1)),
        operator_name: name.into(),
        operator_id: OperatorId(1),
        side_outputs: Vec::new(),
        metrics: MetricGroup::unregistered(world),
        world: world.clone(),
        config: Arc::new(Configuration::default()),
        job_parameters: Arc::new(BTreeMap::new()),
        accumulators: Accumulators::default(),
        program_elsewhere: false,
        state: brisk_core::state::OperatorStateContext::default(),
    }
}

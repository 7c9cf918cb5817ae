//! Runs one source's coordinator (its split enumerator) as an actor with a thread of its own, because its methods are user code.
//!
//! A panic in user code, also while it is dropped, fails the job and nothing else.

use super::JobMasterMessage;
use crate::transport::plane::{guarded, quietly_drop};
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::operator::OperatorSpec;
use brisk_core::registry::OperatorRegistry;
use brisk_core::source::{CoordinatorContext, SourceCoordinator, SourceEvent};
use std::time::Duration;

/// What a coordinator is called with.
#[derive(Debug)]
pub enum CoordinatorCall {
    /// A reader has come up.
    AddReader(u32),
    /// A reader is gone.
    RemoveReader(u32),
    /// A message from a reader.
    Event(u32, SourceEvent),
    /// Hand over its state for a checkpoint.
    Snapshot(CheckpointId),
    /// The lowest watermark of the alignment group.
    GroupLimit(Timestamp),
}

/// What the actor understands.
#[derive(Debug)]
pub enum CoordinatorMessage {
    /// Make and start the coordinator.
    Start,
    /// Call it.
    Call(CoordinatorCall),
    /// A time it asked for may have come.
    Timer,
    /// Drop it.
    Stop,
}

/// One life of a source's coordinator. What an earlier one still has to say is of no interest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoordinatorRun {
    /// Index of the source in its job.
    pub source: usize,
    /// Number of the life.
    pub run: u64,
}

/// The shortest time between two calls that a coordinator can ask for.
const SHORTEST_TIMER: Duration = Duration::from_millis(1);

/// See the module.
pub struct CoordinatorActor {
    /// Which coordinator it is.
    me: CoordinatorRun,
    /// Name of the operator, for errors.
    operator: String,
    spec: OperatorSpec,
    registry: OperatorRegistry,
    parallelism: u32,
    /// The state that it goes on from.
    restored: Option<Vec<u8>>,
    job_master: Address<JobMasterMessage>,
    /// `None` before the start, after a failure, and for a source that needs none.
    coordinator: Option<Box<dyn SourceCoordinator>>,
    /// Whether a failure has been reported.
    failed: bool,
    /// When the coordinator wants to be called.
    wanted: Option<Timestamp>,
    /// The earliest time for which a timer message is under way.
    armed: Option<Timestamp>,
}

impl CoordinatorActor {
    /// The coordinator of a source; it is made when the actor starts.
    pub fn new(
        me: CoordinatorRun,
        (operator, spec): (String, OperatorSpec),
        registry: OperatorRegistry,
        (parallelism, restored): (u32, Option<Vec<u8>>),
        job_master: Address<JobMasterMessage>,
    ) -> Self {
        Self {
            me,
            operator,
            spec,
            registry,
            parallelism,
            restored,
            job_master,
            coordinator: None,
            failed: false,
            wanted: None,
            armed: None,
        }
    }

    fn start(&mut self, cx: &mut ActorContext<'_>) {
        let made = guarded(|| self.registry.resolve(&self.spec)?.coordinator(self.parallelism, self.restored.as_deref()));
        match made.unwrap_or_else(|panic| Err(panicked(&panic))) {
            Ok(coordinator) => self.coordinator = coordinator,
            Err(error) => return self.fail(error, cx),
        }
        if self.coordinator.is_some() {
            self.call(cx, |coordinator, inner| coordinator.start(inner));
        }
    }

    fn dispatch(&mut self, call: CoordinatorCall, cx: &mut ActorContext<'_>) {
        match call {
            CoordinatorCall::AddReader(subtask) => self.call(cx, |coordinator, inner| coordinator.add_reader(subtask, inner)),
            CoordinatorCall::Event(_, event) if self.coordinator.is_none() && !self.failed => {
                self.fail(Error::bug(format!("a reader sent {event:?}, but the source has no split enumerator")), cx);
            }
            CoordinatorCall::Event(subtask, event) => self.call(cx, |coordinator, inner| coordinator.handle_event(subtask, event, inner)),
            CoordinatorCall::RemoveReader(subtask) => {
                let wanted = self.wanted;
                self.call(cx, |coordinator, inner| {
                    coordinator.remove_reader(subtask);
                    inner.call_at = wanted;
                    Ok(())
                });
            }
            CoordinatorCall::Snapshot(checkpoint) => self.snapshot(checkpoint, cx),
            CoordinatorCall::GroupLimit(lowest) => self.call(cx, |coordinator, inner| {
                coordinator.group_limit(lowest, inner);
                Ok(())
            }),
        }
    }

    /// A source without a coordinator has no state; one whose coordinator has failed hands nothing over.
    fn snapshot(&mut self, checkpoint: CheckpointId, cx: &mut ActorContext<'_>) {
        if self.failed {
            return;
        }
        let taken = match &mut self.coordinator {
            Some(coordinator) => guarded(|| coordinator.snapshot()).unwrap_or_else(|panic| Err(panicked(&panic))),
            None => Ok(Vec::new()),
        };
        match taken {
            Ok(state) => cx.send(&self.job_master, JobMasterMessage::CoordinatorState { from: self.me, checkpoint, state }),
            Err(error) => self.fail(error, cx),
        }
    }

    /// Calls user code and passes on what it leaves.
    fn call(&mut self, cx: &mut ActorContext<'_>, f: impl FnOnce(&mut dyn SourceCoordinator, &mut CoordinatorContext) -> Result<()>) {
        let Some(coordinator) = &mut self.coordinator else { return };
        let mut inner = CoordinatorContext { now: cx.world().now(), ..CoordinatorContext::default() };
        let called = guarded(|| f(coordinator.as_mut(), &mut inner)).unwrap_or_else(|panic| Err(panicked(&panic)));
        if let Err(error) = called {
            return self.fail(error, cx);
        }
        let CoordinatorContext { to_subtasks, call_at, group_watermark, .. } = inner;
        if !to_subtasks.is_empty() || group_watermark.is_some() {
            let message = JobMasterMessage::FromCoordinator { from: self.me, to_subtasks, group_watermark };
            cx.send(&self.job_master, message);
        }
        self.wanted = call_at;
        self.arm(cx);
    }

    fn arm(&mut self, cx: &mut ActorContext<'_>) {
        let Some(wanted) = self.wanted.filter(|wanted| self.armed.is_none_or(|armed| *wanted < armed)) else { return };
        self.armed = Some(wanted);
        cx.send_self_after((wanted - cx.world().now()).to_duration().max(SHORTEST_TIMER), CoordinatorMessage::Timer);
    }

    fn timer(&mut self, cx: &mut ActorContext<'_>) {
        self.armed = None;
        let now = cx.world().now();
        if self.wanted.is_some_and(|wanted| wanted <= now) {
            self.wanted = None;
            self.call(cx, |coordinator, inner| coordinator.on_timer(inner));
        } else {
            self.arm(cx);
        }
    }

    fn fail(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        quietly_drop(self.coordinator.take());
        self.failed = true;
        self.wanted = None;
        let error = error.context(format!("coordinator of operator '{}'", self.operator));
        cx.send(&self.job_master, JobMasterMessage::CoordinatorFailed { from: self.me, error });
    }
}

fn panicked(message: &str) -> Error {
    Error::user(format!("user code panicked: {message}"))
}

impl Actor for CoordinatorActor {
    type Message = CoordinatorMessage;

    fn handle(&mut self, message: CoordinatorMessage, cx: &mut ActorContext<'_>) {
        match message {
            CoordinatorMessage::Start => self.start(cx),
            CoordinatorMessage::Call(call) => self.dispatch(call, cx),
            CoordinatorMessage::Timer => self.timer(cx),
            CoordinatorMessage::Stop => {
                quietly_drop(self.coordinator.take());
                cx.stop();
            }
        }
    }

    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        self.fail(error, cx);
    }
}

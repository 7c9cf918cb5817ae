//! The poll of a task.
//!
//! In each poll: mailbox first, then timers and asynchronous work, then elements until the time is used up, the output is blocked, or the
//! input has drained; then gathering batches are flushed and the task waits.
//!
//! Invariants: while the output is blocked no operator is called but for a snapshot that a barrier overtakes with, so nothing piles up;
//! operators are closed once and the gate is closed,
//! however the task ends, also when it is dropped unfinished.

use super::chain::{Chain, ChainStep};
use super::checkpoints::{Checkpoints, News};
use super::control::{Mail, Shared};
use super::inputs::{Inputs, Next};
use super::restore::Restorer;
use super::start::Recipe;
use crate::executor::{PanicReport, PollContext, PollTask, TaskPoll, guarded};
use brisk_base::world::{MonoTime, World};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::element::Element;
use brisk_core::job::ExecutionState;
use brisk_core::operator::SourcePoll;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Why a task waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// For input, timers or asynchronous work.
    ForInput,
    /// For room in its output.
    ForOutput,
}

/// What a poll of the running task came to.
enum Polled {
    Waits(Waiting),
    Yields,
    Finished,
    Cancelled,
}

/// What a task that runs is made of.
struct Running {
    chain: Chain,
    /// `None` for a source.
    inputs: Option<Inputs>,
    /// Logical inputs that have not ended; of a source, 1 until it has finished.
    open_inputs: usize,
    /// How long the output has been blocked, as long as the operators have not been told.
    blocked_for: Duration,
    checkpoints: Checkpoints,
    /// The task is through, and has said so.
    end_of_data: bool,
    /// The end of the channels has been written.
    channels_ended: bool,
}

/// See the module.
pub(super) struct StreamTask {
    shared: Arc<Shared>,
    recipe: Recipe,
    running: Option<Running>,
    /// When the task notes next where it stands.
    next_note: MonoTime,
    /// A final state has been reported.
    over: bool,
}

impl StreamTask {
    pub(super) fn new(shared: Arc<Shared>, recipe: Recipe) -> Self {
        Self { shared, recipe, running: None, next_note: MonoTime(0), over: false }
    }

    fn report(&self, state: ExecutionState, error: Option<Error>) {
        self.recipe.environment.reporter.state(self.shared.attempt, state, error);
    }

    /// Makes and opens the operators.
    fn start(&mut self, cx: &mut PollContext<'_>) -> Result<()> {
        self.report(ExecutionState::Initializing, None);
        let mut inputs = self.recipe.inputs();
        let mut restore = self.recipe.restore.take().map(|restore| restore()).transpose()?;
        let local = restore.as_mut().and_then(|restore| restore.local.take());
        let restored = restore.as_ref().map(|restore| restore.operators.clone()).unwrap_or_default();
        let mut chain = self.recipe.chain(&self.shared, &restored)?;
        chain.begin(cx.now(), cx.deadline());
        chain.wiring.from_source = inputs.is_none();
        if let Some(restore) = restore {
            let descriptor = &self.recipe.descriptor;
            let restorer = Restorer { graph: &descriptor.graph, vertex: descriptor.vertex, info: &descriptor.info, restore };
            restorer.run(&mut chain, inputs.as_mut())?;
        }
        let perturb = self.recipe.environment.exchanges.perturb().cloned();
        let checkpoints = Checkpoints::new(self.recipe.descriptor.checkpointing, self.recipe.writer_keys(), perturb);
        let open_inputs =
            inputs.as_ref().map_or(1, |_| self.recipe.descriptor.graph.vertices[self.recipe.descriptor.vertex].inputs as usize);
        let running = self.running.insert(Running {
            chain,
            inputs,
            open_inputs,
            blocked_for: Duration::ZERO,
            checkpoints,
            end_of_data: false,
            channels_ended: false,
        });
        running.chain.open(cx.waker())?;
        drop(local);
        self.recipe.open_gate(&running.chain, running.inputs.as_ref());
        self.send_events();
        self.report(ExecutionState::Running, None);
        Ok(())
    }

    fn send_events(&mut self) {
        let Some(running) = &mut self.running else { return };
        let (reporter, attempt) = (&self.recipe.environment.reporter, self.shared.attempt);
        for news in running.checkpoints.news.drain(..) {
            match news {
                News::Snapshot(snapshot) => reporter.snapshot(attempt, *snapshot),
                News::Declined(checkpoint, why) => reporter.declined(attempt, checkpoint, why),
                News::EndOfData => reporter.end_of_data(attempt),
            }
        }
        for (operator, event) in std::mem::take(&mut running.chain.wiring.events) {
            let id = self.recipe.descriptor.graph.vertices[self.recipe.descriptor.vertex].operators[operator].id;
            self.recipe.environment.reporter.event(self.shared.attempt, id, event);
        }
    }

    fn run(&mut self, cx: &mut PollContext<'_>) -> Result<Polled> {
        let waited = self.note_waited(cx.now());
        if self.shared.cancelled.load(Ordering::Acquire) {
            return Ok(Polled::Cancelled);
        }
        if self.recipe.environment.exchanges.perturb().is_some_and(|perturb| perturb.crash()) {
            return Err(Error::transient("the simulator lets the task crash"));
        }
        if self.running.is_none() {
            self.start(cx)?;
        }
        let tired = self.recipe.environment.exchanges.perturb().is_some_and(|perturb| perturb.tire());
        let deadline = if tired { cx.now() } else { cx.deadline() };
        let mail = std::mem::take(&mut *self.shared.mailbox.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(running) = &mut self.running else { return Err(Error::bug("task runs without a chain")) };
        running.chain.begin(cx.now(), deadline);
        if let Some((span, true)) = waited {
            running.blocked_for += span;
        }
        for mail in mail {
            running.receive(mail, cx, &self.recipe)?;
        }
        let polled = running.work(cx, &self.recipe)?;
        self.send_events();
        self.note_figures();
        Ok(polled)
    }

    /// Ends the task: lets go of everything, reports the final state.
    fn end(&mut self, state: ExecutionState, error: Option<Error>) {
        match (state, error, self.release()) {
            (ExecutionState::Finished, None, Err(error)) => self.report(ExecutionState::Failed, Some(error)),
            (state, error, _) => self.report(state, error),
        }
    }

    /// Closes the operators and the gate, and drops what they hold; all of it whatever panics.
    fn release(&mut self) -> Result<()> {
        self.over = true;
        self.shared.io.ended.store(self.recipe.environment.world.mono().0.max(1), Ordering::Relaxed);
        let panicked = |panic: PanicReport| Error::user(panic.to_string());
        let closed = self.running.as_mut().map_or(Ok(()), |running| running.chain.close());
        let figures = guarded(|| self.note_figures()).map_err(panicked);
        let running = self.running.take();
        let dropped = guarded(move || drop(running)).map_err(panicked);
        let gate = guarded(|| self.recipe.close_gate()).map_err(panicked);
        closed.and(figures.and(dropped).and(gate).context(|| self.place()))
    }

    fn place(&self) -> String {
        let at = self.shared.current.load(Ordering::Relaxed);
        let info = &self.recipe.descriptor.info;
        let name = self.shared.operators.get(at).map_or("", String::as_str);
        format!("operator '{name}' ({}/{})", info.subtask + 1, info.parallelism)
    }

    fn note_figures(&self) {
        let Some(running) = &self.running else { return };
        let io = &self.shared.io;
        let wiring = &running.chain.wiring;
        let of_source = (wiring.source_rows, wiring.source_watermark);
        let (rows_in, watermark) = running.inputs.as_ref().map_or(of_source, |inputs| (inputs.rows, inputs.watermark()));
        io.records_in.store(rows_in, Ordering::Relaxed);
        io.watermark.store(watermark.millis(), Ordering::Relaxed);
        io.records_out.store(wiring.rows_out, Ordering::Relaxed);
        io.bytes_in.store(running.inputs.as_ref().map_or(0, Inputs::bytes), Ordering::Relaxed);
        io.bytes_out.store(wiring.writers.iter().map(crate::writer::RecordWriter::bytes).sum(), Ordering::Relaxed);
        io.state_entries.store(running.chain.state_entries() as u64, Ordering::Relaxed);
    }

    /// Books the time since the task began to wait, and says how long that was, and whether for its output. Now and then, notes where the
    /// task stands.
    fn note_waited(&mut self, now: MonoTime) -> Option<(Duration, bool)> {
        let io = &self.shared.io;
        let waited = io.end_wait(now);
        if now >= self.next_note {
            if io.began.load(Ordering::Relaxed) == 0 {
                io.began.store(now.0.max(1), Ordering::Relaxed);
            }
            self.next_note = io.pace.note(now, io.totals(now).0);
        }
        waited
    }
}

impl PollTask for StreamTask {
    fn poll(&mut self, cx: &mut PollContext<'_>) -> TaskPoll {
        if self.over {
            return TaskPoll::Done;
        }
        let polled = guarded(|| self.run(cx)).unwrap_or_else(|panic| Err(Error::user(panic.to_string()).context(self.place())));
        match polled {
            Ok(Polled::Yields) => return TaskPoll::Yield,
            Ok(Polled::Waits(why)) => {
                self.shared.io.begin_wait(self.recipe.environment.world.mono(), why == Waiting::ForOutput);
                return TaskPoll::Pending;
            }
            Ok(Polled::Finished) => self.end(ExecutionState::Finished, None),
            Ok(Polled::Cancelled) => self.end(ExecutionState::Canceled, None),
            Err(error) => self.end(ExecutionState::Failed, Some(error)),
        }
        TaskPoll::Done
    }

    fn name(&self) -> &str {
        &self.shared.name
    }
}

impl Drop for StreamTask {
    /// A task that is dropped unfinished (abandoned, or its executor shut down) lets go of everything all the same.
    fn drop(&mut self) {
        if !self.over {
            let _ = self.release();
        }
    }
}

/// The simulator holds elements back for this long at a time.
const HELD_BACK: Duration = Duration::from_micros(100);

impl Running {
    /// Something has come from outside.
    fn receive(&mut self, mail: Mail, cx: &PollContext<'_>, recipe: &Recipe) -> Result<()> {
        let Self { chain, inputs, checkpoints, .. } = self;
        match mail {
            Mail::Event(operator, event) => {
                let at = recipe.operator_index(operator).ok_or_else(|| Error::bug(format!("no operator {operator} in this task")))?;
                chain.handle_event(at, event, cx.waker())
            }
            Mail::Trigger(barrier) => {
                if checkpoints.trigger(barrier, chain, inputs.as_mut(), (cx.waker(), &recipe.environment.world))? {
                    self.open_inputs = 0;
                }
                Ok(())
            }
            Mail::Complete(checkpoint) => checkpoints.complete(checkpoint, chain, cx.waker()),
            Mail::Aborted(checkpoint) => {
                if let Some(inputs) = inputs {
                    inputs.barriers.abort(checkpoint, recipe.environment.world.now());
                }
                checkpoints.aborted(checkpoint, chain, cx.waker())
            }
        }
    }

    /// Looks after barriers: those that were announced, those whose time has come, and the snapshot at hand.
    fn look_after_barriers(&mut self, cx: &PollContext<'_>, world: &World) -> Result<()> {
        let Self { chain, inputs, checkpoints, .. } = self;
        if let Some(inputs) = inputs {
            inputs.barriers.look(world.now());
            checkpoints.attend(chain, inputs, (cx.waker(), world))?;
        }
        if checkpoints.has_open() {
            checkpoints.overtake_output(chain, world.now());
            checkpoints.hand_over(chain);
        }
        Ok(())
    }

    /// One step of the chain, in which operators may hand over a snapshot.
    fn step(&mut self, cx: &PollContext<'_>, world: &World) -> Result<ChainStep> {
        let step = self.chain.step(cx.waker())?;
        if self.chain.is_taking() {
            self.checkpoints.collect(&mut self.chain, self.inputs.as_ref(), world);
            self.checkpoints.hand_over(&self.chain);
        }
        Ok(step)
    }

    fn work(&mut self, cx: &mut PollContext<'_>, recipe: &Recipe) -> Result<Polled> {
        let world = &recipe.environment.world;
        let perturb = recipe.environment.exchanges.perturb();
        self.look_after_barriers(cx, world)?;
        self.flush_overdue(cx.now());
        if !self.chain.wiring.pump(cx.waker())? {
            return Ok(self.wait(cx, world.now(), Waiting::ForOutput));
        }
        if !self.blocked_for.is_zero() {
            self.chain.back_pressured(std::mem::take(&mut self.blocked_for));
        }
        // What had been emitted when operators were last asked for more in vain. If nothing has been since, they have nothing more: what
        // left made room, and may not have been all, so nobody wakes the task for the rest.
        let mut emitted = self.chain.wiring.emitted;
        let mut more = self.look_after(cx, world.now())?;
        loop {
            if perturb.is_some_and(|perturb| perturb.flush_early()) {
                self.chain.wiring.writers.iter_mut().for_each(crate::writer::RecordWriter::flush_now);
            }
            if !self.chain.wiring.pump(cx.waker())? {
                return Ok(self.wait(cx, world.now(), Waiting::ForOutput));
            }
            if self.checkpoints.has_open() {
                self.checkpoints.hand_over(&self.chain);
            }
            if self.checkpoints.stops() {
                return self.finish(cx, world.now());
            }
            match self.step(cx, world)? {
                ChainStep::Did => {}
                ChainStep::Blocked => {
                    more = self.look_after(cx, world.now())?;
                    if std::mem::replace(&mut emitted, self.chain.wiring.emitted) == self.chain.wiring.emitted {
                        return self.drained(cx, world.now());
                    }
                }
                ChainStep::Idle if more => more = self.look_after(cx, world.now())?,
                ChainStep::Idle if self.open_inputs == 0 && self.checkpoints.may_end() => return self.finish(cx, world.now()),
                ChainStep::Idle => match self.read(cx, world)? {
                    ReadStep::Did => {}
                    step => {
                        if step == ReadStep::HeldBack {
                            cx.wake_at(cx.now().after(HELD_BACK));
                        }
                        if std::mem::replace(&mut emitted, self.chain.wiring.emitted) == self.chain.wiring.emitted
                            || !self.chain.has_pending()
                        {
                            return self.drained(cx, world.now());
                        }
                        more = self.look_after(cx, world.now())?;
                    }
                },
            }
            if self.chain.is_out_of_time() || cx.out_of_time() {
                self.chain.refresh_timers();
                return Ok(Polled::Yields);
            }
        }
    }

    /// Asynchronous work and timers. True when there is more of it.
    fn look_after(&mut self, cx: &PollContext<'_>, now: Timestamp) -> Result<bool> {
        let more = self.chain.poll_pending(cx.waker())?;
        Ok(self.chain.fire_timers(now, cx.waker())? || more)
    }

    /// Gets the next element into the chain.
    fn read(&mut self, cx: &mut PollContext<'_>, world: &World) -> Result<ReadStep> {
        if self.open_inputs == 0 && !std::mem::replace(&mut self.end_of_data, true) {
            self.checkpoints.news.push(News::EndOfData);
        }
        let Some(inputs) = &mut self.inputs else {
            if self.open_inputs == 0 || self.checkpoints.is_paused() {
                return Ok(ReadStep::Drained);
            }
            return Ok(match self.chain.poll_source(cx.waker())? {
                SourcePoll::More => ReadStep::Did,
                SourcePoll::Waiting => ReadStep::Drained,
                SourcePoll::Finished => {
                    self.open_inputs = 0;
                    ReadStep::Did
                }
            });
        };
        Ok(match inputs.next(cx.waker(), || world.now()) {
            Next::Element(input, element) => {
                if matches!(element, brisk_core::element::Element::EndOfInput) {
                    self.open_inputs -= 1;
                }
                self.chain.wiring.push(0, input, element);
                ReadStep::Did
            }
            Next::Barrier => {
                self.checkpoints.attend(&mut self.chain, inputs, (cx.waker(), world))?;
                ReadStep::Did
            }
            Next::Nothing => ReadStep::Drained,
            Next::HeldBack => ReadStep::HeldBack,
            Next::Failed(error) => return Err(error),
        })
    }

    /// Everything that came is processed: let go what gathers, and wait.
    fn drained(&mut self, cx: &mut PollContext<'_>, now: Timestamp) -> Result<Polled> {
        self.chain.wiring.flush(cx.now());
        if !self.chain.wiring.pump(cx.waker())? {
            return Ok(self.wait(cx, now, Waiting::ForOutput));
        }
        Ok(self.wait(cx, now, Waiting::ForInput))
    }

    /// All inputs have ended and the chain is drained, or the job is being stopped: over, as soon as everything is sent.
    fn finish(&mut self, cx: &mut PollContext<'_>, now: Timestamp) -> Result<Polled> {
        debug_assert!(self.chain.is_drained() || self.checkpoints.stops());
        // Without checkpoints nobody waits for the end of a channel.
        if !std::mem::replace(&mut self.channels_ended, true) && self.checkpoints.is_enabled() {
            for writer in &mut self.chain.wiring.writers {
                writer.write(Element::EndOfChannel, cx.now())?;
            }
        }
        self.chain.wiring.writers.iter_mut().for_each(crate::writer::RecordWriter::flush_now);
        if !self.chain.wiring.pump(cx.waker())? {
            return Ok(self.wait(cx, now, Waiting::ForOutput));
        }
        Ok(Polled::Finished)
    }

    /// Arranges all wake-ups that do not come from input or output.
    fn wait(&mut self, cx: &mut PollContext<'_>, now: Timestamp, why: Waiting) -> Polled {
        self.chain.refresh_timers();
        let writers = &self.chain.wiring.writers;
        let barriers = self.inputs.as_ref().and_then(|inputs| inputs.barriers.deadline());
        let barriers = [barriers, self.checkpoints.output_deadline(&self.chain)].into_iter().flatten().min();
        if let Some(at) = barriers {
            cx.wake_at(cx.now().after(Duration::from_millis(u64::try_from((at - now).0).unwrap_or(0))));
        }
        if why == Waiting::ForOutput {
            if self.inputs.as_ref().is_some_and(|inputs| !inputs.watch(cx.waker())) {
                cx.wake_at(cx.now());
            }
            // Operators wait, but what gathers for another exchange is not held up.
            let overdue = writers.iter().filter_map(crate::writer::RecordWriter::flush_deadline).min();
            overdue.into_iter().for_each(|at| cx.wake_at(at));
            return Polled::Waits(why);
        }
        let pending = writers.iter().filter_map(crate::writer::RecordWriter::pending_flush).min();
        pending.into_iter().for_each(|at| cx.wake_at(at));
        if let Some(at) = self.chain.next_time() {
            let millis = u64::try_from((at - now).0).unwrap_or(0);
            cx.wake_at(cx.now().after(Duration::from_millis(millis)));
        }
        cx.wake_at(self.chain.wiring.wake_at);
        Polled::Waits(why)
    }

    /// Sends batches that have gathered for too long.
    fn flush_overdue(&mut self, now: MonoTime) {
        for writer in &mut self.chain.wiring.writers {
            if writer.flush_deadline().is_some_and(|at| at <= now) {
                writer.flush_now();
            }
        }
    }
}

/// What reading came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadStep {
    Did,
    Drained,
    HeldBack,
}

#[cfg(test)]
mod tests;

//! A cluster that is driven step by step: the real control plane and real tasks, one thread, one seed.
//!
//! In each step either a control message is delivered, or a task is polled, or, when neither is possible, time leaps to the next deadline.
//! The seed decides which; in some moods time leaps early, too.

use crate::clock::{VirtualClock, world};
use crate::dump;
use crate::launcher::SimLauncher;
use crate::mood::{Chaos, Mood};
use crate::trace::Trace;
use brisk_base::options::Configuration;
use brisk_base::world::{MonoTime, Rng};
use brisk_base::{Error, Result};
use brisk_cluster::Gateway;
use brisk_cluster::services::Services;
use brisk_cluster::transport::ControlPlane;
use brisk_runtime::executor::StepExecutor;
use std::sync::Arc;
use std::time::Duration;

/// How far time leaps at most while something can run. Far below the control plane's own timeouts, which an idle cluster alone may meet.
const LONGEST_LEAP: Duration = Duration::from_millis(50);

/// Steps that are kept for reports of a failure.
const STEPS_KEPT: usize = 24;

/// See the module.
pub(crate) struct SimCluster {
    seed: u64,
    mood: Mood,
    rng: Rng,
    clock: Arc<VirtualClock>,
    executor: Arc<StepExecutor>,
    plane: ControlPlane,
    launcher: Arc<SimLauncher>,
    /// Actors of a cluster without jobs.
    idle_actors: usize,
    trace: Trace,
    max_steps: u64,
}

impl SimCluster {
    /// A cluster without jobs, and the gateway that takes jobs for it.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub(crate) fn new(seed: u64, services: &Services, max_steps: u64) -> Result<(Self, Gateway)> {
        let mut rng = Rng::seeded(seed);
        let mood = Mood::draw(&mut rng);
        let clock = VirtualClock::new(mood.tick);
        let world = world(&clock, rng.next_u64());
        let executor = Arc::new(StepExecutor::new(world.clone()));
        let chaos = Arc::new(Chaos::new(mood.clone(), Rng::seeded(rng.next_u64())));
        let launcher = Arc::new(SimLauncher::new(Arc::clone(&executor), services.clone(), chaos));
        let mut plane = ControlPlane::stepped(&world);
        let gateway = Gateway::assemble(&mut plane, &world, &Configuration::new(), Arc::<SimLauncher>::clone(&launcher), services)?;
        let idle_actors = plane.actor_count();
        let trace = Trace::new(STEPS_KEPT);
        let mut cluster = Self { seed, mood, rng, clock, executor, plane, launcher, idle_actors, trace, max_steps };
        // A job that comes before the TaskManager has registered is refused for lack of slots, as it should be.
        cluster.settle();
        Ok((cluster, gateway))
    }

    /// Lets tasks crash so many times, each time within so many polls.
    pub(crate) fn let_crash(&self, times: u64, spread: u64) {
        self.launcher.let_crash(times, spread);
    }

    /// What was done so far.
    pub(crate) const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was done so far, for the simulation's own deeds.
    pub(crate) const fn trace_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// Virtual time since the begin.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.peek().since(MonoTime(0))
    }

    /// Does one step; false when nothing can run and nothing waits for its time.
    ///
    /// # Errors
    /// When there have been too many steps.
    pub(crate) fn step(&mut self) -> Result<bool> {
        if self.trace.steps() >= self.max_steps {
            let text =
                format!("still running after {} steps (seed {}); if it should take so long, raise max_steps", self.max_steps, self.seed);
            return Err(Error::bug(format!("{text}\n{}", dump::standing(&self.launcher, &self.trace))));
        }
        self.let_time_pass();
        Ok(self.run_something() || self.leap_if_any())
    }

    /// Wakes tasks whose time has come, which in some moods it does before all others had their turn. The control plane looks by itself.
    fn let_time_pass(&mut self) {
        if self.executor.next_deadline() <= self.clock.peek() {
            self.executor.fire_due();
        }
        if self.one_in(self.mood.leap) {
            let (now, next) = (self.clock.peek(), self.next_deadline());
            if next > now && next <= now.after(LONGEST_LEAP) {
                self.leap(next);
            }
        }
    }

    /// Runs what can run without time passing, at most up to the limit of steps.
    pub(crate) fn settle(&mut self) {
        while self.trace.steps() < self.max_steps && self.run_something() {}
    }

    fn run_something(&mut self) -> bool {
        let control_first = self.one_in(self.mood.control);
        (control_first && self.deliver()) || self.poll() || self.deliver()
    }

    fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.rng.one_in(n)
    }

    fn deliver(&mut self) -> bool {
        let delivered = self.plane.step(&mut self.rng);
        if delivered {
            self.trace.message();
        }
        delivered
    }

    fn poll(&mut self) -> bool {
        let checks = self.rng.below(self.mood.checks) as u32;
        let Some(stepped) = self.executor.run_one(&mut self.rng, checks) else { return false };
        self.trace.polled(stepped);
        true
    }

    fn next_deadline(&mut self) -> MonoTime {
        self.executor.next_deadline().min(self.plane.next_timer().unwrap_or(MonoTime::NEVER))
    }

    fn leap_if_any(&mut self) -> bool {
        let next = self.next_deadline();
        if next != MonoTime::NEVER {
            self.leap(next);
        }
        next != MonoTime::NEVER
    }

    fn leap(&mut self, to: MonoTime) {
        self.clock.advance_to(to);
        self.executor.fire_due();
        self.trace.time(self.clock.peek());
    }

    /// The error of a job that waits for something that never comes.
    pub(crate) fn deadlock(&self) -> Error {
        let text = format!("nothing can run and nothing waits for its time, but the job is not over (seed {})", self.seed);
        Error::bug(format!("{text}\n{}", dump::standing(&self.launcher, &self.trace)))
    }

    /// What is left after all jobs are over, and should not be.
    pub(crate) fn leaks(&mut self) -> Vec<String> {
        self.settle();
        self.launcher.forget();
        let mut found = Vec::new();
        let mut note = |count: usize, what: &str| {
            if count > 0 {
                found.push(format!("{count} {what}"));
            }
        };
        note(self.executor.live_tasks(), "tasks have not been dropped");
        note(self.plane.actor_count().saturating_sub(self.idle_actors), "control actors have not stopped");
        note(self.launcher.live_exchanges(), "references to channels are left");
        found
    }
}

impl Drop for SimCluster {
    /// Tasks that are left hold user code, which is dropped here and not by whoever is last to let go of the executor.
    fn drop(&mut self) {
        self.executor.shutdown();
    }
}

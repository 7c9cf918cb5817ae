//! What the simulator disturbs, and how much.
//!
//! Each seed draws its own rates, from never to nearly always: a bug that needs tiny batches and slow channels at once is found by a seed
//! that has both, not by a mixture that has a little of everything.

use crate::planted::{Planted, lose_timer};
use brisk_base::world::Rng;
use brisk_core::state::OperatorSnapshot;
use brisk_runtime::exchange::Perturb;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that happens once in so many times on average; 0: never.
type OneIn = u64;

/// The rates of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Mood {
    /// Nanoseconds that pass with each look at the clock.
    pub(crate) tick: u64,
    /// A control message comes before the tasks that can run.
    pub(crate) control: OneIn,
    /// Time leaps to the next deadline although something can run.
    pub(crate) leap: OneIn,
    /// Looks at the clock before a poll is out of time, fewer than this; at least 2.
    pub(crate) checks: u64,
    /// A gate with elements says that it has none.
    hold_back: OneIn,
    /// A batch is cut.
    cut: OneIn,
    /// Partly full batches are sent.
    flush_early: OneIn,
    /// A poll gets no time.
    tire: OneIn,
    /// Channels are read in order of arrival.
    in_order: bool,
}

impl Mood {
    /// The rates that belong to a seed.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        // A task that is never given a second look at its work would never find out that it has to wait.
        let mut one_of = |choices: &[u64]| choices[rng.below(choices.len() as u64) as usize];
        Self {
            tick: one_of(&[0, 100, 10_000, 400_000]),
            control: one_of(&[2, 8, 64]),
            leap: one_of(&[0, 200, 20]),
            checks: one_of(&[2, 3, 6, 100]),
            hold_back: one_of(&[0, 2, 8, 40]),
            cut: one_of(&[0, 1, 2, 8]),
            flush_early: one_of(&[0, 1, 3, 20]),
            tire: one_of(&[0, 2, 3, 20]),
            in_order: one_of(&[0, 0, 1]) == 1,
        }
    }
}

/// Disturbs the channels of all jobs of a simulation, and lets tasks crash.
pub(crate) struct Chaos {
    mood: Mood,
    rng: Mutex<Rng>,
    crashes: Mutex<Crashes>,
}

/// When tasks crash.
#[derive(Default)]
struct Crashes {
    /// How many are still to come.
    left: u64,
    /// Polls until the next.
    polls: u64,
    /// Polls between two, fewer than this.
    spread: u64,
}

impl Chaos {
    /// Disturbs at the rates of `mood`.
    pub(crate) fn new(mood: Mood, rng: Rng) -> Self {
        Self { mood, rng: Mutex::new(rng), crashes: Mutex::default() }
    }

    /// Lets tasks crash so many times from now on, each time within so many polls of tasks.
    pub(crate) fn let_crash(&self, times: u64, spread: u64) {
        let polls = self.rng().below(spread.max(1));
        *self.crashes.lock().unwrap_or_else(PoisonError::into_inner) = Crashes { left: times, polls, spread: spread.max(1) };
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn one_in(&self, n: OneIn) -> bool {
        n > 0 && self.rng().one_in(n)
    }
}

impl Perturb for Chaos {
    fn pick(&self, candidates: usize) -> usize {
        if self.mood.in_order { 0 } else { self.rng().below(candidates as u64) as usize }
    }

    fn hold_back(&self) -> bool {
        self.one_in(self.mood.hold_back)
    }

    fn cut(&self, rows: usize) -> Option<usize> {
        self.one_in(self.mood.cut).then(|| self.rng().below(rows as u64 + 1) as usize)
    }

    fn flush_early(&self) -> bool {
        self.one_in(self.mood.flush_early)
    }

    fn crash(&self) -> bool {
        let mut crashes = self.crashes.lock().unwrap_or_else(PoisonError::into_inner);
        if crashes.left == 0 {
            return false;
        }
        if crashes.polls > 0 {
            crashes.polls -= 1;
            return false;
        }
        crashes.left -= 1;
        crashes.polls = self.rng().below(crashes.spread);
        true
    }

    fn tire(&self) -> bool {
        self.one_in(self.mood.tire)
    }

    fn skips_barriers(&self) -> bool {
        Planted::SkippedBarrier.is_in()
    }

    fn tamper(&self, snapshot: &mut OperatorSnapshot) {
        if Planted::LostTimer.is_in() {
            lose_timer(snapshot);
        }
    }
}

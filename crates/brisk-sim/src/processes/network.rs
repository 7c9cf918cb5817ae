//! The network between simulated processes: it delays frames, and as long as it is let to, it loses, repeats and reorders them, is silent for a
//! while, or breaks.
//!
//! A connection has two pipes, one in each direction. A frame is under way in its pipe until the seed has it arrive; then its reader is woken.

use brisk_base::world::{MonoTime, Rng, World};
use brisk_base::{Error, Result};
use brisk_cluster::link::carrier::{Carrier, FrameReceiver, FrameSender};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What happens to frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    /// How long a frame takes at most.
    pub(crate) delay: Duration,
    /// Faults that are still to come.
    pub(crate) faults: u64,
    /// One frame in so many meets one.
    pub(crate) one_in: u64,
}

/// See the module. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Network {
    state: Arc<Mutex<State>>,
    world: World,
}

struct State {
    pipes: BTreeMap<u64, Pipe>,
    /// The number of the next connection.
    next: u64,
    weather: Weather,
    rng: Rng,
    counts: Counts,
}

/// What was done to frames.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    delivered: u64,
    lost: u64,
    repeated: u64,
    reordered: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delivered, lost, repeated, reordered } = self;
        write!(f, "{delivered} frames delivered, {lost} lost, {repeated} repeated, {reordered} reordered")
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    under_way: VecDeque<(MonoTime, What)>,
    arrived: VecDeque<What>,
    reader: Option<Waker>,
    /// Whatever is sent vanishes.
    silent: bool,
}

/// What arrives.
enum What {
    Frame(Vec<u8>),
    /// The other side has finished.
    End,
    /// The connection is broken.
    Break,
}

/// The end of a pipe.
struct End {
    network: Network,
    pipe: u64,
}

impl Network {
    pub(crate) fn new(world: &World, weather: Weather, rng: Rng) -> Self {
        let state = State { pipes: BTreeMap::new(), next: 0, weather, rng, counts: Counts::default() };
        Self { state: Arc::new(Mutex::new(state)), world: world.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: its number, and what either side has of it.
    pub(crate) fn connect(&self) -> (u64, Carrier, Carrier) {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let (there, back) = (number * 2, number * 2 + 1);
        state.pipes.insert(there, Pipe::default());
        state.pipes.insert(back, Pipe::default());
        drop(state);
        let end = |pipe| Box::new(End { network: self.clone(), pipe });
        let side = |to, from| Carrier { sender: end(to), receiver: end(from), connection: None };
        (number, side(there, back), side(back, there))
    }

    /// What is sent on a connection from now on vanishes, and nobody is told.
    pub(crate) fn silence(&self, connection: u64) {
        for pipe in [connection * 2, connection * 2 + 1] {
            self.state().pipes.entry(pipe).and_modify(|pipe| pipe.silent = true);
        }
    }

    /// A connection breaks: either side notices when the seed wants it, after what is under way.
    pub(crate) fn break_off(&self, connection: u64) {
        for pipe in [connection * 2, connection * 2 + 1] {
            self.put(pipe, What::Break);
            self.state().pipes.entry(pipe).and_modify(|pipe| pipe.silent = true);
        }
    }

    /// No more faults.
    pub(crate) fn calm(&self) {
        self.state().weather.faults = 0;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    fn put(&self, number: u64, what: What) {
        let now = self.world.mono();
        let state = &mut *self.state();
        let Some(pipe) = state.pipes.get_mut(&number).filter(|pipe| !pipe.silent) else { return };
        let delay = Duration::from_nanos(state.rng.below(state.weather.delay.as_nanos() as u64 + 1));
        let after = pipe.under_way.back().map_or(MonoTime(0), |(due, _)| *due);
        let due = now.after(delay).max(after);
        let fault = state.weather.faults > 0 && state.rng.one_in(state.weather.one_in.max(1));
        match what {
            What::Frame(frame) if fault => {
                state.weather.faults -= 1;
                match state.rng.below(3) {
                    0 => state.counts.lost += 1,
                    1 => {
                        state.counts.repeated += 1;
                        pipe.under_way.push_back((due, What::Frame(frame.clone())));
                        pipe.under_way.push_back((due, What::Frame(frame)));
                    }
                    _ => {
                        state.counts.reordered += 1;
                        let at = pipe.under_way.len().saturating_sub(1);
                        pipe.under_way.insert(at, (due.min(after).max(now), What::Frame(frame)));
                    }
                }
            }
            what => pipe.under_way.push_back((due, what)),
        }
    }

    /// Lets something arrive that is due; false when nothing is.
    pub(crate) fn deliver(&self, rng: &mut Rng) -> bool {
        let now = self.world.mono();
        let reader = {
            let state = &mut *self.state();
            let due = |pipe: &Pipe| pipe.under_way.front().is_some_and(|(due, _)| *due <= now);
            let ready: Vec<u64> = state.pipes.iter().filter(|(_, pipe)| due(pipe)).map(|(number, _)| *number).collect();
            if ready.is_empty() {
                return false;
            }
            let chosen = ready[rng.below(ready.len() as u64) as usize];
            let Some(pipe) = state.pipes.get_mut(&chosen) else { return false };
            pipe.arrived.extend(pipe.under_way.pop_front().map(|(_, what)| what));
            state.counts.delivered += 1;
            pipe.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
        true
    }

    /// When something arrives next.
    pub(crate) fn next_due(&self) -> MonoTime {
        let state = self.state();
        let fronts = state.pipes.values().filter_map(|pipe| pipe.under_way.front().map(|(due, _)| *due));
        fronts.min().unwrap_or(MonoTime::NEVER)
    }
}

impl FrameSender for End {
    fn poll_send(&mut self, _cx: &mut Context<'_>, frame: &[u8]) -> Poll<Result<()>> {
        self.network.put(self.pipe, What::Frame(frame.to_vec()));
        Poll::Ready(Ok(()))
    }

    fn finish(self: Box<Self>) {
        self.network.put(self.pipe, What::End);
    }
}

impl FrameReceiver for End {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>> {
        let mut state = self.network.state();
        let Some(pipe) = state.pipes.get_mut(&self.pipe) else { return Poll::Ready(None) };
        match pipe.arrived.pop_front() {
            Some(What::Frame(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(What::End) => Poll::Ready(None),
            Some(What::Break) => Poll::Ready(Some(Err(Error::transient("the simulated connection is broken")))),
            None => {
                pipe.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

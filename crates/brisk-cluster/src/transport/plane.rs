//! Delivers messages to actors: in order of arrival on a thread, or one at a time in a random order for the simulator.

use super::actor::{Actor, ActorContext, ErasedActor, Spawned, Typed};
use super::address::{Address, Envelope, Inbox, Parties, Party};
use brisk_base::world::{MonoTime, Rng, World};
use brisk_base::{Error, Result};
use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Actors that take turns on one thread. See the module.
pub struct ControlPlane {
    world: World,
    parties: Parties,
    /// Messages from actors and from outside.
    inbox: Arc<Inbox>,
    actors: BTreeMap<Party, Box<dyn ErasedActor>>,
    /// Messages whose time has not come, the next one first; equal times in the order of sending.
    timers: BinaryHeap<Reverse<Timer>>,
    /// Number of timers so far.
    timer_count: u64,
    /// Stepping only: what may be delivered next.
    channels: Channels,
    /// Whether isolated actors get threads.
    threads: bool,
    /// Threads of isolated actors.
    isolated: Vec<PlaneThread>,
}

struct Timer {
    due: MonoTime,
    number: u64,
    envelope: Envelope,
}

impl ControlPlane {
    /// A plane that is stepped by its owner: everything happens on the caller's thread.
    pub fn stepped(world: &World) -> Self {
        Self::new(world, Parties::default(), Arc::default(), false)
    }

    /// A plane that is to be [started](Self::start).
    pub fn threaded(world: &World) -> Self {
        Self::new(world, Parties::default(), Arc::default(), true)
    }

    fn new(world: &World, parties: Parties, inbox: Arc<Inbox>, threads: bool) -> Self {
        Self {
            world: world.clone(),
            parties,
            inbox,
            actors: BTreeMap::new(),
            timers: BinaryHeap::new(),
            timer_count: 0,
            channels: Channels::default(),
            threads,
            isolated: Vec::new(),
        }
    }

    /// Adds an actor.
    pub fn spawn<A: Actor>(&mut self, actor: A) -> Address<A::Message> {
        let party = self.parties.next();
        self.actors.insert(party, Box::new(Typed(actor)));
        Address::new(&self.inbox, party, &self.parties)
    }

    /// Whether it is made to run on a thread.
    pub const fn has_threads(&self) -> bool {
        self.threads
    }

    /// Number of actors that have not stopped.
    pub fn actor_count(&self) -> usize {
        self.actors.len()
    }

    /// Ends a plane that is stepped: its actors are dropped, and what has not been delivered.
    pub fn end(mut self) {
        self.inbox.stop();
        let (actors, timers, channels) =
            (std::mem::take(&mut self.actors), std::mem::take(&mut self.timers), std::mem::take(&mut self.channels));
        quietly_drop((actors, timers, channels));
    }

    /// When the next delayed message is due.
    pub fn next_timer(&mut self) -> Option<MonoTime> {
        self.fetch();
        self.timers.peek().map(|Reverse(timer)| timer.due)
    }

    /// Delivers one message, chosen at random among the oldest of each sender and receiver; false when there is none to deliver now.
    pub fn step(&mut self, rng: &mut Rng) -> bool {
        self.fetch();
        let now = self.world.mono();
        while let Some(envelope) = self.take_due(now) {
            self.channels.push(envelope);
        }
        match self.channels.pick(rng) {
            Some(envelope) => {
                self.deliver(envelope);
                true
            }
            None => false,
        }
    }

    /// Stepping: sorts what has arrived into channels and timers.
    fn fetch(&mut self) {
        for envelope in self.inbox.take() {
            match envelope.due {
                Some(_) => self.delay(envelope),
                None => self.channels.push(envelope),
            }
        }
    }

    fn delay(&mut self, envelope: Envelope) {
        let due = envelope.due.unwrap_or_default();
        self.timer_count += 1;
        self.timers.push(Reverse(Timer { due, number: self.timer_count, envelope }));
    }

    fn take_due(&mut self, now: MonoTime) -> Option<Envelope> {
        let due = self.timers.peek().is_some_and(|Reverse(timer)| timer.due <= now);
        due.then(|| self.timers.pop().map(|Reverse(timer)| timer.envelope)).flatten()
    }

    /// Runs on a new thread until stopped.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(self, name: &str) -> Result<PlaneThread> {
        self.try_start(name).map_err(|(error, plane)| {
            quietly_drop(plane);
            error
        })
    }

    /// Gives the plane back when there is no thread for it.
    fn try_start(self, name: &str) -> Result<PlaneThread, (Error, Option<Box<Self>>)> {
        let (inbox, world, ended) = (Arc::clone(&self.inbox), self.world.clone(), Arc::<Latch>::default());
        let (signal, plane) = (Arc::clone(&ended), Arc::new(Mutex::new(Some(Box::new(self)))));
        let handed_over = Arc::clone(&plane);
        let take = |from: &Mutex<Option<Box<Self>>>| from.lock().unwrap_or_else(PoisonError::into_inner).take();
        let body = Box::new(move || {
            if let Some(mut plane) = take(&handed_over) {
                plane.run();
                quietly_drop(plane);
            }
            signal.open();
        });
        match world.spawner.spawn(name, body) {
            Ok(thread) => Ok(PlaneThread { name: name.to_owned(), inbox, ended, thread: Some(thread) }),
            Err(error) => Err((Error::from(error).context(format!("starting thread '{name}'")), take(&plane))),
        }
    }

    fn run(&mut self) {
        while !self.actors.is_empty() {
            let patience = self.timers.peek().map(|Reverse(timer)| timer.due.since(self.world.mono()));
            let Some(arrived) = self.inbox.wait(patience) else { break };
            for envelope in arrived {
                match envelope.due {
                    Some(_) => self.delay(envelope),
                    None => self.deliver(envelope),
                }
            }
            let now = self.world.mono();
            while let Some(envelope) = self.take_due(now) {
                self.deliver(envelope);
            }
        }
        self.inbox.stop();
        let patience = Duration::from_secs(1);
        for mut child in std::mem::take(&mut self.isolated) {
            if !child.stop(patience) {
                tracing::warn!(thread = child.name(), "user code does not return; its thread is given up");
            }
        }
    }

    fn deliver(&mut self, envelope: Envelope) {
        let Envelope { to, message, .. } = envelope;
        let Some(mut actor) = self.actors.remove(&to) else { return quietly_drop(message) };
        let (handled, mut stopped) = self.call(to, |cx| actor.handle(message, cx));
        if let Err(panic) = handled {
            tracing::error!(panic, "a control actor panicked");
            let error = Error::bug(format!("a control actor panicked: {panic}"));
            let _ = self.call(to, |cx| actor.crashed(error, cx));
            stopped = true;
        }
        if stopped {
            quietly_drop(actor);
        } else {
            self.actors.insert(to, actor);
        }
    }

    /// Calls an actor, and adds those that it spawned. Gives the panic's message, and whether the actor wants to stop.
    fn call(&mut self, me: Party, handle: impl FnOnce(&mut ActorContext<'_>)) -> (Result<(), String>, bool) {
        let (mut spawned, mut stopped) = (Vec::new(), false);
        let mut cx = ActorContext {
            me,
            inbox: &self.inbox,
            parties: &self.parties,
            world: &self.world,
            threads: self.threads,
            spawned: &mut spawned,
            stopped: &mut stopped,
        };
        let handled = guarded(|| handle(&mut cx));
        spawned.into_iter().for_each(|spawned| self.adopt(spawned));
        (handled, stopped)
    }

    fn adopt(&mut self, spawned: Spawned) {
        let Spawned { party, actor, isolated } = spawned;
        let Some((name, inbox)) = isolated else {
            self.actors.insert(party, actor);
            return;
        };
        self.isolated.retain_mut(|thread| !thread.join_if_ended());
        let mut plane = Self::new(&self.world, self.parties.clone(), inbox, true);
        plane.actors.insert(party, actor);
        match plane.try_start(&name) {
            Ok(thread) => self.isolated.push(thread),
            Err((error, plane)) => {
                if let Some(mut actor) = plane.and_then(|mut plane| plane.actors.remove(&party)) {
                    let _ = self.call(party, |cx| actor.crashed(error, cx));
                    quietly_drop(actor);
                }
            }
        }
    }
}

/// A plane that runs on a thread of its own.
pub struct PlaneThread {
    name: String,
    inbox: Arc<Inbox>,
    ended: Arc<Latch>,
    /// Taken when joined.
    thread: Option<JoinHandle<()>>,
}

impl PlaneThread {
    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the plane after the message that it handles now, and waits for it at most so long; false when it has not ended by then.
    pub fn stop(&mut self, patience: Duration) -> bool {
        self.inbox.stop();
        if self.ended.wait(patience) {
            self.join();
        }
        self.thread.is_none()
    }

    fn join_if_ended(&mut self) -> bool {
        self.stop_if_ended();
        self.thread.is_none()
    }

    fn stop_if_ended(&mut self) {
        if self.ended.wait(Duration::ZERO) {
            self.join();
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(thread = self.name, "a control thread panicked");
        }
    }
}

/// Opens once.
#[derive(Default)]
struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Latch {
    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn wait(&self, patience: Duration) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *self.opened.wait_timeout_while(open, patience, |open| !*open).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Messages that may be delivered, by sender and receiver.
#[derive(Default)]
struct Channels {
    waiting: HashMap<(Party, Party), VecDeque<Envelope>>,
    /// The keys of `waiting`, in an order that depends only on what was pushed and picked.
    open: Vec<(Party, Party)>,
}

impl Channels {
    fn push(&mut self, envelope: Envelope) {
        let channel = (envelope.from, envelope.to);
        let queue = self.waiting.entry(channel).or_default();
        if queue.is_empty() {
            self.open.push(channel);
        }
        queue.push_back(envelope);
    }

    fn pick(&mut self, rng: &mut Rng) -> Option<Envelope> {
        let at = rng.below(self.open.len() as u64) as usize;
        let channel = *self.open.get(at)?;
        let queue = self.waiting.get_mut(&channel)?;
        let envelope = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&channel);
            self.open.swap_remove(at);
        }
        envelope
    }
}

/// Runs code that may panic; the panic's message.
pub(crate) fn guarded<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| message_of(panic.as_ref()))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Drops what may hold user code.
pub(crate) fn quietly_drop<T>(value: T) {
    if let Err(panic) = guarded(|| drop(value)) {
        tracing::error!(panic, "a destructor panicked");
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

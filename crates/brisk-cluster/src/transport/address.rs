//! Where messages are sent to, and the inbox in which they wait for delivery.

use brisk_base::world::MonoTime;
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who sends or receives. Actors and senders from outside (tasks, clients) draw from one sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Party(u64);

/// Gives out parties; shared by all planes that talk to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Parties(Arc<AtomicU64>);

impl Parties {
    /// One that nobody else is.
    pub(super) fn next(&self) -> Party {
        Party(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A message on its way.
pub(super) struct Envelope {
    pub(super) from: Party,
    pub(super) to: Party,
    /// When it is to be delivered, if not at once.
    pub(super) due: Option<MonoTime>,
    pub(super) message: Box<dyn Any + Send>,
}

/// What has been sent to the actors of one plane and not been fetched yet. Bounded by what actors have in flight: each protocol states it.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// In the order of sending.
    envelopes: VecDeque<Envelope>,
    /// Whether the plane's thread sleeps.
    sleeping: bool,
    /// Whether the plane is to end, or has: nothing is taken any more.
    stopped: bool,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, envelope: Envelope) {
        let mut state = self.state();
        if state.stopped {
            // Dropping a message may run user code, which must find the lock free.
            drop(state);
            return drop(envelope);
        }
        state.envelopes.push_back(envelope);
        if state.sleeping {
            self.arrived.notify_one();
        }
    }

    /// What has arrived, without waiting.
    pub(super) fn take(&self) -> VecDeque<Envelope> {
        std::mem::take(&mut self.state().envelopes)
    }

    /// What has arrived, waiting for it at most so long; `None` once stopped.
    pub(super) fn wait(&self, patience: Option<Duration>) -> Option<VecDeque<Envelope>> {
        let mut state = self.state();
        if state.envelopes.is_empty() && !state.stopped {
            state.sleeping = true;
            state = match patience {
                Some(patience) => self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0,
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.sleeping = false;
        }
        if state.stopped { None } else { Some(std::mem::take(&mut state.envelopes)) }
    }

    /// Ends the plane; what has not been delivered is dropped.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        let left = std::mem::take(&mut state.envelopes);
        self.arrived.notify_all();
        drop(state);
        drop(left);
    }
}

/// Where an actor that understands `M` is reached. Sending never blocks; a message to an actor that is gone is dropped.
pub struct Address<M> {
    pub(super) inbox: Arc<Inbox>,
    pub(super) to: Party,
    /// On whose behalf [`send`](Self::send) sends.
    from: Party,
    parties: Parties,
    understands: PhantomData<fn(M)>,
}

impl<M: Send + 'static> Address<M> {
    pub(super) fn new(inbox: &Arc<Inbox>, to: Party, parties: &Parties) -> Self {
        Self { inbox: Arc::clone(inbox), to, from: parties.next(), parties: parties.clone(), understands: PhantomData }
    }

    /// The same actor, for a sender of its own: its messages keep their order among themselves only.
    #[must_use]
    pub fn for_new_sender(&self) -> Self {
        Self { from: self.parties.next(), ..self.clone() }
    }

    /// Sends from outside of any actor; actors send through their context.
    pub fn send(&self, message: M) {
        self.inbox.put(Envelope { from: self.from, to: self.to, due: None, message: Box::new(message) });
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self { inbox: Arc::clone(&self.inbox), to: self.to, from: self.from, parties: self.parties.clone(), understands: PhantomData }
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.to.0)
    }
}

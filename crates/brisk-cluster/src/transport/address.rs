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

/// Where an actor that understands `M` is reached, in this process or in another. Sending never blocks; a message to an actor that is gone
/// is dropped.
pub struct Address<M>(Place<M>);

enum Place<M> {
    /// In this process.
    Local {
        inbox: Arc<Inbox>,
        to: Party,
        /// On whose behalf [`Address::send`] sends.
        from: Party,
        parties: Parties,
        understands: PhantomData<fn(M)>,
    },
    /// At the other end of a link.
    Remote(Arc<dyn RemoteActor<M>>),
}

/// An actor of another process.
pub(crate) trait RemoteActor<M>: Send + Sync {
    /// Sends it a message.
    fn send(&self, message: M);

    /// Which link leads to it, and its number there.
    fn number(&self) -> (u64, u64);
}

/// What tells one actor from another, so that each is exported once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum ActorKey {
    /// An actor of this process.
    Local(u64),
    /// Link and number of one of another.
    Remote(u64, u64),
}

impl<M: Send + 'static> Address<M> {
    pub(super) fn new(inbox: &Arc<Inbox>, to: Party, parties: &Parties) -> Self {
        let (from, parties) = (parties.next(), parties.clone());
        Self(Place::Local { inbox: Arc::clone(inbox), to, from, parties, understands: PhantomData })
    }

    /// An actor of another process.
    pub(crate) fn remote(actor: Arc<dyn RemoteActor<M>>) -> Self {
        Self(Place::Remote(actor))
    }

    /// The same actor, for a sender of its own: its messages keep their order among themselves only.
    #[must_use]
    pub fn for_new_sender(&self) -> Self {
        match &self.0 {
            Place::Local { inbox, to, parties, .. } => Self::new(inbox, *to, parties),
            Place::Remote(actor) => Self(Place::Remote(Arc::clone(actor))),
        }
    }

    /// Sends from outside of any actor; actors send through their context.
    pub fn send(&self, message: M) {
        match &self.0 {
            Place::Local { inbox, to, from, .. } => inbox.put(Envelope { from: *from, to: *to, due: None, message: Box::new(message) }),
            Place::Remote(actor) => actor.send(message),
        }
    }

    /// Sends on behalf of an actor.
    pub(super) fn send_from(&self, from: Party, message: M) {
        match &self.0 {
            Place::Local { inbox, to, .. } => inbox.put(Envelope { from, to: *to, due: None, message: Box::new(message) }),
            Place::Remote(actor) => actor.send(message),
        }
    }

    pub(crate) fn key(&self) -> ActorKey {
        match &self.0 {
            Place::Local { to, .. } => ActorKey::Local(to.0),
            Place::Remote(actor) => {
                let (link, number) = actor.number();
                ActorKey::Remote(link, number)
            }
        }
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Place::Local { inbox, to, from, parties, understands } => {
                Place::Local { inbox: Arc::clone(inbox), to: *to, from: *from, parties: parties.clone(), understands: *understands }
            }
            Place::Remote(actor) => Place::Remote(Arc::clone(actor)),
        })
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Local { to, .. } => write!(f, "Address({})", to.0),
            Place::Remote(actor) => write!(f, "Address({:?})", actor.number()),
        }
    }
}

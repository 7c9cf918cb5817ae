//! What an actor is, and what it may do while it handles a message.

use super::address::{Address, Envelope, Inbox, Parties, Party};
use brisk_base::Error;
use brisk_base::world::World;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// A component with a mailbox: one owner of its state.
pub trait Actor: Send + 'static {
    /// What it understands.
    type Message: Send + 'static;

    /// Reacts to one message. Must not block.
    fn handle(&mut self, message: Self::Message, cx: &mut ActorContext<'_>);

    /// [`handle`](Self::handle) has panicked; the actor may tell others and is removed after this.
    fn crashed(&mut self, _error: Error, _cx: &mut ActorContext<'_>) {}
}

/// Sends, delays and spawns on behalf of the actor that handles a message.
pub struct ActorContext<'a> {
    pub(super) me: Party,
    pub(super) inbox: &'a Arc<Inbox>,
    pub(super) parties: &'a Parties,
    pub(super) world: &'a World,
    /// Whether isolated actors get threads.
    pub(super) threads: bool,
    /// Actors to be added after this message.
    pub(super) spawned: &'a mut Vec<Spawned>,
    /// Whether the actor is to be removed after this message.
    pub(super) stopped: &'a mut bool,
}

/// An actor that was spawned by another.
pub(super) struct Spawned {
    pub(super) party: Party,
    pub(super) actor: Box<dyn ErasedActor>,
    /// Name of the thread it wants for itself, with the inbox of that thread.
    pub(super) isolated: Option<(String, Arc<Inbox>)>,
}

impl ActorContext<'_> {
    /// Sends to another actor, or to this one.
    pub fn send<M: Send + 'static>(&mut self, to: &Address<M>, message: M) {
        to.send_from(self.me, message);
    }

    /// Sends to this actor itself, at the earliest after `delay`.
    pub fn send_self_after<M: Send + 'static>(&mut self, delay: Duration, message: M) {
        let due = self.world.mono().after(delay);
        self.inbox.put(Envelope { from: self.me, to: self.me, due: Some(due), message: Box::new(message) });
    }

    /// Sends to this actor itself.
    pub fn send_self<M: Send + 'static>(&mut self, message: M) {
        self.inbox.put(Envelope { from: self.me, to: self.me, due: None, message: Box::new(message) });
    }

    /// This actor's address, as others of type `M` would use it.
    pub fn address<M: Send + 'static>(&self) -> Address<M> {
        Address::new(self.inbox, self.me, self.parties)
    }

    /// Adds an actor beside this one.
    pub fn spawn<A: Actor>(&mut self, actor: A) -> Address<A::Message> {
        let party = self.parties.next();
        self.spawned.push(Spawned { party, actor: Box::new(Typed(actor)), isolated: None });
        Address::new(self.inbox, party, self.parties)
    }

    /// Adds an actor with a thread of its own (where the plane has threads), because it calls user code that may block.
    pub fn spawn_isolated<A: Actor>(&mut self, name: String, actor: A) -> Address<A::Message> {
        if !self.threads {
            return self.spawn(actor);
        }
        let party = self.parties.next();
        let inbox = Arc::new(Inbox::default());
        let address = Address::new(&inbox, party, self.parties);
        self.spawned.push(Spawned { party, actor: Box::new(Typed(actor)), isolated: Some((name, inbox)) });
        address
    }

    /// Removes this actor when the present message has been handled.
    pub fn stop(&mut self) {
        *self.stopped = true;
    }

    /// Clock and randomness.
    pub fn world(&self) -> &World {
        self.world
    }
}

/// An actor whose message type has been erased.
pub(super) trait ErasedActor: Send {
    fn handle(&mut self, message: Box<dyn Any + Send>, cx: &mut ActorContext<'_>);
    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>);
}

pub(super) struct Typed<A>(pub(super) A);

impl<A: Actor> ErasedActor for Typed<A> {
    fn handle(&mut self, message: Box<dyn Any + Send>, cx: &mut ActorContext<'_>) {
        let message = message.downcast::<A::Message>().expect("addresses only take what their actor understands");
        self.0.handle(*message, cx);
    }

    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        self.0.crashed(error, cx);
    }
}

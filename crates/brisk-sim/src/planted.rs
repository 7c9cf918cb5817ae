//! Bugs that are planted on purpose, to see that the checkers find them: a checker that never finds anything proves nothing.
//!
//! A bug is planted for what one thread does, since a simulation is one thread.

use brisk_base::{Error, Result};
use brisk_cluster::job_manager::ResourceManagerMessage;
use brisk_cluster::transport::{Actor, ActorContext};
use brisk_core::state::{EntryVisitor, FrozenTable, OperatorSnapshot};
use brisk_core::types::KeyGroupRange;
use std::cell::Cell;

/// How the snapshot calls the timers of event time.
const EVENT_TIMERS: &str = brisk_state::timers::EVENT_TIMERS;

/// A bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// A task does not wait for the barriers of all its channels: the first one counts for all.
    SkippedBarrier,
    /// The first timer of each key group range is missing from every snapshot.
    LostTimer,
    /// A sink that is told twice of a complete checkpoint, as after a restart, commits its transactions twice.
    DoubleCommit,
    /// The resource manager hears of slots that are free again neither from the job nor from the TaskManager: each alone would do.
    LostSlotRelease,
}

/// All bugs, with their names on the command line.
pub const ALL: [(&str, Planted); 4] = [
    ("skipped-barrier", Planted::SkippedBarrier),
    ("lost-timer", Planted::LostTimer),
    ("double-commit", Planted::DoubleCommit),
    ("lost-slot-release", Planted::LostSlotRelease),
];

thread_local! {
    static NOW: Cell<Option<Planted>> = const { Cell::new(None) };
}

impl Planted {
    /// The bug of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(other, _)| *other == name).map(|(_, planted)| *planted)
    }

    /// Calls `run`, with the bug in everything that this thread simulates meanwhile.
    pub fn during<T>(self, run: impl FnOnce() -> T) -> T {
        /// Takes the bug out, also when `run` panics.
        struct Out;
        impl Drop for Out {
            fn drop(&mut self) {
                NOW.set(None);
            }
        }
        NOW.set(Some(self));
        let _out = Out;
        run()
    }

    /// Whether this bug is planted now.
    pub(crate) fn is_in(self) -> bool {
        NOW.get() == Some(self)
    }
}

/// An actor that hears something else than it is told.
pub(crate) struct Misled<A: Actor> {
    actor: A,
    /// What it hears for a message.
    hears: fn(A::Message) -> Vec<A::Message>,
}

impl<A: Actor> Misled<A> {
    pub(crate) const fn new(actor: A, hears: fn(A::Message) -> Vec<A::Message>) -> Self {
        Self { actor, hears }
    }
}

impl<A: Actor> Actor for Misled<A> {
    type Message = A::Message;

    fn handle(&mut self, message: A::Message, cx: &mut ActorContext<'_>) {
        (self.hears)(message).into_iter().for_each(|message| self.actor.handle(message, cx));
    }

    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        self.actor.crashed(error, cx);
    }
}

/// What the resource manager hears.
pub(crate) fn of_resource_manager(message: ResourceManagerMessage) -> Vec<ResourceManagerMessage> {
    let is_release = matches!(message, ResourceManagerMessage::Cleared { .. } | ResourceManagerMessage::Release(_));
    let is_lost = Planted::LostSlotRelease.is_in() && is_release;
    if is_lost { Vec::new() } else { vec![message] }
}

/// Takes the first timer out of a snapshot.
pub(crate) fn lose_timer(snapshot: &mut OperatorSnapshot) {
    for state in snapshot.keyed.iter_mut().filter(|state| &*state.meta.name == EVENT_TIMERS) {
        let whole = std::mem::replace(&mut state.table, Box::new(Nothing));
        state.table = Box::new(WithoutFirst(whole));
    }
}

struct Nothing;

impl FrozenTable for Nothing {
    fn scan(&self, _groups: KeyGroupRange, _visit: &mut EntryVisitor<'_>) -> Result<()> {
        Ok(())
    }
}

struct WithoutFirst(Box<dyn FrozenTable>);

impl FrozenTable for WithoutFirst {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let mut is_first = true;
        self.0.scan(groups, &mut |group, key, value| if std::mem::take(&mut is_first) { Ok(()) } else { visit(group, key, value) })
    }
}

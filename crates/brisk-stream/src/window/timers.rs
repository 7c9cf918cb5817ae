//! The timers of a window operator, by key and window.
//!
//! Registering never fails for the caller: the one way in which it can, too many timers, is kept until [`check`](Timers::check).

use super::time_window::Window;
use super::trigger::WindowTimers;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{KeyGroups, OperatorSnapshot, Slot};
use brisk_core::types::Key;
use brisk_state::timers::{EVENT_TIMERS, PROCESSING_TIMERS, Timer, TimerQueue};

/// Which clock a timer belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Domain {
    /// The watermark.
    Event,
    /// Processing time.
    Processing,
}

/// See the module.
pub(crate) struct Timers<K, W> {
    event: TimerQueue<K, W>,
    processing: TimerQueue<K, W>,
    /// The first registration that failed.
    error: Option<Error>,
}

impl<K, W> Default for Timers<K, W> {
    fn default() -> Self {
        Self { event: TimerQueue::default(), processing: TimerQueue::default(), error: None }
    }
}

impl<K: Key, W: Window> Timers<K, W> {
    /// The timers that a checkpoint left for the operator; none for a fresh start.
    pub(crate) fn restored(cx: &RuntimeContext, key_groups: KeyGroups) -> Result<Self> {
        let mut timers = Self::default();
        if let Some(restored) = &cx.state.restored {
            timers.event.restore_from(restored, EVENT_TIMERS, key_groups.range)?;
            timers.processing.restore_from(restored, PROCESSING_TIMERS, key_groups.range)?;
        }
        Ok(timers)
    }

    /// Adds the timers to a snapshot.
    pub(crate) fn snapshot(&self, key_groups: KeyGroups, snapshot: &mut OperatorSnapshot) {
        self.event.snapshot(EVENT_TIMERS, key_groups, snapshot);
        self.processing.snapshot(PROCESSING_TIMERS, key_groups, snapshot);
    }

    const fn queue(&mut self, domain: Domain) -> &mut TimerQueue<K, W> {
        match domain {
            Domain::Event => &mut self.event,
            Domain::Processing => &mut self.processing,
        }
    }

    pub(crate) fn register(&mut self, domain: Domain, slot: Slot<'_, K, W>, time: Timestamp) {
        if let Err(error) = self.queue(domain).register(time, slot.hash, slot.key, slot.namespace) {
            self.error.get_or_insert(error);
        }
    }

    pub(crate) fn delete(&mut self, domain: Domain, slot: Slot<'_, K, W>, time: Timestamp) {
        self.queue(domain).delete(time, slot.hash, slot.key, slot.namespace);
    }

    /// The next timer that is due.
    pub(crate) fn pop_due(&mut self, domain: Domain, now: Timestamp) -> Option<Timer<K, W>> {
        self.queue(domain).pop_due(now)
    }

    /// When the next timer of processing time fires.
    pub(crate) const fn next_processing_time(&self) -> Option<Timestamp> {
        self.processing.peek()
    }

    /// Number of timers.
    pub(crate) const fn len(&self) -> usize {
        self.event.len() + self.processing.len()
    }

    /// Whether all registrations have worked.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// The timers of one window of one key.
    pub(crate) const fn of<'a>(&'a mut self, slot: Slot<'a, K, W>) -> TimersOf<'a, K, W> {
        TimersOf { timers: self, slot, registered: None }
    }
}

/// The timers of one window of one key.
pub(crate) struct TimersOf<'a, K, W> {
    timers: &'a mut Timers<K, W>,
    slot: Slot<'a, K, W>,
    /// What was registered last and has not been deleted since: it need not be registered again.
    registered: Option<(Domain, Timestamp)>,
}

impl<K: Key, W: Window> TimersOf<'_, K, W> {
    /// Whether this timer is certainly there.
    pub(crate) fn has(&self, domain: Domain, time: Timestamp) -> bool {
        self.registered == Some((domain, time))
    }

    fn register(&mut self, domain: Domain, time: Timestamp) {
        self.timers.register(domain, self.slot, time);
        self.registered = Some((domain, time));
    }

    fn delete(&mut self, domain: Domain, time: Timestamp) {
        self.timers.delete(domain, self.slot, time);
        self.registered = None;
    }
}

impl<K: Key, W: Window> WindowTimers for TimersOf<'_, K, W> {
    fn register_event_time(&mut self, time: Timestamp) {
        self.register(Domain::Event, time);
    }

    fn delete_event_time(&mut self, time: Timestamp) {
        self.delete(Domain::Event, time);
    }

    fn register_processing_time(&mut self, time: Timestamp) {
        self.register(Domain::Processing, time);
    }

    fn delete_processing_time(&mut self, time: Timestamp) {
        self.delete(Domain::Processing, time);
    }
}

//! What Flink's documentation says a window operator does, written down as plainly as possible: one record at a time, all elements kept,
//! every window and timer in ordered collections. Shares no code with the product.

use std::collections::{BTreeMap, BTreeSet};

/// Which windows an element belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Assigner {
    Tumbling {
        size: i64,
        offset: i64,
    },
    Sliding {
        size: i64,
        slide: i64,
        offset: i64,
    },
    Session {
        gap: i64,
    },
    /// The gap is the element's value modulo 7, plus 1.
    DynamicSession,
    Global,
    TumblingProcessing {
        size: i64,
        offset: i64,
    },
    SlidingProcessing {
        size: i64,
        slide: i64,
    },
    SessionProcessing {
        gap: i64,
    },
    DynamicSessionProcessing,
}

impl Assigner {
    pub(crate) fn is_event_time(self) -> bool {
        matches!(self, Self::Tumbling { .. } | Self::Sliding { .. } | Self::Session { .. } | Self::DynamicSession)
    }

    pub(crate) fn merges(self) -> bool {
        matches!(self, Self::Session { .. } | Self::DynamicSession | Self::SessionProcessing { .. } | Self::DynamicSessionProcessing)
    }

    /// Every interval that holds `time`, found by trying.
    fn regular(time: i64, size: i64, slide: i64, offset: i64) -> Vec<Span> {
        (time - size + 1..=time).rev().filter(|start| (start - offset).rem_euclid(slide) == 0).map(|start| (start, start + size)).collect()
    }

    fn windows(self, value: i64, timestamp: i64, now: i64) -> Vec<Span> {
        match self {
            Self::Tumbling { size, offset } => Self::regular(timestamp, size, size, offset),
            Self::Sliding { size, slide, offset } => Self::regular(timestamp, size, slide, offset),
            Self::Session { gap } => vec![(timestamp, timestamp + gap)],
            Self::DynamicSession => vec![(timestamp, timestamp + dynamic_gap(value))],
            Self::Global => vec![(i64::MIN, i64::MAX)],
            Self::TumblingProcessing { size, offset } => Self::regular(now, size, size, offset),
            Self::SlidingProcessing { size, slide } => Self::regular(now, size, slide, 0),
            Self::SessionProcessing { gap } => vec![(now, now + gap)],
            Self::DynamicSessionProcessing => vec![(now, now + dynamic_gap(value))],
        }
    }
}

pub(crate) fn dynamic_gap(value: i64) -> i64 {
    value.rem_euclid(7) + 1
}

/// When a window fires.
#[derive(Clone, Debug)]
pub(crate) enum Trigger {
    /// As an assigner's default, for which there are shorter ways.
    DefaultEventTime,
    /// The same, set by hand.
    EventTime,
    ProcessingTime,
    Count(u64),
    ContinuousEventTime(i64),
    ContinuousProcessingTime(i64),
    Delta(i64),
    Never,
    EndOfStream,
    Purging(Box<Self>),
    Timeout {
        nested: Box<Self>,
        timeout: i64,
        reset: bool,
        clear: bool,
    },
}

impl Trigger {
    pub(crate) fn can_merge(&self) -> bool {
        match self {
            Self::Purging(nested) => nested.can_merge(),
            Self::Delta(_) | Self::Never | Self::EndOfStream | Self::Timeout { .. } => false,
            _ => true,
        }
    }
}

/// Which elements go when a window fires.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Evictor {
    Count { keep: usize, after: bool },
    Time { keep: i64, after: bool },
    Delta { threshold: i64, after: bool },
}

impl Evictor {
    fn evict(self, elements: &mut Vec<(i64, i64)>, is_after: bool) {
        match self {
            Self::Count { keep, after } if after == is_after => {
                while elements.len() > keep {
                    elements.remove(0);
                }
            }
            Self::Time { keep, after } if after == is_after => {
                if let Some(newest) = elements.iter().map(|element| element.1).max() {
                    elements.retain(|element| element.1 > newest - keep);
                }
            }
            Self::Delta { threshold, after } if after == is_after => {
                if let Some(last) = elements.last().copied() {
                    elements.retain(|element| (element.0 - last.0).abs() < threshold);
                }
            }
            _ => {}
        }
    }
}

/// Start and end of a window.
pub(crate) type Span = (i64, i64);

/// One firing: key, start, end, values.
pub(crate) type Firing = (i64, i64, i64, Vec<i64>);

/// What is being tested.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) assigner: Assigner,
    pub(crate) trigger: Trigger,
    pub(crate) evictor: Option<Evictor>,
    pub(crate) lateness: i64,
}

/// What a trigger remembers of a window.
#[derive(Clone, Default, Debug)]
struct Memory {
    count: u64,
    next: Option<i64>,
    last: Option<i64>,
    timeout: Option<i64>,
}

#[derive(Default, Debug)]
struct Contents {
    elements: Vec<(i64, i64)>,
    memory: Memory,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fired {
    Continue,
    Fire,
    FireAndPurge,
}

/// A window of a key.
type Id = (i64, Span);

/// The whole state of the model.
pub(crate) struct Reference {
    spec: Spec,
    watermark: i64,
    now: i64,
    windows: BTreeMap<Id, Contents>,
    event_timers: BTreeSet<(i64, Id)>,
    processing_timers: BTreeSet<(i64, Id)>,
    pub(crate) fired: Vec<Firing>,
    pub(crate) late: Vec<(i64, i64)>,
}

fn max_timestamp(window: Span) -> i64 {
    if window == (i64::MIN, i64::MAX) { i64::MAX } else { window.1 - 1 }
}

impl Reference {
    pub(crate) fn new(spec: Spec, now: i64) -> Self {
        let mut spec = spec;
        if matches!(spec.trigger, Trigger::DefaultEventTime) {
            spec.trigger = Trigger::EventTime;
        }
        Self {
            spec,
            watermark: i64::MIN,
            now,
            windows: BTreeMap::new(),
            event_timers: BTreeSet::new(),
            processing_timers: BTreeSet::new(),
            fired: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Windows that hold elements or remember something, and timers: must not grow for ever.
    pub(crate) fn is_clean(&self) -> bool {
        self.windows.is_empty() && self.event_timers.is_empty() && self.processing_timers.is_empty()
    }

    fn cleanup_time(&self, window: Span) -> i64 {
        let end = max_timestamp(window);
        if self.spec.assigner.is_event_time() { end.saturating_add(self.spec.lateness) } else { end }
    }

    fn is_late(&self, window: Span) -> bool {
        self.spec.assigner.is_event_time() && self.cleanup_time(window) <= self.watermark
    }

    pub(crate) fn element(&mut self, key: i64, value: i64, timestamp: i64) {
        let mut skipped = true;
        for window in self.spec.assigner.windows(value, timestamp, self.now) {
            let window = if self.spec.assigner.merges() { self.merge(key, window) } else { window };
            let id = (key, window);
            if self.is_late(window) {
                if self.spec.assigner.merges() {
                    self.windows.remove(&id);
                }
                continue;
            }
            skipped = false;
            self.windows.entry(id).or_default().elements.push((value, timestamp));
            let fired = self.on_element(&self.spec.trigger.clone(), id, value, timestamp);
            self.act(fired, id);
            self.register_cleanup(id);
        }
        if skipped && self.spec.assigner.is_event_time() && timestamp.saturating_add(self.spec.lateness) <= self.watermark {
            self.late.push((key, value));
        }
    }

    fn register_cleanup(&mut self, id: Id) {
        let cleanup = self.cleanup_time(id.1);
        if cleanup == i64::MAX {
            return;
        }
        if self.spec.assigner.is_event_time() {
            self.event_timers.insert((cleanup, id));
        } else {
            self.processing_timers.insert((cleanup, id));
        }
    }

    /// Joins the new window with those it touches and gives the window that the element goes to.
    fn merge(&mut self, key: i64, new: Span) -> Span {
        let touching: Vec<Span> =
            self.windows.keys().filter(|id| id.0 == key && id.1.0 <= new.1 && id.1.1 >= new.0).map(|id| id.1).collect();
        let merged = touching.iter().fold(new, |cover, window| (cover.0.min(window.0), cover.1.max(window.1)));
        if touching == [merged] {
            return merged;
        }
        let mut result = Contents::default();
        let mut counts = 0;
        let mut next = None;
        for window in &touching {
            let id = (key, *window);
            let mut old = self.windows.remove(&id).expect("it was listed");
            result.elements.append(&mut old.elements);
            counts += old.memory.count;
            next = next.into_iter().chain(old.memory.next).min();
            // Timers of a window that is no more are ignored when they come up.
            self.event_timers.retain(|timer| timer.1 != id);
            self.processing_timers.retain(|timer| timer.1 != id);
        }
        result.memory = Memory { count: counts, next, ..Memory::default() };
        let id = (key, merged);
        self.windows.insert(id, result);
        if !touching.is_empty() {
            self.on_merge(&self.spec.trigger.clone(), id);
        }
        merged
    }

    fn on_merge(&mut self, trigger: &Trigger, id: Id) {
        let end = max_timestamp(id.1);
        match trigger {
            Trigger::EventTime if end > self.watermark => {
                self.event_timers.insert((end, id));
            }
            Trigger::ProcessingTime if end > self.now => {
                self.processing_timers.insert((end, id));
            }
            Trigger::ContinuousEventTime(_) => {
                if let Some(next) = self.memory(id).next {
                    self.event_timers.insert((next, id));
                }
            }
            Trigger::ContinuousProcessingTime(_) => {
                if let Some(next) = self.memory(id).next {
                    self.processing_timers.insert((next, id));
                }
            }
            Trigger::Purging(nested) => self.on_merge(nested, id),
            _ => {}
        }
    }

    fn memory(&mut self, id: Id) -> &mut Memory {
        &mut self.windows.entry(id).or_default().memory
    }

    fn act(&mut self, fired: Fired, id: Id) {
        if fired == Fired::Continue {
            return;
        }
        let Some(contents) = self.windows.get_mut(&id) else { return };
        if !contents.elements.is_empty() {
            if let Some(evictor) = self.spec.evictor {
                evictor.evict(&mut contents.elements, false);
            }
            self.fired.push((id.0, id.1.0, id.1.1, contents.elements.iter().map(|element| element.0).collect()));
            if let Some(evictor) = self.spec.evictor {
                evictor.evict(&mut contents.elements, true);
            }
        }
        if fired == Fired::FireAndPurge {
            contents.elements.clear();
        }
    }

    fn on_element(&mut self, trigger: &Trigger, id: Id, value: i64, timestamp: i64) -> Fired {
        let end = max_timestamp(id.1);
        match trigger {
            Trigger::EventTime | Trigger::ContinuousEventTime(_) if end <= self.watermark => Fired::Fire,
            Trigger::EventTime | Trigger::EndOfStream => {
                self.event_timers.insert((end, id));
                Fired::Continue
            }
            Trigger::ProcessingTime => {
                self.processing_timers.insert((end, id));
                Fired::Continue
            }
            Trigger::Count(max) => {
                self.memory(id).count += 1;
                if self.memory(id).count < *max {
                    return Fired::Continue;
                }
                self.memory(id).count = 0;
                Fired::Fire
            }
            Trigger::ContinuousEventTime(interval) => {
                self.event_timers.insert((end, id));
                if self.memory(id).next.is_none() {
                    self.next_event_time(timestamp - timestamp % interval, *interval, id);
                }
                Fired::Continue
            }
            Trigger::ContinuousProcessingTime(interval) => {
                if self.memory(id).next.is_none() {
                    self.next_processing_time(self.now - self.now % interval, self.now, *interval, id);
                }
                Fired::Continue
            }
            Trigger::Delta(threshold) => match self.memory(id).last {
                Some(last) if (value - last).abs() <= *threshold => Fired::Continue,
                before => {
                    self.memory(id).last = Some(value);
                    if before.is_some() { Fired::Fire } else { Fired::Continue }
                }
            },
            Trigger::Never | Trigger::DefaultEventTime => Fired::Continue,
            Trigger::Purging(nested) => purging(self.on_element(nested, id, value, timestamp)),
            Trigger::Timeout { nested, timeout, reset, .. } => {
                let fired = self.on_element(nested, id, value, timestamp);
                if fired != Fired::Continue {
                    self.clear(trigger, id);
                    return fired;
                }
                if *reset && let Some(old) = self.memory(id).timeout.take() {
                    self.processing_timers.remove(&(old, id));
                }
                if self.memory(id).timeout.is_none() {
                    let at = self.now + timeout;
                    self.memory(id).timeout = Some(at);
                    self.processing_timers.insert((at, id));
                }
                fired
            }
        }
    }

    fn next_event_time(&mut self, after: i64, interval: i64, id: Id) {
        // Flink's trigger never ends when a stream with a global window does; ours fires once more.
        let endless = self.watermark == i64::MAX && max_timestamp(id.1) == i64::MAX;
        let time = if endless { i64::MAX } else { (after + interval).min(max_timestamp(id.1)) };
        self.memory(id).next = Some(time);
        self.event_timers.insert((time, id));
    }

    fn next_processing_time(&mut self, after: i64, now: i64, interval: i64, id: Id) {
        let end = max_timestamp(id.1);
        // Once the end is past, there are only the intervals.
        let time = if now < end { (after + interval).min(end) } else { after + interval };
        self.memory(id).next = Some(time);
        self.processing_timers.insert((time, id));
    }

    fn on_event_time(&mut self, trigger: &Trigger, id: Id, time: i64) -> Fired {
        let end = max_timestamp(id.1);
        match trigger {
            Trigger::EventTime | Trigger::ContinuousEventTime(_) | Trigger::EndOfStream if time == end => Fired::Fire,
            Trigger::ContinuousEventTime(interval) if self.memory(id).next == Some(time) => {
                self.next_event_time(time, *interval, id);
                Fired::Fire
            }
            Trigger::Purging(nested) => purging(self.on_event_time(nested, id, time)),
            Trigger::Timeout { nested, clear, .. } => {
                let fired = self.on_event_time(nested, id, time);
                self.timed_out(trigger, *clear, fired, id)
            }
            _ => Fired::Continue,
        }
    }

    fn on_processing_time(&mut self, trigger: &Trigger, id: Id, time: i64) -> Fired {
        match trigger {
            Trigger::ProcessingTime => Fired::Fire,
            Trigger::ContinuousProcessingTime(interval) if self.memory(id).next == Some(time) => {
                self.next_processing_time(time, time, *interval, id);
                Fired::Fire
            }
            Trigger::Purging(nested) => purging(self.on_processing_time(nested, id, time)),
            Trigger::Timeout { nested, clear, .. } => {
                let fired = self.on_processing_time(nested, id, time);
                self.timed_out(trigger, *clear, fired, id)
            }
            _ => Fired::Continue,
        }
    }

    fn timed_out(&mut self, trigger: &Trigger, clear: bool, fired: Fired, id: Id) -> Fired {
        if clear {
            self.clear(trigger, id);
        }
        if fired == Fired::FireAndPurge { fired } else { Fired::Fire }
    }

    fn clear(&mut self, trigger: &Trigger, id: Id) {
        let end = max_timestamp(id.1);
        match trigger {
            Trigger::EventTime => {
                self.event_timers.remove(&(end, id));
            }
            Trigger::ProcessingTime => {
                self.processing_timers.remove(&(end, id));
            }
            Trigger::ContinuousEventTime(_) => {
                if let Some(next) = self.memory(id).next.take() {
                    self.event_timers.remove(&(next, id));
                }
            }
            Trigger::ContinuousProcessingTime(_) => {
                if let Some(next) = self.memory(id).next.take() {
                    self.processing_timers.remove(&(next, id));
                }
            }
            Trigger::Count(_) => self.memory(id).count = 0,
            Trigger::Delta(_) => self.memory(id).last = None,
            Trigger::Purging(nested) => self.clear(nested, id),
            Trigger::Timeout { nested, .. } => {
                if let Some(at) = self.memory(id).timeout.take() {
                    self.processing_timers.remove(&(at, id));
                }
                self.clear(nested, id);
            }
            Trigger::Never | Trigger::EndOfStream | Trigger::DefaultEventTime => {}
        }
    }

    pub(crate) fn advance_watermark(&mut self, watermark: i64) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        while let Some(&(time, id)) = self.event_timers.first().filter(|timer| timer.0 <= watermark) {
            self.event_timers.remove(&(time, id));
            if self.spec.assigner.merges() && !self.windows.contains_key(&id) {
                continue;
            }
            let fired = self.on_event_time(&self.spec.trigger.clone(), id, time);
            self.act(fired, id);
            if self.spec.assigner.is_event_time() && time == self.cleanup_time(id.1) {
                self.clear(&self.spec.trigger.clone(), id);
                self.windows.remove(&id);
            } else {
                self.register_cleanup(id);
            }
        }
    }

    pub(crate) fn advance_processing_time(&mut self, now: i64) {
        self.now = now;
        while let Some(&(time, id)) = self.processing_timers.first().filter(|timer| timer.0 <= now) {
            self.processing_timers.remove(&(time, id));
            if self.spec.assigner.merges() && !self.windows.contains_key(&id) {
                continue;
            }
            let fired = self.on_processing_time(&self.spec.trigger.clone(), id, time);
            self.act(fired, id);
            if !self.spec.assigner.is_event_time() && time == self.cleanup_time(id.1) {
                self.clear(&self.spec.trigger.clone(), id);
                self.windows.remove(&id);
            } else {
                self.register_cleanup(id);
            }
        }
    }
}

fn purging(fired: Fired) -> Fired {
    if fired == Fired::Fire { Fired::FireAndPurge } else { fired }
}

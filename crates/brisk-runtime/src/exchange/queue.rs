//! The queue in front of one task: elements of all of its channels, bounded per channel and in all.
//!
//! Invariants: elements of one channel keep their order; a gate holds a bounded number of bytes, and where it has few channels, an empty
//! one accepts an element all the same, so that each of them flows; a producer that was refused is woken when its channel has drained to
//! half and the gate has room, at the latest when the gate is empty. The consumer takes elements in the order of their arrival, whatever
//! their channel, so a full gate always drains. One short lock per element, that is, per batch.
//!
//! For checkpoints the consumer may block a channel: its elements then wait aside, so that they take no room from the others, and count for
//! their own channel alone. A barrier that may overtake is announced when it is sent; it also keeps its place among the elements, and is
//! accepted whatever room there is.

use super::Perturb;
use super::network::RemoteChannel;
use brisk_base::Error;
use brisk_base::ids::CheckpointId;
use brisk_core::checkpoint::Barrier;
use brisk_core::element::Element;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Elements that one channel may have under way.
const CHANNEL_ELEMENTS: u8 = 8;
/// The same where there are many channels, since all of them may be full of small elements.
const MANY_CHANNEL_ELEMENTS: u8 = 2;
/// Up to this many channels are few.
const FEW_CHANNELS: usize = 64;
/// Bytes that all channels of a gate may have under way before only empty channels accept.
const GATE_BYTES: usize = 512 * 1024;
/// Bytes that a gate of many channels may have under way before none of them accepts: one batch of each would be too much.
const MANY_GATE_BYTES: usize = 256 * 1024;
/// What an element costs besides its rows.
const ELEMENT_BYTES: usize = 64;

/// See the module.
pub struct GateQueue {
    state: Mutex<State>,
    /// Bytes of the elements that the consumer has taken.
    taken: AtomicU64,
    perturb: Option<Arc<dyn Perturb>>,
}

struct State {
    /// Channel, size and element, in order of arrival.
    items: VecDeque<(u32, u32, Element)>,
    /// Elements of blocked channels that the consumer came across, in order; after the channels are unblocked they come first.
    aside: VecDeque<(u32, u32, Element)>,
    /// Channels that the consumer does not read for now; empty when none ever was.
    blocked: Vec<bool>,
    /// Barriers that may overtake, and that the consumer has not been told of.
    announced: VecDeque<(u32, Barrier)>,
    /// Elements under way per channel.
    in_flight: Vec<u8>,
    /// Elements that a channel may have under way.
    limit: u8,
    /// Whether empty channels accept whatever the others have under way.
    few: bool,
    /// Bytes in `items`.
    bytes: usize,
    /// Producers that were refused, by channel.
    refused: BTreeMap<u32, Waker>,
    /// The consumer, when it found nothing.
    consumer: Option<Waker>,
    /// The consumer, when it waits for something else but would be told of barriers.
    watching: Option<Waker>,
    /// The consumer is gone: everything is dropped.
    closed: bool,
    /// Why nothing more can come of a channel; told to the consumer once.
    failure: Option<Error>,
}

/// What became of an element that was sent.
#[derive(Debug)]
pub enum Sent {
    /// It is on its way; its size: in memory, or to another process as it is sent.
    Accepted(usize),
    /// The channel is full: here it is back; the waker will be woken.
    Refused(Element),
    /// The consumer is gone; the element was dropped.
    Closed,
    /// The consumer cannot be reached; the element was dropped.
    Failed(Error),
}

/// What a consumer finds.
#[derive(Debug)]
pub enum Received {
    /// An element of this channel.
    Element(u32, Element),
    /// Nothing; the waker will be woken.
    Nothing,
    /// There is something, but the simulator holds it back.
    HeldBack,
    /// A channel has failed.
    Failed(Error),
}

impl GateQueue {
    /// A queue for this many channels.
    pub fn new(channels: usize, perturb: Option<Arc<dyn Perturb>>) -> Self {
        let state = State {
            items: VecDeque::new(),
            aside: VecDeque::new(),
            blocked: Vec::new(),
            announced: VecDeque::new(),
            in_flight: vec![0; channels],
            limit: if channels <= FEW_CHANNELS { CHANNEL_ELEMENTS } else { MANY_CHANNEL_ELEMENTS },
            few: channels <= FEW_CHANNELS,
            bytes: 0,
            refused: BTreeMap::new(),
            consumer: None,
            watching: None,
            closed: false,
            failure: None,
        };
        Self { state: Mutex::new(state), taken: AtomicU64::new(0), perturb }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.lock().in_flight.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, channel: u32, element: Element, producer: &Waker) -> Sent {
        let bytes = match &element {
            Element::Batch(batch) => (batch.bytes_held() + ELEMENT_BYTES).min(u32::MAX as usize),
            _ => ELEMENT_BYTES,
        };
        let mut state = self.lock();
        if state.closed {
            return Sent::Closed;
        }
        let barrier = match &element {
            Element::Barrier(barrier) if barrier.alignment.may_overtake() => Some(*barrier),
            _ => None,
        };
        if barrier.is_none() && !state.has_room(channel) {
            state.refused.entry(channel).and_modify(|waker| waker.clone_from(producer)).or_insert_with(|| producer.clone());
            return Sent::Refused(element);
        }
        state.in_flight[channel as usize] += 1;
        state.bytes += bytes;
        state.items.push_back((channel, bytes as u32, element));
        let consumer = state.consumer.take();
        let watching = barrier.and_then(|barrier| {
            state.announced.push_back((channel, barrier));
            state.watching.take()
        });
        drop(state);
        consumer.into_iter().chain(watching).for_each(Waker::wake);
        Sent::Accepted(bytes)
    }

    /// The next barrier that may overtake and that has been sent since the last call, with its channel.
    pub fn announced(&self) -> Option<(u32, Barrier)> {
        self.lock().announced.pop_front()
    }

    /// Has the waker woken when a barrier is announced. False when one has been already.
    pub fn watch(&self, consumer: &Waker) -> bool {
        let mut state = self.lock();
        match &mut state.watching {
            Some(waker) => waker.clone_from(consumer),
            none => *none = Some(consumer.clone()),
        }
        state.announced.is_empty()
    }

    /// Stops reading a channel. Its elements wait.
    pub fn block(&self, channel: u32) {
        let mut state = self.lock();
        let channels = state.in_flight.len();
        state.blocked.resize(channels, false);
        state.blocked[channel as usize] = true;
    }

    /// Reads all channels again.
    pub fn unblock_all(&self) {
        let mut state = self.lock();
        state.blocked.clear();
        let bytes: usize = state.aside.iter().map(|(_, bytes, _)| *bytes as usize).sum();
        state.bytes += bytes;
        let mut items = std::mem::take(&mut state.aside);
        items.append(&mut state.items);
        state.items = items;
    }

    /// Copies of the elements of a channel that wait in front of a checkpoint's barrier, without the first `skip`; and whether the barrier is
    /// there.
    pub fn copy_ahead_of(&self, channel: u32, checkpoint: CheckpointId, skip: usize) -> (Vec<Element>, bool) {
        let state = self.lock();
        let mut elements = state.aside.iter().chain(&state.items).filter(|(of, ..)| *of == channel).map(|(.., element)| element);
        let mut found = false;
        let ahead = elements.by_ref().take_while(|element| {
            found = matches!(element, Element::Barrier(barrier) if barrier.checkpoint == checkpoint);
            !found
        });
        let copies = ahead.skip(skip).map(Element::duplicate).collect();
        (copies, found)
    }

    /// Elements of a channel that wait.
    pub fn waiting(&self, channel: u32) -> usize {
        let state = self.lock();
        state.aside.iter().chain(&state.items).filter(|(of, ..)| *of == channel).count()
    }

    /// Takes the next element. One call, one element.
    pub fn receive(&self, consumer: &Waker) -> Received {
        let mut state = self.lock();
        if let Some(error) = state.failure.take() {
            return Received::Failed(error);
        }
        let freed = state.set_blocked_aside(self.perturb.is_some());
        if state.items.is_empty() {
            match &mut state.consumer {
                Some(waker) => waker.clone_from(consumer),
                none => *none = Some(consumer.clone()),
            }
            drop(state);
            freed.into_values().for_each(Waker::wake);
            return Received::Nothing;
        }
        let at = match &self.perturb {
            None => 0,
            Some(perturb) if perturb.hold_back() => {
                drop(state);
                freed.into_values().for_each(Waker::wake);
                return Received::HeldBack;
            }
            Some(perturb) => state.pick(perturb.as_ref()),
        };
        let Some((channel, bytes, element)) = state.items.remove(at) else { return Received::Nothing };
        state.bytes -= bytes as usize;
        state.in_flight[channel as usize] -= 1;
        let producers = state.take_freed(channel, bytes as usize);
        drop(state);
        // There is one consumer.
        self.taken.store(self.taken.load(Ordering::Relaxed) + u64::from(bytes), Ordering::Relaxed);
        freed.into_values().for_each(Waker::wake);
        producers.own.into_iter().chain(producers.all.into_values()).for_each(Waker::wake);
        Received::Element(channel, element)
    }

    /// Bytes of the elements that the consumer has taken.
    pub fn taken_bytes(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Elements and bytes under way.
    pub fn backlog(&self) -> (usize, usize) {
        let state = self.lock();
        (state.items.len() + state.aside.len(), state.bytes)
    }

    /// A channel has failed: the consumer is told at its next look, whatever else is there. The first failure counts.
    pub fn fail(&self, error: Error) {
        let mut state = self.lock();
        if !state.closed {
            state.failure.get_or_insert(error);
        }
        let consumer = (state.consumer.take(), state.watching.take());
        drop(state);
        consumer.0.into_iter().chain(consumer.1).for_each(Waker::wake);
    }

    /// The consumer is gone: drops what is under way, and what comes.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        let items = (std::mem::take(&mut state.items), std::mem::take(&mut state.aside));
        let refused = std::mem::take(&mut state.refused);
        state.announced.clear();
        (state.consumer, state.watching) = (None, None);
        drop(state);
        drop(items);
        refused.into_values().for_each(Waker::wake);
    }
}

/// Producers to be woken.
#[derive(Default)]
struct Freed {
    own: Option<Waker>,
    all: BTreeMap<u32, Waker>,
}

impl State {
    /// Sets elements of blocked channels aside, up to the first that can be read; in the simulator, which picks, all of them. They give up
    /// their room in the gate, not that of their channel. Returns the producers that have room now.
    fn set_blocked_aside(&mut self, all: bool) -> BTreeMap<u32, Waker> {
        if self.blocked.is_empty() {
            return BTreeMap::new();
        }
        let before = self.bytes;
        let mut kept = VecDeque::new();
        while let Some(item) = self.items.pop_front() {
            if self.blocked[item.0 as usize] {
                self.bytes -= item.1 as usize;
                self.aside.push_back(item);
            } else {
                kept.push_back(item);
                if !all {
                    break;
                }
            }
        }
        kept.append(&mut self.items);
        self.items = kept;
        // Others may have been refused for lack of room in the gate.
        if before > self.bytes { std::mem::take(&mut self.refused) } else { BTreeMap::new() }
    }

    fn byte_limit(&self) -> usize {
        if self.few { GATE_BYTES } else { MANY_GATE_BYTES }
    }

    /// Whether a channel accepts an element.
    fn has_room(&self, channel: u32) -> bool {
        let in_flight = self.in_flight[channel as usize];
        in_flight < self.limit && self.bytes < self.byte_limit() || in_flight == 0 && self.few
    }

    /// Those who should try again, now that an element of this channel and size has left.
    fn take_freed(&mut self, channel: u32, bytes: usize) -> Freed {
        if self.refused.is_empty() {
            return Freed::default();
        }
        // The gate has room again: that is news for all channels. Also when it is empty, however large its last element was.
        let half = self.byte_limit() / 2;
        if self.bytes < half && self.bytes + bytes >= half || self.items.is_empty() {
            return Freed { own: None, all: std::mem::take(&mut self.refused) };
        }
        let own =
            if self.in_flight[channel as usize] <= self.limit / 2 && self.has_room(channel) { self.refused.remove(&channel) } else { None };
        Freed { own, all: BTreeMap::new() }
    }

    /// The first element of a channel of the simulator's choice.
    fn pick(&self, perturb: &dyn Perturb) -> usize {
        let mut seen = vec![false; self.in_flight.len()];
        let heads: Vec<usize> =
            (0..self.items.len()).filter(|at| !std::mem::replace(&mut seen[self.items[*at].0 as usize], true)).collect();
        heads[perturb.pick(heads.len()).min(heads.len() - 1)]
    }
}

/// One producer's end of a channel.
pub enum ChannelSender {
    /// To a gate of this process.
    Local {
        /// The gate.
        queue: Arc<GateQueue>,
        /// Which of its channels.
        channel: u32,
    },
    /// To a gate of another process.
    Remote(RemoteChannel),
}

impl ChannelSender {
    /// The sender of this channel of a gate.
    pub fn new(queue: Arc<GateQueue>, channel: u32) -> Self {
        Self::Local { queue, channel }
    }

    /// Sends an element, or gives it back when the channel is full.
    pub fn send(&self, element: Element, producer: &Waker) -> Sent {
        match self {
            Self::Local { queue, channel } => queue.send(*channel, element, producer),
            Self::Remote(channel) => channel.send(element, producer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::Timestamp;
    use brisk_core::batch::Rows;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (Arc::clone(&count), Waker::from(count))
    }

    fn watermark(at: i64) -> Element {
        Element::Watermark(Timestamp(at))
    }

    #[test]
    fn a_full_channel_refuses_and_wakes_when_drained() {
        let queue = Arc::new(GateQueue::new(2, None));
        let (wakes, producer) = counter();
        let sender = ChannelSender::new(Arc::clone(&queue), 0);
        for at in 0..CHANNEL_ELEMENTS {
            assert!(matches!(sender.send(watermark(i64::from(at)), &producer), Sent::Accepted(_)));
        }
        assert!(matches!(sender.send(watermark(99), &producer), Sent::Refused(_)));
        let other = ChannelSender::new(Arc::clone(&queue), 1);
        assert!(matches!(other.send(watermark(7), &producer), Sent::Accepted(_)), "channels are bounded apart");
        assert!(matches!(queue.receive(&producer), Received::Element(0, Element::Watermark(Timestamp(0)))));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "not for one element");
        while wakes.0.load(Ordering::SeqCst) == 0 {
            assert!(matches!(queue.receive(&producer), Received::Element(0, _)), "woken before the channel is empty");
        }
        assert_eq!(queue.backlog().0, usize::from(CHANNEL_ELEMENTS / 2) + 1, "half of its own, and the other channel's");
        assert!(matches!(sender.send(watermark(99), &producer), Sent::Accepted(_)));
    }

    fn bytes(bytes: usize) -> Element {
        Element::Batch(Box::new(Rows::from(vec![0u8; bytes])))
    }

    #[test]
    fn a_gate_full_of_bytes_accepts_one_element_from_each_channel() {
        let queue = Arc::new(GateQueue::new(3, None));
        let (wakes, producer) = counter();
        let [a, b] = [0, 1].map(|channel| ChannelSender::new(Arc::clone(&queue), channel));
        assert!(matches!(a.send(bytes(GATE_BYTES), &producer), Sent::Accepted(_)));
        assert!(matches!(a.send(bytes(1), &producer), Sent::Refused(_)));
        assert!(matches!(b.send(bytes(GATE_BYTES), &producer), Sent::Accepted(_)), "an empty channel");
        assert!(matches!(b.send(bytes(1), &producer), Sent::Refused(_)));
        assert!(matches!(queue.receive(&producer), Received::Element(0, _)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "its channel is empty");
        assert!(matches!(queue.receive(&producer), Received::Element(1, _)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
    }

    /// Producers that send until they are refused and then sleep until they are woken, against a consumer that sleeps when it finds
    /// nothing: everything arrives, so no wake-up is lost.
    #[test]
    fn no_wake_up_is_lost_between_threads() {
        const CHANNELS: u32 = 3;
        const ELEMENTS: i64 = 10_000;
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let here = || Waker::from(Arc::new(Unpark(std::thread::current())));
        for channels in [CHANNELS as usize, FEW_CHANNELS + 1] {
            let queue = Arc::new(GateQueue::new(channels, None));
            std::thread::scope(|scope| {
                for channel in 0..CHANNELS {
                    let sender = ChannelSender::new(Arc::clone(&queue), channel);
                    scope.spawn(move || {
                        let waker = here();
                        for at in 0..ELEMENTS {
                            // Large elements now and then, so that the gate's limit is met too.
                            let mut element = if at % 64 == 0 { bytes(GATE_BYTES / 4) } else { watermark(at) };
                            while let Sent::Refused(again) = sender.send(element, &waker) {
                                element = again;
                                std::thread::park();
                            }
                        }
                    });
                }
                let waker = here();
                let mut left = i64::from(CHANNELS) * ELEMENTS;
                while left > 0 {
                    match queue.receive(&waker) {
                        Received::Element(..) => left -= 1,
                        _ => std::thread::park(),
                    }
                }
            });
            assert_eq!(queue.backlog(), (0, 0));
        }
    }

    #[test]
    fn a_gate_of_many_channels_is_full_for_all_of_them_alike() {
        let queue = Arc::new(GateQueue::new(FEW_CHANNELS + 1, None));
        let (wakes, producer) = counter();
        let senders: Vec<_> = (0..4).map(|channel| ChannelSender::new(Arc::clone(&queue), channel)).collect();
        assert!(matches!(senders[0].send(bytes(MANY_GATE_BYTES / 4), &producer), Sent::Accepted(_)));
        assert!(matches!(senders[1].send(bytes(MANY_GATE_BYTES), &producer), Sent::Accepted(_)));
        assert!(matches!(senders[2].send(watermark(1), &producer), Sent::Refused(_)), "although it is empty");
        assert!(matches!(senders[3].send(watermark(1), &producer), Sent::Refused(_)));
        assert!(matches!(queue.receive(&producer), Received::Element(0, _)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "still full");
        assert!(matches!(queue.receive(&producer), Received::Element(1, _)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2, "both");
    }

    #[test]
    fn the_consumer_is_woken_once_it_found_nothing() {
        let queue = Arc::new(GateQueue::new(1, None));
        let (wakes, consumer) = counter();
        assert!(matches!(queue.receive(&consumer), Received::Nothing));
        let sender = ChannelSender::new(Arc::clone(&queue), 0);
        let _ = sender.send(watermark(1), Waker::noop());
        let _ = sender.send(watermark(2), Waker::noop());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_closed_gate_drops_everything_and_frees_its_producers() {
        let queue = Arc::new(GateQueue::new(1, None));
        let (wakes, producer) = counter();
        let sender = ChannelSender::new(Arc::clone(&queue), 0);
        while !matches!(sender.send(watermark(1), &producer), Sent::Refused(_)) {}
        queue.close();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(matches!(sender.send(watermark(1), &producer), Sent::Closed));
        assert_eq!(queue.backlog(), (0, 0));
    }
}

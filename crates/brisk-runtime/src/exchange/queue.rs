//! The queue in front of one task: elements of all of its channels, bounded per channel and in all.
//!
//! Invariants: elements of one channel keep their order; an empty channel accepts at least one element, so that nobody starves; a producer
//! that was refused is woken when its channel has drained by one. One short lock per element, that is, per batch.

use super::Perturb;
use brisk_core::element::Element;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Elements that one channel may have under way.
const CHANNEL_ELEMENTS: u8 = 8;
/// Bytes that all channels of a gate may have under way before only empty channels accept.
const GATE_BYTES: usize = 512 * 1024;

/// See the module.
pub struct GateQueue {
    state: Mutex<State>,
    perturb: Option<Arc<dyn Perturb>>,
}

struct State {
    /// Channel, size and element, in order of arrival.
    items: VecDeque<(u32, u32, Element)>,
    /// Elements under way per channel.
    in_flight: Vec<u8>,
    /// Bytes in `items`.
    bytes: usize,
    /// Producers that were refused.
    refused: Vec<(u32, Waker)>,
    /// The consumer, when it found nothing.
    consumer: Option<Waker>,
    /// The consumer is gone: everything is dropped.
    closed: bool,
}

/// What became of an element that was sent.
#[derive(Debug)]
pub enum Sent {
    /// It is on its way.
    Accepted,
    /// The channel is full: here it is back; the waker will be woken.
    Refused(Element),
    /// The consumer is gone; the element was dropped.
    Closed,
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
}

impl GateQueue {
    /// A queue for this many channels.
    pub fn new(channels: usize, perturb: Option<Arc<dyn Perturb>>) -> Self {
        let state =
            State { items: VecDeque::new(), in_flight: vec![0; channels], bytes: 0, refused: Vec::new(), consumer: None, closed: false };
        Self { state: Mutex::new(state), perturb }
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
            Element::Batch(batch) => batch.bytes_held().min(u32::MAX as usize),
            _ => 0,
        };
        let mut state = self.lock();
        if state.closed {
            return Sent::Closed;
        }
        let in_flight = state.in_flight[channel as usize];
        if in_flight > 0 && (in_flight >= CHANNEL_ELEMENTS || state.bytes >= GATE_BYTES) {
            match state.refused.iter_mut().find(|(refused, _)| *refused == channel) {
                Some((_, waker)) => waker.clone_from(producer),
                None => state.refused.push((channel, producer.clone())),
            }
            return Sent::Refused(element);
        }
        state.in_flight[channel as usize] += 1;
        state.bytes += bytes;
        state.items.push_back((channel, bytes as u32, element));
        let consumer = state.consumer.take();
        drop(state);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
        Sent::Accepted
    }

    /// Takes the next element. One call, one element.
    pub fn receive(&self, consumer: &Waker) -> Received {
        let mut state = self.lock();
        if state.items.is_empty() {
            match &mut state.consumer {
                Some(waker) => waker.clone_from(consumer),
                none => *none = Some(consumer.clone()),
            }
            return Received::Nothing;
        }
        let at = match &self.perturb {
            None => 0,
            Some(perturb) if perturb.hold_back() => return Received::HeldBack,
            Some(perturb) => state.pick(perturb.as_ref()),
        };
        let Some((channel, bytes, element)) = state.items.remove(at) else { return Received::Nothing };
        state.bytes -= bytes as usize;
        state.in_flight[channel as usize] -= 1;
        let producer = state.refused.iter().position(|(refused, _)| *refused == channel).map(|at| state.refused.swap_remove(at).1);
        drop(state);
        if let Some(producer) = producer {
            producer.wake();
        }
        Received::Element(channel, element)
    }

    /// Elements and bytes under way.
    pub fn backlog(&self) -> (usize, usize) {
        let state = self.lock();
        (state.items.len(), state.bytes)
    }

    /// The consumer is gone: drops what is under way, and what comes.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        let items = std::mem::take(&mut state.items);
        let refused = std::mem::take(&mut state.refused);
        state.consumer = None;
        drop(state);
        drop(items);
        refused.into_iter().for_each(|(_, producer)| producer.wake());
    }
}

impl State {
    /// The first element of a channel of the simulator's choice.
    fn pick(&self, perturb: &dyn Perturb) -> usize {
        let mut seen = vec![false; self.in_flight.len()];
        let heads: Vec<usize> =
            (0..self.items.len()).filter(|at| !std::mem::replace(&mut seen[self.items[*at].0 as usize], true)).collect();
        heads[perturb.pick(heads.len()).min(heads.len() - 1)]
    }
}

/// One producer's end of a channel.
#[derive(Clone)]
pub struct ChannelSender {
    queue: Arc<GateQueue>,
    channel: u32,
}

impl ChannelSender {
    /// The sender of this channel of a gate.
    pub fn new(queue: Arc<GateQueue>, channel: u32) -> Self {
        Self { queue, channel }
    }

    /// Sends an element, or gives it back when the channel is full.
    pub fn send(&self, element: Element, producer: &Waker) -> Sent {
        self.queue.send(self.channel, element, producer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::Timestamp;
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
            assert!(matches!(sender.send(watermark(i64::from(at)), &producer), Sent::Accepted));
        }
        assert!(matches!(sender.send(watermark(99), &producer), Sent::Refused(_)));
        let other = ChannelSender::new(Arc::clone(&queue), 1);
        assert!(matches!(other.send(watermark(7), &producer), Sent::Accepted), "channels are bounded apart");
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        assert!(matches!(queue.receive(&producer), Received::Element(0, Element::Watermark(Timestamp(0)))));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(matches!(sender.send(watermark(99), &producer), Sent::Accepted));
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

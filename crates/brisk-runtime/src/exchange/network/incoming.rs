//! Brings what a channel from another process carries into the gate of its consumer.
//!
//! It is its own waker, and works on whatever thread wakes it: the one that reads the connection when batches arrive, the consumer's when
//! its gate has room again. So there is neither a thread per channel nor a queue besides the gate and the channel's window.

use super::{WINDOW, codec, lock};
use crate::exchange::{ChannelSender, GateQueue, Sent};
use brisk_base::Error;
use brisk_core::batch::BatchType;
use brisk_core::element::Element;
use brisk_net::BatchReceiver;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// See the module.
pub(super) struct Pump {
    queue: Arc<GateQueue>,
    sender: ChannelSender,
    batch_type: Option<Arc<dyn BatchType>>,
    state: Mutex<State>,
    /// Wake-ups that have not been served.
    woken: AtomicUsize,
}

struct State {
    /// `None` once the channel has ended.
    receiver: Option<BatchReceiver>,
    /// An element for which the gate had no room.
    held: Option<Element>,
}

impl Pump {
    pub(super) fn new(queue: Arc<GateQueue>, channel: u32, batch_type: Option<Arc<dyn BatchType>>, receiver: BatchReceiver) -> Self {
        let sender = ChannelSender::new(Arc::clone(&queue), channel);
        Self { queue, sender, batch_type, state: Mutex::new(State { receiver: Some(receiver), held: None }), woken: AtomicUsize::new(0) }
    }

    /// Lets batches come.
    pub(super) fn start(self: &Arc<Self>) {
        if let Some(receiver) = &mut lock(&self.state).receiver {
            receiver.accept(WINDOW);
        }
        Arc::clone(self).wake();
    }

    /// Takes no more.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        let ended = (state.receiver.take(), state.held.take());
        drop(state);
        drop(ended);
    }

    /// Moves elements until there are none, or the gate is full.
    fn run(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        let mut state = lock(&self.state);
        loop {
            let element = match state.held.take() {
                Some(element) => element,
                None => match self.receive(&mut state, &mut cx) {
                    Some(element) => element,
                    None => return,
                },
            };
            match self.sender.send(element, &waker) {
                Sent::Accepted(_) => {}
                Sent::Refused(element) => {
                    state.held = Some(element);
                    return;
                }
                Sent::Closed | Sent::Failed(_) => {
                    state.receiver = None;
                    return;
                }
            }
        }
    }

    /// The next element, if there is one.
    fn receive(&self, state: &mut State, cx: &mut Context<'_>) -> Option<Element> {
        let receiver = state.receiver.as_mut()?;
        let failed = match receiver.poll_receive(cx) {
            Poll::Pending => return None,
            Poll::Ready(None) => {
                state.receiver = None;
                return None;
            }
            Poll::Ready(Some(Ok(bytes))) => match codec::decode(&bytes, self.batch_type.as_deref()) {
                Ok(element) => return Some(element),
                Err(error) => error,
            },
            Poll::Ready(Some(Err(error))) => error,
        };
        state.receiver = None;
        self.fail(failed);
        None
    }

    fn fail(&self, error: Error) {
        self.queue.fail(error.context("records from another process"));
    }
}

impl Wake for Pump {
    /// One thread at a time works; who comes meanwhile has it look again.
    fn wake(self: Arc<Self>) {
        if self.woken.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        loop {
            let seen = self.woken.load(Ordering::Acquire);
            self.run();
            if self.woken.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }
}

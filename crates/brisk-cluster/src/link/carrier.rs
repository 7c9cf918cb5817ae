//! What carries the frames of a link: a connection over TCP, or the simulator's network.

use brisk_base::Result;
use brisk_net::{BatchReceiver, BatchSender, Connection};
use std::any::Any;
use std::task::{Context, Poll};

/// Takes the frames of one direction.
pub trait FrameSender: Send {
    /// Takes a frame, or wakes when there is room for it.
    fn poll_send(&mut self, cx: &mut Context<'_>, frame: &[u8]) -> Poll<Result<()>>;

    /// There are no more.
    fn finish(self: Box<Self>);
}

/// Gives the frames of the other direction.
pub trait FrameReceiver: Send {
    /// The next frame; `None` when the other side has finished. Wakes when there is one.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>>;
}

/// Both directions, and what has to live as long as they do.
pub struct Carrier {
    /// To the other side.
    pub sender: Box<dyn FrameSender>,
    /// From there.
    pub receiver: Box<dyn FrameReceiver>,
    /// Dropped when the link is over.
    pub connection: Option<Box<dyn Any + Send>>,
}

impl Carrier {
    pub(super) fn tcp(connection: Connection, sender: BatchSender, receiver: BatchReceiver) -> Self {
        Self { sender: Box::new(sender), receiver: Box::new(receiver), connection: Some(Box::new(connection)) }
    }
}

impl FrameSender for BatchSender {
    fn poll_send(&mut self, cx: &mut Context<'_>, frame: &[u8]) -> Poll<Result<()>> {
        Self::poll_send(self, cx, frame)
    }

    fn finish(self: Box<Self>) {
        Self::finish(*self);
    }
}

impl FrameReceiver for BatchReceiver {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Vec<u8>>>> {
        Self::poll_receive(self, cx)
    }
}

//! The way back of an answer: what a message that asks something carries.

use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};

/// Takes one answer. Dropped without one, it says so: whoever asked is never left waiting for an actor that is gone.
pub struct Reply<T>(Option<Box<dyn FnOnce(Option<T>) + Send>>);

impl<T: Send + 'static> Reply<T> {
    /// Hands the answer to `then`; `None` when there will not be one. It is called by the actor that answers, and must not block.
    pub fn new(then: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }

    /// A reply, and where its answer comes out.
    pub fn channel() -> (Self, Receiver<T>) {
        let (sender, receiver) = sync_channel(1);
        let reply = Self::new(move |answer: Option<T>| {
            // Whoever asked may have given up waiting.
            answer.into_iter().for_each(|answer| drop(sender.try_send(answer)));
        });
        (reply, receiver)
    }

    /// Answers.
    pub fn send(mut self, answer: T) {
        if let Some(then) = self.0.take() {
            then(Some(answer));
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(None);
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asked_hears_the_answer_or_that_there_is_none() {
        let (reply, answer) = Reply::channel();
        reply.send(7);
        assert_eq!(answer.recv(), Ok(7));
        let (reply, answer) = Reply::<u32>::channel();
        drop(reply);
        answer.recv().expect_err("nobody will answer");
        let (reply, answer) = Reply::channel();
        drop(answer);
        reply.send(7);
    }
}

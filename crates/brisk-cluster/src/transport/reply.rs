//! The way back of an answer: what a message that asks something carries.

use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

/// What is done with an answer, or when there will not be one.
type Then<T> = Box<dyn FnOnce(Option<T>) + Send>;

/// Takes one answer. Dropped without one, it says so: whoever asked is never left waiting for an actor that is gone.
pub struct Reply<T>(Mutex<Option<Then<T>>>);

impl<T: Send + 'static> Reply<T> {
    /// Hands the answer to `then`; `None` when there will not be one. It is called by the actor that answers, and must not block.
    pub fn new(then: impl FnOnce(Option<T>) + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(then))))
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
    pub fn send(self, answer: T) {
        if let Some(then) = take(&self.0) {
            then(Some(answer));
        }
    }

    /// The same reply to be given elsewhere: this one then does nothing any more.
    pub(crate) fn hand_over(&self) -> Self {
        Self(Mutex::new(take(&self.0)))
    }
}

fn take<T>(then: &Mutex<Option<Then<T>>>) -> Option<Then<T>> {
    then.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(then) = take(&self.0) {
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

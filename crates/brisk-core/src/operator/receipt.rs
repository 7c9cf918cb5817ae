//! How a sink whose results the program reads, in another process, hears that it has read them: so that no more is under way than the
//! program can hold.

use super::OperatorContext;
use crate::source::SourceEvent;
use brisk_base::{Error, Result};
use std::fmt;

/// Bytes of results of one subtask that may be under way to the program before the subtask waits for it.
const MOST_UNREAD: u64 = 4 << 20;

/// Is kept with a result until the program has read it. Dropping it says so.
#[derive(Default)]
pub struct Receipt(Option<Box<dyn FnOnce() + Send>>);

impl Receipt {
    /// Calls `read` when it is dropped.
    pub fn new(read: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(read)))
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(read) = self.0.take() {
            read();
        }
    }
}

/// The operator's side: how many bytes it has sent that the program has not read yet.
#[derive(Default, Debug)]
pub struct Unread(u64);

impl Unread {
    /// Sends a result to the program.
    pub fn send(&mut self, result: Vec<u8>, cx: &mut OperatorContext<'_>) {
        self.0 += result.len() as u64;
        cx.send_event(SourceEvent::Custom(result));
    }

    /// Whether more may be sent.
    pub const fn has_room(&self) -> bool {
        self.0 < MOST_UNREAD
    }

    /// The program has read something. What a task that ran before this one had sent may be among it; then a little more is under way.
    ///
    /// # Errors
    /// When the event says anything else.
    pub fn read(&mut self, event: &SourceEvent) -> Result<()> {
        let bytes = match event {
            SourceEvent::Custom(bytes) => <[u8; 8]>::try_from(bytes.as_slice()).ok(),
            _ => None,
        };
        let read = bytes.ok_or_else(|| Error::bug(format!("a sink was told {event:?} instead of how much was read")))?;
        self.0 = self.0.saturating_sub(u64::from_le_bytes(read));
        Ok(())
    }

    /// What an operator is told when the program has read so many bytes.
    pub fn event(bytes: u64) -> SourceEvent {
        SourceEvent::Custom(bytes.to_le_bytes().to_vec())
    }
}

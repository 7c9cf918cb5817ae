//! Writes batches to a connection, connecting again when it breaks.
//!
//! Writing blocks while the server does not read; the executor's watchdog deals with that as with any function that blocks.

use super::config::Address;
use super::source::{CONNECT_TIMEOUT, connect};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::batch::Rows;
use brisk_core::sink::SinkWriter;
use std::fmt::{Display, Write as _};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, PoisonError};

/// See the module.
pub(super) struct SocketWriter {
    address: Address,
    stream: Option<TcpStream>,
    /// The batch as text; used again.
    text: String,
}

impl SocketWriter {
    pub(super) fn connect(address: Address) -> Result<Self> {
        let mut writer = Self { address, stream: None, text: String::new() };
        writer.send()?;
        Ok(writer)
    }

    /// Sends the text, with as many attempts as the user allows.
    fn send(&mut self) -> Result<()> {
        let mut attempts = 0;
        while let Err(error) = self.try_send() {
            self.stream = None;
            if self.address.retries.is_some_and(|retries| attempts >= retries) {
                return Err(error.context(self.address.place()));
            }
            attempts += 1;
            pause(self.address.retry_interval.to_duration());
        }
        self.text.clear();
        Ok(())
    }

    fn try_send(&mut self) -> Result<()> {
        if self.stream.is_none() {
            let stream = connect(&self.address.host, self.address.port)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().expect("connected just now");
        stream.write_all(self.text.as_bytes()).map_err(|error| Error::transient(format!("cannot write: {error}")))
    }

    fn append(&mut self, value: &impl Display) -> Result<()> {
        writeln!(self.text, "{value}").context(|| "a record cannot be displayed")
    }
}

/// Waits on this thread.
fn pause(span: std::time::Duration) {
    let lock = Mutex::new(());
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    drop(Condvar::new().wait_timeout_while(guard, span, |()| true));
}

impl<T: Display + Send> SinkWriter<T> for SocketWriter {
    fn write(&mut self, value: T, _timestamp: Timestamp) -> Result<()> {
        self.append(&value)?;
        self.send()
    }

    fn write_batch(&mut self, rows: Rows<T>) -> Result<()> {
        rows.values.iter().try_for_each(|value| self.append(value))?;
        self.send()
    }

    fn close(&mut self) -> Result<()> {
        self.stream = None;
        Ok(())
    }
}

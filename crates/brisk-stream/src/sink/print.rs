//! Prints records, for looking at a stream.

use brisk_base::{Result, ResultExt, Timestamp};
use brisk_core::batch::Rows;
use brisk_core::operator::RuntimeContext;
use brisk_core::sink::{Sink, SinkWriter};
use brisk_core::types::Record;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::marker::PhantomData;

/// Prints one record a line, a batch at a time (Flink's `PrintSink`). With several subtasks each line begins with the number of its
/// subtask, from 1: `3> ("brisk", 7)`.
pub struct PrintSink<T> {
    identifier: Option<String>,
    to_err: bool,
    record: PhantomData<fn(T)>,
}

impl<T: Record + Debug> PrintSink<T> {
    /// Prints to standard output.
    pub const fn stdout() -> Self {
        Self { identifier: None, to_err: false, record: PhantomData }
    }

    /// Prints to standard error.
    pub const fn stderr() -> Self {
        Self { identifier: None, to_err: true, record: PhantomData }
    }

    /// Begins each line with this text.
    #[must_use]
    pub fn with_identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// What each line of a subtask begins with.
    fn prefix(&self, subtask: u32, parallelism: u32) -> String {
        match (&self.identifier, parallelism > 1) {
            (Some(identifier), true) => format!("{identifier}:{}> ", subtask + 1),
            (Some(identifier), false) => format!("{identifier}> "),
            (None, true) => format!("{}> ", subtask + 1),
            (None, false) => String::new(),
        }
    }
}

impl<T: Record + Debug> Sink for PrintSink<T> {
    type In = T;

    fn create_writer(&self, cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<T>>> {
        let prefix = self.prefix(cx.task.subtask, cx.task.parallelism);
        Ok(Box::new(PrintWriter { prefix, to_err: self.to_err, text: String::new() }))
    }
}

struct PrintWriter {
    prefix: String,
    to_err: bool,
    /// Lines of the batch being written.
    text: String,
}

impl PrintWriter {
    fn line(&mut self, value: &impl Debug) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}{value:?}", self.prefix);
    }

    fn print(&mut self) -> Result<()> {
        let written = if self.to_err {
            std::io::stderr().lock().write_all(self.text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(self.text.as_bytes()).and_then(|()| out.flush())
        };
        self.text.clear();
        written.context(|| "printing")
    }
}

impl<T: Record + Debug> SinkWriter<T> for PrintWriter {
    fn write(&mut self, value: T, _timestamp: Timestamp) -> Result<()> {
        self.line(&value);
        self.print()
    }

    fn write_batch(&mut self, rows: Rows<T>) -> Result<()> {
        rows.values.iter().for_each(|value| self.line(value));
        self.print()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_the_subtask_as_in_flink() {
        let plain = PrintSink::<i64>::stdout();
        assert_eq!((plain.prefix(0, 1), plain.prefix(2, 4)), (String::new(), "3> ".to_owned()));
        let named = PrintSink::<i64>::stderr().with_identifier("rows");
        assert_eq!((named.prefix(0, 1), named.prefix(2, 4)), ("rows> ".to_owned(), "rows:3> ".to_owned()));
    }
}

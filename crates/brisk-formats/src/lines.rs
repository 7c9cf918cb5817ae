//! Cuts a stream of bytes into lines, a block at a time.
//!
//! Invariants: a block is checked for UTF-8 once and its lines are then handed out without another look; a line that does not end within
//! its block is kept for the next one; no line is longer than [`MAX_LINE_BYTES`]. Lines end with `\n` or `\r\n`, the last one also with
//! the stream.

use crate::excerpt::excerpt;
use brisk_base::{Error, Result};
use std::io::Read;

/// Bytes that one call reads: fits a core's own cache.
pub const BLOCK_BYTES: usize = 256 * 1024;

/// The longest line that is taken.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// Whole lines, checked.
    text: String,
    /// Where in `text` the next line begins.
    next: usize,
    /// Offset of `text` in the stream.
    text_offset: u64,
    /// Bytes after `text` that are no whole line yet.
    carry: Vec<u8>,
    /// Whether everything up to the next line break is dropped, because it belongs to the line before.
    skip_first: bool,
    /// Whether the stream has ended.
    ended: bool,
}

impl LineSplitter {
    /// Lines of a stream whose first byte has this offset. With `skip_first`, the line that the stream begins in the middle of is left out.
    pub fn new(offset: u64, skip_first: bool) -> Self {
        Self { text_offset: offset, skip_first, ..Self::default() }
    }

    /// The next line, without its end. `None`: [`fill`](Self::fill) and ask again, unless [`is_ended`](Self::is_ended).
    #[inline]
    pub fn next_line(&mut self) -> Option<&str> {
        let rest = &self.text.as_bytes()[self.next..];
        if rest.is_empty() {
            return None;
        }
        let from = self.next;
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.next = (from + length + 1).min(self.text.len());
        let line = &self.text[from..from + length];
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    /// Offset in the stream at which the next line begins.
    pub fn offset(&self) -> u64 {
        self.text_offset + self.next as u64
    }

    /// Whether the stream has ended: when there is no next line now, there never will be.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads a block. Only to be called when [`next_line`](Self::next_line) has nothing more.
    ///
    /// # Errors
    /// When reading fails, a line is too long, or the bytes are no UTF-8; with the offset.
    pub fn fill(&mut self, input: &mut dyn Read) -> Result<()> {
        debug_assert_eq!(self.next, self.text.len(), "lines are left");
        self.text_offset += self.text.len() as u64;
        self.next = 0;
        // The block's buffer is used again; only the unfinished line is copied.
        let mut block = std::mem::take(&mut self.text).into_bytes();
        block.clear();
        block.append(&mut self.carry);
        let known = block.len();
        block.reserve(BLOCK_BYTES);
        let read = input.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        self.ended = read < BLOCK_BYTES;
        self.drop_first(&mut block);
        let whole =
            if self.ended { block.len() } else { memchr::memrchr(b'\n', &block[known.min(block.len())..]).map_or(0, |at| known + at + 1) };
        self.carry.extend_from_slice(&block[whole..]);
        block.truncate(whole);
        if self.carry.len() > MAX_LINE_BYTES {
            let at = self.text_offset + whole as u64;
            return Err(Error::user(format!("the line at byte {at} is longer than {MAX_LINE_BYTES} bytes; is this a text file?")));
        }
        self.text = String::from_utf8(block).map_err(|error| self.no_utf8(error.as_bytes(), error.utf8_error().valid_up_to()))?;
        Ok(())
    }

    /// Drops the end of a line that belongs to someone else.
    fn drop_first(&mut self, block: &mut Vec<u8>) {
        if !self.skip_first {
            return;
        }
        let end = memchr::memchr(b'\n', block);
        self.skip_first = end.is_none();
        let dropped = end.map_or(block.len(), |at| at + 1);
        block.drain(..dropped);
        self.text_offset += dropped as u64;
    }

    fn no_utf8(&self, bytes: &[u8], valid: usize) -> Error {
        let line = memchr::memrchr(b'\n', &bytes[..valid]).map_or(0, |at| at + 1);
        let shown = excerpt(&String::from_utf8_lossy(&bytes[line..(valid + 16).min(bytes.len())]));
        let at = self.text_offset + valid as u64;
        Error::user(format!("no UTF-8 at byte {at}, in the line {shown}; convert the text to UTF-8 first"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(mut bytes: &[u8], skip_first: bool) -> Result<Vec<(u64, String)>> {
        let mut splitter = LineSplitter::new(0, skip_first);
        let mut lines = Vec::new();
        loop {
            let offset = splitter.offset();
            if let Some(line) = splitter.next_line() {
                lines.push((offset, line.to_owned()));
            } else if splitter.is_ended() {
                return Ok(lines);
            } else {
                splitter.fill(&mut bytes)?;
            }
        }
    }

    fn texts(bytes: &[u8]) -> Vec<String> {
        lines(bytes, false).unwrap().into_iter().map(|(_, line)| line).collect()
    }

    #[test]
    fn ends_of_lines() {
        assert!(texts(b"").is_empty());
        assert_eq!(texts(b"a\nb"), ["a", "b"]);
        assert_eq!(texts(b"a\r\n\n b \n"), ["a", "", " b "]);
    }

    #[test]
    fn the_line_before_is_skipped() {
        assert_eq!(lines("\u{e4}b\nc\n".as_bytes().get(1..).unwrap(), true).unwrap(), [(3, "c".to_owned())]);
        assert!(lines(b"no end", true).unwrap().is_empty());
    }

    #[test]
    fn lines_longer_than_a_block_are_put_together() {
        let long = "ü".repeat(BLOCK_BYTES);
        let text = format!("a\n{long}\nb");
        assert_eq!(texts(text.as_bytes()), ["a", &long, "b"]);
        assert_eq!(lines(text.as_bytes(), true).unwrap(), [(2, long), (2 * BLOCK_BYTES as u64 + 3, "b".to_owned())]);
    }

    #[test]
    fn what_is_no_utf8_is_named_with_its_offset() {
        let error = lines(b"first\nsecond \xff here\n", false).unwrap_err().to_string();
        assert!(error.contains("byte 13") && error.contains("\"second \u{fffd} here"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_as_by_std(lengths in proptest::collection::vec((0usize..200_000, 0usize..3), 0..8)) {
            let text: String = lengths.into_iter().map(|(length, breaks)| "x".repeat(length) + &"\n".repeat(breaks)).collect();
            prop_assert_eq!(texts(text.as_bytes()), text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}

//! Text: a record is a line.

use crate::format::{FileRange, Position, ReadFormat, RecordReader, RecordWriter, WriteFormat};
use crate::input::FileInput;
use crate::lines::LineSplitter;
use brisk_base::{Result, ResultExt};
use std::fmt::Display;
use std::io::{BufWriter, Read, Write};

/// Lines of UTF-8 text. A line belongs to the range in which it begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextLines;

impl ReadFormat<String> for TextLines {
    fn is_splittable(&self) -> bool {
        true
    }

    fn open(&self, input: &FileInput, range: FileRange) -> Result<Box<dyn RecordReader<String>>> {
        let (offset, skip_first) = match range.resume {
            Some(position) => (position.offset, false),
            None if range.start == 0 => (0, false),
            // A line that begins exactly here is ours: the byte before tells.
            None => (range.start - 1, true),
        };
        let bytes = input.open_at(offset)?;
        Ok(Box::new(LineReader { bytes, place: input.place(), splitter: LineSplitter::new(offset, skip_first), end: range.end }))
    }
}

/// Reads the lines of one range.
struct LineReader {
    /// The bytes that the splitter has not seen.
    bytes: Box<dyn Read + Send>,
    /// The file, for errors.
    place: String,
    /// Holds the present block.
    splitter: LineSplitter,
    /// Lines from here on belong to the next range.
    end: u64,
}

impl RecordReader<String> for LineReader {
    fn read_batch(&mut self, rows: usize, out: &mut Vec<String>) -> Result<bool> {
        let mut filled = false;
        while out.len() < rows {
            if self.splitter.offset() >= self.end {
                return Ok(false);
            }
            if let Some(line) = self.splitter.next_line() {
                out.push(line.to_owned());
            } else if self.splitter.is_ended() {
                return Ok(false);
            } else if filled {
                return Ok(true);
            } else {
                self.splitter.fill(&mut self.bytes).context(|| self.place.clone())?;
                filled = true;
            }
        }
        Ok(true)
    }

    fn position(&self) -> Position {
        Position { offset: self.splitter.offset(), lines: 0 }
    }
}

/// Writes records as they display themselves, a line each.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisplayLines;

impl<T: Display> WriteFormat<T> for DisplayLines {
    fn open(&self, out: Box<dyn Write + Send>) -> Box<dyn RecordWriter<T>> {
        Box::new(LineWriter { out: BufWriter::with_capacity(64 * 1024, out) })
    }

    fn extension(&self) -> &str {
        "txt"
    }
}

struct LineWriter {
    out: BufWriter<Box<dyn Write + Send>>,
}

impl<T: Display> RecordWriter<T> for LineWriter {
    fn write(&mut self, record: &T) -> Result<()> {
        Ok(writeln!(self.out, "{record}")?)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(input: &FileInput, range: FileRange, rows: usize) -> Vec<(Position, Vec<String>)> {
        let mut reader = TextLines.open(input, range).unwrap();
        let mut batches = Vec::new();
        loop {
            let mut batch = Vec::new();
            let position = reader.position();
            let more = reader.read_batch(rows, &mut batch).unwrap();
            batches.push((position, batch));
            if !more {
                return batches;
            }
        }
    }

    fn file(dir: &tempfile::TempDir, text: &str) -> FileInput {
        let path = dir.path().join("lines.txt");
        std::fs::write(&path, text).unwrap();
        FileInput::new(path)
    }

    proptest! {
        #[test]
        fn ranges_give_each_line_once(text in "[ab\n]{0,60}", cuts in proptest::collection::btree_set(0u64..61, 0..6)) {
            let dir = tempfile::tempdir().unwrap();
            let input = file(&dir, &text);
            let mut ends: Vec<u64> = cuts.into_iter().filter(|cut| *cut > 0).collect();
            ends.push(u64::MAX);
            let mut start = 0;
            let mut lines = Vec::new();
            for end in ends {
                lines.extend(read(&input, FileRange { start, end, resume: None }, 100).into_iter().flat_map(|(_, batch)| batch));
                start = end;
            }
            prop_assert_eq!(lines, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }

        #[test]
        fn reading_goes_on_at_any_position(text in "[ab\n]{0,60}", start in 0u64..30) {
            let dir = tempfile::tempdir().unwrap();
            let input = file(&dir, &text);
            let range = FileRange { start, end: 45, resume: None };
            let batches = read(&input, range, 2);
            for at in 1..batches.len() {
                let again = read(&input, FileRange { resume: Some(batches[at].0), ..range }, 2);
                let rest: Vec<&Vec<String>> = batches[at..].iter().map(|(_, batch)| batch).collect();
                prop_assert_eq!(again.iter().map(|(_, batch)| batch).collect::<Vec<_>>(), rest);
            }
        }
    }

    #[test]
    fn records_are_written_as_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut writer = DisplayLines.open(Box::new(std::fs::File::create(&path).unwrap()));
        [1, 2].iter().for_each(|number| writer.write(number).unwrap());
        writer.flush().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "1\n2\n");
    }
}

//! Formats: how the bytes of a file become records, and records become bytes.
//!
//! A format never decides what is read, or when: connectors hand it an input and a range, ask for about a batch at a time, and keep the
//! [`Position`] from which reading can go on. Nothing here knows about tasks, jobs or splits.
//!
//! | format | reads | writes |
//! |---|---|---|
//! | text lines | [`TextLines`] | [`DisplayLines`] |
//! | csv | [`Csv`] | [`Csv`] |
//! | csv, JSON, Debezium's JSON and lines, for tables | [`TableFormat`] | [`RowEncoder`] |
//!
//! Files that end in `.gz` are decompressed while they are read ([`FileInput`]).

mod csv;
mod excerpt;
mod format;
mod input;
mod lines;
mod table;
mod text;
pub mod timestamp;

pub use csv::{Csv, CsvColumns, CsvColumnsReader};
pub use excerpt::excerpt;
pub use format::{FileRange, Position, ReadFormat, RecordReader, RecordWriter, WriteFormat};
pub use input::{Compression, FileInput};
pub use lines::{BLOCK_BYTES, LineSplitter, MAX_LINE_BYTES};
pub use table::{CsvText, JsonText, Partitions, RowEncoder, TableFormat, TableReader, TimeStyle};
pub use text::{DisplayLines, TextLines};

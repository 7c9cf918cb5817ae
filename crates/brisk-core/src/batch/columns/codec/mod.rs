//! The byte layout of columnar batches, version 1: docs/adr/0003-columnar-batch-layout.md.
//!
//! Column data is Arrow's own buffers, so that encoding and decoding copy whole buffers. Decoding checks every length, offset and string:
//! damaged bytes are an error, never a panic, and never set aside much more memory than the input has bytes. Checksums are the business of
//! the frame around a batch.
//!
//! The frame's numbers are little-endian; Arrow's buffers are as in memory, and Brisk runs on little-endian machines only.

mod data;
pub(super) mod data_type;

use super::{Columns, RowKind};
use crate::batch::{AnyBatch, BatchType, Mark};
use crate::types::{Decoder, put_varint};
use brisk_base::{Error, Result, ResultExt, Timestamp};

#[cfg(not(target_endian = "little"))]
compile_error!("columnar batches are exchanged as Arrow buffers in memory order, which must be little-endian");

/// What batches of this kind are called in messages.
pub(super) const NAME: &str = "columns";
/// Version of the layout; the first byte.
const VERSION: u8 = 1;
/// Flags: which of the per-row vectors are there.
const TIMESTAMPS: u8 = 1;
const HASHES: u8 = 2;
const KINDS: u8 = 4;

/// Appends the bytes of a batch.
pub(super) fn encode(batch: &Columns, out: &mut Vec<u8>) {
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    out.push(VERSION);
    out.push(
        flag(!batch.timestamps.is_empty(), TIMESTAMPS) | flag(!batch.hashes.is_empty(), HASHES) | flag(!batch.kinds.is_empty(), KINDS),
    );
    out.extend_from_slice(&(batch.rows as u32).to_le_bytes());
    batch.timestamps.iter().for_each(|timestamp| out.extend_from_slice(&timestamp.0.to_le_bytes()));
    batch.hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
    out.extend(batch.kinds.iter().map(|kind| *kind as u8));
    out.extend_from_slice(&(batch.marks.len() as u32).to_le_bytes());
    for mark in &batch.marks {
        out.extend_from_slice(&mark.row.to_le_bytes());
        out.extend_from_slice(&mark.watermark.0.to_le_bytes());
    }
    put_varint(out, batch.columns.len() as u64);
    for column in &batch.columns {
        data_type::put(column.data_type(), out);
        data::put(column.as_ref(), out);
    }
}

/// Reads columnar batches.
#[derive(Debug)]
pub(super) struct ColumnsType;

impl BatchType for ColumnsType {
    fn decode(&self, bytes: &[u8]) -> Result<Box<dyn AnyBatch>> {
        let mut input = Decoder::new(bytes);
        let batch = decode(&mut input).context(|| "columnar batch")?;
        Ok(Box::new(batch))
    }

    fn name(&self) -> &'static str {
        NAME
    }
}

fn decode(input: &mut Decoder<'_>) -> Result<Columns> {
    let version = input.byte()?;
    if version != VERSION {
        return Err(Error::corrupt(format!("version {version} of the layout is unknown; this program reads version {VERSION}")));
    }
    let flags = input.byte()?;
    if flags & !(TIMESTAMPS | HASHES | KINDS) != 0 {
        return Err(input.corrupt(format!("unknown flags {flags:#04x}")));
    }
    let rows = u32::from_le_bytes(input.take_array()?) as usize;
    let mut batch = Columns { rows, ..Columns::default() };
    if flags & TIMESTAMPS != 0 {
        batch.timestamps = words(input, rows)?.map(|word| Timestamp(i64::from_le_bytes(word))).collect();
    }
    if flags & HASHES != 0 {
        batch.hashes = words(input, rows)?.map(u64::from_le_bytes).collect();
    }
    if flags & KINDS != 0 {
        batch.kinds = input.take(rows)?.iter().map(|byte| RowKind::from_byte(*byte)).collect::<Result<_>>()?;
    }
    batch.marks = marks(input, rows)?;
    for index in 0..input.count()? {
        let column = data_type::read(input).and_then(|data_type| data::read(input, &data_type, rows));
        batch.columns.push(column.context(|| format!("column {index}"))?);
    }
    input.finish()?;
    Ok(batch)
}

/// `count` words of 8 bytes.
fn words<'a>(input: &mut Decoder<'a>, count: usize) -> Result<impl Iterator<Item = [u8; 8]> + use<'a>> {
    let (words, _) = input.take(count * 8)?.as_chunks::<8>();
    Ok(words.iter().copied())
}

fn marks(input: &mut Decoder<'_>, rows: usize) -> Result<Vec<Mark>> {
    let mut marks: Vec<Mark> = Vec::new();
    for _ in 0..u32::from_le_bytes(input.take_array()?) {
        let row = u32::from_le_bytes(input.take_array()?);
        let watermark = Timestamp(i64::from_le_bytes(input.take_array()?));
        let ordered = marks.last().is_none_or(|last| last.row <= row && last.watermark < watermark);
        if row as usize > rows || !ordered {
            return Err(input.corrupt(format!("mark at row {row} of a batch of {rows} rows is out of order")));
        }
        marks.push(Mark { row, watermark });
    }
    Ok(marks)
}

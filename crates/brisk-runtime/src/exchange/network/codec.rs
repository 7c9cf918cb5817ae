//! An element as bytes: a tag, and what belongs to it. Batches as their types encode them.

use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::BatchType;
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::{Element, StreamStatus};
use brisk_core::types::{Decoder, put_varint, put_zigzag};
use std::time::Duration;

const BATCH: u8 = 0;
const WATERMARK: u8 = 1;
const ACTIVE: u8 = 2;
const IDLE: u8 = 3;
const LATENCY_MARKER: u8 = 4;
const BARRIER: u8 = 5;
const END_OF_INPUT: u8 = 6;
const END_OF_CHANNEL: u8 = 7;

/// Appends an element.
pub(super) fn encode(element: &Element, out: &mut Vec<u8>) {
    match element {
        Element::Batch(batch) => {
            out.push(BATCH);
            batch.encode(out);
        }
        Element::Watermark(watermark) => {
            out.push(WATERMARK);
            put_zigzag(out, watermark.0);
        }
        Element::Status(StreamStatus::Active) => out.push(ACTIVE),
        Element::Status(StreamStatus::Idle) => out.push(IDLE),
        Element::LatencyMarker(at) => {
            out.push(LATENCY_MARKER);
            put_zigzag(out, at.0);
        }
        Element::Barrier(barrier) => {
            out.push(BARRIER);
            encode_barrier(barrier, out);
        }
        Element::EndOfInput => out.push(END_OF_INPUT),
        Element::EndOfChannel => out.push(END_OF_CHANNEL),
    }
}

fn encode_barrier(barrier: &Barrier, out: &mut Vec<u8>) {
    put_varint(out, barrier.checkpoint.0);
    put_zigzag(out, barrier.timestamp.0);
    out.push(match barrier.kind {
        SnapshotKind::Checkpoint => 0,
        SnapshotKind::Savepoint => 1,
        SnapshotKind::StopWithSavepoint { drain: false } => 2,
        SnapshotKind::StopWithSavepoint { drain: true } => 3,
    });
    match barrier.alignment {
        Alignment::AtLeastOnce => out.push(0),
        Alignment::Aligned => out.push(1),
        Alignment::Unaligned => out.push(2),
        Alignment::AlignedTimeout(after) => {
            out.push(3);
            put_varint(out, after.as_millis() as u64);
        }
    }
}

/// Reads an element; `batch_type` says how its batch is read.
///
/// # Errors
/// `Corrupt` when the bytes are something else; a batch for an input whose type is not known is a defect of its operator.
pub(super) fn decode(bytes: &[u8], batch_type: Option<&dyn BatchType>) -> Result<Element> {
    let mut input = Decoder::new(bytes);
    let element = match input.byte()? {
        BATCH => {
            let batch_type = batch_type.ok_or_else(|| {
                Error::bug(
                    "the operator does not say how its input is read (`Operator::input_type`), so it cannot be fed by another process",
                )
            })?;
            return batch_type.decode(&bytes[1..]).map(Element::Batch);
        }
        WATERMARK => Element::Watermark(Timestamp(input.zigzag()?)),
        ACTIVE => Element::Status(StreamStatus::Active),
        IDLE => Element::Status(StreamStatus::Idle),
        LATENCY_MARKER => Element::LatencyMarker(Timestamp(input.zigzag()?)),
        BARRIER => Element::Barrier(decode_barrier(&mut input)?),
        END_OF_INPUT => Element::EndOfInput,
        END_OF_CHANNEL => Element::EndOfChannel,
        other => return Err(input.unknown_variant("Element", u64::from(other))),
    };
    input.finish()?;
    Ok(element)
}

fn decode_barrier(input: &mut Decoder<'_>) -> Result<Barrier> {
    let (checkpoint, timestamp) = (CheckpointId(input.varint()?), Timestamp(input.zigzag()?));
    let kind = match input.byte()? {
        0 => SnapshotKind::Checkpoint,
        1 => SnapshotKind::Savepoint,
        2 => SnapshotKind::StopWithSavepoint { drain: false },
        3 => SnapshotKind::StopWithSavepoint { drain: true },
        other => return Err(input.unknown_variant("SnapshotKind", u64::from(other))),
    };
    let alignment = match input.byte()? {
        0 => Alignment::AtLeastOnce,
        1 => Alignment::Aligned,
        2 => Alignment::Unaligned,
        3 => Alignment::AlignedTimeout(Duration::from_millis(input.varint()?)),
        other => return Err(input.unknown_variant("Alignment", u64::from(other))),
    };
    Ok(Barrier { checkpoint, timestamp, kind, alignment })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::batch::Rows;
    use proptest::prelude::*;

    fn bytes(element: &Element) -> Vec<u8> {
        let mut out = Vec::new();
        encode(element, &mut out);
        out
    }

    #[test]
    fn elements_come_out_as_they_went_in() {
        let barrier =
            |kind, alignment| Element::Barrier(Barrier { checkpoint: CheckpointId(300), timestamp: Timestamp(-5), kind, alignment });
        let mut elements = vec![
            Element::Watermark(Timestamp(-7)),
            Element::Status(StreamStatus::Active),
            Element::Status(StreamStatus::Idle),
            Element::LatencyMarker(Timestamp(9)),
            Element::EndOfInput,
            Element::EndOfChannel,
        ];
        let kinds = [
            SnapshotKind::Checkpoint,
            SnapshotKind::Savepoint,
            SnapshotKind::StopWithSavepoint { drain: false },
            SnapshotKind::StopWithSavepoint { drain: true },
        ];
        let alignments =
            [Alignment::AtLeastOnce, Alignment::Aligned, Alignment::Unaligned, Alignment::AlignedTimeout(Duration::from_millis(1500))];
        elements.extend(kinds.into_iter().flat_map(|kind| alignments.map(|alignment| barrier(kind, alignment))));
        for element in &elements {
            let back = decode(&bytes(element), None).expect("it is sound");
            assert_eq!(format!("{back:?}"), format!("{element:?}"));
        }
        let mut rows = Rows::from(vec![1u64, 2, 3]);
        rows.mark(Timestamp(4));
        let batch = Element::Batch(Box::new(rows));
        let Element::Batch(back) = decode(&bytes(&batch), Some(Rows::<u64>::batch_type().as_ref())).expect("it is sound") else {
            panic!("a batch")
        };
        assert_eq!((back.len(), back.marks().len()), (3, 1));
        let error = decode(&bytes(&batch), None).expect_err("nobody knows the type").to_string();
        assert!(error.contains("input_type"), "{error}");
    }

    proptest! {
        #[test]
        fn whatever_arrives_is_an_element_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let batch_type = Rows::<(String, u64)>::batch_type();
            let _ = decode(&bytes, Some(batch_type.as_ref()));
        }
    }
}

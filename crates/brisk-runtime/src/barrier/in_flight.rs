//! Elements under way that are part of an unaligned checkpoint, and where each channel stood.
//!
//! In a checkpoint they lie as one blob per subtask, the [encoding](InFlight::encode) of this module.

use brisk_base::ids::{OperatorId, VertexId};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType};
use brisk_core::element::{Element, StreamStatus};
use brisk_core::types::{Decoder, put_bytes, put_varint, put_zigzag};

/// A channel of an exchange, named so that a restored job finds it again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChannelKey {
    /// The vertex that reads.
    pub to: VertexId,
    /// Index of the exchange among those that the vertex reads.
    pub gate: u32,
    /// The subtask that writes.
    pub producer: u32,
    /// The subtask that reads.
    pub consumer: u32,
}

/// Elements of one channel, in order.
#[derive(Debug)]
pub struct ChannelElements {
    /// The channel.
    pub channel: ChannelKey,
    /// Its elements.
    pub elements: Vec<Element>,
}

/// Where a channel stood at the snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelStanding {
    /// The channel.
    pub channel: ChannelKey,
    /// Its last watermark.
    pub watermark: Timestamp,
    /// Whether it was idle.
    pub idle: bool,
}

/// What was under way in one task.
#[derive(Debug, Default)]
pub struct InFlight {
    /// Elements that had been read for an input of the head operator, by input.
    pub head: Vec<(u32, Element)>,
    /// Elements in front of other operators of the chain, by operator.
    pub chain: Vec<(OperatorId, Element)>,
    /// Elements that had been received and not read.
    pub received: Vec<ChannelElements>,
    /// Elements that had been made and not sent.
    pub sent: Vec<ChannelElements>,
    /// Where the input channels stood.
    pub standings: Vec<ChannelStanding>,
}

/// [`InFlight`] read back, the batches still encoded: their types are known where they are used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InFlightElements {
    /// As [`InFlight::head`].
    pub head: Vec<(u32, Stored)>,
    /// As [`InFlight::chain`].
    pub chain: Vec<(OperatorId, Stored)>,
    /// As [`InFlight::received`].
    pub received: Vec<(ChannelKey, Vec<Stored>)>,
    /// As [`InFlight::sent`].
    pub sent: Vec<(ChannelKey, Vec<Stored>)>,
    /// As [`InFlight::standings`].
    pub standings: Vec<ChannelStanding>,
}

/// A stored element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stored {
    /// An encoded batch.
    Batch(Vec<u8>),
    /// A watermark.
    Watermark(Timestamp),
    /// A status.
    Status(StreamStatus),
    /// The end of input.
    EndOfInput,
}

impl Stored {
    /// The batch in it, if it is one.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not a batch of this type.
    pub fn batch(&self, batch_type: &dyn BatchType) -> Result<Option<Box<dyn AnyBatch>>> {
        match self {
            Self::Batch(bytes) => batch_type.decode(bytes).map(Some),
            _ => Ok(None),
        }
    }
}

const VERSION: u8 = 1;
const BATCH: u8 = 0;
const WATERMARK: u8 = 1;
const ACTIVE: u8 = 2;
const IDLE: u8 = 3;
const END_OF_INPUT: u8 = 4;

impl InFlight {
    /// Whether nothing was under way.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.chain.is_empty() && self.received.is_empty() && self.sent.is_empty()
    }

    /// Rows under way.
    pub fn rows(&self) -> u64 {
        let head = self.head.iter().map(|(_, element)| element);
        let chain = self.chain.iter().map(|(_, element)| element);
        let channels = self.received.iter().chain(&self.sent).flat_map(|channel| &channel.elements);
        head.chain(chain).chain(channels).map(|element| element.rows() as u64).sum()
    }

    /// The bytes that [`InFlightElements::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.head.len() as u64);
        for (input, element) in &self.head {
            put_varint(&mut out, u64::from(*input));
            put_element(&mut out, element);
        }
        put_varint(&mut out, self.chain.len() as u64);
        for (operator, element) in &self.chain {
            out.extend_from_slice(&operator.0.to_be_bytes());
            put_element(&mut out, element);
        }
        for channels in [&self.received, &self.sent] {
            put_varint(&mut out, channels.len() as u64);
            for ChannelElements { channel, elements } in channels {
                put_channel(&mut out, *channel);
                put_varint(&mut out, elements.iter().filter(|element| is_stored(element)).count() as u64);
                elements.iter().for_each(|element| put_element(&mut out, element));
            }
        }
        put_varint(&mut out, self.standings.len() as u64);
        for standing in &self.standings {
            put_channel(&mut out, standing.channel);
            put_zigzag(&mut out, standing.watermark.0);
            out.push(u8::from(standing.idle));
        }
        out
    }
}

/// Latency markers are of no interest later, and barriers are what the elements are in front of.
const fn is_stored(element: &Element) -> bool {
    matches!(element, Element::Batch(_) | Element::Watermark(_) | Element::Status(_) | Element::EndOfInput)
}

fn put_channel(out: &mut Vec<u8>, channel: ChannelKey) {
    out.extend_from_slice(&channel.to.0.to_be_bytes());
    [channel.gate, channel.producer, channel.consumer].into_iter().for_each(|number| put_varint(out, u64::from(number)));
}

fn put_element(out: &mut Vec<u8>, element: &Element) {
    match element {
        Element::Batch(batch) => {
            out.push(BATCH);
            let mut bytes = Vec::new();
            batch.encode(&mut bytes);
            put_bytes(out, &bytes);
        }
        Element::Watermark(watermark) => {
            out.push(WATERMARK);
            put_zigzag(out, watermark.0);
        }
        Element::Status(StreamStatus::Active) => out.push(ACTIVE),
        Element::Status(StreamStatus::Idle) => out.push(IDLE),
        Element::EndOfInput => out.push(END_OF_INPUT),
        Element::LatencyMarker(_) | Element::Barrier(_) | Element::EndOfChannel => {}
    }
}

impl InFlightElements {
    /// Reads what [`InFlight::encode`] wrote.
    ///
    /// # Errors
    /// `Corrupt`, with the offset, on anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Decoder::new(bytes);
        let version = input.byte()?;
        if version != VERSION {
            return Err(Error::corrupt(format!("records under way are stored in format {version}, which this version cannot read")));
        }
        let mut found = Self::default();
        for _ in 0..input.varint()? {
            let operator_input = u32_of(&mut input)?;
            found.head.push((operator_input, stored(&mut input)?));
        }
        for _ in 0..input.varint()? {
            let operator = OperatorId(u128_of(&mut input)?);
            found.chain.push((operator, stored(&mut input)?));
        }
        for channels in [&mut found.received, &mut found.sent] {
            for _ in 0..input.varint()? {
                let channel = channel(&mut input)?;
                let count = input.varint()?;
                channels.push((channel, (0..count).map(|_| stored(&mut input)).collect::<Result<_>>()?));
            }
        }
        for _ in 0..input.varint()? {
            let channel = channel(&mut input)?;
            let watermark = Timestamp(input.zigzag()?);
            found.standings.push(ChannelStanding { channel, watermark, idle: input.byte()? != 0 });
        }
        input.finish()?;
        Ok(found)
    }
}

fn u32_of(input: &mut Decoder<'_>) -> Result<u32> {
    u32::try_from(input.varint()?).map_err(|_| Error::corrupt("a number is too large"))
}

fn u128_of(input: &mut Decoder<'_>) -> Result<u128> {
    let bytes: [u8; 16] = input.take(16)?.try_into().map_err(|_| Error::corrupt("an id is too short"))?;
    Ok(u128::from_be_bytes(bytes))
}

fn channel(input: &mut Decoder<'_>) -> Result<ChannelKey> {
    Ok(ChannelKey { to: VertexId(u128_of(input)?), gate: u32_of(input)?, producer: u32_of(input)?, consumer: u32_of(input)? })
}

fn stored(input: &mut Decoder<'_>) -> Result<Stored> {
    Ok(match input.byte()? {
        BATCH => Stored::Batch(input.bytes()?.to_vec()),
        WATERMARK => Stored::Watermark(Timestamp(input.zigzag()?)),
        ACTIVE => Stored::Status(StreamStatus::Active),
        IDLE => Stored::Status(StreamStatus::Idle),
        END_OF_INPUT => Stored::EndOfInput,
        other => return Err(Error::corrupt(format!("{other} is no kind of element"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::batch::Rows;

    fn sample() -> InFlight {
        let channel = ChannelKey { to: VertexId(7), gate: 1, producer: 2, consumer: 3 };
        let batch = || Element::Batch(Box::new(Rows::from(vec![1i64, 2, 3])));
        InFlight {
            head: vec![(1, batch())],
            chain: vec![(OperatorId(9), Element::Watermark(Timestamp(-4)))],
            received: vec![ChannelElements { channel, elements: vec![batch(), Element::LatencyMarker(Timestamp(0)), Element::EndOfInput] }],
            sent: vec![ChannelElements { channel, elements: vec![Element::Status(StreamStatus::Idle)] }],
            standings: vec![ChannelStanding { channel, watermark: Timestamp::MIN, idle: true }],
        }
    }

    #[test]
    fn elements_come_back() {
        let sample = sample();
        assert_eq!(sample.rows(), 6);
        let found = InFlightElements::decode(&sample.encode()).expect("just written");
        assert_eq!(found.received[0].1[1..], [Stored::EndOfInput]);
        assert_eq!(found.chain, [(OperatorId(9), Stored::Watermark(Timestamp(-4)))]);
        assert_eq!(found.standings, sample.standings);
        let batch = found.head[0].1.batch(&*Rows::<i64>::batch_type()).expect("numbers").expect("a batch");
        assert_eq!(Rows::<i64>::from_any(batch).expect("numbers").values, [1, 2, 3]);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let bytes = sample().encode();
        for cut in 0..bytes.len() {
            assert!(InFlightElements::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let _ = InFlightElements::decode(&bytes);
            }
        }
    }
}

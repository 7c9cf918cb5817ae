//! Frames: what is on the wire.
//!
//! A frame is a header of [`HEADER`] bytes and a payload. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | length of the payload as it is sent |
//! | 4 | kind |
//! | 5 | 1 if the payload is compressed, else 0 |
//! | 6..8 | 0 |
//! | 8..16 | channel |
//! | 16..20 | length of the payload once decompressed |
//! | 20..24 | lower half of the payload's XXH3 |
//! | 24..28 | lower half of the XXH3 of bytes 0..24 |
//!
//! A header that is damaged makes it unknown where the next frame begins: that ends the connection. A damaged payload concerns its channel
//! alone. Each side begins with a [`Kind::Hello`] whose channel is [`MAGIC`] and whose payload is the version.

use brisk_base::{Error, Result};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a header.
pub const HEADER: usize = 28;

/// The version of all this.
pub const VERSION: u32 = 1;

/// Marks the first frame of a connection: `BRISKNET`.
pub const MAGIC: u64 = u64::from_le_bytes(*b"BRISKNET");

/// The largest payload, before and after compression.
pub const MAX_PAYLOAD: usize = 64 << 20;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The first frame of each side.
    Hello = 1,
    /// Opens a channel; the payload is its descriptor.
    Open = 2,
    /// A batch of a channel.
    Data = 3,
    /// Grants credit to a channel: bytes (8) and batches (4).
    Credit = 4,
    /// The sender of a channel has sent everything.
    Finish = 5,
    /// The receiver of a channel wants no more: it has failed there. The payload says why.
    Reject = 6,
    /// The sender of a channel has failed. The payload says why.
    Fail = 7,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Hello, Self::Open, Self::Data, Self::Credit, Self::Finish, Self::Reject, Self::Fail]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// One frame that has arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The channel that it is about.
    pub channel: u64,
    /// Its payload, decompressed.
    pub payload: Vec<u8>,
}

/// What the decoder finds.
#[derive(Debug)]
pub enum Decoded {
    /// A sound frame.
    Frame(Frame),
    /// The payload of a frame of this channel is damaged; the next frame is where it should be.
    Damaged(u64, Error),
}

/// Appends a frame. Payloads of at least [`COMPRESS_FROM`] bytes are compressed if that is wanted and makes them smaller.
///
/// # Errors
/// When the payload is too large.
pub fn encode(kind: Kind, channel: u64, payload: &[u8], compress: bool, out: &mut Vec<u8>) -> Result<()> {
    if payload.len() > MAX_PAYLOAD {
        return Err(Error::user(format!("a batch of {} bytes is larger than the {MAX_PAYLOAD} that can be sent at once", payload.len())));
    }
    let packed = (compress && payload.len() >= COMPRESS_FROM).then(|| lz4_flex::block::compress(payload));
    let packed = packed.filter(|packed| packed.len() < payload.len());
    let sent = packed.as_deref().unwrap_or(payload);
    let at = out.len();
    out.reserve(HEADER + sent.len());
    out.extend_from_slice(&(sent.len() as u32).to_le_bytes());
    out.extend_from_slice(&[kind as u8, u8::from(packed.is_some()), 0, 0]);
    out.extend_from_slice(&channel.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum(sent).to_le_bytes());
    let header = checksum(&out[at..]);
    out.extend_from_slice(&header.to_le_bytes());
    out.extend_from_slice(sent);
    Ok(())
}

/// Payloads below this size are not compressed.
pub const COMPRESS_FROM: usize = 256;

/// The first frame of a side.
pub fn encode_hello(out: &mut Vec<u8>) {
    encode(Kind::Hello, MAGIC, &VERSION.to_le_bytes(), false, out).expect("a version is small");
}

fn checksum(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

/// Finds frames in bytes that arrive in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What has arrived and not been decoded: at most one frame, and what one read brings.
    buffer: Vec<u8>,
    /// Bytes of it that have been decoded.
    read: usize,
}

/// The header of a frame.
struct Header {
    kind: Kind,
    compressed: bool,
    channel: u64,
    length: usize,
    raw_length: usize,
    payload_sum: u32,
}

impl Decoder {
    /// Takes what has arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` until more has arrived.
    ///
    /// # Errors
    /// `Corrupt` when a header is damaged: nothing that follows can be understood.
    pub fn next_frame(&mut self) -> Result<Option<Decoded>> {
        let Some(header) = self.header()? else { return Ok(None) };
        let Some(sent) = self.buffer.get(self.read + HEADER..self.read + HEADER + header.length) else { return Ok(None) };
        let payload =
            if checksum(sent) == header.payload_sum { unpack(&header, sent) } else { Err(Error::corrupt("its checksum is wrong")) };
        self.read += HEADER + header.length;
        Ok(Some(match payload {
            Ok(payload) => Decoded::Frame(Frame { kind: header.kind, channel: header.channel, payload }),
            Err(error) => Decoded::Damaged(header.channel, error.context(format!("a {:?} frame of {} bytes", header.kind, header.length))),
        }))
    }

    /// The next header, once it is there.
    fn header(&self) -> Result<Option<Header>> {
        let Some(bytes) = self.buffer.get(self.read..self.read + HEADER) else { return Ok(None) };
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let wrong = |what: &str| Err(Error::corrupt(format!("a frame's header is damaged or not one of this version: {what}")));
        if u32_at(24) != checksum(&bytes[..24]) {
            return wrong("its checksum is wrong");
        }
        let (length, raw_length) = (u32_at(0) as usize, u32_at(16) as usize);
        if length > MAX_PAYLOAD || raw_length > MAX_PAYLOAD {
            return wrong(&format!("a payload of {length} bytes, decompressed {raw_length}"));
        }
        let Some(kind) = Kind::of(bytes[4]) else { return wrong(&format!("kind {}", bytes[4])) };
        if bytes[5] > 1 || bytes[6] != 0 || bytes[7] != 0 {
            return wrong(&format!("flags {:?}", &bytes[5..8]));
        }
        let channel = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        Ok(Some(Header { kind, compressed: bytes[5] == 1, channel, length, raw_length, payload_sum: u32_at(20) }))
    }
}

fn unpack(header: &Header, sent: &[u8]) -> Result<Vec<u8>> {
    if !header.compressed {
        let sound = header.raw_length == sent.len();
        return if sound { Ok(sent.to_vec()) } else { Err(Error::corrupt(format!("it should have {} bytes", header.raw_length))) };
    }
    let payload = lz4_flex::block::decompress(sent, header.raw_length)
        .map_err(|error| Error::corrupt(format!("it cannot be decompressed: {error}")))?;
    if payload.len() == header.raw_length {
        Ok(payload)
    } else {
        Err(Error::corrupt(format!("it should have {} bytes decompressed", header.raw_length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(bytes: &[u8], piece: usize) -> (Vec<Decoded>, Option<Error>) {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            decoder.feed(piece);
            loop {
                match decoder.next_frame() {
                    Ok(Some(decoded)) => found.push(decoded),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None)
    }

    #[test]
    fn the_wire_has_not_changed() {
        let mut out = Vec::new();
        encode_hello(&mut out);
        encode(Kind::Data, 7, b"batch", false, &mut out).expect("it is small");
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    /// Version 1.
    const GOLDEN: &str = "0400000001000000425249534b4e4554040000000857d696e779e58d010000000500000003000000070000000000000005000000951b739eca334d7b6261746368";

    #[test]
    fn a_damaged_payload_concerns_its_channel_alone() {
        let mut out = Vec::new();
        encode(Kind::Data, 7, b"first", false, &mut out).expect("it is small");
        out[HEADER] ^= 1;
        encode(Kind::Data, 8, b"second", false, &mut out).expect("it is small");
        let (found, error) = frames(&out, 10);
        assert!(matches!(&found[0], Decoded::Damaged(7, error) if error.to_string().contains("checksum")), "{found:?}");
        assert!(matches!(&found[1], Decoded::Frame(Frame { channel: 8, .. })), "{found:?}");
        assert!(error.is_none());
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut out = Vec::new();
        encode(Kind::Data, 7, &[0; 1000], true, &mut out).expect("it is small");
        // Says that it becomes 64 MiB, with a right checksum of the header.
        out[16..20].copy_from_slice(&(MAX_PAYLOAD as u32).to_le_bytes());
        let sum = checksum(&out[..24]);
        out[24..28].copy_from_slice(&sum.to_le_bytes());
        let (found, _) = frames(&out, 4096);
        assert!(matches!(&found[0], Decoded::Damaged(7, _)), "{found:?}");
        out[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        let sum = checksum(&out[..24]);
        out[24..28].copy_from_slice(&sum.to_le_bytes());
        let (found, error) = frames(&out, 4096);
        assert!(found.is_empty() && error.is_some_and(|error| error.to_string().contains("4294967295")));
        assert!(encode(Kind::Data, 7, &vec![0; MAX_PAYLOAD + 1], false, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            batches in proptest::collection::vec((any::<u64>(), proptest::collection::vec(0u8..4, 0..2000), any::<bool>()), 0..8),
            piece in 1usize..3000,
        ) {
            let mut out = Vec::new();
            for (channel, payload, compress) in &batches {
                encode(Kind::Data, *channel, payload, *compress, &mut out).expect("they are small");
            }
            let (found, error) = frames(&out, piece);
            prop_assert!(error.is_none());
            let found: Vec<_> = found.into_iter().map(|decoded| match decoded {
                Decoded::Frame(frame) => (frame.channel, frame.payload),
                Decoded::Damaged(channel, error) => (channel, error.to_string().into_bytes()),
            }).collect();
            let expected: Vec<_> = batches.into_iter().map(|(channel, payload, _)| (channel, payload)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn whatever_arrives_is_a_frame_or_an_error(
            payload in proptest::collection::vec(any::<u8>(), 0..600),
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
            noise in proptest::collection::vec(any::<u8>(), 0..100),
            fix_header in any::<bool>(),
        ) {
            let mut out = Vec::new();
            encode(Kind::Data, 3, &payload, true, &mut out).expect("it is small");
            for (at, byte) in changes {
                let at = at % out.len();
                out[at] = byte;
            }
            if fix_header {
                let sum = checksum(&out[..24]);
                out[24..28].copy_from_slice(&sum.to_le_bytes());
            }
            out.extend_from_slice(&noise);
            for decoded in frames(&out, 64).0 {
                if let Decoded::Frame(frame) = decoded {
                    prop_assert!(frame.payload.len() <= MAX_PAYLOAD);
                }
            }
        }
    }
}

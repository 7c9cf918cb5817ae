//! Blocks: the pieces that state files are made of, each with its length and checksum.
//!
//! ```text
//! offset  bytes
//!      0      1  how the payload is stored: 0 as it is, 1 compressed with lz4 (block format)
//!      1      4  bytes of the stored payload, lowest byte first
//!      5      4  bytes of the payload, likewise
//!      9      8  xxh3 (64 bits, seed 0) of the 9 bytes before and the stored payload, likewise
//!     17         the stored payload
//! ```
//!
//! A payload is a sequence of entries: of a keyed state, the length of the key in LEB128 and the key, and likewise the value; of an operator
//! state, the length of the item and the item.

use brisk_base::{Error, Result};
use xxhash_rust::xxh3::Xxh3Default;

/// A block is closed once its payload has this many bytes. One entry is never split.
pub(super) const BLOCK_BYTES: usize = 128 * 1024;

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 17;

/// Bytes of the header that the checksum covers.
const CHECKED_HEADER_BYTES: usize = 9;

/// Payloads below this are not worth compressing.
const LEAST_COMPRESSED: usize = 256;

/// lz4 makes its input this many times smaller at most; damaged lengths cost no more memory than that.
const MOST_RATIO: usize = 255;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;

/// Appends a block with this payload.
pub(super) fn put_block(payload: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let too_large = |_| Error::user(format!("an entry of a state has {} bytes; it can have 4 GB at most", payload.len()));
    let raw = u32::try_from(payload.len()).map_err(too_large)?;
    let compressed = if payload.len() < LEAST_COMPRESSED { None } else { Some(lz4_flex::block::compress(payload)) };
    let (codec, stored) = match &compressed {
        Some(bytes) if bytes.len() < payload.len() - payload.len() / 8 => (LZ4, bytes.as_slice()),
        _ => (PLAIN, payload),
    };
    let stored_len = u32::try_from(stored.len()).map_err(too_large)?;
    let start = out.len();
    out.push(codec);
    out.extend_from_slice(&stored_len.to_le_bytes());
    out.extend_from_slice(&raw.to_le_bytes());
    let checksum = checksum(&out[start..], stored);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(stored);
    Ok(())
}

/// What the header of a block says.
#[derive(Clone, Copy)]
pub(super) struct Header {
    bytes: [u8; HEADER_BYTES],
}

impl Header {
    /// Reads a header.
    pub(super) const fn new(bytes: [u8; HEADER_BYTES]) -> Self {
        Self { bytes }
    }

    /// Bytes of the stored payload. Not verified before [`payload`](Self::payload).
    pub(super) fn stored_bytes(&self) -> usize {
        self.number(1)
    }

    fn number(&self, at: usize) -> usize {
        let bytes: [u8; 4] = self.bytes[at..at + 4].try_into().expect("four bytes are four bytes");
        u32::from_le_bytes(bytes) as usize
    }

    /// Verifies the stored payload and gives it as it was. `place` is filled when it was compressed.
    pub(super) fn payload<'a>(&self, stored: &'a [u8], place: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let (head, expected) = self.bytes.split_at(CHECKED_HEADER_BYTES);
        if checksum(head, stored).to_le_bytes() != expected {
            return Err(damaged("its checksum does not fit its bytes"));
        }
        let raw = self.number(5);
        match self.bytes[0] {
            PLAIN if raw == stored.len() => Ok(stored),
            LZ4 if raw <= stored.len().saturating_mul(MOST_RATIO).saturating_add(64) => {
                place.resize(raw, 0);
                match lz4_flex::block::decompress_into(stored, place) {
                    Ok(len) if len == raw => Ok(place),
                    _ => Err(damaged("it cannot be decompressed")),
                }
            }
            _ => Err(damaged("its header is wrong")),
        }
    }
}

fn damaged(what: &str) -> Error {
    Error::corrupt(format!("a block of state is damaged: {what}"))
}

fn checksum(header: &[u8], stored: &[u8]) -> u64 {
    let mut hash = Xxh3Default::new();
    hash.update(header);
    hash.update(stored);
    hash.digest()
}

//! A cursor over encoded bytes that checks everything it reads.

use brisk_base::{Error, Result};
use std::borrow::Cow;

/// Reads values from bytes, front to back. Every method fails with an error of kind `Corrupt` instead of reading past the end.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    /// What is left to read.
    rest: &'a [u8],
    /// Length of the whole input, so that errors can name an offset.
    total: usize,
    /// How many lists, maps and boxes the value being read lies in.
    depth: u32,
}

impl<'a> Decoder<'a> {
    /// How deep lists, maps and boxes may lie in one another. Bounds the stack that hostile input can take.
    pub const MAX_DEPTH: u32 = 200;

    /// Reads `bytes` from their start.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total: bytes.len(), depth: 0 }
    }

    /// Bytes read so far.
    pub const fn offset(&self) -> usize {
        self.total - self.rest.len()
    }

    /// Bytes left to read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next byte.
    ///
    /// # Errors
    /// At the end of the input.
    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                Ok(byte)
            }
            None => Err(self.too_short(1)),
        }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.too_short(count)),
        }
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// When fewer are left.
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.too_short(N)),
        }
    }

    /// An unsigned number in LEB128. Only the shortest form is taken, so that equal values have equal bytes.
    ///
    /// # Errors
    /// When the input ends, or the number has more than 64 bits or needless bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(self.corrupt("a number has more than 64 bits"));
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return if byte == 0 && shift > 0 { Err(self.corrupt("a number is not in its shortest form")) } else { Ok(value) };
            }
        }
        Err(self.corrupt("a number has more than 64 bits"))
    }

    /// A signed number in zigzag LEB128.
    ///
    /// # Errors
    /// As [`Decoder::varint`].
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count of things that take at least one byte each.
    ///
    /// # Errors
    /// As [`Decoder::varint`], and when there are fewer bytes left than things.
    #[inline]
    pub fn count(&mut self) -> Result<usize> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.remaining() => Ok(count),
            _ => Err(self.corrupt(format!("a length of {count} exceeds the {} bytes that are left", self.remaining()))),
        }
    }

    /// A length and that many bytes.
    ///
    /// # Errors
    /// As [`Decoder::count`].
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    /// A length and that many bytes of UTF-8.
    ///
    /// # Errors
    /// As [`Decoder::count`], and when the bytes are no UTF-8.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.corrupt("a string is not valid UTF-8"))
    }

    /// Bytes written by [`put_ordered_bytes`](super::put_ordered_bytes).
    ///
    /// # Errors
    /// When the closing mark is missing or an escape is wrong.
    pub fn ordered_bytes(&mut self) -> Result<Cow<'a, [u8]>> {
        let mut out = Cow::Borrowed(&[][..]);
        loop {
            let Some(zero) = first_zero(self.rest) else {
                return Err(self.corrupt("an ordered string is not closed"));
            };
            let piece = self.take(zero)?;
            match self.take_array::<2>()?[1] {
                0 if out.is_empty() => return Ok(piece.into()),
                0 => {
                    out.to_mut().extend_from_slice(piece);
                    return Ok(out);
                }
                0xFF => {
                    out.to_mut().extend_from_slice(piece);
                    out.to_mut().push(0);
                }
                other => return Err(self.corrupt(format!("an ordered string has the unknown escape {other}"))),
            }
        }
    }

    /// A variant index written by [`put_ordered_tag`](super::put_ordered_tag).
    ///
    /// # Errors
    /// At the end of the input.
    pub fn ordered_tag(&mut self) -> Result<u32> {
        Ok(match self.byte()? {
            0xFF => u32::from_be_bytes(self.take_array()?),
            tag => u32::from(tag),
        })
    }

    /// Reads something that lies one level deeper. Whatever makes a recursive type finite in size (a box, a list, a map) reads through this.
    ///
    /// # Errors
    /// Those of `read`, and when the value nests deeper than [`Decoder::MAX_DEPTH`].
    #[inline]
    pub fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == Self::MAX_DEPTH {
            return Err(self.corrupt(format!("values nest deeper than {} levels", Self::MAX_DEPTH)));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Says that everything has been read.
    ///
    /// # Errors
    /// When bytes are left.
    pub fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt(format!("{} bytes are left after the value", self.rest.len()))) }
    }

    /// An error about the bytes just read.
    #[cold]
    pub fn corrupt(&self, what: impl AsRef<str>) -> Error {
        Error::corrupt(format!("damaged record: {} (at byte {} of {})", what.as_ref(), self.offset(), self.total))
    }

    /// An error about a variant index that the enum `name` does not have.
    #[cold]
    pub fn unknown_variant(&self, name: &str, tag: u64) -> Error {
        self.corrupt(format!("enum {name} has no variant {tag}"))
    }

    #[cold]
    fn too_short(&self, wanted: usize) -> Error {
        self.corrupt(format!("{wanted} bytes expected, {} left", self.rest.len()))
    }
}

/// Index of the first zero: eight bytes at a time.
#[inline]
fn first_zero(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest of these bits that is set belongs to the first zero.
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(8 * index + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == 0).map(|at| 8 * words.len() + at)
}

#[cfg(test)]
mod tests {
    use super::first_zero;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_first_zero(bytes in proptest::collection::vec(prop_oneof![0u8..3, 127u8..130, any::<u8>()], 0..40)) {
            prop_assert_eq!(first_zero(&bytes), bytes.iter().position(|byte| *byte == 0));
        }
    }
}

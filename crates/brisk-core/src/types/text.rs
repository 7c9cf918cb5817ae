//! Short text without memory of its own, long text that is shared.
//!
//! Both lie in two words, so that short text stays in registers from where it is made to where it is stored: written into an array and
//! copied from there, it would wait for the array's bytes each time (5 ns a word). That, and not checking UTF-8 again, is what the unsafe
//! blocks of this module are for.
//!
//! Invariants: the last byte of the two words is the length of short text, or [`LONG`]. Short text fills the first bytes, and is UTF-8;
//! the bytes behind it are zeros. So equal short texts have equal words. Of long text, the first word is the exposed address of an
//! `Arc<str>` of which this owns one count, the second its length.

use super::codec::{put_bytes, put_ordered_bytes};
use super::{Decoder, Key, Record, Schema, hash};
use brisk_base::Result;
use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Text that does not change: a `String` for records and keys.
///
/// Up to 15 bytes lie inside of the value, longer text is shared. So making, cloning, moving and dropping the words, codes, names and
/// identifiers that most keys are costs no allocation, and none is freed by another thread than made it. It takes 16 bytes; a `String`
/// takes 24 and its memory.
///
/// Wherever a `&str` will do it is one. As a record and key it is the same as a `String`: encoding, schema and hash agree, so a field can
/// be changed from one to the other.
///
/// ```
/// use brisk_core::types::{Key, Str};
///
/// let origin = Str::from("EWR");
/// assert_eq!(origin, "EWR");
/// assert!(origin.starts_with('E'));
/// assert_eq!(origin.key_hash(), "EWR".to_owned().key_hash());
/// ```
#[repr(C)]
pub struct Str {
    /// As the bytes lie in memory, lowest first; so is `high`.
    low: u64,
    high: u64,
}

/// Last byte of long text.
const LONG: u8 = 0xFF;
/// Where the last byte lies in the second word.
const TAG_SHIFT: u32 = 56;

impl Str {
    /// Bytes of text that lie inside of the value.
    pub const INLINE: usize = 15;

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: the bytes are those of a `str`, by the module's invariants.
        unsafe { std::str::from_utf8_unchecked(self.as_bytes()) }
    }

    /// The bytes of the text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        if self.is_long() {
            // SAFETY: this owns a count, so the text lives as long as this does, and nobody changes what is shared.
            return unsafe { &*Self::shared(self.low, self.high) }.as_bytes();
        }
        let bytes = std::ptr::from_ref(self).cast::<u8>();
        // SAFETY: `repr(C)` puts the two words one after the other, and short text is at most 15 of their 16 bytes long.
        unsafe { std::slice::from_raw_parts(bytes, usize::from(self.tag())) }
    }

    #[inline]
    const fn tag(&self) -> u8 {
        (u64::from_le(self.high) >> TAG_SHIFT) as u8
    }

    #[inline]
    const fn is_long(&self) -> bool {
        self.tag() == LONG
    }

    /// What [`Arc::into_raw`] gave, of the words of long text.
    const fn shared(low: u64, high: u64) -> *const str {
        let len = (u64::from_le(high) & ((1 << TAG_SHIFT) - 1)) as usize;
        let address = std::ptr::with_exposed_provenance::<u8>(u64::from_le(low) as usize);
        std::ptr::slice_from_raw_parts(address, len) as *const str
    }

    #[inline]
    fn new(text: &str) -> Self {
        if text.len() <= Self::INLINE { Self::short(text.as_bytes()) } else { Self::long(text.into()) }
    }

    /// Text that is short enough.
    #[inline]
    fn short(text: &[u8]) -> Self {
        let len = text.len();
        // Two overlapping halves of a fixed size: a copy of any size would be a call.
        let (low, high) = if let (Some(head), Some(tail)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            (u64::from_le_bytes(*head), u64::from_le_bytes(*tail) >> 8 >> (8 * (Self::INLINE - len)))
        } else if let (Some(head), Some(tail)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            let (head, tail) = (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)));
            (head | tail << (8 * (len - 4)), 0)
        } else if let [first, .., last] = text {
            let middle = u64::from(text[len / 2]) << (8 * (len / 2));
            (u64::from(*first) | middle | u64::from(*last) << (8 * (len - 1)), 0)
        } else {
            (text.first().copied().map_or(0, u64::from), 0)
        };
        Self { low: low.to_le(), high: (high | (len as u64) << TAG_SHIFT).to_le() }
    }

    #[cold]
    fn long(text: Arc<str>) -> Self {
        let len = text.len() as u64;
        assert!(len >> TAG_SHIFT == 0, "no memory is that large");
        let address = Arc::into_raw(text).cast::<u8>().expose_provenance() as u64;
        Self { low: address.to_le(), high: (len | u64::from(LONG) << TAG_SHIFT).to_le() }
    }

    /// Adds a count. By the words: were `self` borrowed, it could not stay in registers.
    #[cold]
    fn share(low: u64, high: u64) {
        // SAFETY: the words are those of long text that owns a count, and came from `Arc::into_raw`.
        unsafe { Arc::increment_strong_count(Self::shared(low, high)) }
    }

    /// Gives up a count. By the words, too.
    #[cold]
    fn release(low: u64, high: u64) {
        // SAFETY: as above; the caller does not use the count any more.
        drop(unsafe { Arc::from_raw(Self::shared(low, high)) });
    }
}

impl Clone for Str {
    #[inline]
    fn clone(&self) -> Self {
        if self.is_long() {
            Self::share(self.low, self.high);
        }
        Self { low: self.low, high: self.high }
    }
}

impl Drop for Str {
    #[inline]
    fn drop(&mut self) {
        if self.is_long() {
            Self::release(self.low, self.high);
        }
    }
}

impl From<&str> for Str {
    #[inline]
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Str {
    #[inline]
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&String> for Str {
    #[inline]
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Cow<'_, str>> for Str {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<Str> for String {
    fn from(text: Str) -> Self {
        text.as_str().to_owned()
    }
}

impl Default for Str {
    fn default() -> Self {
        "".into()
    }
}

impl Deref for Str {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    #[inline]
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Str {
    #[inline]
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Str {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // The same words are the same short text, or the same shared one.
        (self.low == other.low) & (self.high == other.high) || self.is_long() && other.is_long() && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for Str {
    fn eq(&self, other: &String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// As that of `str`.
impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl Record for Str {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }

    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(input.text()?.into())
    }

    fn schema() -> Schema {
        Schema::String
    }

    /// Shared text counts wherever it is shared.
    #[inline]
    fn heap_bytes(&self) -> usize {
        if self.is_long() { self.len() + 2 * size_of::<usize>() } else { 0 }
    }
}

impl Key for Str {
    #[inline]
    fn key_hash(&self) -> u64 {
        if self.is_long() {
            return hash::hash_bytes(self.as_bytes());
        }
        let (low, high) = (u64::from_le(self.low), u64::from_le(self.high));
        hash::hash_short(low, high & ((1 << TAG_SHIFT) - 1), usize::from(self.tag()))
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        put_ordered_bytes(out, self.as_bytes());
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(String::decode_ordered(input)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn short_text_lies_inside() {
        assert_eq!(size_of::<Str>(), 16);
        let letters = "abcdefghijklmnopqrst";
        for len in 0..=letters.len() {
            let text = Str::from(&letters[..len]);
            assert_eq!((text.as_str(), text.as_bytes()), (&letters[..len], &letters.as_bytes()[..len]));
            assert_eq!(text.heap_bytes() == 0, len <= Str::INLINE, "{text}");
            assert_eq!(text, Str::from(letters[..len].to_owned()));
        }
    }

    #[test]
    fn zeros_are_text() {
        let all: HashSet<_> = ["", "\0", "\0\0", "a", "a\0"].map(Str::from).into_iter().collect();
        assert_eq!(all.len(), 5);
        assert!(all.contains("a\0"));
    }

    #[test]
    fn long_text_is_shared() {
        let text = Str::from("longer than fifteen bytes");
        let again = text.clone();
        assert_eq!(text.as_str().as_ptr(), again.as_str().as_ptr());
        drop(text);
        assert_eq!(again, "longer than fifteen bytes");
        let (copy, other) = (Str::from("longer than fifteen bytes"), Str::from("longer than fifteen letters"));
        let short = Str::from("longer");
        assert!(copy == again && copy != other && copy != short);
    }

    proptest! {
        #[test]
        fn it_is_what_a_string_is(a in "\\PC{0,8}|[ab\\x00]{0,18}", b in "\\PC{0,8}|[ab\\x00]{0,18}") {
            let (short_a, short_b) = (Str::from(&a), Str::from(&b));
            prop_assert_eq!(short_a == short_b, a == b);
            prop_assert_eq!(short_a.cmp(&short_b), a.cmp(&b));
            prop_assert_eq!(short_a.to_string(), &*a);
            prop_assert_eq!(short_a.key_hash(), a.key_hash());
            let bytes = |record: &dyn Fn(&mut Vec<u8>)| {
                let mut out = Vec::new();
                record(&mut out);
                out
            };
            let encoded = bytes(&|out| short_a.encode(out));
            prop_assert_eq!(&encoded, &bytes(&|out| a.encode(out)));
            prop_assert_eq!(Str::decode(&mut Decoder::new(&encoded)).expect("own bytes"), &*a);
            let ordered = bytes(&|out| short_a.encode_ordered(out));
            prop_assert_eq!(&ordered, &bytes(&|out| a.encode_ordered(out)));
            prop_assert_eq!(Str::decode_ordered(&mut Decoder::new(&ordered)).expect("own bytes"), short_a);
        }
    }
}

//! Short text without memory of its own, long text that is shared.
//!
//! Invariants: text of up to [`Str::INLINE`] bytes always lies inside; the bytes after it are zeros; `bytes[..len]` is UTF-8. So equal
//! texts have equal representations, and short ones are compared without a look at their length.

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
#[derive(Clone)]
pub struct Str(Repr);

#[derive(Clone)]
enum Repr {
    Short { len: ShortLen, bytes: [u8; Str::INLINE] },
    Long(Arc<Box<str>>),
}

/// Length of short text. An enum, so that the compiler tells long text by the values it does not have, and 16 bytes suffice.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum ShortLen {
    L0,
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    L7,
    L8,
    L9,
    L10,
    L11,
    L12,
    L13,
    L14,
    L15,
}

impl ShortLen {
    const ALL: [Self; Str::INLINE + 1] = [
        Self::L0,
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
        Self::L7,
        Self::L8,
        Self::L9,
        Self::L10,
        Self::L11,
        Self::L12,
        Self::L13,
        Self::L14,
        Self::L15,
    ];
}

impl Str {
    /// Bytes of text that lie inside of the value.
    pub const INLINE: usize = 15;

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // SAFETY: the module's invariant; `short` is the only place that makes a short one, and copies the bytes of a `str`. To check
            // them again each time would cost more than most of what is done with a short text.
            Repr::Short { len, bytes } => unsafe { std::str::from_utf8_unchecked(&bytes[..*len as usize]) },
            Repr::Long(text) => text,
        }
    }

    /// The bytes of the text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => &bytes[..*len as usize],
            Repr::Long(text) => text.as_bytes(),
        }
    }

    /// The text, where it is short enough.
    #[inline]
    fn short(text: &str) -> Option<Self> {
        let from = text.as_bytes();
        let len = *ShortLen::ALL.get(from.len())?;
        let mut bytes = [0; Self::INLINE];
        // Two overlapping halves of a fixed size instead of one copy of any size, which would be a call.
        if let (Some(head), Some(tail)) = (from.first_chunk::<8>(), from.last_chunk::<8>()) {
            bytes[from.len() - 8..from.len()].copy_from_slice(tail);
            bytes[..8].copy_from_slice(head);
        } else if let (Some(head), Some(tail)) = (from.first_chunk::<4>(), from.last_chunk::<4>()) {
            bytes[from.len() - 4..from.len()].copy_from_slice(tail);
            bytes[..4].copy_from_slice(head);
        } else if let [first, .., last] = from {
            bytes[0] = *first;
            bytes[from.len() / 2] = from[from.len() / 2];
            bytes[from.len() - 1] = *last;
        } else if let [only] = from {
            bytes[0] = *only;
        }
        Some(Self(Repr::Short { len, bytes }))
    }
}

impl From<&str> for Str {
    #[inline]
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Repr::Long(Arc::new(text.into()))))
    }
}

impl From<String> for Str {
    #[inline]
    fn from(text: String) -> Self {
        Self::short(&text).unwrap_or_else(|| Self(Repr::Long(Arc::new(text.into()))))
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
        match (&self.0, &other.0) {
            (Repr::Short { len, bytes }, Repr::Short { len: other_len, bytes: other_bytes }) => (bytes == other_bytes) & (len == other_len),
            (Repr::Long(text), Repr::Long(other)) => Arc::ptr_eq(text, other) || text == other,
            _ => false,
        }
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
        match &self.0 {
            Repr::Short { .. } => 0,
            Repr::Long(text) => text.len() + 2 * size_of::<usize>() + size_of::<Box<str>>(),
        }
    }
}

impl Key for Str {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_bytes(self.as_bytes())
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
        assert_eq!(size_of::<Option<Str>>(), 16);
        let letters = "abcdefghijklmnopqrst";
        for len in 0..=letters.len() {
            let text = Str::from(&letters[..len]);
            assert_eq!((text.as_str(), text.as_bytes()), (&letters[..len], letters[..len].as_bytes()));
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
        assert_eq!(text.as_str().as_ptr(), text.clone().as_str().as_ptr());
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

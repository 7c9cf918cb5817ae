//! Bytes of a key or row: few of them lie inside of the value, so that most keys are cloned, compared and dropped without memory of their own.

use std::ops::Deref;

/// Bytes that lie inside: those of three numbers, or of a number and a short text.
const INLINE: usize = 30;

/// See the module. What has grown beyond the inside stays outside until it is cloned: a buffer that is filled again and again keeps its
/// memory, what is kept of it takes as little as can be.
#[derive(Debug)]
pub(super) enum RowBytes {
    Inside { len: u8, bytes: [u8; INLINE] },
    Outside(Vec<u8>),
}

impl RowBytes {
    pub(super) const fn new() -> Self {
        Self::Inside { len: 0, bytes: [0; INLINE] }
    }

    /// Forgets all bytes and keeps the memory.
    #[inline]
    pub(super) fn clear(&mut self) {
        match self {
            Self::Inside { len, .. } => *len = 0,
            Self::Outside(bytes) => bytes.clear(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    #[inline]
    pub(super) fn extend_from_slice(&mut self, more: &[u8]) {
        match self {
            Self::Inside { len, bytes } => {
                let from = usize::from(*len);
                match bytes.get_mut(from..from + more.len()) {
                    Some(place) => {
                        place.copy_from_slice(more);
                        *len += more.len() as u8;
                    }
                    None => self.move_outside(more),
                }
            }
            Self::Outside(bytes) => bytes.extend_from_slice(more),
        }
    }

    #[cold]
    fn move_outside(&mut self, more: &[u8]) {
        let mut bytes = Vec::with_capacity((self.len() + more.len()).max(4 * INLINE));
        bytes.extend_from_slice(self);
        bytes.extend_from_slice(more);
        *self = Self::Outside(bytes);
    }

    /// Bytes of memory outside.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inside { .. } => 0,
            Self::Outside(bytes) => bytes.capacity(),
        }
    }
}

impl Default for RowBytes {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for RowBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Inside { len, bytes } => &bytes[..usize::from(*len)],
            Self::Outside(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for RowBytes {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() > INLINE {
            return Self::Outside(bytes.to_vec());
        }
        let mut inside = Self::new();
        inside.extend_from_slice(bytes);
        inside
    }
}

impl Clone for RowBytes {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Inside { len, bytes } => Self::Inside { len: *len, bytes: *bytes },
            Self::Outside(bytes) => bytes.as_slice().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever comes after what.
        #[test]
        fn bytes_are_those_that_were_added(pieces in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let (mut bytes, mut expected) = (RowBytes::new(), Vec::new());
            for piece in pieces {
                match piece {
                    None => {
                        bytes.clear();
                        expected.clear();
                    }
                    Some(piece) => {
                        bytes.extend_from_slice(&piece);
                        expected.extend_from_slice(&piece);
                    }
                }
                prop_assert_eq!(&*bytes, &*expected);
                let copy = bytes.clone();
                prop_assert_eq!(&*copy, &*expected);
                prop_assert_eq!(copy.heap_bytes(), if expected.len() > INLINE { expected.len() } else { 0 });
            }
        }
    }

    #[test]
    fn a_value_takes_as_little_as_can_be() {
        assert_eq!(size_of::<RowBytes>(), INLINE + 2);
    }
}

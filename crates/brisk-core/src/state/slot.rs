//! Where a value lies: key and namespace.

use crate::types::{Key, KeyGroup, KeyGroupRange, key_group};
use brisk_base::Result;

/// What divides the state of one key: the window, for windows; `()` where there is only one value per key.
pub trait Namespace: Key {}

impl<N: Key> Namespace for N {}

/// Address of one value within a table.
#[derive(Debug)]
pub struct Slot<'a, K, N> {
    /// The key's frozen hash, [`Key::key_hash`]: computed once per record, and carried along with the batch.
    pub hash: u64,
    /// The key.
    pub key: &'a K,
    /// The namespace.
    pub namespace: &'a N,
}

impl<K, N> Clone for Slot<'_, K, N> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, N> Copy for Slot<'_, K, N> {}

impl<'a, K: Key, N> Slot<'a, K, N> {
    /// The slot of a key whose hash is not at hand.
    pub fn new(key: &'a K, namespace: &'a N) -> Self {
        Self { hash: key.key_hash(), key, namespace }
    }

    /// The same key in another namespace.
    #[inline]
    #[must_use]
    pub const fn at<'b, M>(self, namespace: &'b M) -> Slot<'b, K, M>
    where
        'a: 'b,
    {
        Slot { hash: self.hash, key: self.key, namespace }
    }
}

/// The key groups of one operator, and those of them that one subtask has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyGroups {
    /// Number of key groups of the operator.
    pub max_parallelism: u32,
    /// Those of this subtask.
    pub range: KeyGroupRange,
}

impl KeyGroups {
    /// The key groups of one subtask.
    ///
    /// # Errors
    /// When `subtask < parallelism <= max_parallelism` does not hold.
    pub fn of_subtask(max_parallelism: u32, parallelism: u32, subtask: u32) -> Result<Self> {
        Ok(Self { max_parallelism, range: KeyGroupRange::of_subtask(max_parallelism, parallelism, subtask)? })
    }

    /// The key group of a key's hash.
    #[inline]
    pub const fn of(self, hash: u64) -> KeyGroup {
        key_group(hash, self.max_parallelism)
    }
}

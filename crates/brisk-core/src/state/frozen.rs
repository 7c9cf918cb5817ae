//! One generation of a table, for snapshots.

use crate::types::{KeyGroup, KeyGroupRange};
use brisk_base::Result;

/// Takes key group, key and value of one entry.
pub type EntryVisitor<'a> = dyn FnMut(KeyGroup, &[u8], &[u8]) -> Result<()> + 'a;

/// A generation of a table that stays as it was when the table was frozen, and can be read on any thread.
///
/// All backends show their entries in the same bytes, so that a snapshot does not depend on the backend it was taken from:
///
/// * key: the ordered encodings ([`Key::encode_ordered`](crate::types::Key::encode_ordered)) of key and namespace, and of the entry's key in
///   a map;
/// * value: the value's encoding; of a list, each element's length in LEB128 and its encoding.
pub trait FrozenTable: Send {
    /// Shows the entries of these key groups, one key group after the other; within a key group in no particular order.
    ///
    /// # Errors
    /// Those of `visit`, and those of a backend that reads files.
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()>;

    /// Shows all entries as [`scan`](Self::scan) does, for the last time: what has been shown is let go of, so that the task no longer has
    /// to keep it.
    ///
    /// # Errors
    /// As for [`scan`](Self::scan).
    fn scan_and_drop(self: Box<Self>, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.scan(KeyGroupRange::ALL, visit)
    }
}

//! What a backend that keeps bytes provides: an ordered map from bytes to bytes.

use super::NativeSnapshot;
use brisk_base::Result;
use brisk_base::ids::CheckpointId;
use std::ops::ControlFlow;
use std::task::{Context, Poll};

/// Takes the key and value of one entry; says whether the scan goes on.
pub type ByteVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// Takes the value of the key of this index.
pub type FoundVisitor<'a> = dyn FnMut(usize, Option<&[u8]>) -> Result<()> + 'a;

/// One change to a [`ByteStore`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write<'a> {
    /// Sets the value of a key.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Appends to the value of a key, which need not be there; without reading it, where the store can.
    Append {
        /// The key.
        key: &'a [u8],
        /// What comes after its present value.
        bytes: &'a [u8],
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Removes all keys from `from` up to, not including, `to`.
    DeleteRange {
        /// The first key.
        from: &'a [u8],
        /// The key after the last; none for all up to the end.
        to: Option<&'a [u8]>,
    },
}

/// An ordered map from bytes to bytes, owned by one operator of one subtask.
///
/// The engine lays out all tables of the operator in it; keys begin with the key group (two bytes, big-endian), so that a key group is a
/// range. All calls but [`prefetch`](Self::prefetch) give their result at once.
pub trait ByteStore: Send {
    /// Brings all entries near whose keys begin with one of these prefixes, for the reads that follow. As
    /// [`KeyedTable::prefetch`](super::KeyedTable::prefetch), pending means: call again when woken. A prefix names a state (its third and
    /// fourth byte); what was made ready for one state stays so when others are prefetched.
    fn prefetch(&mut self, _cx: &mut Context<'_>, _prefixes: &[&[u8]]) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Whether [`prefetch`](Self::prefetch) does anything; otherwise nobody needs to gather what it is told.
    fn prefetches(&self) -> bool {
        true
    }

    /// Shows the value of each key, in the order of `keys`.
    ///
    /// # Errors
    /// Those of the store, and those of `found`.
    fn multi_get(&mut self, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()>;

    /// Makes these changes, in order.
    ///
    /// # Errors
    /// Those of the store.
    fn apply(&mut self, writes: &[Write<'_>]) -> Result<()>;

    /// Shows the entries from `from` up to, not including, `to`, in order, until `visit` breaks off.
    ///
    /// # Errors
    /// Those of the store, and those of `visit`.
    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()>;

    /// A view of the store as it is now, which stays so.
    ///
    /// # Errors
    /// Those of the store.
    fn freeze(&mut self) -> Result<Box<dyn FrozenBytes>>;

    /// The store as it is now, in a form of its own, for checkpoints that only this backend restores; `None` for a backend without one,
    /// whose checkpoints are made of [`freeze`](Self::freeze). Must not wait for files to be written: that is done by
    /// [`NativeSnapshot::write`].
    ///
    /// # Errors
    /// Those of the store.
    fn native_snapshot(&mut self, _checkpoint: CheckpointId) -> Result<Option<Box<dyn NativeSnapshot>>> {
        Ok(None)
    }

    /// A checkpoint is complete: files that it stored as shared may be referred to by later ones. They stay until a later checkpoint is
    /// complete that does not refer to them; the completion of a savepoint lets no file be deleted. May come late, or be left out.
    ///
    /// # Errors
    /// Those of the store.
    fn checkpoint_complete(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    /// A checkpoint will never be complete.
    ///
    /// # Errors
    /// Those of the store.
    fn checkpoint_aborted(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    /// Bytes of memory the store takes, approximately.
    fn heap_bytes(&self) -> usize;
}

/// A view of a [`ByteStore`] as it was when it was frozen.
pub trait FrozenBytes: Send + Sync {
    /// As [`ByteStore::scan`].
    ///
    /// # Errors
    /// Those of the store, and those of `visit`.
    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()>;
}

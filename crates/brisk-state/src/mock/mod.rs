//! Byte stores that show whether an operator keeps to the contract of state, and models for backends of your own.
//!
//! * [`OrderedStore`]: the plainest store there is.
//! * [`CopyOnWriteStore`]: frozen views share everything with the store until it changes.
//! * [`DelayedStore`]: `prefetch` is pending at first, and nothing can be read that was not prefetched.
//!
//! All keep their entries in memory; none is made for production.

mod copy_on_write;
mod delayed;
mod ordered;

pub use copy_on_write::CopyOnWriteStore;
pub use delayed::DelayedStore;
pub use ordered::OrderedStore;

use brisk_base::Result;
use brisk_core::state::{ByteStore, ByteVisitor, StateBackend, StateBackendContext, Store};
use std::ops::Bound;

/// A backend that opens each store with a function.
pub struct ByteBackend<F>(pub F);

impl<F: Fn() -> Box<dyn ByteStore> + Send + Sync> StateBackend for ByteBackend<F> {
    fn name(&self) -> &str {
        "mock"
    }

    fn open(&self, _cx: &StateBackendContext) -> Result<Store> {
        Ok(Store::Bytes((self.0)()))
    }
}

/// The backends of this module by name, for tests that are to pass with each of them.
pub fn backends() -> Vec<(&'static str, Box<dyn StateBackend>)> {
    vec![
        ("ordered", Box::new(ByteBackend(|| Box::new(OrderedStore::default()) as Box<dyn ByteStore>))),
        ("copy on write", Box::new(ByteBackend(|| Box::new(CopyOnWriteStore::default()) as Box<dyn ByteStore>))),
        ("delayed", Box::new(ByteBackend(|| Box::new(DelayedStore::new(Box::new(OrderedStore::default()))) as Box<dyn ByteStore>))),
    ]
}

/// A range of keys, as trees take it.
type ByteBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// The range from `from` up to `to`; none when it ends before it starts.
fn bounds<'a>(from: &'a [u8], to: Option<&'a [u8]>) -> Option<ByteBounds<'a>> {
    match to {
        Some(to) if to <= from => None,
        to => Some((Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded))),
    }
}

/// Shows entries until `visit` breaks off.
fn visit_all<'a>(mut entries: impl Iterator<Item = (&'a [u8], &'a [u8])>, visit: &mut ByteVisitor<'_>) -> Result<()> {
    loop {
        match entries.next() {
            Some((key, value)) if visit(key, value)?.is_continue() => {}
            _ => return Ok(()),
        }
    }
}

//! A byte store whose frozen views cost nothing until the store changes.

use super::OrderedStore;
use brisk_base::Result;
use brisk_core::state::{ByteStore, ByteVisitor, FoundVisitor, FrozenBytes, Write};
use std::sync::Arc;

/// Entries that are shared with frozen views, and copied by the first write after a freeze.
#[derive(Debug, Default)]
pub struct CopyOnWriteStore {
    /// The entries.
    shared: Arc<OrderedStore>,
}

/// A view that shares the entries.
struct View(Arc<OrderedStore>);

impl ByteStore for CopyOnWriteStore {
    fn multi_get(&mut self, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        keys.iter().enumerate().try_for_each(|(index, key)| {
            let mut value = None;
            let to = [key, [0].as_slice()].concat();
            FrozenBytes::scan(&*self.shared, key, Some(&to), &mut |_, bytes| {
                value = Some(bytes.to_vec());
                Ok(std::ops::ControlFlow::Break(()))
            })?;
            found(index, value.as_deref())
        })
    }

    fn apply(&mut self, writes: &[Write<'_>]) -> Result<()> {
        Arc::make_mut(&mut self.shared).apply(writes)
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        FrozenBytes::scan(&*self.shared, from, to, visit)
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenBytes>> {
        Ok(Box::new(View(self.shared.clone())))
    }

    fn heap_bytes(&self) -> usize {
        self.shared.heap_bytes()
    }
}

impl FrozenBytes for View {
    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        self.0.scan(from, to, visit)
    }
}

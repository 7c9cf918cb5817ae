//! One table's part of a frozen byte store.

use super::space::{KeyFormat, successor};
use brisk_base::Result;
use brisk_core::state::{EntryVisitor, FrozenBytes, FrozenTable, Layout, Namespace};
use brisk_core::types::{Key, KeyGroupRange};
use std::ops::ControlFlow;

/// One generation of a table.
pub(super) struct FrozenByteTable<K, N> {
    /// The whole store.
    bytes: Box<dyn FrozenBytes>,
    /// How the table's keys look.
    format: KeyFormat<K, N>,
}

impl<K, N> FrozenByteTable<K, N> {
    pub(super) fn new(bytes: Box<dyn FrozenBytes>, format: KeyFormat<K, N>) -> Self {
        Self { bytes, format }
    }
}

impl<K: Key, N: Namespace> FrozenTable for FrozenByteTable<K, N> {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let mut reordered = Vec::new();
        for group in self.format.groups.range.intersection(groups).iter() {
            let head = self.format.head(group);
            self.bytes.scan(&head, successor(&head).as_deref(), &mut |key, value| {
                match self.format.layout {
                    Layout::KeyMajor => visit(group, &key[KeyFormat::<K, N>::HEAD..], value)?,
                    Layout::NamespaceMajor => {
                        let (key, namespace, mut rest) = self.format.decode(key)?;
                        reordered.clear();
                        key.encode_ordered(&mut reordered);
                        namespace.encode_ordered(&mut reordered);
                        reordered.extend_from_slice(rest.take(rest.remaining())?);
                        visit(group, &reordered, value)?;
                    }
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }
}

//! The plainest byte store there is.

use super::{bounds, visit_all};
use brisk_base::Result;
use brisk_core::state::{ByteStore, ByteVisitor, FoundVisitor, FrozenBytes, Write};
use std::collections::BTreeMap;

/// A tree of bytes in memory; freezing copies it.
#[derive(Clone, Debug, Default)]
pub struct OrderedStore {
    /// The entries.
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl OrderedStore {
    fn apply_one(&mut self, write: Write<'_>) {
        match write {
            Write::Put { key, value } => drop(self.entries.insert(key.to_vec(), value.to_vec())),
            Write::Append { key, bytes } => self.entries.entry(key.to_vec()).or_default().extend_from_slice(bytes),
            Write::Delete { key } => drop(self.entries.remove(key)),
            Write::DeleteRange { from, to } => {
                let gone: Vec<Vec<u8>> = bounds(from, to)
                    .into_iter()
                    .flat_map(|range| self.entries.range::<[u8], _>(range))
                    .map(|(key, _)| key.clone())
                    .collect();
                gone.iter().for_each(|key| drop(self.entries.remove(key)));
            }
        }
    }
}

impl ByteStore for OrderedStore {
    fn multi_get(&mut self, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        keys.iter().enumerate().try_for_each(|(index, key)| found(index, self.entries.get(*key).map(Vec::as_slice)))
    }

    fn apply(&mut self, writes: &[Write<'_>]) -> Result<()> {
        writes.iter().for_each(|write| self.apply_one(*write));
        Ok(())
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        FrozenBytes::scan(self, from, to, visit)
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenBytes>> {
        Ok(Box::new(self.clone()))
    }

    fn heap_bytes(&self) -> usize {
        self.entries.iter().map(|(key, value)| key.capacity() + value.capacity() + 2 * size_of::<Vec<u8>>()).sum()
    }
}

impl FrozenBytes for OrderedStore {
    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        let entries = bounds(from, to).into_iter().flat_map(|range| self.entries.range::<[u8], _>(range));
        visit_all(entries.map(|(key, value)| (key.as_slice(), value.as_slice())), visit)
    }
}

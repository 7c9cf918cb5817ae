//! Tables of one ordered map per key and namespace: each entry is one of the store, so that it changes alone.

use super::space::{SharedByteStore, Space, successor};
use crate::entry;
use brisk_base::{Result, ResultExt};
use brisk_core::state::{AnyTable, FrozenTable, KeyGroups, KeyRange, KeyedMapTable, Namespace, Slot, StateDescriptor, Write};
use brisk_core::types::{Decoder, Key, Record, Schema};
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow};
use std::task::{Context, Poll};

/// A table of one ordered map per key and namespace in a byte store.
pub struct ByteMapTable<K, N, UK, UV> {
    /// The entries.
    space: Space<K, N>,
    /// The value that was got last, so that it can be lent out.
    current: Option<UV>,
    entry_key: PhantomData<fn() -> UK>,
}

/// A range of keys of the store.
type ByteRange = (Vec<u8>, Option<Vec<u8>>);

impl<K: Key, N: Namespace, UK: Key, UV: Record> ByteMapTable<K, N, UK, UV> {
    /// The table of this descriptor in `store`.
    pub fn new(descriptor: StateDescriptor, key_groups: KeyGroups, store: SharedByteStore) -> Self {
        Self { space: Space::new(descriptor, key_groups, store), current: None, entry_key: PhantomData }
    }

    fn key(&self, slot: Slot<'_, K, N>, key: &UK) -> Vec<u8> {
        let mut out = self.space.format.slot(slot);
        key.encode_ordered(&mut out);
        out
    }

    fn byte_range(&self, slot: Slot<'_, K, N>, range: KeyRange<'_, UK>) -> ByteRange {
        let prefix = self.space.format.slot(slot);
        let after = |key: &UK| successor(&self.key(slot, key));
        let from = match range.0 {
            Bound::Unbounded => Some(prefix.clone()),
            Bound::Included(key) => Some(self.key(slot, key)),
            Bound::Excluded(key) => after(key),
        };
        let to = match range.1 {
            Bound::Unbounded => successor(&prefix),
            Bound::Included(key) => after(key),
            Bound::Excluded(key) => Some(self.key(slot, key)),
        };
        match from {
            // A range that ends before it starts is empty.
            Some(from) if to.as_ref().is_none_or(|to| from <= *to) => (from, to),
            _ => (prefix.clone(), Some(prefix)),
        }
    }

    fn entry_key(&self, rest: &mut Decoder<'_>) -> Result<UK> {
        UK::decode_ordered(rest).context(|| self.space.place())
    }
}

fn encode<V: Record>(value: &V) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

impl<K: Key, N: Namespace, UK: Key, UV: Record> AnyTable for ByteMapTable<K, N, UK, UV> {
    fn descriptor(&self) -> &StateDescriptor {
        &self.space.descriptor
    }

    fn slot_schemas(&self) -> (Schema, Schema) {
        (K::schema(), N::schema())
    }

    fn in_byte_store(&self) -> bool {
        true
    }

    fn len(&mut self) -> Result<usize> {
        self.space.len()
    }

    fn heap_bytes(&self) -> usize {
        // The byte store is shared with other tables, and accounted for once by whoever owns it.
        0
    }

    fn clear(&mut self) -> Result<()> {
        self.space.clear()
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenTable>> {
        self.space.freeze()
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut input = Decoder::new(key);
        let (key, namespace) = entry::decode_slot(&mut input).context(|| self.space.place())?;
        let entry_key = self.entry_key(&mut input)?;
        let value = entry::decode(value).context(|| self.space.place())?;
        self.put(Slot::new(&key, &namespace), entry_key, value)
    }
}

impl<K: Key, N: Namespace, UK: Key, UV: Record> KeyedMapTable<K, N, UK, UV> for ByteMapTable<K, N, UK, UV> {
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        self.space.prefetch(cx, slots)
    }

    fn get(&mut self, slot: Slot<'_, K, N>, key: &UK) -> Result<Option<&UV>> {
        self.current = self.space.read_one(self.key(slot, key), entry::decode)?;
        Ok(self.current.as_ref())
    }

    fn put(&mut self, slot: Slot<'_, K, N>, key: UK, value: UV) -> Result<()> {
        self.space.write(&[Write::Put { key: &self.key(slot, &key), value: &encode(&value) }])
    }

    fn remove(&mut self, slot: Slot<'_, K, N>, key: &UK) -> Result<Option<UV>> {
        let bytes = self.key(slot, key);
        let value = self.space.read_one(bytes.clone(), entry::decode)?;
        if value.is_some() {
            self.space.delete(&[bytes])?;
        }
        Ok(value)
    }

    fn update(&mut self, slot: Slot<'_, K, N>, key: &UK, update: &mut dyn FnMut(&mut Option<UV>) -> Result<()>) -> Result<()> {
        let bytes = self.key(slot, key);
        let mut value = self.space.read_one(bytes.clone(), entry::decode)?;
        let result = update(&mut value);
        let written = match value {
            Some(value) => self.space.write(&[Write::Put { key: &bytes, value: &encode::<UV>(&value) }]),
            None => self.space.delete(&[bytes]),
        };
        written.and(result)
    }

    fn range(
        &mut self,
        slot: Slot<'_, K, N>,
        range: KeyRange<'_, UK>,
        visit: &mut dyn FnMut(&UK, &UV) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (from, to) = self.byte_range(slot, range);
        let prefix = self.space.format.slot(slot).len();
        self.space
            .scan_range(&from, to.as_deref(), &mut |key, value| {
                let key = self.entry_key(&mut Decoder::new(&key[prefix..]))?;
                visit(&key, &entry::decode(value).context(|| self.space.place())?)
            })
            .map(|_| ())
    }

    fn remove_range(&mut self, slot: Slot<'_, K, N>, range: KeyRange<'_, UK>) -> Result<()> {
        let (from, to) = self.byte_range(slot, range);
        self.space.delete_range(&from, to.as_deref())
    }

    fn remove_namespace(&mut self, namespace: &N) -> Result<()> {
        self.space.remove_namespace(namespace)
    }

    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>> {
        self.space.next_namespace(after)
    }

    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N], merge: &mut dyn FnMut(&mut UV, UV) -> Result<()>) -> Result<()> {
        for namespace in from.iter().filter(|namespace| *namespace != into.namespace) {
            let mut moved = Vec::new();
            self.range(into.at(namespace), (Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
                moved.push((key.clone(), value.clone()));
                Ok(ControlFlow::Continue(()))
            })?;
            self.remove_all(into.at(namespace))?;
            for (key, value) in moved {
                let mut from = Some(value);
                self.update(into, &key, &mut |value| match (value, from.take()) {
                    (Some(value), Some(from)) => merge(value, from),
                    (value, from) => {
                        *value = from;
                        Ok(())
                    }
                })?;
            }
        }
        Ok(())
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&K, &N, &UK, &UV) -> Result<()>) -> Result<()> {
        self.space.scan(&mut |bytes, value| {
            let (key, namespace, mut rest) = self.space.format.decode(bytes).context(|| self.space.place())?;
            let entry_key = self.entry_key(&mut rest)?;
            visit(&key, &namespace, &entry_key, &entry::decode(value).context(|| self.space.place())?)?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

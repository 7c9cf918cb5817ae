//! The part of a byte store that belongs to one table: how its keys look, and how it is read and written.

use super::frozen::FrozenByteTable;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{ByteStore, ByteVisitor, FrozenTable, KeyGroups, Layout, Namespace, Slot, StateDescriptor, StateId, Write};
use brisk_core::types::{Decoder, Key, KeyGroup};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// Entries that a scan copies out of the store at once.
const PAGE: usize = 256;

/// A byte store that serves all tables of one operator. One thread uses it; the lock is never waited for.
#[derive(Clone)]
pub struct SharedByteStore(Arc<Mutex<Box<dyn ByteStore>>>);

impl SharedByteStore {
    /// Shares a store among the tables of one operator.
    pub fn new(store: Box<dyn ByteStore>) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Box<dyn ByteStore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the keys of one table look.
#[derive(Clone)]
pub(super) struct KeyFormat<K, N> {
    /// Number of the state.
    pub(super) state: StateId,
    /// Whether the namespace comes before the key.
    pub(super) layout: Layout,
    /// Key groups of the operator.
    pub(super) groups: KeyGroups,
    pub(super) types: PhantomData<fn() -> (K, N)>,
}

impl<K: Key, N: Namespace> KeyFormat<K, N> {
    /// Length of the key group and the number of the state.
    pub(super) const HEAD: usize = 4;

    pub(super) fn head(&self, group: KeyGroup) -> Vec<u8> {
        [group.0.to_be_bytes(), self.state.0.to_be_bytes()].concat()
    }

    pub(super) fn slot(&self, slot: Slot<'_, K, N>) -> Vec<u8> {
        let mut out = self.head(self.groups.of(slot.hash));
        if self.layout == Layout::NamespaceMajor {
            slot.namespace.encode_ordered(&mut out);
        }
        slot.key.encode_ordered(&mut out);
        if self.layout == Layout::KeyMajor {
            slot.namespace.encode_ordered(&mut out);
        }
        out
    }

    /// Reads key and namespace; what a map adds is left in the decoder.
    pub(super) fn decode<'a>(&self, key: &'a [u8]) -> Result<(K, N, Decoder<'a>)> {
        let mut input = Decoder::new(key);
        input.take(Self::HEAD)?;
        match self.layout {
            Layout::KeyMajor => Ok((K::decode_ordered(&mut input)?, N::decode_ordered(&mut input)?, input)),
            Layout::NamespaceMajor => {
                let namespace = N::decode_ordered(&mut input)?;
                Ok((K::decode_ordered(&mut input)?, namespace, input))
            }
        }
    }
}

/// Prefetches these states of the slots.
pub(crate) fn prefetch<'s, K: Key, N: Namespace>(
    store: &SharedByteStore,
    groups: KeyGroups,
    states: impl Iterator<Item = &'s StateDescriptor>,
    cx: &mut Context<'_>,
    slots: &[Slot<'_, K, N>],
) -> Poll<Result<()>> {
    if !store.lock().prefetches() {
        return Poll::Ready(Ok(()));
    }
    let formats = states.map(|state| KeyFormat { state: state.id, layout: state.layout, groups, types: PhantomData });
    let keys: Vec<Vec<u8>> = formats.flat_map(|format| slots.iter().map(move |slot| format.slot(*slot))).collect();
    store.lock().prefetch(cx, &keys.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The first bytes after all that begin with `prefix`; none if there are none.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < 0xFF)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// The entries of one table.
pub(super) struct Space<K, N> {
    /// Name and types.
    pub(super) descriptor: StateDescriptor,
    /// How keys look.
    pub(super) format: KeyFormat<K, N>,
    /// Where the entries lie.
    store: SharedByteStore,
}

/// Takes the bytes of an entry's key, the key it belongs to, and its value.
type KeyVisitor<'a, K> = dyn FnMut(&[u8], K, &[u8]) -> Result<()> + 'a;

/// Copies of entries of a store.
type Page = Vec<(Vec<u8>, Vec<u8>)>;

impl<K: Key, N: Namespace> Space<K, N> {
    pub(super) fn new(descriptor: StateDescriptor, groups: KeyGroups, store: SharedByteStore) -> Self {
        let format = KeyFormat { state: descriptor.id, layout: descriptor.layout, groups, types: PhantomData };
        Self { descriptor, format, store }
    }

    /// Adds the state's name to an error.
    pub(super) fn place(&self) -> String {
        format!("state '{}'", self.descriptor.name)
    }

    pub(super) fn prefetch(&self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        if !self.store.lock().prefetches() {
            return Poll::Ready(Ok(()));
        }
        let keys: Vec<Vec<u8>> = slots.iter().map(|slot| self.format.slot(*slot)).collect();
        let prefixes: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        self.store.lock().prefetch(cx, &prefixes).map(|result| result.context(|| self.place()))
    }

    /// The decoded values of these keys.
    pub(super) fn read<T>(&self, keys: &[Vec<u8>], decode: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<Option<T>>> {
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut values = Vec::with_capacity(keys.len());
        let found = &mut |_: usize, value: Option<&[u8]>| {
            values.push(value.map(&decode).transpose()?);
            Ok(())
        };
        self.store.lock().multi_get(&keys, found).context(|| self.place())?;
        if values.len() == keys.len() {
            Ok(values)
        } else {
            Err(Error::bug(format!("the byte store gave {} values for {} keys", values.len(), keys.len())).context(self.place()))
        }
    }

    /// The decoded value of one key.
    pub(super) fn read_one<T>(&self, key: Vec<u8>, decode: impl Fn(&[u8]) -> Result<T>) -> Result<Option<T>> {
        Ok(self.read(&[key], decode)?.pop().flatten())
    }

    pub(super) fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        if writes.is_empty() { Ok(()) } else { self.store.lock().apply(writes).context(|| self.place()) }
    }

    pub(super) fn delete(&self, keys: &[Vec<u8>]) -> Result<()> {
        self.write(&keys.iter().map(|key| Write::Delete { key }).collect::<Vec<_>>())
    }

    /// Shows the entries within a range of keys, until `visit` breaks off.
    pub(super) fn scan_range(&self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<ControlFlow<()>> {
        let mut from = from.to_vec();
        loop {
            let page = self.page(&from, to)?;
            for (key, value) in &page {
                if visit(key, value)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            match page.into_iter().next_back() {
                Some((key, _)) => from = [key.as_slice(), &[0]].concat(),
                None => return Ok(ControlFlow::Continue(())),
            }
        }
    }

    fn page(&self, from: &[u8], to: Option<&[u8]>) -> Result<Page> {
        let mut page = Page::new();
        self.store
            .lock()
            .scan(from, to, &mut |key, value| {
                page.push((key.to_vec(), value.to_vec()));
                Ok(if page.len() == PAGE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .context(|| self.place())?;
        Ok(page)
    }

    /// Shows all entries, one key group after the other.
    pub(super) fn scan(&self, visit: &mut ByteVisitor<'_>) -> Result<()> {
        for group in self.format.groups.range.iter() {
            let head = self.format.head(group);
            if self.scan_range(&head, successor(&head).as_deref(), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Shows key, the bytes a map adds to it, and value of the entries of one namespace. In the key-major layout this reads the whole table.
    pub(super) fn scan_namespace(&self, namespace: &N, visit: &mut KeyVisitor<'_, K>) -> Result<()> {
        let visit = &mut |bytes: &[u8], value: &[u8]| {
            let (key, found, _) = self.format.decode(bytes).context(|| self.place())?;
            if found == *namespace {
                visit(bytes, key, value)?;
            }
            Ok(ControlFlow::Continue(()))
        };
        match self.format.layout {
            Layout::KeyMajor => self.scan(visit),
            Layout::NamespaceMajor => self
                .namespace_prefixes(namespace)
                .try_for_each(|prefix| self.scan_range(&prefix, successor(&prefix).as_deref(), visit).map(|_| ())),
        }
    }

    /// What the keys of a namespace begin with, by key group. For the namespace-major layout.
    fn namespace_prefixes(&self, namespace: &N) -> impl Iterator<Item = Vec<u8>> {
        self.format.groups.range.iter().map(|group| {
            let mut prefix = self.format.head(group);
            namespace.encode_ordered(&mut prefix);
            prefix
        })
    }

    pub(super) fn remove_namespace(&self, namespace: &N) -> Result<()> {
        if self.format.layout == Layout::NamespaceMajor {
            return self.namespace_prefixes(namespace).try_for_each(|prefix| self.delete_range(&prefix, successor(&prefix).as_deref()));
        }
        let mut keys = Vec::new();
        self.scan_namespace(namespace, &mut |bytes, _, _| {
            keys.push(bytes.to_vec());
            Ok(())
        })?;
        self.delete(&keys)
    }

    pub(super) fn delete_range(&self, from: &[u8], to: Option<&[u8]>) -> Result<()> {
        self.write(&[Write::DeleteRange { from, to }])
    }

    pub(super) fn next_namespace(&self, after: Option<&N>) -> Result<Option<N>> {
        let mut lowest: Option<N> = None;
        let mut offer = |namespace: N| {
            let fits = after.is_none_or(|after| namespace > *after) && lowest.as_ref().is_none_or(|lowest| namespace < *lowest);
            if fits {
                lowest = Some(namespace);
            }
        };
        match self.format.layout {
            Layout::KeyMajor => self.scan(&mut |bytes, _| {
                offer(self.format.decode(bytes).context(|| self.place())?.1);
                Ok(ControlFlow::Continue(()))
            })?,
            Layout::NamespaceMajor => {
                for group in self.format.groups.range.iter() {
                    let mut from = self.format.head(group);
                    let Some(to) = successor(&from) else { continue };
                    if let Some(after) = after {
                        after.encode_ordered(&mut from);
                        from = successor(&from).unwrap_or_else(|| to.clone());
                    }
                    let _ = self.scan_range(&from, Some(&to), &mut |bytes, _| {
                        offer(self.format.decode(bytes).context(|| self.place())?.1);
                        Ok(ControlFlow::Break(()))
                    })?;
                }
            }
        }
        Ok(lowest)
    }

    pub(super) fn len(&self) -> Result<usize> {
        let mut len = 0;
        self.scan(&mut |_, _| {
            len += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(len)
    }

    pub(super) fn clear(&self) -> Result<()> {
        self.format.groups.range.iter().try_for_each(|group| {
            let head = self.format.head(group);
            self.delete_range(&head, successor(&head).as_deref())
        })
    }

    pub(super) fn freeze(&self) -> Result<Box<dyn FrozenTable>> {
        let bytes = self.store.lock().freeze().context(|| self.place())?;
        Ok(Box::new(FrozenByteTable::new(bytes, self.format.clone())))
    }
}

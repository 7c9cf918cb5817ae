//! Tables that hold one value per key and namespace.

use super::{FrozenTable, Slot, StateDescriptor};
use crate::types::Schema;
use brisk_base::{Result, Timestamp};
use std::any::Any;
use std::task::{Context, Poll};

/// What all tables of one operator have in common, whatever their types. Engines that know the type of a table reach it through [`Any`].
pub trait AnyTable: Any + Send {
    /// Name, kind and types.
    fn descriptor(&self) -> &StateDescriptor;

    /// Schemas of the keys and of the namespaces.
    fn slot_schemas(&self) -> (Schema, Schema);

    /// Whether the entries lie in the operator's [`ByteStore`](super::ByteStore), whose native snapshots hold them.
    fn in_byte_store(&self) -> bool {
        false
    }

    /// Number of entries: values, lists, or entries of maps.
    ///
    /// # Errors
    /// The backend's.
    fn len(&mut self) -> Result<usize>;

    /// Whether there is no entry.
    ///
    /// # Errors
    /// The backend's.
    fn is_empty(&mut self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Bytes of memory the table takes, approximately. Cheap enough to be asked once a second.
    fn heap_bytes(&self) -> usize;

    /// Removes everything.
    ///
    /// # Errors
    /// The backend's.
    fn clear(&mut self) -> Result<()>;

    /// A hint: the values of these keys, by [`key_hash`](crate::types::Key::key_hash), are about to be asked for, in no namespace. Tables in
    /// memory bring them into the processor's cache.
    fn touch(&self, _key_hashes: &[u64]) {}

    /// Begins a new generation, and returns the one that has ended. The cost does not grow with the number of entries; later writes copy
    /// what they change for as long as the frozen generation is held.
    ///
    /// # Errors
    /// The backend's.
    fn freeze(&mut self) -> Result<Box<dyn FrozenTable>>;

    /// Looks at some slots, in turn, and drops what has expired of them, going by [`Record::last_use`](crate::types::Record::last_use).
    /// Backends that clean up by other means do nothing.
    ///
    /// # Errors
    /// The backend's.
    fn sweep(&mut self, _slots: usize, _is_expired: &dyn Fn(Timestamp) -> bool) -> Result<()> {
        Ok(())
    }

    /// Puts back an entry that [`FrozenTable::scan`] showed.
    ///
    /// # Errors
    /// When the bytes are damaged, and the backend's.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
}

/// A table of one value per key and namespace.
///
/// Every slot's hash must be the [`key_hash`](crate::types::Key::key_hash) of its key. Methods of the plural take many slots at once; one
/// slot may occur in them several times, and is then seen in order.
pub trait KeyedTable<K, N, V>: AnyTable {
    /// Brings the values of these slots near, for the accesses that follow. Pending means that it has been begun and the context will be
    /// woken: call it again with the same slots. What one call made ready stays so until the next call that is for other slots.
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>>;

    /// The value.
    ///
    /// # Errors
    /// The backend's.
    fn get(&mut self, slot: Slot<'_, K, N>) -> Result<Option<&V>>;

    /// Shows the value of each slot.
    ///
    /// # Errors
    /// The backend's, and those of `visit`.
    fn get_many(&mut self, slots: &[Slot<'_, K, N>], visit: &mut dyn FnMut(usize, Option<&V>) -> Result<()>) -> Result<()>;

    /// Sets the value.
    ///
    /// # Errors
    /// The backend's.
    fn put(&mut self, slot: Slot<'_, K, N>, value: V) -> Result<()>;

    /// Removes and returns the value.
    ///
    /// # Errors
    /// The backend's.
    fn remove(&mut self, slot: Slot<'_, K, N>) -> Result<Option<V>>;

    /// Changes, adds or removes the value. After an error of `update` the value is what `update` left.
    ///
    /// # Errors
    /// The backend's, and those of `update`.
    fn update(&mut self, slot: Slot<'_, K, N>, update: &mut dyn FnMut(&mut Option<V>) -> Result<()>) -> Result<()> {
        self.update_many(&[slot], &mut |_, value| update(value))
    }

    /// Changes, adds or removes the value of each slot. `update` gets the index of the slot.
    ///
    /// # Errors
    /// The backend's, and those of `update`; later slots are then untouched.
    fn update_many(&mut self, slots: &[Slot<'_, K, N>], update: &mut dyn FnMut(usize, &mut Option<V>) -> Result<()>) -> Result<()>;

    /// Changes the value of each slot in place, having created it where there is none. The fastest way to aggregate.
    ///
    /// # Errors
    /// The backend's, and those of `create` and `add`; later slots are then untouched.
    fn add_many(
        &mut self,
        slots: &[Slot<'_, K, N>],
        create: &mut dyn FnMut(usize) -> Result<V>,
        add: &mut dyn FnMut(usize, &mut V) -> Result<()>,
    ) -> Result<()>;

    /// Shows all values of one namespace. The order is the same for the same history of the table.
    ///
    /// # Errors
    /// The backend's, and those of `visit`, which end the scan.
    fn scan_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(&K, &V) -> Result<()>) -> Result<()>;

    /// Removes one namespace, handing out its values in the order of [`scan_namespace`](Self::scan_namespace).
    ///
    /// # Errors
    /// The backend's, and those of `visit`; the namespace is gone then too.
    fn drain_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(K, V) -> Result<()>) -> Result<()>;

    /// Removes one namespace.
    ///
    /// # Errors
    /// The backend's.
    fn remove_namespace(&mut self, namespace: &N) -> Result<()>;

    /// The lowest namespace in which there is a value; with `after`, the lowest above that one.
    ///
    /// # Errors
    /// The backend's.
    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>>;

    /// Moves the values of one key in the namespaces `from` into the namespace of `into`, folding them into the value there in order.
    /// Namespaces without a value are passed over.
    ///
    /// # Errors
    /// The backend's, and those of `merge`.
    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N], merge: &mut dyn FnMut(&mut V, V) -> Result<()>) -> Result<()>;

    /// Shows all values.
    ///
    /// # Errors
    /// The backend's, and those of `visit`, which end the scan.
    fn scan(&mut self, visit: &mut dyn FnMut(&K, &N, &V) -> Result<()>) -> Result<()>;
}

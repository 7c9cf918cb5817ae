//! How handles reach the state of the current key.

use super::{KeyedListTable, KeyedMapTable, KeyedTable, Namespace, Slot, StateId};
use crate::types::{Key, Record};
use brisk_base::{Result, Timestamp};

/// All keyed state of one operator. Tables get their types from the handle (value) and the context (key, namespace) that meet at the
/// first access; a later access with other types is an error that names the state.
pub trait StateStore<K: Key> {
    /// The table of a declared value.
    ///
    /// # Errors
    /// When the state was not declared as a value of this type, or is used with two types of namespaces.
    fn value<N: Namespace, V: Record>(&mut self, id: StateId) -> Result<&mut dyn KeyedTable<K, N, V>>;

    /// The table of a declared list.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    fn list<N: Namespace, V: Record>(&mut self, id: StateId) -> Result<&mut dyn KeyedListTable<K, N, V>>;

    /// The table of a declared map.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    fn map<N: Namespace, UK: Key, UV: Record>(&mut self, id: StateId) -> Result<&mut dyn KeyedMapTable<K, N, UK, UV>>;

    /// Processing time, by which states with a time to live expire.
    fn processing_time(&self) -> Timestamp;
}

/// The state of the current key.
pub struct CurrentState<'a, S, K, N> {
    /// The operator's state.
    pub store: &'a mut S,
    /// The current key and namespace.
    pub slot: Slot<'a, K, N>,
}

/// A context through which handles reach the state of the current key.
pub trait StateAccess {
    /// Type of the keys.
    type Key: Key;
    /// Type of the namespaces: `()`, or the window.
    type Namespace: Namespace;
    /// The operator's state.
    type Store: StateStore<Self::Key>;

    /// The state of the current key.
    ///
    /// # Errors
    /// Where there is no current key: the stream is not keyed, or the call comes outside of a record and a timer.
    fn current_state(&mut self) -> Result<CurrentState<'_, Self::Store, Self::Key, Self::Namespace>>;
}

impl<C: StateAccess> StateAccess for &mut C {
    type Key = C::Key;
    type Namespace = C::Namespace;
    type Store = C::Store;

    fn current_state(&mut self) -> Result<CurrentState<'_, Self::Store, Self::Key, Self::Namespace>> {
        (**self).current_state()
    }
}

//! All keyed state of one operator of one subtask.

mod restored;
mod snapshot;

use self::restored::{Program, RestoredStates};
use crate::bytes::{self, ByteListTable, ByteMapTable, ByteTable, SharedByteStore};
use crate::heap::{HeapListTable, HeapMapTable, HeapTable};
use brisk_base::world::Clock;
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::state::{
    AnyTable, KeyGroups, KeyedListTable, KeyedMapTable, KeyedTable, Namespace, OperatorRestore, Slot, StateBackend, StateBackendContext,
    StateDeclarations, StateDescriptor, StateId, StateKind, StateStore, Store,
};
use brisk_core::types::{Key, Record, Schema};
use std::any::{Any, type_name};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

/// All keyed state of one operator of one subtask.
///
/// Tables of user states are made at their first access, when the types of handle and context meet. Operators own the tables of their own
/// states, which they take once with [`take_value`](Self::take_value) and the like.
pub struct KeyedStateStore<K> {
    /// How errors name the operator.
    place: Arc<str>,
    /// Processing time, by which states with a time to live expire.
    clock: Arc<dyn Clock>,
    /// The key groups of the subtask.
    key_groups: KeyGroups,
    /// Where the tables lie.
    origin: Origin,
    /// What was declared; the index is the id.
    states: Vec<StateDescriptor>,
    /// The table of each state; the index is the id.
    tables: Vec<Table>,
    /// What a checkpoint left and nobody has asked for.
    restored: RestoredStates,
    key: PhantomData<fn() -> K>,
}

/// Where the tables of one operator lie.
#[derive(Clone)]
enum Origin {
    Heap,
    Bytes(SharedByteStore),
}

impl Origin {
    const fn store(&self) -> Option<&SharedByteStore> {
        match self {
            Self::Heap => None,
            Self::Bytes(store) => Some(store),
        }
    }
}

/// What has become of a declared state.
enum Table {
    /// Nobody has asked for it.
    New,
    /// The store has it.
    Held(Box<dyn AnyTable>),
    /// The operator has it.
    Taken,
}

impl<K: Key> KeyedStateStore<K> {
    /// The declared states of one operator in a backend, with what a checkpoint left for them.
    ///
    /// # Errors
    /// When a declaration is wrong or does not fit what the checkpoint has, or the backend cannot open a store.
    pub fn open(backend: &dyn StateBackend, mut cx: StateBackendContext, declared: StateDeclarations) -> Result<Self> {
        let states = declared.finish()?;
        let place = Arc::clone(&cx.place);
        let left = cx.restored.clone().unwrap_or_default();
        cx.states = RestoredStates::descriptors(&states, &left).into();
        check_backend(backend, &left).context(|| &*place)?;
        let program = |states| Program { key: K::schema(), states, groups: cx.key_groups, now: cx.clock.now() };
        let (origin, restored) = match backend.open(&cx).context(|| &*place)? {
            Store::Heap => (Origin::Heap, RestoredStates::on_heap(&program(&states), &left)),
            Store::Bytes(store) => {
                let store = SharedByteStore::new(store);
                let restored = RestoredStates::in_store(&program(&cx.states), &left, &store);
                (Origin::Bytes(store), restored)
            }
        };
        let restored = restored.context(|| &*place)?;
        let tables = states.iter().map(|_| Table::New).collect();
        Ok(Self { place, clock: cx.clock, key_groups: cx.key_groups, origin, states, tables, restored, key: PhantomData })
    }

    /// The key groups of the subtask.
    pub const fn key_groups(&self) -> KeyGroups {
        self.key_groups
    }

    /// Brings the user states of these slots near, as [`KeyedTable::prefetch`] does for one table. To be called with the keys of a batch
    /// before user code runs.
    pub fn prefetch<N: Namespace>(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        match &self.origin {
            Origin::Heap => Poll::Ready(Ok(())),
            Origin::Bytes(store) => {
                let states =
                    self.states.iter().zip(&self.tables).filter(|(_, table)| !matches!(table, Table::Taken)).map(|(state, _)| state);
                bytes::prefetch(store, self.key_groups, states, cx, slots).map(|result| result.map_err(|error| error.context(&*self.place)))
            }
        }
    }

    /// A hint: the user states of these keys, by their hashes, are about to be asked for.
    pub fn touch(&self, key_hashes: &[u64]) {
        if self.on_heap() {
            for table in &self.tables {
                if let Table::Held(table) = table {
                    table.touch(key_hashes);
                }
            }
        }
    }

    /// Gives the table of a declared value to the operator.
    ///
    /// # Errors
    /// When the state was not declared as a value of this type, or is in use already.
    pub fn take_value<N: Namespace, V: Record>(&mut self, id: StateId) -> Result<Box<dyn KeyedTable<K, N, V>>> {
        let (descriptor, groups) = (self.take(id, StateKind::Value, &V::schema())?, self.key_groups);
        Ok(match self.origin.clone() {
            Origin::Heap => Box::new(self.filled(HeapTable::new(descriptor, groups))?),
            Origin::Bytes(store) => Box::new(self.filled(ByteTable::new(descriptor, groups, store))?),
        })
    }

    /// Gives the table of a declared list to the operator.
    ///
    /// # Errors
    /// As [`take_value`](Self::take_value).
    pub fn take_list<N: Namespace, V: Record>(&mut self, id: StateId) -> Result<Box<dyn KeyedListTable<K, N, V>>> {
        let (descriptor, groups) = (self.take(id, StateKind::List, &V::schema())?, self.key_groups);
        Ok(match self.origin.clone() {
            Origin::Heap => Box::new(self.filled(HeapListTable::new(descriptor, groups))?),
            Origin::Bytes(store) => Box::new(self.filled(ByteListTable::new(descriptor, groups, store))?),
        })
    }

    /// Gives the table of a declared map to the operator.
    ///
    /// # Errors
    /// As [`take_value`](Self::take_value).
    pub fn take_map<N: Namespace, UK: Key, UV: Record>(&mut self, id: StateId) -> Result<Box<dyn KeyedMapTable<K, N, UK, UV>>> {
        let (descriptor, groups) = (self.take(id, StateKind::Map, &UV::schema())?, self.key_groups);
        Ok(match self.origin.clone() {
            Origin::Heap => Box::new(self.filled(HeapMapTable::new(descriptor, groups))?),
            Origin::Bytes(store) => Box::new(self.filled(ByteMapTable::new(descriptor, groups, store))?),
        })
    }

    /// Whether the user states hold nothing.
    ///
    /// # Errors
    /// The backend's.
    pub fn is_empty(&mut self) -> Result<bool> {
        let waiting = self.restored.entries(self.origin.store(), self.key_groups)?;
        self.held().try_fold(waiting == 0, |empty, table| Ok(empty && table.is_empty()?))
    }

    /// Whether the tables are typed objects in memory: then counting is cheap, and prefetching does nothing.
    pub const fn on_heap(&self) -> bool {
        matches!(self.origin, Origin::Heap)
    }

    /// Entries of the user states. Over a byte store this reads all of them.
    ///
    /// # Errors
    /// The backend's.
    pub fn entries(&mut self) -> Result<usize> {
        let waiting = self.restored.entries(self.origin.store(), self.key_groups)?;
        self.held().try_fold(waiting, |entries, table| Ok(entries + table.len()?))
    }

    /// Bytes of memory of the user states, and of the byte store if there is one, approximately.
    pub fn heap_bytes(&mut self) -> usize {
        let store = match &self.origin {
            Origin::Heap => 0,
            Origin::Bytes(store) => store.lock().heap_bytes(),
        };
        store + self.restored.heap_bytes() + self.held().map(|table| table.heap_bytes()).sum::<usize>()
    }

    fn held(&mut self) -> impl Iterator<Item = &mut dyn AnyTable> {
        self.tables.iter_mut().filter_map(|table| match table {
            Table::Held(table) => Some(&mut **table),
            Table::New | Table::Taken => None,
        })
    }

    /// The descriptor of a state that nobody uses yet, which is then in use.
    fn take(&mut self, id: StateId, kind: StateKind, value: &Schema) -> Result<StateDescriptor> {
        let descriptor = self.declared(id, kind, value)?;
        let table = &mut self.tables[usize::from(id.0)];
        if !matches!(table, Table::New) {
            return Err(Error::bug(format!("state '{}' is taken twice", descriptor.name)).context(&*self.place));
        }
        *table = Table::Taken;
        Ok(descriptor)
    }

    fn declared(&self, id: StateId, kind: StateKind, value: &Schema) -> Result<StateDescriptor> {
        match self.states.get(usize::from(id.0)) {
            Some(state) if state.kind == kind && state.value == *value => Ok(state.clone()),
            Some(state) => Err(Error::user(format!(
                "state '{}' was declared as another kind or type than it is used as: a handle belongs to the operator that declared it",
                state.name
            ))
            .context(&*self.place)),
            None => Err(Error::user(
                "a state is used that this operator has not declared: declare it in `declare`, and use its handle in this operator only",
            )
            .context(&*self.place)),
        }
    }

    /// The held table of a state, of exactly this type; made if nobody has asked for it before.
    #[inline]
    fn table<T: AnyTable>(&mut self, id: StateId, make: impl FnOnce(&mut Self) -> Result<T>) -> Result<&mut T> {
        let index = usize::from(id.0);
        if !matches!(self.tables.get(index), Some(Table::Held(_))) {
            let table = make(self).and_then(|table| self.filled(table))?;
            self.tables[index] = Table::Held(Box::new(table));
        }
        let Some(Table::Held(table)) = self.tables.get_mut(index) else {
            return Err(Error::bug("a table that was just made is gone"));
        };
        let state = &self.states[index];
        if let Some(ttl) = &state.ttl
            && let Some(cleanup) = ttl.incremental_cleanup()
        {
            let now = self.clock.now();
            table.sweep(cleanup.keys, &|at| ttl.is_expired(at, now))?;
        }
        let name = &state.name;
        (&mut **table as &mut dyn Any).downcast_mut().ok_or_else(|| other_types::<T>(name).context(&*self.place))
    }

    /// A new table with what a checkpoint left for it.
    fn filled<T: AnyTable>(&mut self, mut table: T) -> Result<T> {
        self.restored.fill(&mut table, self.key_groups).context(|| &*self.place)?;
        Ok(table)
    }

    /// The descriptor for a table that is made at its first access.
    #[cold]
    fn make(&self, id: StateId, kind: StateKind, value: &Schema) -> Result<StateDescriptor> {
        let descriptor = self.declared(id, kind, value)?;
        if matches!(self.tables[usize::from(id.0)], Table::Taken) {
            return Err(Error::bug(format!("state '{}' belongs to the operator", descriptor.name)).context(&*self.place));
        }
        Ok(descriptor)
    }
}

/// State in a backend's own form can be restored by that backend only.
fn check_backend(backend: &dyn StateBackend, left: &OperatorRestore) -> Result<()> {
    match left.native.iter().find(|part| part.state.backend != backend.name()) {
        Some(part) => Err(Error::user(format!(
            "the checkpoint is in the form of state backend '{}' and cannot be restored with '{}': restore it with \
             `state.backend.type: {0}`, take a savepoint, and change the backend with that",
            part.state.backend,
            backend.name()
        ))),
        None => Ok(()),
    }
}

#[cold]
fn other_types<T>(name: &str) -> Error {
    Error::user(format!(
        "state '{name}' was first used with other types than now ({}): use one handle per type, and do not share it between window and global state",
        type_name::<T>()
    ))
}

impl<K: Key> StateStore<K> for KeyedStateStore<K> {
    #[inline]
    fn value<N: Namespace, V: Record>(&mut self, id: StateId) -> Result<&mut dyn KeyedTable<K, N, V>> {
        let groups = self.key_groups;
        Ok(match &self.origin {
            Origin::Heap => self.table(id, |store| Ok(HeapTable::new(store.make(id, StateKind::Value, &V::schema())?, groups)))?,
            Origin::Bytes(bytes) => {
                let bytes = bytes.clone();
                self.table(id, |store| Ok(ByteTable::new(store.make(id, StateKind::Value, &V::schema())?, groups, bytes)))?
            }
        })
    }

    #[inline]
    fn list<N: Namespace, V: Record>(&mut self, id: StateId) -> Result<&mut dyn KeyedListTable<K, N, V>> {
        let groups = self.key_groups;
        Ok(match &self.origin {
            Origin::Heap => self.table(id, |store| Ok(HeapListTable::new(store.make(id, StateKind::List, &V::schema())?, groups)))?,
            Origin::Bytes(bytes) => {
                let bytes = bytes.clone();
                self.table(id, |store| Ok(ByteListTable::new(store.make(id, StateKind::List, &V::schema())?, groups, bytes)))?
            }
        })
    }

    #[inline]
    fn map<N: Namespace, UK: Key, UV: Record>(&mut self, id: StateId) -> Result<&mut dyn KeyedMapTable<K, N, UK, UV>> {
        let groups = self.key_groups;
        Ok(match &self.origin {
            Origin::Heap => self.table(id, |store| Ok(HeapMapTable::new(store.make(id, StateKind::Map, &UV::schema())?, groups)))?,
            Origin::Bytes(bytes) => {
                let bytes = bytes.clone();
                self.table(id, |store| Ok(ByteMapTable::new(store.make(id, StateKind::Map, &UV::schema())?, groups, bytes)))?
            }
        })
    }

    fn processing_time(&self) -> Timestamp {
        self.clock.now()
    }
}

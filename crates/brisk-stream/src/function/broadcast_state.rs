//! State that every subtask has in full, because every subtask gets every record that changes it.

use brisk_base::{Error, Result};
use brisk_core::function::{FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::RuntimeContext;
use brisk_core::types::{Key, Record};
use std::any::Any;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Names a broadcast state and fixes its types (Flink's `MapStateDescriptor`).
pub struct MapStateDescriptor<K, V> {
    name: Arc<str>,
    entry: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Record> MapStateDescriptor<K, V> {
    /// The state of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), entry: PhantomData }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<K, V> Clone for MapStateDescriptor<K, V> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), entry: PhantomData }
    }
}

impl<K, V> fmt::Debug for MapStateDescriptor<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapStateDescriptor({})", self.name)
    }
}

/// A broadcast state: an ordered map. Functions must change it in the same way in every subtask, from the broadcast records alone.
#[derive(Clone, Debug)]
pub struct BroadcastState<K, V>(BTreeMap<K, V>);

impl<K: Key, V: Record> BroadcastState<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// Whether there is a value for this key.
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Sets the value of a key.
    pub fn put(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// Removes and returns the value of a key.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keys and values, in key order.
    pub fn iter(&self) -> btree_map::Iter<'_, K, V> {
        self.0.iter()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A broadcast state whose types are erased.
trait AnyBroadcastState: Any + Send {
    /// Adds the state to a snapshot.
    fn snapshot(&self, name: &str, state: &mut FunctionSnapshotContext<'_>) -> Result<()>;
}

impl<K: Key, V: Record> AnyBroadcastState for BroadcastState<K, V> {
    fn snapshot(&self, name: &str, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        state.put_broadcast_state(name, &self.0)
    }
}

/// Makes a state with what a checkpoint left of it.
type Make = Arc<dyn Fn(&FunctionInitializationContext<'_>) -> Result<Box<dyn AnyBroadcastState>> + Send + Sync>;

/// The broadcast states that a stream was declared with.
#[derive(Clone, Default)]
pub(crate) struct BroadcastDeclarations(BTreeMap<Arc<str>, Make>);

impl BroadcastDeclarations {
    /// Adds a state; false when there is one of this name.
    pub(crate) fn add<K: Key, V: Record>(&mut self, descriptor: &MapStateDescriptor<K, V>) -> bool {
        let name = Arc::clone(&descriptor.name);
        let make: Make = Arc::new(move |restored| Ok(Box::new(BroadcastState::<K, V>(restored.broadcast_state(&name)?))));
        self.0.insert(Arc::clone(&descriptor.name), make).is_none()
    }
}

/// The broadcast states of one operator of one subtask.
pub(crate) struct BroadcastStates(BTreeMap<Arc<str>, Box<dyn AnyBroadcastState>>);

impl BroadcastStates {
    /// The declared states, with what a checkpoint left of them.
    pub(crate) fn new(declared: &BroadcastDeclarations, cx: &RuntimeContext) -> Result<Self> {
        let restored = FunctionInitializationContext::new(cx);
        let states = declared.0.iter().map(|(name, make)| Ok((Arc::clone(name), make(&restored)?)));
        states.collect::<Result<_>>().map(Self)
    }

    /// Adds the states to a snapshot.
    pub(crate) fn snapshot(&self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        self.0.iter().try_for_each(|(name, broadcast)| broadcast.snapshot(name, state))
    }

    pub(crate) fn get<K: Key, V: Record>(&self, descriptor: &MapStateDescriptor<K, V>) -> Result<&BroadcastState<K, V>> {
        let state = self.0.get(&descriptor.name).ok_or_else(|| unknown(&descriptor.name))?;
        (&**state as &dyn Any).downcast_ref().ok_or_else(|| other_types(&descriptor.name))
    }

    pub(crate) fn get_mut<K: Key, V: Record>(&mut self, descriptor: &MapStateDescriptor<K, V>) -> Result<&mut BroadcastState<K, V>> {
        let state = self.0.get_mut(&descriptor.name).ok_or_else(|| unknown(&descriptor.name))?;
        (&mut **state as &mut dyn Any).downcast_mut().ok_or_else(|| other_types(&descriptor.name))
    }
}

#[cold]
fn unknown(name: &str) -> Error {
    Error::user(format!("the broadcast stream was made without the state '{name}'; pass its descriptor to broadcast_state"))
}

#[cold]
fn other_types(name: &str) -> Error {
    Error::user(format!("the broadcast state '{name}' was declared with other types; use the descriptor it was declared with"))
}

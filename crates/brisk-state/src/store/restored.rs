//! Keyed states that a checkpoint left and that nobody has asked for yet.
//!
//! Their types meet at the first access only. Until then they wait: as bytes in memory for tables on the heap, in the byte store itself
//! where there is one. A snapshot carries on what still waits, so that a state which the program does not use any more, or not yet, is not
//! lost. Nothing here reads the checkpoint after the operator has been opened, since its files may be deleted later on.

use crate::bytes::{self, SharedByteStore};
use crate::schema;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{
    AnyTable, EntryVisitor, FrozenState, FrozenTable, KeyGroups, KeyedStateMeta, Layout, OperatorRestore, OperatorSnapshot,
    RestoredKeyedState, StateDescriptor, StateId,
};
use brisk_core::types::{Decoder, KeyGroup, KeyGroupRange, put_bytes};
use std::sync::Arc;

/// Name prefix of the engine's own states.
const ENGINE: char = '$';

/// The restored states of one operator that nobody has asked for.
#[derive(Default)]
pub(super) struct RestoredStates {
    /// The states.
    waiting: Vec<Waiting>,
}

/// A state that waits.
struct Waiting {
    /// Name, kind and types as the checkpoint has them.
    meta: KeyedStateMeta,
    /// Where its entries are.
    place: Place,
}

/// Where the entries of a waiting state are.
enum Place {
    /// In the checkpoint: a table of the engine's own, which the operator takes while it is opened.
    Checkpoint(Arc<dyn RestoredKeyedState>),
    /// In memory, as bytes.
    Memory(Arc<Entries>),
    /// In the byte store, under this number.
    Store(StateId),
}

impl RestoredStates {
    /// The declared states, and those which only the checkpoint knows, with numbers after theirs: what a byte store has to hold.
    pub(super) fn descriptors(declared: &[StateDescriptor], restored: &OperatorRestore) -> Vec<StateDescriptor> {
        let mut all = declared.to_vec();
        let native = restored.native.iter().flat_map(|part| &part.states);
        let keyed = restored.keyed.iter().flat_map(|keyed| keyed.states());
        for meta in native.chain(keyed).filter(|meta| is_carried(meta)) {
            if all.iter().all(|state| state.name != meta.name) {
                let id = StateId(u16::try_from(all.len()).unwrap_or(u16::MAX));
                all.push(StateDescriptor {
                    id,
                    name: Arc::clone(&meta.name),
                    kind: meta.kind,
                    layout: meta.layout,
                    value: meta.value.clone(),
                    map_key: meta.map_key.clone(),
                });
            }
        }
        all
    }

    /// Takes over what a checkpoint left, for tables on the heap.
    pub(super) fn on_heap(restored: &OperatorRestore, declared: &[StateDescriptor], range: KeyGroupRange) -> Result<Self> {
        let mut waiting = Vec::new();
        let Some(keyed) = &restored.keyed else { return Ok(Self::default()) };
        for meta in keyed.states().iter().filter(|meta| is_carried(meta)) {
            let taken = is_engine(meta) && declared.iter().any(|state| state.name == meta.name);
            let place = if taken {
                Place::Checkpoint(Arc::clone(keyed))
            } else {
                Place::Memory(Arc::new(Entries::read(&**keyed, &meta.name, range)?))
            };
            waiting.push(Waiting { meta: meta.clone(), place });
        }
        Ok(Self { waiting })
    }

    /// Takes over what a checkpoint left, for tables in a byte store, which has restored what is in its own form.
    pub(super) fn in_store(
        restored: &OperatorRestore,
        all: &[StateDescriptor],
        store: &SharedByteStore,
        range: KeyGroupRange,
    ) -> Result<Self> {
        let mut waiting: Vec<Waiting> = Vec::new();
        for meta in restored.native.iter().flat_map(|part| &part.states) {
            schema::check_layout(meta, all).context(|| format!("state '{}'", meta.name))?;
            let known = waiting.iter().any(|state| state.meta.name == meta.name);
            if let Some(state) = all.iter().find(|state| state.name == meta.name)
                && !known
            {
                waiting.push(Waiting { meta: meta.clone(), place: Place::Store(state.id) });
            }
        }
        let Some(keyed) = &restored.keyed else { return Ok(Self { waiting }) };
        for meta in keyed.states() {
            let Some(state) = all.iter().find(|state| state.name == meta.name) else { continue };
            let place = match state.layout {
                Layout::KeyMajor if schema::compare_values(meta, state).is_ok() => {
                    bytes::load(store, state.id, &mut |visit| keyed.scan(&meta.name, range, visit))?;
                    Place::Store(state.id)
                }
                _ => Place::Checkpoint(Arc::clone(keyed)),
            };
            waiting.push(Waiting { meta: meta.clone(), place });
        }
        Ok(Self { waiting })
    }

    /// Checks declared states against what the checkpoint has of them, as far as their types are known.
    pub(super) fn check(&self, declared: &[StateDescriptor], key: &brisk_core::types::Schema) -> Result<()> {
        self.waiting.iter().try_for_each(|waiting| match declared.iter().find(|state| state.name == waiting.meta.name) {
            Some(state) => schema::compare_key(&waiting.meta, key)
                .and_then(|()| schema::compare_values(&waiting.meta, state))
                .context(|| format!("state '{}'", state.name)),
            None => Ok(()),
        })
    }

    /// Puts into a new table what waits for it.
    pub(super) fn fill(&mut self, table: &mut dyn AnyTable, groups: KeyGroups) -> Result<()> {
        let Some(index) = self.waiting.iter().position(|waiting| waiting.meta.name == table.descriptor().name) else { return Ok(()) };
        let waiting = self.waiting.swap_remove(index);
        let (key, namespace) = table.slot_schemas();
        let name = Arc::clone(&waiting.meta.name);
        let place = || format!("state '{name}'");
        schema::compare(&waiting.meta, &KeyedStateMeta::new(table.descriptor(), key, namespace)).context(place)?;
        let restore = &mut |_: KeyGroup, key: &[u8], value: &[u8]| table.restore(key, value);
        match waiting.place {
            Place::Checkpoint(keyed) => keyed.scan(&waiting.meta.name, groups.range, restore),
            Place::Memory(entries) => entries.scan(groups.range, restore),
            Place::Store(_) => Ok(()),
        }
        .context(place)
    }

    /// Adds what still waits to a snapshot.
    pub(super) fn snapshot(&self, snapshot: &mut OperatorSnapshot, store: Option<&SharedByteStore>, groups: KeyGroups) -> Result<()> {
        for Waiting { meta, place } in &self.waiting {
            let table: Box<dyn FrozenTable> = match (place, store) {
                (Place::Store(_), _) if snapshot.native.is_some() => {
                    snapshot.native_states.push(meta.clone());
                    continue;
                }
                (Place::Store(id), Some(store)) => bytes::freeze_untyped(store, *id, meta, groups)?,
                (Place::Store(_), None) => return Err(Error::bug("a state waits in a byte store that is not there")),
                (Place::Memory(entries), _) => Box::new(InMemory(Arc::clone(entries))),
                (Place::Checkpoint(keyed), _) => {
                    Box::new(InCheckpoint { keyed: Arc::clone(keyed), name: Arc::clone(&meta.name), range: groups.range })
                }
            };
            snapshot.keyed.push(FrozenState { meta: meta.clone(), table });
        }
        Ok(())
    }

    /// Entries that wait in memory or in the byte store.
    pub(super) fn entries(&self, store: Option<&SharedByteStore>, groups: KeyGroups) -> Result<usize> {
        let mut count = 0;
        for Waiting { meta, place } in &self.waiting {
            match (place, store) {
                (Place::Memory(entries), _) => count += entries.count,
                (Place::Store(id), Some(store)) => {
                    let visit = &mut |_: KeyGroup, _: &[u8], _: &[u8]| {
                        count += 1;
                        Ok(())
                    };
                    bytes::freeze_untyped(store, *id, meta, groups)?.scan(groups.range, visit)?;
                }
                (Place::Store(_) | Place::Checkpoint(_), _) => {}
            }
        }
        Ok(count)
    }

    /// Bytes of memory that waiting states take, approximately.
    pub(super) fn heap_bytes(&self) -> usize {
        self.in_memory().map(|entries| entries.groups.iter().map(|(_, bytes)| bytes.capacity()).sum::<usize>()).sum()
    }

    fn in_memory(&self) -> impl Iterator<Item = &Entries> {
        self.waiting.iter().filter_map(|waiting| match &waiting.place {
            Place::Memory(entries) => Some(&**entries),
            Place::Checkpoint(_) | Place::Store(_) => None,
        })
    }
}

fn is_engine(meta: &KeyedStateMeta) -> bool {
    meta.name.starts_with(ENGINE)
}

/// Whether the store looks after a state at all: timers belong to the operator.
fn is_carried(meta: &KeyedStateMeta) -> bool {
    !(is_engine(meta) && meta.name.ends_with(crate::timers::SUFFIX))
}

/// Entries of one state, as bytes in memory.
struct Entries {
    /// Key group, and its entries: of each the key and the value, with their lengths.
    groups: Vec<(KeyGroup, Vec<u8>)>,
    /// How many there are.
    count: usize,
}

impl Entries {
    fn read(keyed: &dyn RestoredKeyedState, name: &str, range: KeyGroupRange) -> Result<Self> {
        let mut groups: Vec<(KeyGroup, Vec<u8>)> = Vec::new();
        let mut count = 0;
        keyed.scan(name, range, &mut |group, key, value| {
            count += 1;
            if groups.last().is_none_or(|(last, _)| *last != group) {
                groups.push((group, Vec::new()));
            }
            if let Some((_, bytes)) = groups.last_mut() {
                put_bytes(bytes, key);
                put_bytes(bytes, value);
            }
            Ok(())
        })?;
        groups.sort_by_key(|(group, _)| *group);
        groups.iter_mut().for_each(|(_, bytes)| bytes.shrink_to_fit());
        Ok(Self { groups, count })
    }

    fn scan(&self, range: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        for (group, bytes) in self.groups.iter().filter(|(group, _)| range.contains(*group)) {
            let mut input = Decoder::new(bytes);
            while input.remaining() > 0 {
                visit(*group, input.bytes()?, input.bytes()?)?;
            }
        }
        Ok(())
    }
}

/// A state that waits in memory, as it is.
struct InMemory(Arc<Entries>);

impl FrozenTable for InMemory {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.0.scan(groups, visit)
    }
}

/// A state that is read from the checkpoint again.
struct InCheckpoint {
    keyed: Arc<dyn RestoredKeyedState>,
    name: Arc<str>,
    range: KeyGroupRange,
}

impl FrozenTable for InCheckpoint {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.keyed.scan(&self.name, groups.intersection(self.range), visit)
    }
}

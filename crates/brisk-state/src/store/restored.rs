//! Keyed states that a checkpoint left and that nobody has asked for yet.
//!
//! Their types meet at the first access only. Until then they wait: as bytes in memory for tables on the heap, in the byte store itself
//! where there is one. A snapshot carries on what still waits, so that a state which the program does not use any more, or not yet, is not
//! lost. Nothing here reads the checkpoint after the operator has been opened, since its files may be deleted later on.

use crate::bytes::{self, SharedByteStore};
use crate::schema::{self, Conversion};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::state::{
    AnyTable, EntryVisitor, FrozenState, FrozenTable, KeyGroups, KeyedStateMeta, Layout, OperatorRestore, OperatorSnapshot,
    RestoredKeyedState, StateDescriptor, StateId,
};
use brisk_core::types::{Decoder, KeyGroup, KeyGroupRange, Schema, put_bytes};
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
    /// What becomes of the values, unless that has been done.
    conversion: Option<Conversion>,
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

/// What is known of the program when its state is restored.
pub(super) struct Program<'a> {
    /// Schema of the keys.
    pub(super) key: Schema,
    /// The states.
    pub(super) states: &'a [StateDescriptor],
    /// Key groups of the subtask.
    pub(super) groups: KeyGroups,
    /// Processing time.
    pub(super) now: Timestamp,
}

impl Program<'_> {
    /// What becomes of the values of a state that the program declares.
    fn conversion(&self, meta: &KeyedStateMeta) -> Result<Option<Conversion>> {
        let Some(state) = self.states.iter().find(|state| state.name == meta.name) else { return Ok(None) };
        let conversion = schema::compare_slots(meta, &self.key, None).and_then(|()| Conversion::plan(meta, state, self.now));
        conversion.context(|| place(meta))
    }

    /// The description of a state whose values have become those that the program declares.
    fn present(&self, meta: &KeyedStateMeta) -> KeyedStateMeta {
        match self.states.iter().find(|state| state.name == meta.name) {
            Some(state) => KeyedStateMeta::new(state, meta.key.clone(), meta.namespace.clone()),
            None => meta.clone(),
        }
    }
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
                    ttl: None,
                    migrations: Vec::new(),
                });
            }
        }
        all
    }

    /// Takes over what a checkpoint left, for tables on the heap.
    pub(super) fn on_heap(cx: &Program<'_>, restored: &OperatorRestore) -> Result<Self> {
        let mut waiting = Vec::new();
        let Some(keyed) = &restored.keyed else { return Ok(Self::default()) };
        for meta in keyed.states().iter().filter(|meta| is_carried(meta)) {
            let conversion = cx.conversion(meta)?;
            let declared = cx.states.iter().any(|state| state.name == meta.name);
            waiting.push(if is_engine(meta) && declared {
                Waiting { meta: meta.clone(), place: Place::Checkpoint(Arc::clone(keyed)), conversion }
            } else {
                let entries = Entries::read(&**keyed, &meta.name, cx.groups.range, conversion.as_ref()).context(|| place(meta))?;
                Waiting { meta: cx.present(meta), place: Place::Memory(Arc::new(entries)), conversion: None }
            });
        }
        Ok(Self { waiting })
    }

    /// Takes over what a checkpoint left, for tables in a byte store, which has restored what is in its own form. `cx` has all states of
    /// the store.
    pub(super) fn in_store(cx: &Program<'_>, restored: &OperatorRestore, store: &SharedByteStore) -> Result<Self> {
        let mut waiting: Vec<Waiting> = Vec::new();
        for meta in restored.native.iter().flat_map(|part| &part.states) {
            let Some(state) = cx.states.iter().find(|state| state.name == meta.name) else { continue };
            if waiting.iter().any(|state| state.meta.name == meta.name) {
                continue;
            }
            schema::check_layout(meta, cx.states).context(|| place(meta))?;
            if let Some(conversion) = cx.conversion(meta)? {
                bytes::convert(store, state.id, cx.groups, &mut |value| conversion.convert(value)).context(|| place(meta))?;
            }
            waiting.push(Waiting { meta: cx.present(meta), place: Place::Store(state.id), conversion: None });
        }
        for (keyed, meta) in restored.keyed.iter().flat_map(|keyed| keyed.states().iter().map(move |meta| (keyed, meta))) {
            let Some(state) = cx.states.iter().find(|state| state.name == meta.name) else { continue };
            let conversion = cx.conversion(meta)?;
            waiting.push(match state.layout {
                Layout::KeyMajor => {
                    let scan = &mut |visit: &mut EntryVisitor<'_>| {
                        keyed.scan(&meta.name, cx.groups.range, &mut |group, key, value| {
                            schema::converted(conversion.as_ref(), value, |value| visit(group, key, value))
                        })
                    };
                    bytes::load(store, state.id, scan).context(|| place(meta))?;
                    Waiting { meta: cx.present(meta), place: Place::Store(state.id), conversion: None }
                }
                Layout::NamespaceMajor => Waiting { meta: meta.clone(), place: Place::Checkpoint(Arc::clone(keyed)), conversion },
            });
        }
        Ok(Self { waiting })
    }

    /// Puts into a new table what waits for it.
    pub(super) fn fill(&mut self, table: &mut dyn AnyTable, groups: KeyGroups) -> Result<()> {
        let Some(index) = self.waiting.iter().position(|waiting| waiting.meta.name == table.descriptor().name) else { return Ok(()) };
        let Waiting { meta, place: origin, conversion } = self.waiting.swap_remove(index);
        let (key, namespace) = table.slot_schemas();
        schema::compare_slots(&meta, &key, Some(&namespace)).context(|| place(&meta))?;
        let restore =
            &mut |_: KeyGroup, key: &[u8], value: &[u8]| schema::converted(conversion.as_ref(), value, |value| table.restore(key, value));
        match origin {
            Place::Checkpoint(keyed) => keyed.scan(&meta.name, groups.range, restore),
            Place::Memory(entries) => entries.scan(groups.range, restore),
            Place::Store(_) => Ok(()),
        }
        .context(|| place(&meta))
    }

    /// Adds what still waits to a snapshot.
    pub(super) fn snapshot(&self, snapshot: &mut OperatorSnapshot, store: Option<&SharedByteStore>, groups: KeyGroups) -> Result<()> {
        for Waiting { meta, place, .. } in &self.waiting {
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
        for Waiting { meta, place, .. } in &self.waiting {
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

fn place(meta: &KeyedStateMeta) -> String {
    format!("state '{}'", meta.name)
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
    fn read(keyed: &dyn RestoredKeyedState, name: &str, range: KeyGroupRange, conversion: Option<&Conversion>) -> Result<Self> {
        let mut groups: Vec<(KeyGroup, Vec<u8>)> = Vec::new();
        let mut count = 0;
        keyed.scan(name, range, &mut |group, key, value| {
            count += 1;
            if groups.last().is_none_or(|(last, _)| *last != group) {
                groups.push((group, Vec::new()));
            }
            if let Some((_, bytes)) = groups.last_mut() {
                put_bytes(bytes, key);
                return schema::converted(conversion, value, |value| {
                    put_bytes(bytes, value);
                    Ok(())
                });
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

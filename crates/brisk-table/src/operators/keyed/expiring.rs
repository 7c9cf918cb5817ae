//! Tables whose values expire, seen as tables of the values alone.

use brisk_base::world::Clock;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{AnyTable, Expiring, FrozenTable, KeyRange, KeyedMapTable, KeyedTable, Slot, StateDescriptor, StateTtlConfig};
use brisk_core::types::{Key, Record, Schema};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One value per key, which is not seen when it has expired. Each write lets it live on.
pub(super) struct ExpiringTable<K, V> {
    pub(super) table: Box<dyn KeyedTable<K, (), Expiring<V>>>,
    pub(super) ttl: StateTtlConfig,
    pub(super) clock: Arc<dyn Clock>,
}

/// A map per key, of whose entries each expires by itself.
pub(super) struct ExpiringMapTable<K, UK, UV> {
    pub(super) table: Box<dyn KeyedMapTable<K, (), UK, Expiring<UV>>>,
    pub(super) ttl: StateTtlConfig,
    pub(super) clock: Arc<dyn Clock>,
}

/// What is left of a value.
fn live<'v, V>(value: Option<&'v Expiring<V>>, ttl: &StateTtlConfig, now: Timestamp) -> Option<&'v V> {
    value.filter(|value| !ttl.is_expired(value.at, now)).map(|value| &value.value)
}

/// Lets `update` change what is left of a value.
fn updated<V>(
    state: &mut Option<Expiring<V>>,
    ttl: &StateTtlConfig,
    now: Timestamp,
    update: impl FnOnce(&mut Option<V>) -> Result<()>,
) -> Result<()> {
    let mut value = state.take().filter(|value| !ttl.is_expired(value.at, now)).map(|value| value.value);
    let done = update(&mut value);
    *state = value.map(|value| Expiring { at: now, value });
    done
}

/// Before so many writes: looks at some keys of a table for each, and drops what has expired.
fn sweep(table: &mut (impl AnyTable + ?Sized), writes: usize, ttl: &StateTtlConfig, now: Timestamp) -> Result<()> {
    match ttl.incremental_cleanup() {
        Some(cleanup) => table.sweep(cleanup.keys.saturating_mul(writes), &|at| ttl.is_expired(at, now)),
        None => Ok(()),
    }
}

/// What a table of any kind does as the one within does it.
macro_rules! as_within {
    () => {
        fn descriptor(&self) -> &StateDescriptor {
            self.table.descriptor()
        }

        fn slot_schemas(&self) -> (Schema, Schema) {
            self.table.slot_schemas()
        }

        fn in_byte_store(&self) -> bool {
            self.table.in_byte_store()
        }

        fn len(&mut self) -> Result<usize> {
            self.table.len()
        }

        fn heap_bytes(&self) -> usize {
            self.table.heap_bytes()
        }

        fn clear(&mut self) -> Result<()> {
            self.table.clear()
        }

        fn touch(&self, key_hashes: &[u64]) {
            self.table.touch(key_hashes);
        }

        fn freeze(&mut self) -> Result<Box<dyn FrozenTable>> {
            self.table.freeze()
        }

        fn sweep(&mut self, slots: usize, is_expired: &dyn Fn(Timestamp) -> bool) -> Result<()> {
            self.table.sweep(slots, is_expired)
        }

        fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
            self.table.restore(key, value)
        }
    };
}

impl<K: Key, V: Record> AnyTable for ExpiringTable<K, V> {
    as_within!();
}

impl<K: Key, UK: Key, UV: Record> AnyTable for ExpiringMapTable<K, UK, UV> {
    as_within!();
}

impl<K: Key, V: Record> KeyedTable<K, (), V> for ExpiringTable<K, V> {
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, ()>]) -> Poll<Result<()>> {
        self.table.prefetch(cx, slots)
    }

    fn get(&mut self, slot: Slot<'_, K, ()>) -> Result<Option<&V>> {
        let now = self.clock.now();
        Ok(live(self.table.get(slot)?, &self.ttl, now))
    }

    fn get_many(&mut self, slots: &[Slot<'_, K, ()>], visit: &mut dyn FnMut(usize, Option<&V>) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        self.table.get_many(slots, &mut |index, value| visit(index, live(value, ttl, now)))
    }

    fn put(&mut self, slot: Slot<'_, K, ()>, value: V) -> Result<()> {
        let at = self.clock.now();
        sweep(&mut *self.table, 1, &self.ttl, at)?;
        self.table.put(slot, Expiring { at, value })
    }

    fn remove(&mut self, slot: Slot<'_, K, ()>) -> Result<Option<V>> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        Ok(self.table.remove(slot)?.filter(|value| !ttl.is_expired(value.at, now)).map(|value| value.value))
    }

    fn update_many(&mut self, slots: &[Slot<'_, K, ()>], update: &mut dyn FnMut(usize, &mut Option<V>) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        sweep(&mut *self.table, slots.len(), ttl, now)?;
        self.table.update_many(slots, &mut |index, state| updated(state, ttl, now, |value| update(index, value)))
    }

    fn add_many(
        &mut self,
        slots: &[Slot<'_, K, ()>],
        create: &mut dyn FnMut(usize) -> Result<V>,
        add: &mut dyn FnMut(usize, &mut V) -> Result<()>,
    ) -> Result<()> {
        self.update_many(slots, &mut |index, state| match state {
            Some(value) => add(index, value),
            None => add(index, state.insert(create(index)?)),
        })
    }

    fn scan_namespace(&mut self, namespace: &(), visit: &mut dyn FnMut(&K, &V) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        self.table.scan_namespace(namespace, &mut |key, value| live(Some(value), ttl, now).map_or(Ok(()), |value| visit(key, value)))
    }

    fn drain_namespace(&mut self, namespace: &(), visit: &mut dyn FnMut(K, V) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        self.table.drain_namespace(namespace, &mut |key, value| match ttl.is_expired(value.at, now) {
            true => Ok(()),
            false => visit(key, value.value),
        })
    }

    fn remove_namespace(&mut self, namespace: &()) -> Result<()> {
        self.table.remove_namespace(namespace)
    }

    fn next_namespace(&mut self, after: Option<&()>) -> Result<Option<()>> {
        self.table.next_namespace(after)
    }

    /// There is one namespace, so nothing can be moved.
    fn merge_namespaces(&mut self, _into: Slot<'_, K, ()>, _from: &[()], _merge: &mut dyn FnMut(&mut V, V) -> Result<()>) -> Result<()> {
        Ok(())
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&K, &(), &V) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        self.table.scan(&mut |key, namespace, value| live(Some(value), ttl, now).map_or(Ok(()), |value| visit(key, namespace, value)))
    }
}

impl<K: Key, UK: Key, UV: Record> KeyedMapTable<K, (), UK, UV> for ExpiringMapTable<K, UK, UV> {
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, ()>]) -> Poll<Result<()>> {
        self.table.prefetch(cx, slots)
    }

    fn get(&mut self, slot: Slot<'_, K, ()>, key: &UK) -> Result<Option<&UV>> {
        let now = self.clock.now();
        Ok(live(self.table.get(slot, key)?, &self.ttl, now))
    }

    fn put(&mut self, slot: Slot<'_, K, ()>, key: UK, value: UV) -> Result<()> {
        let at = self.clock.now();
        sweep(&mut *self.table, 1, &self.ttl, at)?;
        self.table.put(slot, key, Expiring { at, value })
    }

    fn remove(&mut self, slot: Slot<'_, K, ()>, key: &UK) -> Result<Option<UV>> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        Ok(self.table.remove(slot, key)?.filter(|value| !ttl.is_expired(value.at, now)).map(|value| value.value))
    }

    fn update(&mut self, slot: Slot<'_, K, ()>, key: &UK, update: &mut dyn FnMut(&mut Option<UV>) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        sweep(&mut *self.table, 1, ttl, now)?;
        self.table.update(slot, key, &mut |state| updated(state, ttl, now, &mut *update))
    }

    fn range(
        &mut self,
        slot: Slot<'_, K, ()>,
        range: KeyRange<'_, UK>,
        visit: &mut dyn FnMut(&UK, &UV) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        self.table.range(slot, range, &mut |key, value| match live(Some(value), ttl, now) {
            Some(value) => visit(key, value),
            None => Ok(ControlFlow::Continue(())),
        })
    }

    fn remove_range(&mut self, slot: Slot<'_, K, ()>, range: KeyRange<'_, UK>) -> Result<()> {
        self.table.remove_range(slot, range)
    }

    fn remove_namespace(&mut self, namespace: &()) -> Result<()> {
        self.table.remove_namespace(namespace)
    }

    fn next_namespace(&mut self, after: Option<&()>) -> Result<Option<()>> {
        self.table.next_namespace(after)
    }

    /// There is one namespace, so nothing can be moved.
    fn merge_namespaces(&mut self, _into: Slot<'_, K, ()>, _from: &[()], _merge: &mut dyn FnMut(&mut UV, UV) -> Result<()>) -> Result<()> {
        Ok(())
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&K, &(), &UK, &UV) -> Result<()>) -> Result<()> {
        let (ttl, now) = (&self.ttl, self.clock.now());
        self.table.scan(&mut |key, namespace, entry, value| match live(Some(value), ttl, now) {
            Some(value) => visit(key, namespace, entry, value),
            None => Ok(()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::world::MonoTime;
    use brisk_core::state::{KeyGroups, Layout, StateBackendContext, StateDeclarations};
    use brisk_state::{HashMapStateBackend, KeyedStateStore};
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }

        fn mono(&self) -> MonoTime {
            MonoTime(0)
        }
    }

    #[test]
    fn writes_drop_what_has_expired_elsewhere() {
        let (clock, ttl) = (Arc::new(Hand::default()), StateTtlConfig::builder(Duration::from_millis(10)).build());
        let mut declared = StateDeclarations::new("test");
        let value = declared.with_ttl(ttl.clone()).engine_value::<i64>("value", Layout::KeyMajor);
        let map = declared.with_ttl(ttl.clone()).engine_map::<i64, i64>("map", Layout::KeyMajor);
        let groups = KeyGroups::of_subtask(128, 1, 0).expect("one subtask");
        let mut store =
            KeyedStateStore::<i64>::open(&HashMapStateBackend, StateBackendContext::new("test", groups), declared).expect("opens");
        let of_store = Arc::<Hand>::clone(&clock);
        let mut values = ExpiringTable { table: store.take_value(value).expect("declared"), ttl: ttl.clone(), clock: of_store.clone() };
        let mut maps = ExpiringMapTable { table: store.take_map(map).expect("declared"), ttl, clock: of_store };
        for key in 0..1000_i64 {
            values.put(Slot::new(&key, &()), key).expect("writes");
            maps.put(Slot::new(&key, &()), 1_i64, key).expect("writes");
        }
        assert_eq!((values.len().expect("counts"), maps.len().expect("counts")), (1000, 1000));
        clock.0.store(10, Ordering::SeqCst);
        assert_eq!(values.get(Slot::new(&7, &())).expect("reads"), None, "it is there, but is not seen");
        for _ in 0..2000 {
            values.put(Slot::new(&0, &()), 0).expect("writes");
            maps.put(Slot::new(&0, &()), 1, 0).expect("writes");
        }
        assert!(values.len().expect("counts") < 100 && maps.len().expect("counts") < 100);
        assert_eq!(values.get(Slot::new(&0, &())).expect("reads"), Some(&0));
    }
}

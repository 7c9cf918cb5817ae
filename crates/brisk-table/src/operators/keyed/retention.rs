//! How long state is kept that nobody uses: `table.exec.state.ttl`.

use super::expiring::{ExpiringMapTable, ExpiringTable};
use brisk_base::Result;
use brisk_base::world::Clock;
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{Expiring, KeyedMapTable, KeyedTable, Layout, StateDeclarations, StateId, StateTtlConfig};
use brisk_core::types::{Key, Record};
use brisk_state::KeyedStateStore;
use std::sync::Arc;
use std::time::Duration;

/// When the values of an operator's tables expire, if they do. As in Flink, a value lives for that long after it was written, and is not
/// seen from then on, whether or not it is still there.
#[derive(Clone)]
pub(crate) struct StateRetention(Option<(StateTtlConfig, Arc<dyn Clock>)>);

impl StateRetention {
    /// State stays for so long; for ever, if it is 0.
    pub(crate) fn of(ttl: Duration, cx: &RuntimeContext) -> Self {
        Self((!ttl.is_zero()).then(|| (StateTtlConfig::builder(ttl).build(), Arc::clone(&cx.world.clock))))
    }

    /// Whether values expire.
    pub(crate) const fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Declares a table of one value per key.
    pub(crate) fn declare_value<V: Record>(&self, declared: &mut StateDeclarations, name: &str) -> StateId {
        match &self.0 {
            None => declared.engine_value::<V>(name, Layout::KeyMajor),
            Some((ttl, _)) => declared.with_ttl(ttl.clone()).engine_value::<V>(name, Layout::KeyMajor),
        }
    }

    /// Declares a table of one map per key; each entry expires by itself.
    pub(crate) fn declare_map<UK: Key, UV: Record>(&self, declared: &mut StateDeclarations, name: &str) -> StateId {
        match &self.0 {
            None => declared.engine_map::<UK, UV>(name, Layout::KeyMajor),
            Some((ttl, _)) => declared.with_ttl(ttl.clone()).engine_map::<UK, UV>(name, Layout::KeyMajor),
        }
    }

    /// The table that was declared.
    ///
    /// # Errors
    /// As [`KeyedStateStore::take_value`].
    pub(crate) fn take_value<K: Key, V: Record>(
        &self,
        store: &mut KeyedStateStore<K>,
        id: StateId,
    ) -> Result<Box<dyn KeyedTable<K, (), V>>> {
        match &self.0 {
            None => store.take_value(id),
            Some((ttl, clock)) => {
                let table = store.take_value::<(), Expiring<V>>(id)?;
                Ok(Box::new(ExpiringTable { table, ttl: ttl.clone(), clock: Arc::clone(clock) }))
            }
        }
    }

    /// The table that was declared.
    ///
    /// # Errors
    /// As [`KeyedStateStore::take_map`].
    pub(crate) fn take_map<K: Key, UK: Key, UV: Record>(
        &self,
        store: &mut KeyedStateStore<K>,
        id: StateId,
    ) -> Result<Box<dyn KeyedMapTable<K, (), UK, UV>>> {
        match &self.0 {
            None => store.take_map(id),
            Some((ttl, clock)) => {
                let table = store.take_map::<(), UK, Expiring<UV>>(id)?;
                Ok(Box::new(ExpiringMapTable { table, ttl: ttl.clone(), clock: Arc::clone(clock) }))
            }
        }
    }
}

//! What a store of keyed state adds to a snapshot.

use super::KeyedStateStore;
use crate::ttl::LiveTable;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::checkpoint::Barrier;
use brisk_core::operator::SnapshotContext;
use brisk_core::state::{FrozenState, OperatorSnapshot};
use brisk_core::types::Key;

impl<K: Key> KeyedStateStore<K> {
    /// Adds the user states, and restored states that nobody has asked for, to the snapshot of the operator. To be called before the
    /// operator adds the tables that it has taken ([`OperatorSnapshot::freeze`]) and its timers.
    ///
    /// # Errors
    /// The backend's.
    pub fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &SnapshotContext<'_>) -> Result<()> {
        self.snapshot_at(snapshot, cx.barrier)
    }

    /// [`snapshot`](Self::snapshot) for a barrier.
    ///
    /// # Errors
    /// The backend's.
    pub fn snapshot_at(&mut self, snapshot: &mut OperatorSnapshot, barrier: Barrier) -> Result<()> {
        if snapshot.native.is_some() {
            let message = "a second store of keyed state is added to the snapshot of one operator";
            return Err(Error::bug(message).context(&*self.place));
        }
        if let Some(store) = self.origin.store()
            && !barrier.kind.is_savepoint()
        {
            snapshot.native = store.lock().native_snapshot(barrier.checkpoint).context(|| &*self.place)?;
        }
        self.restored.snapshot(snapshot, self.origin.store(), self.key_groups).context(|| &*self.place)?;
        let frozen = self.held().try_for_each(|table| snapshot.freeze(table));
        frozen.context(|| &*self.place)?;
        self.leave_out_expired(snapshot);
        Ok(())
    }

    /// Leaves what has expired out of the tables of states that are configured so.
    fn leave_out_expired(&self, snapshot: &mut OperatorSnapshot) {
        let now = self.clock.now();
        let ttl_of = |name: &str| self.states.iter().find(|state| &*state.name == name).and_then(|state| state.ttl.clone());
        snapshot.keyed = std::mem::take(&mut snapshot.keyed)
            .into_iter()
            .map(|state| match ttl_of(&state.meta.name).filter(|ttl| ttl.cleanup_full_snapshot()) {
                Some(ttl) => {
                    let table = Box::new(LiveTable { all: state.table, kind: state.meta.kind, ttl, now });
                    FrozenState { meta: state.meta, table }
                }
                None => state,
            })
            .collect();
    }

    /// Tells the backend that a checkpoint is complete.
    ///
    /// # Errors
    /// The backend's.
    pub fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        let store = self.origin.store();
        store.map_or(Ok(()), |store| store.lock().checkpoint_complete(checkpoint)).context(|| &*self.place)
    }

    /// Tells the backend that a checkpoint will never be complete.
    ///
    /// # Errors
    /// The backend's.
    pub fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        let store = self.origin.store();
        store.map_or(Ok(()), |store| store.lock().checkpoint_aborted(checkpoint)).context(|| &*self.place)
    }
}

//! A view of the database, and of the overlay over it, that stays as it was.

use super::cursor::DbCursor;
use super::instance::{Db, Instance};
use super::merged;
use super::overlay::Layer;
use brisk_base::Result;
use brisk_core::state::{ByteVisitor, FrozenBytes};
use rocksdb::SnapshotWithThreadMode;
use std::sync::Arc;

/// See the module.
pub(super) struct FrozenDb {
    /// The database as it was. Dropped before `instance`, in which it lies.
    snapshot: SnapshotWithThreadMode<'static, Db>,
    instance: Arc<Instance>,
    /// The overlay as it was, the newest layer first.
    layers: Vec<Arc<Layer>>,
}

impl FrozenDb {
    pub(super) fn new(instance: Arc<Instance>, layers: Vec<Arc<Layer>>) -> Self {
        let snapshot = instance.db.snapshot();
        // SAFETY: the snapshot borrows the database, which lies in the shared instance and therefore neither moves nor goes away while
        // `instance` is held; fields are dropped in the order of their declaration, the snapshot first. Nothing hands the snapshot out.
        let snapshot: SnapshotWithThreadMode<'static, Db> =
            unsafe { std::mem::transmute::<SnapshotWithThreadMode<'_, Db>, SnapshotWithThreadMode<'static, Db>>(snapshot) };
        Self { snapshot, instance, layers }
    }
}

impl FrozenBytes for FrozenDb {
    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        let layers: Vec<&Layer> = self.layers.iter().map(|layer| &**layer).collect();
        for segment in self.instance.families.segments(from, to) {
            let mut below = DbCursor::new(&self.instance, &segment, Some(&self.snapshot))?;
            if merged::scan(&layers, &mut below, &segment.from, segment.to.as_deref(), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

//! A view of the database, and of the overlay over it, that stays as it was.

use super::cursor::DbCursor;
use super::instance::{Db, Instance};
use super::merged;
use super::overlay::{Layer, LayerView};
use super::recent::InOrder;
use super::sealed::Sealed;
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
    /// Tables of recent values over it, the newest first. No key is in both.
    recent: Vec<Arc<Sealed>>,
    /// Keeps these needed.
    _needed: Arc<()>,
}

impl FrozenDb {
    pub(super) fn new(instance: Arc<Instance>, layers: Vec<Arc<Layer>>, (recent, needed): (Vec<Arc<Sealed>>, Arc<()>)) -> Self {
        let snapshot = instance.db.snapshot();
        // SAFETY: the snapshot borrows the database, which lies in the shared instance and therefore neither moves nor goes away while
        // `instance` is held; fields are dropped in the order of their declaration, the snapshot first. Nothing hands the snapshot out.
        let snapshot: SnapshotWithThreadMode<'static, Db> =
            unsafe { std::mem::transmute::<SnapshotWithThreadMode<'_, Db>, SnapshotWithThreadMode<'static, Db>>(snapshot) };
        Self { snapshot, instance, layers, recent, _needed: needed }
    }
}

impl FrozenBytes for FrozenDb {
    fn scan(&self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        let recent: Vec<InOrder<'_>> = self.recent.iter().map(|sealed| sealed.in_order()).collect();
        let recent = recent.iter().map(|recent| recent as &dyn LayerView);
        let layers: Vec<&dyn LayerView> = recent.chain(self.layers.iter().map(|layer| &**layer as &dyn LayerView)).collect();
        for segment in self.instance.families.segments(from, to) {
            let mut below = DbCursor::new(&self.instance, &segment, Some(&self.snapshot))?;
            if merged::scan(&layers, &mut below, &segment.from, segment.to.as_deref(), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

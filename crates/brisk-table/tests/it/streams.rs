//! Random changelogs of two numbers, and how tests cut them.

use arrow_array::{ArrayRef, Int64Array, StringArray};
use brisk_core::batch::{Columns, RowKind};
use brisk_core::state::StateBackend;
use brisk_state::{HashMapStateBackend, mock};
use proptest::prelude::*;
use std::sync::Arc;

/// Kind, key and value of a row.
pub(crate) type Change = (RowKind, Option<i64>, i64);

/// Columns: the key, the value, and a text made of both.
pub(crate) fn columns(rows: &[Change]) -> Columns {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(text)));
    let batch = Columns::new(vec![keys, values, texts]).expect("fit");
    batch.with_kinds(rows.iter().map(|row| row.0).collect()).expect("one each")
}

pub(crate) fn text(row: &Change) -> String {
    format!("{:?}/{}", row.1, row.2)
}

/// Rows that are added, and some of them taken back later.
pub(crate) fn changelog(longest: usize) -> impl Strategy<Value = Vec<Change>> {
    let step = (any::<bool>(), any::<prop::sample::Index>(), proptest::option::weighted(0.9, 0i64..4), 0i64..6);
    proptest::collection::vec(step, 0..longest).prop_map(|steps| {
        let (mut live, mut rows) = (Vec::new(), Vec::new());
        for (delete, index, key, value) in steps {
            if delete && !live.is_empty() {
                let (key, value) = live.swap_remove(index.index(live.len()));
                rows.push((RowKind::Delete, key, value));
            } else {
                live.push((key, value));
                rows.push((RowKind::Insert, key, value));
            }
        }
        rows
    })
}

/// All backends whose state may be restored in another.
pub(crate) fn backends() -> Vec<Arc<dyn StateBackend>> {
    let mut all: Vec<Arc<dyn StateBackend>> = vec![Arc::new(HashMapStateBackend)];
    all.extend(mock::backends().into_iter().filter(|(name, _)| *name != "delayed").map(|(_, backend)| Arc::from(backend)));
    #[cfg(feature = "rocksdb")]
    all.push(rocksdb());
    all
}

/// The real database, its files in memory.
#[cfg(feature = "rocksdb")]
fn rocksdb() -> Arc<dyn StateBackend> {
    use brisk_state::rocksdb::{RocksDbConfig, RocksDbPlace, RocksDbStateBackend};
    let config = RocksDbConfig { place: RocksDbPlace::Memory, memory_bytes: 1 << 20, ..RocksDbConfig::in_folder("") };
    Arc::new(RocksDbStateBackend::new(config))
}

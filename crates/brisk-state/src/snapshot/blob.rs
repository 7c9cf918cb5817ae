//! Bytes that belong to a checkpoint and are read as a whole.

use super::handle::StateData;
use crate::checkpoint_storage::CheckpointStorage;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::FileRef;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Stores bytes at a path, or keeps them in the handle if they are not more than `inline_below`.
///
/// # Errors
/// The storage's.
pub fn store_blob(storage: &dyn CheckpointStorage, path: String, bytes: Vec<u8>, inline_below: usize) -> Result<StateData> {
    if bytes.len() <= inline_below {
        return Ok(StateData::Inline(bytes.into()));
    }
    storage.publish(&path, &bytes)?;
    Ok(StateData::File(FileRef { path, size: bytes.len() as u64, checksum: xxh3_64(&bytes) }))
}

/// The bytes that [`store_blob`] stored, verified.
///
/// # Errors
/// The storage's; `Corrupt`, naming the file, when it is damaged or missing.
pub fn load_blob(storage: &dyn CheckpointStorage, data: &StateData) -> Result<Arc<[u8]>> {
    let file = match data {
        StateData::Inline(bytes) => return Ok(Arc::clone(bytes)),
        StateData::File(file) => file,
    };
    let bytes = storage.read(&file.path, file.size)?;
    if bytes.len() as u64 != file.size || xxh3_64(&bytes) != file.checksum {
        return Err(Error::corrupt("the file is damaged: its checksum is wrong")).context(|| storage.name(&file.path));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint_storage::MemoryStorage;

    #[test]
    fn blobs_come_back_and_damage_is_found() {
        let storage = MemoryStorage::new();
        for (bytes, inline) in [(vec![7; 10], true), (vec![9; 11], false)] {
            let data = store_blob(&storage, "blob".to_owned(), bytes.clone(), 10).expect("memory");
            assert_eq!(matches!(data, StateData::Inline(_)), inline);
            assert_eq!(&*load_blob(&storage, &data).expect("just stored"), bytes);
            if !inline {
                assert!(storage.damage("blob", |bytes| bytes[3] ^= 1));
                let error = load_blob(&storage, &data).expect_err("it is damaged").to_string();
                assert!(error.contains("blob") && error.contains("checksum"), "{error}");
            }
        }
    }
}

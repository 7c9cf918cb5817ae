//! Gets the state of one operator of one subtask out of the checkpoint storage.

use super::handle::{KeyedHandle, NativeHandle, OperatorSubtaskState};
use super::items::read_items;
use super::reader::CanonicalReader;
use crate::checkpoint_storage::CheckpointStorage;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{LocalNativeState, NativeFile, OperatorRestore, RestoredKeyedState};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes that are copied at once.
const COPY_BYTES: usize = 256 * 1024;

/// What an operator begins with: the common form is read when tables are filled, files of backends are brought into folders below `local`.
/// `own_files` is left unset: whoever knows that the checkpoint is the job's own sets it. Blocks; for background threads, before the
/// operator is opened.
///
/// # Errors
/// Those of the storage; `Corrupt`, naming the file, when one is damaged or missing.
pub fn read_operator(
    storage: &Arc<dyn CheckpointStorage>,
    checkpoint: CheckpointId,
    state: &OperatorSubtaskState,
    local: &Path,
) -> Result<OperatorRestore> {
    let mut canonical = Vec::new();
    let mut native = Vec::new();
    for handle in &state.keyed {
        match handle {
            KeyedHandle::Canonical(handle) => canonical.push(handle.clone()),
            KeyedHandle::Native(handle) => {
                let folder = local.join(format!("part-{}", native.len()));
                fetch_native(&**storage, handle, &folder)?;
                native.push(LocalNativeState { state: handle.state.clone(), states: handle.states.clone(), folder });
            }
        }
    }
    let keyed = if canonical.is_empty() {
        None
    } else {
        let reader: Arc<dyn RestoredKeyedState> = Arc::new(CanonicalReader::new(Arc::clone(storage), canonical)?);
        Some(reader)
    };
    let operator = read_items(&**storage, &state.operator)?;
    let (finished, watermark) = (state.finished, state.watermark);
    Ok(OperatorRestore { checkpoint, keyed, native, operator, finished, watermark, ..OperatorRestore::default() })
}

fn fetch_native(storage: &dyn CheckpointStorage, handle: &NativeHandle, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| local_failed(folder, &error))?;
    for file in &handle.state.files {
        if file.name.is_empty() || file.name.contains(['/', '\\']) || file.name.starts_with('.') {
            return Err(Error::corrupt(format!("'{}' cannot be the name of a backend's file", file.name)));
        }
        fetch_file(storage, file, &folder.join(&file.name)).context(|| storage.name(&file.file.path))?;
    }
    Ok(())
}

/// Brings a file to its local name. One that never changes is linked where that can be; it is read and verified all the same.
fn fetch_file(storage: &dyn CheckpointStorage, file: &NativeFile, local: &Path) -> Result<()> {
    let linked = file.shared && storage.link_out(&file.file.path, local);
    let file = &file.file;
    let mut source = storage.open(&file.path)?;
    if source.size() != file.size {
        return Err(Error::corrupt(format!("the file has {} bytes, and had {} when it was written", source.size(), file.size)));
    }
    let target = if linked { None } else { Some(File::create(local).map_err(|error| local_failed(local, &error))?) };
    let mut checksum = Xxh3Default::new();
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    while at < file.size {
        let count = usize::try_from(file.size - at).unwrap_or(usize::MAX).min(COPY_BYTES);
        source.read_at(at, &mut buffer[..count])?;
        checksum.update(&buffer[..count]);
        if let Some(mut target) = target.as_ref() {
            target.write_all(&buffer[..count]).map_err(|error| local_failed(local, &error))?;
        }
        at += count as u64;
    }
    if checksum.digest() == file.checksum { Ok(()) } else { Err(Error::corrupt("the file is damaged: its checksum is wrong")) }
}

fn local_failed(path: &Path, error: &std::io::Error) -> Error {
    Error::transient(format!("the local file '{}' cannot be written: {error}", path.display()))
}

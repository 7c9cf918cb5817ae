//! Opens a database with what checkpoints of the old subtasks left.

use super::families::{Families, GROUP, family_name};
use super::folder::Folder;
use super::instance::{Db, Instance, database_path, family_options, write_options};
use super::memory::SharedMemory;
use super::native::{META_VERSION, is_table, local_files};
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{FileRef, LocalNativeState};
use brisk_core::types::KeyGroupRange;
use rocksdb::{ColumnFamilyDescriptor, IteratorMode, Options, ReadOptions, WriteBatch};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Bytes of entries that are written at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// An open database, and which of its files are stored already.
pub(super) struct Restored {
    pub(super) instance: Instance,
    pub(super) stored: BTreeMap<String, FileRef>,
}

/// Opens the database of a subtask with these key groups. The part with most of them is linked as it is, and what is foreign in it deleted;
/// entries of the others are copied.
pub(super) fn open(
    parts: &[LocalNativeState],
    range: KeyGroupRange,
    families: Families,
    place: &Arc<str>,
    folder: Folder,
    memory: &SharedMemory,
    own_files: bool,
) -> Result<Restored> {
    if let Some(part) = parts.iter().find(|part| part.state.meta.first() != Some(&META_VERSION)) {
        return Err(Error::user(format!(
            "the checkpoint's files have version {:?} of the form of RocksDB, and this program reads {META_VERSION}: use a newer one",
            part.state.meta.first()
        )));
    }
    let overlap = |part: &LocalNativeState| part.state.range.intersection(range).len();
    let base = (0..parts.len()).max_by_key(|index| overlap(&parts[*index]));
    if let Some(base) = base {
        link(&parts[base].folder, &database_path(folder.path()))?;
    }
    let instance = Instance::open(families, Arc::clone(place), Some(folder), memory)?;
    let Some(base) = base else { return Ok(Restored { instance, stored: BTreeMap::new() }) };
    delete_foreign(&instance, parts[base].state.range, range)?;
    for (index, part) in parts.iter().enumerate() {
        let wanted = part.state.range.intersection(range);
        if index != base && !wanted.is_empty() {
            copy(&instance, part, wanted, memory).context(|| format!("local folder '{}'", part.folder.display()))?;
        }
    }
    let files = parts[base].state.files.iter().filter(|file| own_files && is_table(&file.name));
    let stored = files.map(|file| (file.name.clone(), file.file.clone())).collect();
    Ok(Restored { instance, stored })
}

/// Gives the files of a checkpoint to a database: tables are linked, the few others copied, since a database changes those.
fn link(from: &Path, to: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::transient(format!("the local folder '{}' cannot be filled: {error}", to.display()));
    std::fs::create_dir_all(to).map_err(failed)?;
    for (name, path) in local_files(from)? {
        let target = to.join(&name);
        let linked = if is_table(&name) { std::fs::hard_link(&path, &target) } else { Err(std::io::ErrorKind::Unsupported.into()) };
        // Links do not reach from one file system to another.
        linked.or_else(|_| std::fs::copy(&path, &target).map(drop)).map_err(failed)?;
    }
    Ok(())
}

/// Deletes the key groups that are in the files but not this subtask's.
fn delete_foreign(instance: &Instance, there: KeyGroupRange, own: KeyGroupRange) -> Result<()> {
    let (there, own) = (there.numbers(), own.numbers());
    let foreign = [there.start..own.start.clamp(there.start, there.end), own.end.clamp(there.start, there.end)..there.end];
    for range in foreign.into_iter().filter(|range| !range.is_empty()) {
        let (from, to) = (range.start.to_be_bytes(), range.end.to_be_bytes());
        for name in instance.families.names() {
            let Some(family) = instance.db.cf_handle(name) else { continue };
            instance.db.delete_file_in_range_cf(family, from, to).map_err(|error| instance.failed(&error))?;
            instance.db.delete_range_cf_opt(family, from, to, &write_options()).map_err(|error| instance.failed(&error))?;
        }
    }
    Ok(())
}

/// Copies the entries of these key groups.
fn copy(instance: &Instance, part: &LocalNativeState, groups: KeyGroupRange, memory: &SharedMemory) -> Result<()> {
    let names = Db::list_cf(&Options::default(), &part.folder).map_err(|error| instance.failed(&error))?;
    let descriptors = names.iter().map(|name| ColumnFamilyDescriptor::new(name, family_options(memory, None)));
    let old = Db::open_cf_descriptors_read_only(&Options::default(), &part.folder, descriptors, false)
        .map_err(|error| instance.failed(&error))?;
    let numbers = groups.numbers();
    for state in &part.states {
        let name = family_name(&state.name);
        let (Some(from), Some(to)) = (old.cf_handle(&name), instance.db.cf_handle(&name)) else { continue };
        let mut options = ReadOptions::default();
        options.set_iterate_range(numbers.start.to_be_bytes().to_vec()..numbers.end.to_be_bytes().to_vec());
        options.set_total_order_seek(true);
        let mut batch = WriteBatch::default();
        for entry in old.iterator_cf_opt(from, options, IteratorMode::Start) {
            let (key, value) = entry.map_err(|error| instance.failed(&error))?;
            debug_assert!(key.len() >= GROUP, "keys begin with the key group");
            batch.put_cf(to, key, value);
            if batch.size_in_bytes() >= BATCH_BYTES {
                let full = std::mem::take(&mut batch);
                instance.db.write_opt(full, &write_options()).map_err(|error| instance.failed(&error))?;
            }
        }
        instance.db.write_opt(batch, &write_options()).map_err(|error| instance.failed(&error))?;
    }
    Ok(())
}

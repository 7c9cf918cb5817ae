//! Opens a database with what checkpoints of the old subtasks left.
//!
//! Key groups come from one old subtask each, so that entries of different parts never meet: a part that is not linked becomes sorted files, which
//! the database takes over as they are, without its write buffers.

use super::families::{Families, GROUP, family_name};
use super::folder::Folder;
use super::instance::{Db, Instance, database_path, family_options, write_options};
use super::memory::SharedMemory;
use super::native::{META_VERSION, is_table, local_files};
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{FileRef, LocalNativeState};
use brisk_core::types::KeyGroupRange;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, IngestExternalFileOptions, Options, ReadOptions, SstFileWriter};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Bytes of the entries of one file at most.
const FILE_BYTES: usize = if cfg!(test) { 4096 } else { 64 * 1024 * 1024 };
/// Bytes that are read at once from the files of another database.
const READ_AHEAD_BYTES: usize = 2 * 1024 * 1024;

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
            ingest(&instance, part, wanted, memory).context(|| format!("local folder '{}'", part.folder.display()))?;
        }
    }
    let files = parts[base].state.files.iter().filter(|file| own_files && is_table(&file.name));
    let stored = files.map(|file| (file.name.clone(), file.file.clone())).collect();
    Ok(Restored { instance, stored })
}

/// Gives the entries of these key groups to the database.
fn ingest(instance: &Instance, part: &LocalNativeState, groups: KeyGroupRange, memory: &SharedMemory) -> Result<()> {
    let failed = |error: rocksdb::Error| instance.failed(&error);
    let names = Db::list_cf(&Options::default(), &part.folder).map_err(failed)?;
    let descriptors = names.iter().map(|name| ColumnFamilyDescriptor::new(name, family_options(memory, None)));
    let old = Db::open_cf_descriptors_read_only(&Options::default(), &part.folder, descriptors, false).map_err(failed)?;
    for state in &part.states {
        let name = family_name(&state.name);
        let (Some(from), Some(to)) = (old.cf_handle(&name), instance.db.cf_handle(&name)) else { continue };
        ingest_family(instance, &old, from, to, groups)?;
    }
    Ok(())
}

/// Writes the entries of one column family to files, and lets the database have them. Appended lists are read as one value.
fn ingest_family(instance: &Instance, old: &Db, from: &ColumnFamily, to: &ColumnFamily, groups: KeyGroupRange) -> Result<()> {
    let failed = |error: rocksdb::Error| instance.failed(&error);
    let Some(folder) = instance.folder.as_ref() else { return Err(Error::bug("files are restored into a folder")) };
    let numbers = groups.numbers();
    let mut range = ReadOptions::default();
    range.set_iterate_range(numbers.start.to_be_bytes().to_vec()..numbers.end.to_be_bytes().to_vec());
    range.set_total_order_seek(true);
    // Each block is read once.
    range.fill_cache(false);
    range.set_readahead_size(READ_AHEAD_BYTES);
    let mut entries = old.raw_iterator_cf_opt(from, range);
    entries.seek_to_first();
    let options = family_options(&instance.memory, None);
    let file = folder.path().join("restored.sst");
    while entries.valid() {
        let mut writer = SstFileWriter::create(&options);
        writer.open(&file).map_err(failed)?;
        let mut bytes = 0;
        while bytes < FILE_BYTES
            && let Some((key, value)) = entries.item()
        {
            debug_assert!(key.len() >= GROUP, "keys begin with the key group");
            writer.put(key, value).map_err(failed)?;
            bytes += key.len() + value.len();
            entries.next();
        }
        writer.finish().map_err(failed)?;
        let mut moved = IngestExternalFileOptions::default();
        moved.set_move_files(true);
        instance.db.ingest_external_file_cf_opts(to, &moved, vec![&file]).map_err(failed)?;
    }
    entries.status().map_err(failed)
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

#[cfg(test)]
mod tests;

//! One open database with its folder.

use super::families::Families;
use super::folder::Folder;
use super::memory::SharedMemory;
use brisk_base::{Error, ErrorKind, Result};
use brisk_core::state::StateId;
use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DBCompressionType, DBWithThreadMode, Env, LogLevel, MergeOperands, Options,
    SingleThreaded, SliceTransform, WriteOptions,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A database whose column families are all there when it is opened.
pub(super) type Db = DBWithThreadMode<SingleThreaded>;

/// Files are closed again beyond this.
const MOST_OPEN_FILES: i32 = 512;
/// Below this, writing the write buffers out costs less than dropping them.
const LARGE_WRITE_BUFFERS: usize = 4 * 1024 * 1024;
/// Bits per key of the filters that tell which files cannot have a key.
const FILTER_BITS: f64 = 10.0;
/// Pieces of memory that a write buffer consists of.
const ARENAS: usize = 32;
/// Part of a write buffer that a filter of its keys takes.
const BUFFER_FILTER_RATIO: f64 = 0.1;

/// One open database. Shared by the store, its frozen views and its snapshots; the last of them closes it and deletes its folder.
pub(super) struct Instance {
    /// The database; closed before the folder is deleted.
    pub(super) db: Db,
    /// Its column families.
    pub(super) families: Families,
    /// How errors name the operator.
    pub(super) place: Arc<str>,
    /// What it shares with others.
    pub(super) memory: SharedMemory,
    /// The folder in which the database's folder lies, and those of checkpoints; none in memory.
    pub(super) folder: Option<Folder>,
}

impl Instance {
    /// Opens the database in the folder `db` below `folder`, with what is there, or in memory.
    pub(super) fn open(families: Families, place: Arc<str>, folder: Option<Folder>, memory: &SharedMemory) -> Result<Self> {
        let path = folder.as_ref().map_or_else(|| PathBuf::from("/brisk"), |folder| database_path(folder.path()));
        let env = if folder.is_some() { None } else { Some(Env::mem_env().map_err(|error| failed(&place, &error))?) };
        let options = database_options(memory, env.as_ref());
        let mut names: Vec<String> = families.names().to_vec();
        if path.join("CURRENT").exists() {
            let there = Db::list_cf(&options, &path).map_err(|error| failed(&place, &error))?;
            names.extend(there.into_iter().filter(|name| !families.names().contains(name)));
        }
        let descriptors = names.into_iter().map(|name| {
            let mut options = family_options(memory, env.as_ref());
            if let Some(expiring) = families.expiring(&name).cloned() {
                options.set_compaction_filter("brisk.ttl", move |_level, _key: &[u8], value: &[u8]| expiring.decide(value));
            }
            ColumnFamilyDescriptor::new(name, options)
        });
        let db = Db::open_cf_descriptors(&options, &path, descriptors).map_err(|error| failed(&place, &error))?;
        Ok(Self { db, families, place, memory: memory.clone(), folder })
    }

    /// The column family of a state.
    pub(super) fn family(&self, state: StateId) -> Result<&ColumnFamily> {
        let name = self.families.name(state)?;
        self.db.cf_handle(name).ok_or_else(|| Error::bug(format!("there is no column family '{name}'")))
    }

    /// An error of the database.
    pub(super) fn failed(&self, error: &rocksdb::Error) -> Error {
        failed(&self.place, error)
    }

    /// Writes out the write buffers, one column family after the other: a flush of several at once does not wait for all of them if another
    /// is under way (RocksDB 10).
    pub(super) fn flush(&self) -> std::result::Result<(), rocksdb::Error> {
        let families = self.families.names().iter().filter_map(|name| self.db.cf_handle(name));
        families.into_iter().try_for_each(|family| self.db.flush_cf(family))
    }

    /// Bytes of the write buffers.
    pub(super) fn write_buffer_bytes(&self) -> usize {
        let size = |name: &String| {
            let family = self.db.cf_handle(name)?;
            self.db.property_int_value_cf(family, "rocksdb.cur-size-all-mem-tables").ok().flatten()
        };
        self.families.names().iter().filter_map(size).sum::<u64>() as usize
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Closing a database writes out its write buffers, which nobody would read: those of dropped column families are not. What cannot be
        // dropped is written.
        if self.write_buffer_bytes() > LARGE_WRITE_BUFFERS {
            for name in self.families.names() {
                let _ = self.db.drop_cf(name);
            }
        }
    }
}

/// Where the database lies within its folder.
pub(super) fn database_path(folder: &Path) -> PathBuf {
    folder.join("db")
}

/// How all changes are written: not to a log.
pub(super) fn write_options() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

fn database_options(memory: &SharedMemory, env: Option<&Env>) -> Options {
    let mut options = family_options(memory, env);
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_write_buffer_manager(&memory.write_buffers);
    options.set_max_open_files(MOST_OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(1);
    options.set_stats_dump_period_sec(0);
    options.set_use_fsync(false);
    options
}

/// Options of a column family.
pub(super) fn family_options(memory: &SharedMemory, env: Option<&Env>) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&memory.cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_bloom_filter(FILTER_BITS, false);
    let mut options = Options::default();
    if let Some(env) = env {
        options.set_env(env);
    }
    options.set_block_based_table_factory(&blocks);
    options.set_prefix_extractor(SliceTransform::create_fixed_prefix(super::families::GROUP));
    options.set_write_buffer_size(memory.write_buffer_bytes);
    options.set_arena_block_size(memory.write_buffer_bytes / ARENAS);
    // A read looks into all write buffers first, and most keys are in none of them.
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(BUFFER_FILTER_RATIO);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_merge_operator_associative("brisk.append", append);
    options
}

/// Appends: how lists grow without being read.
#[expect(clippy::unnecessary_wraps, reason = "the signature is RocksDB's")]
fn append(_key: &[u8], value: Option<&[u8]>, suffixes: &MergeOperands) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(value.map_or(0, <[u8]>::len) + suffixes.iter().map(<[u8]>::len).sum::<usize>());
    joined.extend_from_slice(value.unwrap_or_default());
    suffixes.iter().for_each(|suffix| joined.extend_from_slice(suffix));
    Some(joined)
}

/// An error of the database of this operator.
pub(super) fn failed(place: &str, error: &rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupt,
        rocksdb::ErrorKind::InvalidArgument | rocksdb::ErrorKind::NotSupported => ErrorKind::Bug,
        _ => ErrorKind::Transient,
    };
    Error::new(kind, format!("RocksDB: {error}")).context(place)
}

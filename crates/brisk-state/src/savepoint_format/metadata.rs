//! What the metadata file holds, and how it is read and written.

use crate::checkpoint_storage::{CheckpointStorage, layout};
use crate::snapshot::{OperatorSubtaskState, StateData};
use crate::wire::{Element, from_bytes, to_bytes, wire_struct};
use brisk_base::ids::{CheckpointId, JobId, OperatorId, VertexId};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::state::FileRef;
use brisk_core::types::Decoder;
use xxhash_rust::xxh3::xxh3_64;

/// What the file begins with.
const MAGIC: [u8; 8] = *b"BRSKMETA";

/// Version of the format that is written.
const VERSION: u32 = 1;

/// Most bytes of a metadata file that is read.
pub const METADATA_LIMIT_BYTES: u64 = 1 << 30;

/// Everything that a checkpoint or savepoint is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointMetadata {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// What it is for.
    pub kind: SnapshotKind,
    /// Processing time at which it was triggered.
    pub timestamp: Timestamp,
    /// The job.
    pub job_id: JobId,
    /// The job's name.
    pub job_name: String,
    /// Version of Brisk that wrote it.
    pub written_by: String,
    /// Version of the hash that assigns keys to key groups.
    pub hash_version: u16,
    /// The operators.
    pub operators: Vec<OperatorMetadata>,
    /// Records under way.
    pub channels: Vec<VertexChannels>,
    /// State of the JobManager's own parts.
    pub master: Vec<MasterState>,
    /// Whatever else is to be known, by name.
    pub properties: Vec<(String, String)>,
}

/// State of one operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorMetadata {
    /// Its stable id, by which it is matched.
    pub id: OperatorId,
    /// Its uid, if the program gives one.
    pub uid: Option<String>,
    /// Its name, for people.
    pub name: String,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// The state of each subtask, by index.
    pub subtasks: Vec<OperatorSubtaskState>,
    /// State of its coordinator, such as a source's enumerator.
    pub coordinator: Option<Vec<u8>>,
}

/// Records that were under way to and from the subtasks of one job vertex.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VertexChannels {
    /// The job vertex.
    pub vertex: VertexId,
    /// Its channels.
    pub channels: Vec<ChannelState>,
}

/// Records that were under way in one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelState {
    /// Which channel, in the words of the runtime.
    pub key: Vec<u8>,
    /// The records, in the words of the runtime.
    pub data: StateData,
}

/// State of a part of the JobManager.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MasterState {
    /// Which part.
    pub name: String,
    /// Version of its bytes.
    pub version: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

wire_struct! {
    CheckpointMetadata {
        checkpoint, kind, timestamp, job_id, job_name, written_by, hash_version, operators, channels, master, properties,
    }
    OperatorMetadata { id, uid, name, parallelism, max_parallelism, subtasks, coordinator }
    VertexChannels { vertex, channels }
    ChannelState { key, data }
    MasterState { name, version, bytes }
}

impl Element for OperatorMetadata {}
impl Element for VertexChannels {}
impl Element for ChannelState {}
impl Element for MasterState {}

impl CheckpointMetadata {
    /// The files that the checkpoint refers to; one may come several times.
    pub fn files(&self) -> impl Iterator<Item = &FileRef> {
        let state = self.operators.iter().flat_map(|operator| &operator.subtasks).flat_map(OperatorSubtaskState::files);
        state.chain(self.channels.iter().flat_map(|vertex| &vertex.channels).filter_map(|channel| channel.data.file()))
    }
}

/// The bytes of the file.
pub fn write(metadata: &CheckpointMetadata) -> Vec<u8> {
    let body = to_bytes(metadata);
    let mut out = Vec::with_capacity(body.len() + 28);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&xxh3_64(&body).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

/// Reads the bytes of the file.
///
/// # Errors
/// `Corrupt` when they are damaged or something else; `User` when they were written by a newer version.
pub fn read(bytes: &[u8]) -> Result<CheckpointMetadata> {
    let mut input = Decoder::new(bytes);
    let no_metadata = |_| Error::corrupt("these are no metadata of a checkpoint");
    if input.take_array().map_err(no_metadata)? != MAGIC {
        return Err(Error::corrupt("these are no metadata of a checkpoint: the file begins otherwise"));
    }
    let version = u32::from_le_bytes(input.take_array()?);
    if version != VERSION {
        return Err(Error::user(format!(
            "the metadata have version {version} of the format, and this program reads version {VERSION}: use the version of Brisk that \
             wrote them, or a newer one"
        )));
    }
    let length = u64::from_le_bytes(input.take_array()?);
    let checksum = u64::from_le_bytes(input.take_array()?);
    let body = input.take(input.remaining())?;
    if body.len() as u64 != length {
        return Err(Error::corrupt(format!("the metadata are damaged: {} bytes are there, and {length} were written", body.len())));
    }
    if xxh3_64(body) != checksum {
        return Err(Error::corrupt("the metadata are damaged: their checksum does not fit their bytes"));
    }
    from_bytes(body)
}

/// Stores the metadata in a folder of a checkpoint or savepoint: the last step, which makes it complete.
///
/// # Errors
/// The storage's.
pub fn write_to(storage: &dyn CheckpointStorage, folder: &str, metadata: &CheckpointMetadata) -> Result<()> {
    storage.publish(&path_in(folder), &write(metadata))
}

/// Reads the metadata in a folder of a checkpoint or savepoint.
///
/// # Errors
/// As [`read`], naming the file; `Corrupt` when there is none: then the checkpoint never completed.
pub fn read_from(storage: &dyn CheckpointStorage, folder: &str) -> Result<CheckpointMetadata> {
    let path = path_in(folder);
    let bytes = storage.read(&path, METADATA_LIMIT_BYTES)?;
    read(&bytes).context(|| storage.name(&path))
}

fn path_in(folder: &str) -> String {
    if folder.is_empty() { layout::METADATA.to_owned() } else { format!("{folder}/{}", layout::METADATA) }
}

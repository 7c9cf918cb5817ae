//! What the JobManager notes of programs in a durable folder, so that one that is started again goes on with them.
//!
//! A program has one file, `programs/<its name>`: what it is called with, its jobs, how those have ended. A job has one file,
//! `checkpoints/<its id>`: the folder of its newest complete checkpoint, written before anybody is told that the checkpoint is complete. Files
//! have a version and a checksum, and are replaced whole. Nobody else writes there: whoever brings leader election decides who may.

use crate::blob::BlobId;
use crate::job::{CollectedResult, RecordedResult};
use crate::wire::Bytes;
use brisk_base::ids::{JobId, OperatorId};
use brisk_base::options::Configuration;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::types::{Decoder, Record};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Begins each file.
const MAGIC: &[u8; 8] = b"BRISKPRG";

/// The version of the files.
const VERSION: u8 = 1;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RecoveryStore {
    folder: PathBuf,
}

/// What is noted of a program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NotedProgram {
    /// Its executable.
    pub blob: BlobId,
    /// Bytes of it.
    pub size: u64,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// The options that its environment begins with.
    pub base: Configuration,
    /// What `StreamEnvironment::once` has recorded.
    pub once: BTreeMap<String, Bytes>,
    /// Its jobs that have not ended.
    pub running: BTreeMap<u32, JobId>,
    /// How jobs of it have ended.
    pub results: BTreeMap<u32, RecordedResult>,
}

/// As it is written.
#[derive(Clone, Record)]
struct Written {
    blob: u128,
    size: u64,
    arguments: Vec<String>,
    base: Vec<(String, String)>,
    once: Vec<(String, Vec<u8>)>,
    running: Vec<(u32, u128)>,
    results: Vec<(u32, WrittenResult)>,
}

#[derive(Clone, Record)]
struct WrittenResult {
    id: u128,
    name: String,
    runtime_ns: u64,
    accumulators: Vec<(String, WrittenAccumulator)>,
    collected: Option<Vec<(u128, u32, Vec<u8>)>>,
}

#[derive(Clone, Record)]
enum WrittenAccumulator {
    Count(i64),
    Sum(f64),
    Min(f64),
    Max(f64),
    Average { sum: f64, count: u64 },
    Histogram(BTreeMap<i64, u64>),
}

impl RecoveryStore {
    /// The store in a folder, which is made.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path) -> Result<Self> {
        for part in ["programs", "checkpoints"] {
            let folder = folder.join(part);
            fs::create_dir_all(&folder).context(|| format!("folder '{}' ('high-availability.storageDir')", folder.display()))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where uploaded programs are kept.
    pub fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    fn program(&self, program: u128) -> PathBuf {
        self.folder.join("programs").join(format!("{program:032x}"))
    }

    fn checkpoint(&self, job: JobId) -> PathBuf {
        self.folder.join("checkpoints").join(job.to_string())
    }

    /// Notes how a program stands.
    ///
    /// # Errors
    /// The file system's.
    pub fn note(&self, program: u128, noted: &NotedProgram) -> Result<()> {
        let mut bytes = Vec::new();
        noted.written().encode(&mut bytes);
        replace(&self.program(program), &bytes)
    }

    /// Forgets a program that has ended, and its jobs' checkpoints (not their files).
    pub fn forget(&self, program: u128, jobs: impl IntoIterator<Item = JobId>) {
        let files = jobs.into_iter().map(|job| self.checkpoint(job)).chain([self.program(program)]);
        for file in files {
            if let Err(error) = fs::remove_file(&file)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %file.display(), "a note cannot be deleted");
            }
        }
    }

    /// The programs that were noted. What cannot be read is an error: going on without it would lose jobs.
    ///
    /// # Errors
    /// The file system's; `Corrupt` when a file is damaged.
    pub fn programs(&self) -> Result<BTreeMap<u128, NotedProgram>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.folder.join("programs"))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let Ok(program) = u128::from_str_radix(&name, 16) else { continue };
            let bytes = read(&path)?;
            let mut input = Decoder::new(&bytes);
            let written = Written::decode(&mut input).and_then(|written| input.finish().map(|()| written));
            found.insert(program, written.context(|| format!("file '{}'", path.display()))?.noted());
        }
        Ok(found)
    }

    /// Notes the newest complete checkpoint of a job: its folder.
    ///
    /// # Errors
    /// The file system's.
    pub fn note_checkpoint(&self, job: JobId, folder: &str) -> Result<()> {
        replace(&self.checkpoint(job), folder.as_bytes())
    }

    /// A job has no complete checkpoint any more.
    ///
    /// # Errors
    /// The file system's.
    pub fn forget_checkpoint(&self, job: JobId) -> Result<()> {
        let path = self.checkpoint(job);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::transient(error.to_string())).context(|| format!("file '{}'", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// The newest complete checkpoint of a job.
    ///
    /// # Errors
    /// The file system's; `Corrupt` when the file is damaged.
    pub fn newest_checkpoint(&self, job: JobId) -> Result<Option<String>> {
        let path = self.checkpoint(job);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read(&path)?;
        String::from_utf8(bytes).map(Some).map_err(|_| Error::corrupt(format!("file '{}' is not text", path.display())))
    }
}

/// Writes a file beside its place, makes it durable, and puts it there.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(MAGIC)?;
        file.write_all(&[VERSION])?;
        file.write_all(&xxh3_64(content).to_le_bytes())?;
        file.write_all(content)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| Error::transient(error.to_string())).context(|| format!("file '{}'", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let place = || format!("file '{}'", path.display());
    let bytes = fs::read(path).map_err(|error| Error::transient(error.to_string())).context(place)?;
    let damaged = || Error::corrupt("it is damaged, or not one of this version; remove it to give up what it notes").context(place());
    let rest = bytes.strip_prefix(MAGIC.as_slice()).and_then(|rest| rest.strip_prefix(&[VERSION])).ok_or_else(damaged)?;
    let (sum, content) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
    if u64::from_le_bytes(*sum) != xxh3_64(content) {
        return Err(damaged());
    }
    Ok(content.to_vec())
}

impl NotedProgram {
    fn written(&self) -> Written {
        Written {
            blob: self.blob.0,
            size: self.size,
            arguments: self.arguments.clone(),
            base: self.base.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            once: self.once.iter().map(|(name, bytes)| (name.clone(), bytes.0.clone())).collect(),
            running: self.running.iter().map(|(number, job)| (*number, job.0)).collect(),
            results: self.results.iter().map(|(number, result)| (*number, WrittenResult::of(result))).collect(),
        }
    }
}

impl Written {
    fn noted(self) -> NotedProgram {
        NotedProgram {
            blob: BlobId(self.blob),
            size: self.size,
            arguments: self.arguments,
            base: self.base.into_iter().collect(),
            once: self.once.into_iter().map(|(name, bytes)| (name, Bytes(bytes))).collect(),
            running: self.running.into_iter().map(|(number, job)| (number, JobId(job))).collect(),
            results: self.results.into_iter().map(|(number, result)| (number, result.recorded())).collect(),
        }
    }
}

impl WrittenResult {
    fn of(result: &RecordedResult) -> Self {
        let accumulators = result.accumulators.iter().map(|(name, value)| (name.clone(), WrittenAccumulator::of(value))).collect();
        let item = |one: &CollectedResult| (one.operator.0, one.subtask, one.bytes.0.clone());
        Self {
            id: result.id.0,
            name: result.name.clone(),
            runtime_ns: result.net_runtime.as_nanos() as u64,
            accumulators,
            collected: result.collected.as_ref().map(|all| all.iter().map(item).collect()),
        }
    }

    fn recorded(self) -> RecordedResult {
        RecordedResult {
            id: JobId(self.id),
            name: self.name,
            net_runtime: Duration::from_nanos(self.runtime_ns),
            accumulators: self.accumulators.into_iter().map(|(name, value)| (name, value.value())).collect(),
            collected: self.collected.map(|all| all.into_iter().map(collected).collect()),
        }
    }
}

fn collected((operator, subtask, bytes): (u128, u32, Vec<u8>)) -> CollectedResult {
    CollectedResult { operator: OperatorId(operator), subtask, bytes: Bytes(bytes) }
}

impl WrittenAccumulator {
    fn of(value: &AccumulatorValue) -> Self {
        match value {
            AccumulatorValue::Count(value) => Self::Count(*value),
            AccumulatorValue::Sum(value) => Self::Sum(*value),
            AccumulatorValue::Min(value) => Self::Min(*value),
            AccumulatorValue::Max(value) => Self::Max(*value),
            AccumulatorValue::Average { sum, count } => Self::Average { sum: *sum, count: *count },
            AccumulatorValue::Histogram(counts) => Self::Histogram(counts.clone()),
        }
    }

    fn value(self) -> AccumulatorValue {
        match self {
            Self::Count(value) => AccumulatorValue::Count(value),
            Self::Sum(value) => AccumulatorValue::Sum(value),
            Self::Min(value) => AccumulatorValue::Min(value),
            Self::Max(value) => AccumulatorValue::Max(value),
            Self::Average { sum, count } => AccumulatorValue::Average { sum, count },
            Self::Histogram(counts) => AccumulatorValue::Histogram(counts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::world::World;

    fn noted() -> NotedProgram {
        let accumulators = [("n".to_owned(), AccumulatorValue::Count(-3)), ("h".to_owned(), AccumulatorValue::Histogram([(1, 2)].into()))];
        let result = RecordedResult {
            id: JobId(5),
            name: "first".to_owned(),
            net_runtime: Duration::from_millis(7),
            accumulators: accumulators.into(),
            collected: Some(vec![CollectedResult { operator: OperatorId(4), subtask: 1, bytes: Bytes(vec![7]) }]),
        };
        NotedProgram {
            blob: BlobId(1),
            size: 2,
            arguments: vec!["--input".to_owned()],
            base: [("parallelism.default", "3")].into_iter().collect(),
            once: [("seed".to_owned(), Bytes(vec![9]))].into(),
            running: [(1, JobId(6))].into(),
            results: [(0, result)].into(),
        }
    }

    #[test]
    fn what_is_noted_is_found_again_and_damage_is_noticed() {
        let folder = std::env::temp_dir().join(format!("brisk-recovery-test-{}", World::real().random()));
        let store = RecoveryStore::open(&folder).expect("it can be made");
        store.note(8, &noted()).expect("there is room");
        store.note(8, &noted()).expect("it can be replaced");
        assert_eq!(store.programs().expect("they can be read"), [(8, noted())].into());
        assert_eq!(store.newest_checkpoint(JobId(6)).expect("none is no error"), None);
        store.note_checkpoint(JobId(6), "/data/chk-1").expect("there is room");
        store.note_checkpoint(JobId(6), "/data/chk-2").expect("there is room");
        assert_eq!(store.newest_checkpoint(JobId(6)).expect("it is sound").as_deref(), Some("/data/chk-2"));
        let path = store.program(8);
        let mut bytes = fs::read(&path).expect("it is there");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        fs::write(&path, bytes).expect("it can be written");
        let error = store.programs().expect_err("it is damaged");
        assert!(error.kind() == brisk_base::ErrorKind::Corrupt && error.to_string().contains("remove it"), "{error}");
        store.forget(8, [JobId(6)]);
        store.forget(8, [JobId(6)]);
        assert!(store.programs().expect("nothing is left").is_empty());
        assert_eq!(store.newest_checkpoint(JobId(6)).expect("it is gone"), None);
        fs::remove_dir_all(&folder).expect("it is there");
    }

    #[test]
    fn the_format_has_not_changed() {
        let mut bytes = Vec::new();
        noted().written().encode(&mut bytes);
        assert_eq!(xxh3_64(&bytes), GOLDEN, "version 1 is read by every later JobManager: a change needs another version");
    }

    /// Checksum of version 1's bytes.
    const GOLDEN: u64 = 10_330_002_454_496_880_839;
}

//! Writes the batches of a table: encodes them as bytes, which the writer of parts puts into files.
//!
//! As every sink of files: what a checkpoint holds is committed when it is complete; without checkpoints, and at the end of the input, at once.

use super::bucket::BasePathBuckets;
use super::committer::FileCommitter;
use super::names::PartNames;
use super::rolling::RollingPolicy;
use super::writer::{FileWriter, Settings};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::function::{FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::sink::{AnyCommitter, Commits, SinkWriter};
use brisk_core::state::OperatorSnapshot;
use brisk_formats::{Partitions, RecordWriter, RowEncoder, TableFormat, WriteFormat};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Folders whose buffers are kept from one batch to the next.
const KEPT_FOLDERS: usize = 64;

/// Makes the sink.
pub(in crate::files) struct FilesTableSink {
    /// The folder.
    pub(in crate::files) path: PathBuf,
    pub(in crate::files) format: TableFormat,
    /// Which columns name folders.
    pub(in crate::files) partitions: Partitions,
    pub(in crate::files) rolling: RollingPolicy,
}

impl OperatorFactory for FilesTableSink {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        if self.path.is_file() {
            return Err(Error::user(format!(
                "'{}' is a file, but a table is written as a folder: choose another 'path'",
                self.path.display()
            )));
        }
        let suffix = format!(".{}", self.format.extension());
        let names = PartNames::new("part", &suffix, None, cx.operator_id, &cx.task);
        let settings = Settings {
            folder: self.path.clone(),
            format: Arc::new(Bytes(self.format.extension())),
            buckets: Arc::new(BasePathBuckets),
            rolling: self.rolling,
            always: false,
        };
        Ok(Box::new(FilesTableWriter {
            encoder: self.format.encoder(&self.partitions.file_schema())?,
            partitions: self.partitions.clone(),
            writer: FileWriter::new(settings, names, cx.world.clone()),
            commits: None,
            folders: BTreeMap::new(),
            ended: false,
        }))
    }
}

/// What is written is bytes already.
struct Bytes(&'static str);

struct BytesWriter(Box<dyn Write + Send>);

impl WriteFormat<Vec<u8>> for Bytes {
    fn open(&self, out: Box<dyn Write + Send>) -> Box<dyn RecordWriter<Vec<u8>>> {
        Box::new(BytesWriter(out))
    }

    fn extension(&self) -> &str {
        self.0
    }
}

impl RecordWriter<Vec<u8>> for BytesWriter {
    fn write(&mut self, record: &Vec<u8>) -> Result<()> {
        Ok(self.0.write_all(record)?)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

struct FilesTableWriter {
    encoder: RowEncoder,
    writer: FileWriter<Vec<u8>>,
    /// What waits for its checkpoint; there once the operator is open.
    commits: Option<Commits>,
    partitions: Partitions,
    /// The rows of a batch as bytes, by folder; used again while they are few.
    folders: BTreeMap<String, Vec<u8>>,
    /// Whether the input has ended.
    ended: bool,
}

impl FilesTableWriter {
    fn commits(&mut self) -> Result<&mut Commits> {
        self.commits.as_mut().ok_or_else(|| Error::bug("the sink is not open"))
    }
}

impl Operator for FilesTableWriter {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.commits = Some(Commits::restored(AnyCommitter::new(FileCommitter { success: None }), cx.runtime)?);
        self.writer.initialize_state(&FunctionInitializationContext::new(cx.runtime))
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let rows = self.partitions.for_files(&batch);
        for (folder, run) in self.partitions.runs(&batch)? {
            self.encoder.encode_rows(&rows, run, self.folders.entry(folder).or_default())?;
        }
        for (folder, bytes) in self.folders.iter_mut().filter(|(_, bytes)| !bytes.is_empty()) {
            self.writer.write_bytes(folder.clone(), bytes)?;
            bytes.clear();
        }
        if self.folders.len() > KEPT_FOLDERS {
            self.folders.clear();
        }
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.write_watermark(watermark)?;
        Ok(Progress::Done)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.writer.next_processing_time()
    }

    fn on_processing_time(&mut self, now: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.on_processing_time(now)?;
        Ok(Progress::Done)
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.flush(true)?;
        self.ended = true;
        if !cx.runtime.state.checkpointing {
            let prepared = self.writer.prepare_commit()?;
            self.commits()?.commit(&prepared)?;
        }
        Ok(Progress::Done)
    }

    fn prepare_snapshot(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        if !self.ended {
            self.writer.flush(false)?;
        }
        let prepared = self.writer.prepare_commit()?;
        self.commits()?.add(checkpoint, prepared);
        Ok(())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.commits()?.snapshot(snapshot);
        self.writer.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.commits()?.complete(checkpoint)?;
        self.writer.checkpoint_complete(checkpoint)
    }

    fn close(&mut self) -> Result<()> {
        self.writer.close()
    }
}

//! One object written, one read.

use crate::storage::{Shared, failed};
use brisk_base::{Error, Result, ResultExt};
use brisk_state::checkpoint_storage::{StorageReader, StorageWriter};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};
use std::sync::Arc;

/// Bytes of a part of a large object. S3 takes 10,000 parts of at least 5 MiB: objects may have 80 GB.
const PART: usize = 8 << 20;

/// Parts of one object on their way at the same time.
const PARTS_UNDER_WAY: usize = 4;

/// Bytes that are read at once, at least: files are read from begin to end, in small pieces.
const READ_AHEAD: u64 = 4 << 20;

/// An object that nobody sees yet.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    object: Path,
    /// How errors name it.
    name: String,
    /// What has not been sent, less than a part.
    buffer: Vec<u8>,
    /// The parts, once there is more than one.
    parts: Option<WriteMultipart>,
    size: u64,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, object: Path, name: String) -> Self {
        Self { shared, object, name, buffer: Vec::new(), parts: None, size: 0 }
    }

    /// Sends what is in the buffer as a part.
    fn send(&mut self) -> Result<()> {
        let (shared, object) = (&self.shared, &self.object);
        let (bytes, begun) = (std::mem::take(&mut self.buffer), self.parts.take());
        let parts = shared.runtime.block_on(async {
            let mut parts = match begun {
                Some(parts) => parts,
                None => WriteMultipart::new_with_chunk_size(shared.store.put_multipart(object).await?, PART),
            };
            parts.wait_for_capacity(PARTS_UNDER_WAY).await?;
            parts.write(&bytes);
            Ok(parts)
        });
        self.parts = Some(parts.map_err(|error| failed(&error)).context(|| self.name.clone())?);
        self.buffer = bytes;
        self.buffer.clear();
        Ok(())
    }
}

impl StorageWriter for Writer {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == PART {
                self.send()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        let bytes = std::mem::take(&mut self.buffer);
        let (shared, object, parts) = (&self.shared, &self.object, self.parts.take());
        let finished = shared.runtime.block_on(async {
            match parts {
                None => shared.store.put(object, PutPayload::from(bytes)).await.map(drop),
                Some(mut parts) => {
                    parts.write(&bytes);
                    parts.finish().await.map(drop)
                }
            }
        });
        finished.map_err(|error| failed(&error)).context(|| self.name.clone())?;
        Ok(self.size)
    }
}

impl Drop for Writer {
    /// Parts of an object that is not finished cost money until they are deleted.
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            let _ = self.shared.runtime.block_on(parts.abort());
        }
    }
}

/// An object that is read, a piece ahead.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    object: Path,
    /// How errors name it.
    name: String,
    size: u64,
    /// What has been read, and where it begins.
    piece: Vec<u8>,
    begin: u64,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, object: Path, name: String, size: u64) -> Self {
        Self { shared, object, name, size, piece: Vec::new(), begin: 0 }
    }

    /// Where in the piece these bytes are, if they are.
    fn found(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let begin = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        self.piece.get(begin..begin.checked_add(len)?)
    }
}

impl StorageReader for Reader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(into.len() as u64).filter(|end| *end <= self.size).ok_or_else(|| {
            let text = format!("the file ends after {} bytes, but {} bytes at {offset} belong to the checkpoint", self.size, into.len());
            Error::corrupt(text).context(self.name.clone())
        })?;
        if self.found(offset, into.len()).is_none() {
            let range = offset..end.max(offset.saturating_add(READ_AHEAD).min(self.size));
            let read = self.shared.runtime.block_on(self.shared.store.get_range(&self.object, range));
            self.piece = read.map_err(|error| failed(&error)).context(|| self.name.clone())?.into();
            self.begin = offset;
        }
        let bytes = self.found(offset, into.len());
        let bytes = bytes.ok_or_else(|| Error::transient("the store gave fewer bytes than it has").context(self.name.clone()))?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

//! Files in a folder of the file system.
//!
//! A file is written under a name of its own (`.part-...`), flushed to the disk, and renamed; then its folder is flushed, too. So after a
//! crash of the machine a file that was finished is there, and one that was not is not seen. Files that no longer change are linked, not
//! copied, where they lie on the same file system.

use super::{CheckpointStorage, StorageReader, StorageWriter, StoredFile, check_path};
use brisk_base::{Error, ErrorKind, Result};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Begin of the names of files that are being written.
const PART: &str = ".part-";

/// Numbers the files that this process writes at the same time.
static NEXT_PART: AtomicU64 = AtomicU64::new(0);

/// A folder of the file system, which has to be reachable under this path from all processes of the job.
#[derive(Clone, Debug)]
pub struct FileSystemStorage {
    root: PathBuf,
}

impl FileSystemStorage {
    /// The storage in this folder, which need not be there yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        Ok(if path.is_empty() { self.root.clone() } else { self.root.join(path) })
    }

    /// Where a file is going to be; its folder is made.
    fn place(&self, path: &str) -> Result<Place> {
        let target = self.path(path)?;
        let folder = target.parent().map_or_else(|| self.root.clone(), Path::to_path_buf);
        make_folder(&folder).map_err(|error| self.failed(path, "created", &error))?;
        let number = NEXT_PART.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!("{PART}{}-{number}", std::process::id()));
        Ok(Place { part, target, folder })
    }

    fn failed(&self, path: &str, doing: &str, error: &io::Error) -> Error {
        failed(doing, error).context(self.name(path))
    }
}

fn failed(doing: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound if doing == "opened" => Error::corrupt("the file is missing: was it deleted or moved by hand?"),
        _ => Error::transient(format!("it cannot be {doing}: {error}. Check that the folder is there, writable and not full")),
    }
}

impl CheckpointStorage for FileSystemStorage {
    fn uri(&self) -> String {
        let root = self.root.to_string_lossy();
        if root.starts_with('/') { format!("file://{root}") } else { root.into_owned() }
    }

    fn folder(&self, path: &str) -> Arc<dyn CheckpointStorage> {
        Arc::new(Self { root: if path.is_empty() { self.root.clone() } else { self.root.join(path) } })
    }

    fn create(&self, path: &str) -> Result<Box<dyn StorageWriter>> {
        let place = self.place(path)?;
        let file = File::create(&place.part).map_err(|error| self.failed(path, "created", &error))?;
        Ok(Box::new(Writer { name: self.name(path), file, place: Some(place), size: 0, unsynced: 0 }))
    }

    fn link_in(&self, path: &str, local: &Path) -> Result<bool> {
        let place = self.place(path)?;
        if fs::hard_link(local, &place.part).is_err() {
            // Links do not reach from one file system to another, and some know none. What else is wrong, copying will say.
            return Ok(false);
        }
        let publish = || {
            File::open(&place.part)?.sync_all()?;
            place.publish()
        };
        let published = publish().map_err(|error| self.failed(path, "linked", &error));
        // A name that is left over when the file was there already, as another link of the same.
        let _ = fs::remove_file(&place.part);
        published.map(|()| true)
    }

    fn link_out(&self, path: &str, local: &Path) -> bool {
        self.path(path).is_ok_and(|path| fs::hard_link(path, local).is_ok())
    }

    fn open(&self, path: &str) -> Result<Box<dyn StorageReader>> {
        let open = || {
            let file = File::open(self.path(path)?)?;
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        let (file, size) = open().map_err(|error: Error| match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
            Some(source) => self.failed(path, "opened", source),
            None => error,
        })?;
        Ok(Box::new(Reader { name: self.name(path), file, size, position: 0 }))
    }

    fn delete(&self, path: &str) -> Result<()> {
        ignore_missing(fs::remove_file(self.path(path)?)).map_err(|error| self.failed(path, "deleted", &error))
    }

    fn delete_folder(&self, path: &str) -> Result<()> {
        ignore_missing(fs::remove_dir_all(self.path(path)?)).map_err(|error| self.failed(path, "deleted", &error))
    }

    fn list(&self, path: &str) -> Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        list_into(&self.path(path)?, path, &mut files).map_err(|error| self.failed(path, "listed", &error))?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes a folder and those above it durably.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new(""));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(above),
    }
}

/// Flushes the names in a folder to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder)?.sync_all() {
        // Some mounted file systems know no such thing, and are no worse off for it.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

fn list_into(folder: &Path, path: &str, files: &mut Vec<StoredFile>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if entry.file_type()?.is_dir() {
            list_into(&entry.path(), &below, files)?;
        } else if !name.starts_with(PART) {
            files.push(StoredFile { path: below, size: entry.metadata()?.len() });
        }
    }
    Ok(())
}

/// Where a file is while it is written, and where it will be.
struct Place {
    /// The passing name.
    part: PathBuf,
    target: PathBuf,
    folder: PathBuf,
}

impl Place {
    /// Gives the file, which is on the disk, its name.
    fn publish(&self) -> io::Result<()> {
        fs::rename(&self.part, &self.target)?;
        sync_folder(&self.folder)
    }
}

/// A file under its passing name.
struct Writer {
    /// How errors name the file.
    name: String,
    file: File,
    /// None once the file is finished.
    place: Option<Place>,
    size: u64,
    /// Bytes that may not have reached the disk.
    unsynced: usize,
}

/// Bytes after which a file is brought to the disk while it grows. Gigabytes that are left until the end keep the machine so busy that
/// tasks pause.
const SYNCED_AT_ONCE: usize = 16 << 20;

/// Lets the system know that what is on the disk of this file need not stay in memory: nobody reads a checkpoint until something fails, and
/// to make room for gigabytes of it the system moves the memory of tasks, which wait meanwhile. Only advice: what the system does not
/// support changes nothing.
fn forget(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

impl StorageWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut write = || -> io::Result<()> {
            (&self.file).write_all(bytes)?;
            self.unsynced += bytes.len();
            if self.unsynced >= SYNCED_AT_ONCE {
                self.unsynced = 0;
                self.file.sync_data()?;
                forget(&self.file);
            }
            Ok(())
        };
        write().map_err(|error| failed("written", &error).context(&*self.name))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        let publish = || {
            self.file.sync_all()?;
            forget(&self.file);
            self.place.as_ref().map_or(Ok(()), Place::publish)
        };
        publish().map_err(|error| failed("written", &error).context(&*self.name))?;
        self.place = None;
        Ok(self.size)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            // It has no name that anybody looks for; the folder's deletion takes it along.
            let _ = fs::remove_file(&place.part);
        }
    }
}

/// An open file.
struct Reader {
    /// How errors name the file.
    name: String,
    file: File,
    size: u64,
    /// Where the file's cursor stands.
    position: u64,
}

impl StorageReader for Reader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        if offset.checked_add(into.len() as u64).is_none_or(|end| end > self.size) {
            return Err(super::too_short(self.size, offset, into.len()).context(&*self.name));
        }
        let mut read = || {
            if self.position != offset {
                self.file.seek(SeekFrom::Start(offset))?;
            }
            self.file.read_exact(into)
        };
        read().map_err(|error| failed("read", &error).with_kind(ErrorKind::Transient).context(&*self.name))?;
        self.position = offset + into.len() as u64;
        Ok(())
    }
}

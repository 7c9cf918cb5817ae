//! Blobs: executables of programs, named by what is in them.
//!
//! The JobManager has a [`BlobStore`]; a [`BlobServer`] in front of it gives pieces of blobs to TaskManagers, which [`fetch`] them. A file has
//! its name only once it is whole and its bytes give that name.

use crate::transport::{Actor, ActorContext, Address, Reply};
use crate::wire::Bytes;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are asked for at once.
const PIECE: u64 = 1 << 20;

/// Blobs that are kept where they were fetched to.
const MOST_FETCHED: usize = 8;

/// The name of the blob that a file would be.
///
/// # Errors
/// The file system's.
pub fn name_of(path: &Path) -> Result<BlobId> {
    let place = || format!("file '{}'", path.display());
    let (mut file, mut hash) = (File::open(path).context(place)?, Xxh3::new());
    let mut piece = vec![0; PIECE as usize];
    loop {
        match file.read(&mut piece).context(place)? {
            0 => return Ok(BlobId(hash.digest128())),
            count => hash.update(&piece[..count]),
        }
    }
}

/// The name of a blob: the 128-bit XXH3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BlobId(pub u128);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for BlobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match u128::from_str_radix(text, 16) {
            Ok(id) if text.len() == 32 => Ok(Self(id)),
            _ => Err(Error::user(format!("'{text}' is not the name of a blob: expected 32 hexadecimal digits"))),
        }
    }
}

/// Uploaded programs in a folder: `<name of the blob>_<name of the file>`.
#[derive(Clone)]
pub struct BlobStore {
    folder: PathBuf,
    world: World,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBlob {
    /// Its name.
    pub id: BlobId,
    /// What its file was called where it came from.
    pub name: String,
    /// Bytes of it.
    pub size: u64,
    /// When it was uploaded, in milliseconds since the epoch.
    pub uploaded_ms: i64,
}

impl StoredBlob {
    /// What clients call it.
    pub fn file_name(&self) -> String {
        format!("{}_{}", self.id, self.name)
    }
}

impl BlobStore {
    /// The store in a folder, which is made.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path, world: &World) -> Result<Self> {
        fs::create_dir_all(folder).context(|| format!("folder '{}'", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), world: world.clone() })
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// The file system's.
    pub fn begin(&self, name: &str) -> Result<Upload> {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let name: String = name.chars().map(|c| if safe(c) { c } else { '-' }).take(100).collect();
        let partial = Partial::create(&self.folder, self.world.random_id())?;
        Ok(Upload { store: self.clone(), name, partial })
    }

    /// All blobs, by their names.
    ///
    /// # Errors
    /// The file system's.
    pub fn list(&self) -> Result<Vec<StoredBlob>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let file_name = entry.file_name().to_string_lossy().into_owned();
            let Some((id, name)) = file_name.split_once('_') else { continue };
            let (Ok(id), Ok(about)) = (id.parse(), entry.metadata()) else { continue };
            let modified = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
            found.push(StoredBlob { id, name: name.to_owned(), size: about.len(), uploaded_ms: modified.as_millis() as i64 });
        }
        found.sort_by_key(StoredBlob::file_name);
        Ok(found)
    }

    /// One of them, by what clients call it.
    ///
    /// # Errors
    /// When there is no such blob.
    pub fn find(&self, file_name: &str) -> Result<StoredBlob> {
        let found = self.list()?.into_iter().find(|blob| blob.file_name() == file_name);
        found.ok_or_else(|| Error::user(format!("there is no program '{file_name}'; upload it first")))
    }

    /// Deletes one, by what clients call it. Processes that run it go on.
    ///
    /// # Errors
    /// When there is no such blob.
    pub fn delete(&self, file_name: &str) -> Result<()> {
        let blob = self.find(file_name)?;
        Ok(fs::remove_file(self.folder.join(blob.file_name()))?)
    }

    /// The file of a blob.
    ///
    /// # Errors
    /// When there is none.
    pub fn path(&self, id: BlobId) -> Result<PathBuf> {
        let found = self.list()?.into_iter().find(|blob| blob.id == id);
        let found = found.ok_or_else(|| Error::user(format!("the program {id} is not there (any more)")))?;
        Ok(self.folder.join(found.file_name()))
    }
}

/// A blob that is being uploaded. Dropped before it is finished, it leaves nothing.
pub struct Upload {
    store: BlobStore,
    name: String,
    partial: Partial,
}

impl Upload {
    /// Adds bytes.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.partial.write(bytes)
    }

    /// It is whole.
    ///
    /// # Errors
    /// The file system's; when it is empty.
    pub fn finish(self) -> Result<StoredBlob> {
        let (id, size) = (BlobId(self.partial.hash.digest128()), self.partial.size);
        if size == 0 {
            return Err(Error::user("the uploaded program is empty"));
        }
        let uploaded_ms = self.store.world.now().millis();
        let blob = StoredBlob { id, name: self.name, size, uploaded_ms };
        // What is there already under this name has the same bytes.
        self.partial.publish(&self.store.folder.join(blob.file_name()))?;
        Ok(blob)
    }
}

/// A file without its name.
struct Partial {
    path: PathBuf,
    file: Option<File>,
    hash: Box<Xxh3>,
    size: u64,
}

impl Partial {
    fn create(folder: &Path, number: u128) -> Result<Self> {
        let path = folder.join(format!(".{number:032x}.part"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path);
        let file = file.context(|| format!("file '{}'", path.display()))?;
        Ok(Self { path, file: Some(file), hash: Box::default(), size: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        let file = self.file.as_mut().ok_or_else(|| Error::bug("the file has been published"))?;
        file.write_all(bytes).context(|| format!("file '{}'", self.path.display()))
    }

    /// Gives the file its name. It is closed before: nobody can run a file that somebody may write to.
    fn publish(mut self, to: &Path) -> Result<()> {
        let place = || format!("file '{}'", to.display());
        if let Some(file) = self.file.take() {
            file.sync_all().context(place)?;
        }
        fs::set_permissions(&self.path, Permissions::from_mode(0o700)).context(place)?;
        fs::rename(&self.path, to).context(place)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %self.path.display(), "an unfinished file cannot be deleted");
        }
    }
}

/// What the server of blobs understands.
#[derive(Debug)]
pub enum BlobMessage {
    /// Give a piece of a blob, from this offset; none at its end.
    Read {
        /// The blob.
        blob: BlobId,
        /// The offset.
        offset: u64,
        /// Takes the piece.
        reply: Reply<Result<Bytes>>,
    },
}

/// Gives pieces of blobs. Whoever spawns it gives it a thread.
pub struct BlobServer(pub BlobStore);

impl Actor for BlobServer {
    type Message = BlobMessage;

    fn handle(&mut self, message: BlobMessage, _cx: &mut ActorContext<'_>) {
        let BlobMessage::Read { blob, offset, reply } = message;
        let read = || -> Result<Bytes> {
            let mut file = File::open(self.0.path(blob)?)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut piece = Vec::new();
            file.take(PIECE).read_to_end(&mut piece)?;
            Ok(Bytes(piece))
        };
        reply.send(read().context(|| format!("blob {blob}")));
    }
}

/// Has a blob in a folder, fetching it if it is not there; its file. Blocks.
///
/// # Errors
/// `Transient` when the server does not answer; `Corrupt` when what it gives is not the blob.
pub fn fetch(blob: BlobId, folder: &Path, server: &Address<BlobMessage>, world: &World) -> Result<PathBuf> {
    let path = folder.join(blob.to_string());
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(folder).context(|| format!("folder '{}'", folder.display()))?;
    // TaskManagers of one machine may share the folder: one of them fetches.
    let lock = File::create(folder.join(format!("{blob}.lock")))?;
    lock.lock()?;
    if path.exists() {
        return Ok(path);
    }
    let mut partial = Partial::create(folder, world.random_id())?;
    loop {
        let (reply, answer) = Reply::channel();
        server.send(BlobMessage::Read { blob, offset: partial.size, reply });
        let piece = answer.recv().map_err(|_| Error::transient("the JobManager does not answer")).context(|| format!("blob {blob}"))??;
        if piece.0.is_empty() {
            break;
        }
        partial.write(&piece.0)?;
    }
    if BlobId(partial.hash.digest128()) != blob {
        return Err(Error::corrupt(format!("blob {blob} has other bytes than its name says; it is not used")));
    }
    partial.publish(&path)?;
    if let Err(error) = prune(folder) {
        tracing::warn!(%error, folder = %folder.display(), "programs that are not needed any more cannot be deleted");
    }
    Ok(path)
}

/// Deletes all but the newest of the blobs that were fetched. Processes that run one of them go on; who wants one again fetches it again.
fn prune(folder: &Path) -> Result<()> {
    let mut blobs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().parse::<BlobId>().is_ok() {
            blobs.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    blobs.sort();
    let old = blobs.len().saturating_sub(MOST_FETCHED);
    blobs.into_iter().take(old).try_for_each(|(_, path)| Ok(fs::remove_file(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ControlPlane;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("brisk-blob-test-{name}-{}", World::real().random()))
    }

    #[test]
    fn blobs_are_stored_listed_fetched_and_deleted() {
        let (world, here, there) = (World::real(), folder("store"), folder("cache"));
        let store = BlobStore::open(&here, &world).expect("it can be made");
        let mut upload = store.begin("my job/../x").expect("there is room");
        let bytes: Vec<u8> = (0..PIECE * 2 + 5).map(|at| at as u8).collect();
        upload.write(&bytes[..100]).expect("there is room");
        upload.write(&bytes[100..]).expect("there is room");
        let blob = upload.finish().expect("it is whole");
        assert_eq!((blob.name.as_str(), blob.size), ("my-job-..-x", bytes.len() as u64));
        drop(store.begin("abandoned"));
        assert_eq!(store.list().expect("it can be read").iter().map(|blob| blob.id).collect::<Vec<_>>(), [blob.id]);
        let mut plane = ControlPlane::threaded(&world);
        let server = plane.spawn(BlobServer(store.clone()));
        let _plane = plane.start("blobs").expect("there is a thread");
        let path = fetch(blob.id, &there, &server, &world).expect("it is there");
        assert_eq!(fs::read(&path).expect("it is there"), bytes);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o700, "it can be run");
        assert_eq!(fetch(blob.id, &there, &server, &world).expect("it is there"), path);
        // Damaged where it is kept: what arrives is not believed.
        fs::write(here.join(blob.file_name()), b"something else").expect("it can be written");
        fs::remove_file(&path).expect("it is there");
        let error = fetch(blob.id, &there, &server, &world).expect_err("it is another one").to_string();
        assert!(error.contains("other bytes than its name says"), "{error}");
        store.delete(&blob.file_name()).expect("it is there");
        let error = fetch(blob.id, &there, &server, &world).expect_err("it is gone").to_string();
        assert!(error.contains("not there"), "{error}");
        assert!(store.begin("empty").expect("there is room").finish().is_err());
        let left = [&here, &there].map(|folder| fs::read_dir(folder).expect("it is there").count());
        assert_eq!(left, [0, 1], "nothing but the lock");
        [here, there].iter().for_each(|folder| fs::remove_dir_all(folder).expect("it is there"));
    }
}

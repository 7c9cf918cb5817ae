//! Deletes a savepoint, on a thread of its own.
//!
//! Invariant: only files that the savepoint's own metadata names are deleted, and its folder only once it is empty.

use super::job_master::checkpoint::store::read_checkpoint;
use crate::services::Services;
use crate::transport::{Actor, ActorContext, Reply};
use brisk_base::{Error, Result};
use brisk_state::checkpoint_storage::layout;
use std::collections::BTreeSet;

/// See the module. It deletes one savepoint and ends.
pub struct Disposal {
    services: Services,
}

/// What is to be deleted.
pub struct Dispose {
    /// The savepoint's folder, or its metadata file.
    pub path: String,
    /// Hears when it is done; the answer is the folder.
    pub reply: Reply<Result<String>>,
}

impl Disposal {
    /// With these storages.
    pub const fn new(services: Services) -> Self {
        Self { services }
    }
}

impl Actor for Disposal {
    type Message = Dispose;

    fn handle(&mut self, message: Dispose, cx: &mut ActorContext<'_>) {
        let Dispose { path, reply } = message;
        reply.send(dispose(&self.services, &path).map_err(|error| error.context(format!("could not dispose savepoint '{path}'"))));
        cx.stop();
    }
}

fn dispose(services: &Services, path: &str) -> Result<String> {
    let savepoint = read_checkpoint(services, path, true)?;
    if !savepoint.metadata.kind.is_savepoint() {
        return Err(Error::user("it is a checkpoint, which may share files with others; only savepoints can be disposed"));
    }
    let folder = services.storages.open(&savepoint.folder)?;
    let files: BTreeSet<&str> = savepoint.metadata.files().map(|file| file.path.as_str()).collect();
    files.into_iter().try_for_each(|file| folder.delete(file))?;
    // Last, so that it can be tried again.
    folder.delete(layout::METADATA)?;
    if folder.list("")?.is_empty() {
        folder.delete_folder("")?;
    }
    Ok(savepoint.folder)
}

//! Which folders of workers belong to whom, where TaskManagers of one machine share a folder.
//!
//! A TaskManager has a number, which its folders have in their names, and a file of that number, which it holds locked. Whoever dies without a
//! word leaves both: the next one that starts can lock the file, and so knows that nobody needs the folders.

use brisk_base::{Result, ResultExt};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A number that is in use as long as this lives.
pub(super) struct Claim {
    path: PathBuf,
    _locked: File,
}

impl Claim {
    /// Claims a number, and deletes what those have left who are gone.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn new(folder: &Path, number: u64) -> Result<Self> {
        let place = || format!("folder '{}'", folder.display());
        fs::create_dir_all(folder).context(place)?;
        sweep(folder);
        let (path, beside) = (folder.join(format!("{number:016x}.claim")), folder.join(format!(".{number:016x}.claim")));
        let file = File::create(&beside).context(place)?;
        file.lock().context(place)?;
        // It is seen only once it is locked.
        fs::rename(&beside, &path).context(place)?;
        Ok(Self { path, _locked: file })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, file = %self.path.display(), "a claim cannot be deleted");
        }
    }
}

/// Deletes folders whose TaskManager is gone. What cannot be deleted is left to the next one.
fn sweep(folder: &Path) {
    let entries = || fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    for claim in entries().filter(|path| path.extension().is_some_and(|extension| extension == "claim")) {
        let file_name = name(&claim);
        let Some(number) = file_name.strip_suffix(".claim").filter(|number| !number.is_empty() && !number.starts_with('.')) else {
            continue;
        };
        let Ok(file) = File::open(&claim) else { continue };
        if file.try_lock().is_err() {
            continue;
        }
        let mine = format!("-{number}-");
        let left = entries().filter(|path| path.is_dir() && name(path).starts_with("job-") && name(path).contains(&mine));
        let deleted = left.map(fs::remove_dir_all).collect::<std::io::Result<Vec<()>>>();
        match deleted.and_then(|_| fs::remove_file(&claim)) {
            Ok(()) => tracing::info!(number, "deleted what a TaskManager has left that is gone"),
            Err(error) => tracing::warn!(%error, number, "what a TaskManager has left cannot be deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::world::World;

    #[test]
    fn folders_of_those_who_are_gone_are_deleted_and_no_others() {
        let folder = std::env::temp_dir().join(format!("brisk-claim-test-{}", World::real().random()));
        let of = |number: u64| folder.join(format!("job-{:032x}-{number:016x}-0", 7));
        let living = Claim::new(&folder, 1).expect("there is room");
        fs::create_dir_all(of(1).join("db")).expect("there is room");
        fs::create_dir_all(of(2).join("db")).expect("there is room");
        fs::create_dir_all(folder.join("programs")).expect("there is room");
        // A process that dies leaves its file, without a lock.
        fs::write(folder.join(format!("{:016x}.claim", 2)), "").expect("there is room");
        let next = Claim::new(&folder, 3).expect("there is room");
        assert!(of(1).exists() && folder.join("programs").exists() && !of(2).exists());
        let claims = || fs::read_dir(&folder).expect("it is there").flatten().filter(|entry| entry.path().extension().is_some()).count();
        assert_eq!(claims(), 2);
        drop((living, next));
        assert_eq!(claims(), 0);
        fs::remove_dir_all(&folder).expect("it is there");
    }
}

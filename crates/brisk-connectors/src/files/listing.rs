//! Finds the files that a path stands for: a file, a folder with everything below it, or a pattern.
//!
//! Invariants: files come in the order of their paths; names that begin with `.` or `_` are found only when they are written out.

use super::pattern::{is_pattern, matches};
use brisk_base::{Error, ErrorKind, Result, ResultExt};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The files that these paths stand for, with their sizes.
pub(crate) fn list(paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, u64>> {
    let mut files = BTreeMap::new();
    for path in paths {
        list_path(path, &mut files).context(|| format!("path '{}'", path.display()))?;
    }
    Ok(files)
}

fn list_path(path: &Path, files: &mut BTreeMap<PathBuf, u64>) -> Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => list_folder(path, files),
        Ok(metadata) => {
            files.insert(path.to_owned(), metadata.len());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.to_str() {
            Some(text) if is_pattern(text) => expand(PathBuf::new(), path.components().collect(), files),
            _ => Err(Error::user("does not exist; check the path (it is relative to the folder the program was started in)")),
        },
        Err(error) => Err(Error::new(ErrorKind::Transient, format!("cannot be read: {error}"))),
    }
}

fn list_folder(folder: &Path, files: &mut BTreeMap<PathBuf, u64>) -> Result<()> {
    for (name, path) in entries(folder)? {
        if !is_hidden(&name) {
            list_existing(&path, files)?;
        }
    }
    Ok(())
}

/// Lists what was there a moment ago: what is gone now is left out.
fn list_existing(path: &Path, files: &mut BTreeMap<PathBuf, u64>) -> Result<()> {
    if path.exists() { list_path(path, files) } else { Ok(()) }
}

/// Follows the components of a pattern from `base` on.
fn expand(base: PathBuf, mut rest: Vec<Component<'_>>, files: &mut BTreeMap<PathBuf, u64>) -> Result<()> {
    let plain = rest.iter().take_while(|component| !component.as_os_str().to_str().is_some_and(is_pattern)).count();
    let base = rest.drain(..plain).fold(base, |path, component| path.join(component));
    if rest.is_empty() {
        return list_existing(&base, files);
    }
    let pattern = rest.remove(0).as_os_str().to_string_lossy().into_owned();
    let folder = if base.as_os_str().is_empty() { Path::new(".") } else { &base };
    if !folder.is_dir() {
        return Ok(());
    }
    for (name, _) in entries(folder)? {
        let hidden = is_hidden(&name) && !is_hidden(&pattern);
        if !hidden && matches(&pattern, &name) {
            expand(base.join(&name), rest.clone(), files)?;
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entry = |entry: io::Result<fs::DirEntry>| entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    fs::read_dir(folder)
        .and_then(|all| all.map(entry).collect::<io::Result<Vec<_>>>())
        .map_err(|error| Error::transient(format!("the folder '{}' cannot be read: {error}", folder.display())))
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, path: &str) -> Vec<String> {
        let files = list(&[root.join(path)]).unwrap();
        files.keys().map(|file| file.strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn files_folders_and_patterns() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.csv", "b.txt", "x/a.csv", "x/y/c.csv", "x/.part", "_tmp/d.csv", "z/a.csv"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "12345").unwrap();
        }
        assert_eq!(names(dir.path(), "a.csv"), ["a.csv"]);
        assert_eq!(names(dir.path(), ""), ["a.csv", "b.txt", "x/a.csv", "x/y/c.csv", "z/a.csv"]);
        assert_eq!(names(dir.path(), "*.csv"), ["a.csv"]);
        assert_eq!(names(dir.path(), "?/a.csv"), ["x/a.csv", "z/a.csv"]);
        assert_eq!(names(dir.path(), "x*"), ["x/a.csv", "x/y/c.csv"], "a folder that matches is read");
        assert_eq!(names(dir.path(), "_t*"), ["_tmp/d.csv"]);
        assert!(names(dir.path(), "no*/a").is_empty());
        assert_eq!(list(&[dir.path().join("a.csv")]).unwrap().into_values().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let error = list(&[PathBuf::from("/no/such/file.csv")]).unwrap_err();
        assert!(error.to_string().contains("path '/no/such/file.csv': does not exist"), "{error}");
        assert_eq!(error.kind(), ErrorKind::User);
    }
}

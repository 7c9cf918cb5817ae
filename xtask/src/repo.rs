//! Where things lie in the repository, and a walk over its files.
//!
//! Never follows symbolic links and never looks into `target` or hidden folders (but for `.ci` and `.cargo`).

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the checkout this tool was built from.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// All files below `dir` whose name ends in `.{extension}`, sorted; none if there is no such folder.
pub(crate) fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if dir.is_dir() {
        collect(dir, extension, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() && !skipped(&name) {
            collect(&entry.path(), extension, found)?;
        } else if kind.is_file() && entry.path().extension().is_some_and(|e| e == extension) {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn skipped(folder: &str) -> bool {
    folder == "target" || (folder.starts_with('.') && folder != ".ci" && folder != ".cargo")
}

/// Reads a text file; the error names it.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// `path` as written relative to `root`, with forward slashes.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

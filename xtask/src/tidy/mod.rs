//! `cargo xtask tidy`: the rules of STYLE.md and ARCHITECTURE.md that a program can check.
//!
//! Each check reads files and adds offences; none changes anything. What clippy can check is left to clippy, but for the few rules
//! that would be lost if somebody silenced it.

mod manifests;
mod masked;
mod paths;
mod records;
mod source;

use crate::args::Args;
use crate::repo;
use anyhow::{Result, bail};
use std::fmt;
use std::path::Path;

/// One broken rule: where, what, and what to do about it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Offence {
    /// Path relative to the root.
    file: String,
    /// Line, from 1.
    line: usize,
    /// What is wrong, and the remedy.
    what: String,
}

impl Offence {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_string(), line, what: what.into() }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Folders with Rust code of the project.
const CODE: [&str; 5] = ["crates", "xtask", "benches", "examples", "tests"];

pub(crate) fn command(raw: Vec<String>) -> Result<()> {
    Args::parse(raw, &[], &[])?;
    let offences = check(&repo::root())?;
    for offence in &offences {
        eprintln!("{offence}");
    }
    match offences.len() {
        0 => Ok(()),
        1 => bail!("tidy found an offence"),
        many => bail!("tidy found {many} offences"),
    }
}

/// All offences of the tree at `root`, in the order of files and lines.
pub(crate) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut offences = manifests::check(root)?;
    offences.extend(source::check(root)?);
    offences.extend(paths::check(root)?);
    offences.extend(records::check(root)?);
    offences.sort();
    offences.dedup();
    Ok(offences)
}

/// The line (from 1) of the byte at `at`.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|b| **b == b'\n').count()
}

/// A small tree for the tests of the checks.
#[cfg(test)]
mod tree {
    use std::fs;
    use std::path::Path;
    use tempfile::TempDir;

    /// Writes these files (path, text) to a folder of their own.
    pub(super) fn tree(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    /// The offences a check finds, one line each.
    pub(super) fn offences(check: fn(&Path) -> anyhow::Result<Vec<super::Offence>>, files: &[(&str, &str)]) -> Vec<String> {
        let dir = tree(files);
        check(dir.path()).unwrap().iter().map(ToString::to_string).collect()
    }
}

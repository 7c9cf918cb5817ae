//! Sees to it that libclang is there, which the bindings of RocksDB are generated with.

use crate::process::Program;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Where libraries lie on the systems that people build on; a `*` stands for any part of a name.
const FOLDERS: [&str; 9] = [
    "/usr/lib/llvm*/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib64/llvm*/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/opt/homebrew/opt/llvm/lib",
    "/Library/Developer/CommandLineTools/usr/lib",
];

/// The one command that installs it on Debian and its kin.
const INSTALL: [&str; 4] = ["apt-get", "install", "-y", "libclang-dev"];

/// Installs libclang where it is missing and can be installed; says how, otherwise.
pub(crate) fn ensure() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    if is_root() && Path::new("/etc/debian_version").exists() {
        let [program, arguments @ ..] = INSTALL;
        eprintln!("   libclang is missing: {}", INSTALL.join(" "));
        // The list of packages may be old, or not there at all.
        if Program::new(program, arguments).run().is_err() {
            Program::new(program, ["update"]).run()?;
            Program::new(program, arguments).run()?;
        }
        if is_there() {
            return Ok(());
        }
    }
    bail!(
        "libclang is missing, which RocksDB is built with; install it with: sudo {} (or set LIBCLANG_PATH to the folder it lies in)",
        INSTALL.join(" ")
    )
}

fn is_there() -> bool {
    let named = std::env::var_os("LIBCLANG_PATH").map(PathBuf::from);
    named.into_iter().chain(FOLDERS.iter().flat_map(|pattern| matching(pattern))).any(|folder| holds_libclang(&folder))
}

fn holds_libclang(folder: &Path) -> bool {
    let is_library = |name: &str| name.starts_with("libclang.so") || name.starts_with("libclang-") || name == "libclang.dylib";
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.into_iter().any(|name| is_library(&name) && !name.starts_with("libclang-cpp"))
}

/// The folders that a pattern with one `*` at the end of a name stands for.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, start) = before.rsplit_once('/').unwrap_or(("", before));
    let names = std::fs::read_dir(parent).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(start)).map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

fn is_root() -> bool {
    // The owner of this process's own folder; there is none outside of Linux, and nothing to install there either.
    std::fs::metadata("/proc/self").is_ok_and(|metadata| owner(&metadata) == 0)
}

#[cfg(unix)]
fn owner(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::uid(metadata)
}

#[cfg(not(unix))]
fn owner(_metadata: &std::fs::Metadata) -> u32 {
    u32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_folders() {
        let folder = tempfile::tempdir().expect("there is room");
        for name in ["llvm-14/lib", "llvm-16/lib", "gcc/lib"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("there is room");
        }
        let mut found = matching(&format!("{}/llvm*/lib", folder.path().display()));
        found.sort();
        assert_eq!(found, ["llvm-14/lib", "llvm-16/lib"].map(|name| folder.path().join(name)));
        assert!(!holds_libclang(&found[0]));
        for (name, holds) in [("libclang-cpp.so.14", false), ("libclang-14.so.1", true)] {
            std::fs::write(found[0].join(name), "").expect("there is room");
            assert_eq!(holds_libclang(&found[0]), holds, "{name}");
        }
    }
}

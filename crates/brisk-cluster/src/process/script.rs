//! Programs that are texts of SQL: the command `brisk`, which the daemons are, runs them.
//!
//! Like any program, a script is a blob, and driver and workers are processes that execute it from its beginning: the driver has its jobs
//! run, a worker plans again what comes before its job. Both are this very executable, not what may lie under its name by now.

use crate::blob::{BlobId, name_of};
use brisk_base::{Result, ResultExt};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How executables of this system begin, and scripts that name their interpreter.
const EXECUTABLES: [&[u8]; 4] = [b"\x7fELF", b"#!", &[0xcf, 0xfa, 0xed, 0xfe], &[0xca, 0xfe, 0xba, 0xbe]];

/// Whether a program is a text of SQL, and not an executable.
///
/// # Errors
/// The file system's.
pub(crate) fn is_script(program: &Path) -> Result<bool> {
    let place = || format!("file '{}'", program.display());
    let mut begin = Vec::new();
    File::open(program).context(place)?.take(4).read_to_end(&mut begin).context(place)?;
    Ok(!EXECUTABLES.iter().any(|magic| begin.starts_with(magic)))
}

/// What is to be started for a program, and with which arguments.
///
/// # Errors
/// The file system's.
pub(crate) fn command(program: &Path, arguments: &[String]) -> Result<(PathBuf, Vec<String>)> {
    if !is_script(program)? {
        return Ok((program.to_owned(), arguments.to_vec()));
    }
    let script = program.display().to_string();
    let words = ["sql".to_owned(), "--script".to_owned(), script].into_iter().chain(arguments.iter().cloned());
    Ok((own_executable()?, words.collect()))
}

/// The executable of this process, also when another one lies in its place by now.
fn own_executable() -> Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe().context(|| "the executable of this process") }
}

/// Names the build of Brisk that this process runs: what its executable consists of.
///
/// # Errors
/// The file system's.
pub fn own_build() -> Result<BlobId> {
    static BUILD: OnceLock<BlobId> = OnceLock::new();
    if let Some(build) = BUILD.get() {
        return Ok(*build);
    }
    let build = name_of(&own_executable()?)?;
    Ok(*BUILD.get_or_init(|| build))
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::world::World;

    #[test]
    fn texts_are_run_by_the_executable_of_this_process() {
        let folder = std::env::temp_dir().join(format!("brisk-script-test-{}", World::real().random()));
        std::fs::create_dir_all(&folder).expect("there is room");
        let path = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).expect("there is room");
            path
        };
        let script = path("q.sql", b"SELECT 1");
        let (executable, words) = command(&script, &["-o".to_owned(), "csv".to_owned()]).expect("it can be read");
        assert_eq!(words, ["sql", "--script", script.to_str().expect("text"), "-o", "csv"]);
        assert_eq!(name_of(&executable).expect("it is there"), own_build().expect("it is there"));
        for (name, bytes) in [("elf", &b"\x7fELF\x02"[..]), ("sh", b"#!/bin/sh\n")] {
            let program = path(name, bytes);
            let (executable, words) = command(&program, &["x".to_owned()]).expect("it can be read");
            assert_eq!((executable, words), (program, vec!["x".to_owned()]));
        }
        assert!(is_script(&path("short", b"S")).expect("it can be read"));
        std::fs::remove_dir_all(&folder).expect("it is there");
    }
}

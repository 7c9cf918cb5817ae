//! Arguments of programs that name files here: a program works in a folder of its own, where what they say relative to this one names nothing.

use anyhow::{Context, Result};
use std::path::Path;

/// The arguments with absolute paths in the place of relative ones that name files or folders. What begins with `./` or `../` does, whatever
/// is there; else, what there is: a file by its name, or anything by a path of several parts. The same holds behind `--option=`.
pub(crate) fn resolved(arguments: &[String], folder: &Path) -> Vec<String> {
    arguments.iter().map(|argument| resolve(argument, folder)).collect()
}

/// A location that a cluster understands: a relative path, which means one in the folder of this process, is made absolute.
pub(crate) fn location_here(location: &str) -> Result<String> {
    let folder = std::env::current_dir().context("the folder of this process")?;
    Ok(location_in(&folder, location))
}

/// The same for a path in `folder`. What has a scheme is left alone.
fn location_in(folder: &Path, location: &str) -> String {
    let is_path = !location.is_empty() && !location.contains("://") && !location.starts_with("file:");
    if is_path && Path::new(location).is_relative() { clean(&folder.join(location)) } else { location.to_owned() }
}

fn resolve(argument: &str, folder: &Path) -> String {
    if let Some((option, value)) = argument.strip_prefix("--").and_then(|rest| rest.split_once('=')) {
        return format!("--{option}={}", resolve(value, folder));
    }
    let said = ["./", "../"].iter().any(|begin| argument.starts_with(begin)) || matches!(argument, "." | "..");
    let path = folder.join(argument);
    let is_there = if argument.contains('/') { path.exists() } else { path.is_file() };
    let is_relative = !argument.is_empty() && !argument.starts_with('-') && Path::new(argument).is_relative();
    if is_relative && (said || is_there) { clean(&path) } else { argument.to_owned() }
}

/// Without `.` and, as far as that is possible without looking, `..`.
fn clean(path: &Path) -> String {
    let mut cleaned = std::path::PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(cleaned.pop()),
            part => cleaned.push(part),
        }
    }
    cleaned.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_made_absolute_unless_they_have_a_scheme() {
        let locations = ["save", "./a/../b", "/tmp/x", "s3://bucket/x", "file:///tmp/x", ""];
        let absolute = ["/home/me/save", "/home/me/b", "/tmp/x", "s3://bucket/x", "file:///tmp/x", ""];
        assert_eq!(locations.map(|location| location_in(Path::new("/home/me"), location)), absolute);
    }

    #[test]
    fn what_names_files_is_made_absolute_and_nothing_else() {
        let dir = tempfile::tempdir().expect("there is room");
        std::fs::create_dir_all(dir.path().join("data/in")).expect("there is room");
        std::fs::write(dir.path().join("words.txt"), "x").expect("there is room");
        let folder = dir.path().join("data");
        let resolve = |argument: &str| {
            let base = dir.path().display().to_string();
            resolved(&[argument.to_owned()], dir.path())[0].replace(&base, "BASE")
        };
        let expected = [
            ("words.txt", "BASE/words.txt"),
            ("--input=words.txt", "--input=BASE/words.txt"),
            ("data/in", "BASE/data/in"),
            ("./not/there", "BASE/not/there"),
            ("--output=./new", "--output=BASE/new"),
            // A word that is a folder's name, too; what is not there; options; what is absolute; a number.
            ("data", "data"),
            ("data/out", "data/out"),
            ("-v", "-v"),
            ("/etc", "/etc"),
            ("s3://bucket/x", "s3://bucket/x"),
            ("8", "8"),
            ("", ""),
        ];
        for (argument, absolute) in expected {
            assert_eq!(resolve(argument), absolute);
        }
        let above = resolved(&["../words.txt".to_owned()], &folder);
        assert_eq!(above, [dir.path().join("words.txt").display().to_string()]);
    }
}

//! Texts of statements as one file, which a cluster can execute: each behind a line with its name, so that errors can tell the place. The
//! first line names the folder that they were put together in, where relative paths lead.

use brisk::{Error, Result, ResultExt};
use std::path::{Path, PathBuf};

/// Begins the line with the name of a text.
const MARK: &str = "--brisk:text ";

/// Begins the line with the folder.
const FOLDER: &str = "--brisk:folder ";

/// Statements, and where they come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text {
    /// For errors.
    pub(super) name: String,
    /// The statements.
    pub(super) text: String,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::from).context(|| format!("file '{}' cannot be read", path.display()))
}

/// All texts as one.
pub(super) fn pack(texts: &[Text], folder: &Path) -> String {
    let line = |name: &str| name.replace(['\n', '\r'], " ");
    let texts = texts.iter().map(|Text { name, text }| format!("{MARK}{}\n{text}\n", line(name)));
    std::iter::once(format!("{FOLDER}{}\n", folder.display())).chain(texts).collect()
}

/// The texts that have been put together, and the folder; a file that was not is one text.
pub(super) fn unpack(packed: &str, file: &Path) -> (Option<PathBuf>, Vec<Text>) {
    let line = packed.strip_prefix(FOLDER).and_then(|rest| rest.split_once('\n'));
    let (folder, packed) = line.map_or((None, packed), |(folder, rest)| (Some(PathBuf::from(folder)), rest));
    if !packed.starts_with(MARK) {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        return (folder, vec![Text { name, text: packed.to_owned() }]);
    }
    let mut texts: Vec<Text> = Vec::new();
    for line in packed.split_inclusive('\n') {
        match (line.strip_prefix(MARK), texts.last_mut()) {
            (Some(name), _) => texts.push(Text { name: name.trim_end().to_owned(), text: String::new() }),
            (None, Some(last)) => last.text.push_str(line),
            (None, None) => {}
        }
    }
    (folder, texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_out_as_they_went_in() {
        let text = |name: &str, text: &str| Text { name: name.to_owned(), text: text.to_owned() };
        let texts = [text("a b.sql", "SELECT\n 1;"), text("-e", ""), text("c.sql", "-- é\n")];
        let (folder, unpacked) = unpack(&pack(&texts, Path::new("/home/me")), Path::new("x"));
        assert_eq!(folder.as_deref(), Some(Path::new("/home/me")));
        assert_eq!(unpacked.iter().map(|text| text.name.as_str()).collect::<Vec<_>>(), ["a b.sql", "-e", "c.sql"]);
        assert_eq!(unpacked.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), ["SELECT\n 1;\n", "\n", "-- é\n\n"]);
        assert_eq!(unpack("SELECT 1", Path::new("/blobs/q.sql")), (None, vec![text("q.sql", "SELECT 1")]));
    }
}

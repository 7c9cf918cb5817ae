//! The statements of the book's chapters on SQL, as a reader would run them.
//!
//! In a chapter, a block `csv NAME` is a file, and a block `sql` is run in the folder with the chapter's files. Where a block `text` comes right behind it, that
//! is what `brisk sql` prints: the table in the end, the changes where it begins with `op`, or an error. Blocks without one that begin with CREATE or SET stand
//! in front of all that follow; others have to succeed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn chapters() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src/sql");
    let mut chapters: Vec<_> = fs::read_dir(folder).expect("the book").map(|entry| entry.expect("a chapter").path()).collect();
    chapters.sort();
    chapters
}

/// A fenced block.
struct Block {
    /// What stands behind the opening fence.
    info: String,
    text: String,
    /// Whether there is nothing but blank lines between it and the block before it.
    is_next: bool,
}

fn blocks(chapter: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut is_next = false;
    for line in chapter.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some(Block { info: info.to_owned(), text: String::new(), is_next }),
            (Some(_), Some(block)) => {
                blocks.push(block);
                is_next = true;
            }
            (None, Some(block)) => open = Some(Block { text: block.text + line + "\n", ..block }),
            (None, None) => is_next &= line.is_empty(),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// What a reader sees who runs these statements.
fn shown(folder: &Path, setup: &str, statements: &str, format: &str) -> String {
    fs::write(folder.join("setup.sql"), setup).expect("can be written");
    fs::write(folder.join("query.sql"), statements).expect("can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_brisk"));
    command.args(["sql", "-o", format, "-D", "parallelism.default=1", "-i", "setup.sql", "-f", "query.sql"]);
    let done = command.current_dir(folder).output().expect("the command can be started");
    let [out, error] = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    assert_eq!(done.status.success(), error.is_empty(), "{error}");
    out + &error.replace("query.sql: ", "")
}

#[test]
fn statements_of_the_book_give_what_it_says() {
    let (mut run, mut wrong) = (0, String::new());
    for chapter in chapters() {
        let folder = tempfile::tempdir().unwrap();
        let blocks = blocks(&fs::read_to_string(&chapter).unwrap());
        let mut setup = String::new();
        for (index, block) in blocks.iter().enumerate() {
            if let Some(file) = block.info.strip_prefix("csv ") {
                fs::write(folder.path().join(file), &block.text).unwrap();
            }
            if block.info != "sql" {
                continue;
            }
            let expected = blocks.get(index + 1).filter(|next| next.info == "text" && next.is_next).map(|next| next.text.as_str());
            let format = if expected.is_some_and(|expected| expected.starts_with("op,")) { "changelog" } else { "csv" };
            let shown = shown(folder.path(), &setup, &block.text, format);
            if shown != expected.unwrap_or_default() {
                let _ = writeln!(wrong, "{}\n{}gives\n{shown}", chapter.display(), block.text);
            }
            if expected.is_none() && (block.text.starts_with("CREATE ") || block.text.starts_with("SET ")) {
                setup += &block.text;
            }
            run += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(run > 60, "{run} blocks are few");
}

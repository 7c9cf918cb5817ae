//! Checks that the paths a document names exist: every path in ARCHITECTURE.md, and every relative link of any page.

use super::{Offence, line_of};
use crate::repo;
use anyhow::Result;
use std::path::Path;

const MAP: &str = "ARCHITECTURE.md";

/// First parts of what is taken for a path of the repository.
const ROOTS: [&str; 10] = ["crates", "xtask", "examples", "docs", "benches", "tests", "ui", ".ci", ".cargo", "src"];

pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut found = Vec::new();
    match std::fs::read_to_string(root.join(MAP)) {
        Ok(text) => map(root, &text, &mut found),
        Err(_) => found.push(Offence::new(MAP, 1, "there is no such file: write the map of the code")),
    }
    for page in pages(root)? {
        links(root, &page, &mut found)?;
    }
    Ok(found)
}

/// Every back-quoted path of ARCHITECTURE.md exists.
fn map(root: &Path, text: &str, found: &mut Vec<Offence>) {
    for (number, line) in text.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            for path in expanded(quoted) {
                if let Some(path) = repository_path(&path)
                    && !exists(root, &path)
                {
                    found.push(Offence::new(MAP, number + 1, format!("`{path}` does not exist: correct the map")));
                }
            }
        }
    }
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn expanded(quoted: &str) -> Vec<String> {
    let Some((before, rest)) = quoted.split_once('{') else { return vec![quoted.to_string()] };
    let Some((choices, after)) = rest.split_once('}') else { return vec![quoted.to_string()] };
    choices.split(',').map(|choice| format!("{before}{}{after}", choice.trim())).collect()
}

/// The path from the root, if the text is one; packages may be named without `crates/`.
fn repository_path(text: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    if !text.contains('/') || !text.chars().all(legal) {
        return None;
    }
    let first = text.split('/').next()?;
    if ROOTS.contains(&first) {
        Some(text.to_string())
    } else if first == "brisk" || first.starts_with("brisk-") {
        Some(format!("crates/{text}"))
    } else {
        None
    }
}

/// A part with a star stands for at least one name that fits it.
fn exists(root: &Path, path: &str) -> bool {
    let mut places = vec![root.to_path_buf()];
    for part in path.split('/').filter(|part| !part.is_empty()) {
        places = match part.split_once('*') {
            None => places.into_iter().map(|place| place.join(part)).filter(|place| place.exists()).collect(),
            Some((before, after)) => places.iter().flat_map(|place| fitting(place, before, after.trim_matches('*'))).collect(),
        };
    }
    !places.is_empty()
}

fn fitting(place: &Path, before: &str, after: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let fits = |name: &str| name.starts_with(before) && name.ends_with(after);
    entries.filter(|entry| fits(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

fn pages(root: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(root)?.flatten() {
        if entry.path().extension().is_some_and(|e| e == "md") {
            pages.push(entry.path());
        }
    }
    for folder in ["docs", "examples", "crates"] {
        pages.extend(repo::files(&root.join(folder), "md")?);
    }
    Ok(pages)
}

/// Every relative link `](path)` of a page leads somewhere.
fn links(root: &Path, page: &Path, found: &mut Vec<Offence>) -> Result<()> {
    let text = repo::read(page)?;
    for (at, _) in text.match_indices("](") {
        let target: String = text[at + 2..].chars().take_while(|c| !")# \n".contains(*c)).collect();
        if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        if !page.parent().unwrap_or(root).join(&target).exists() {
            let name = repo::relative(root, page);
            found.push(Offence::new(&name, line_of(&text, at), format!("the link to '{target}' leads nowhere: correct it")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tree::offences;
    use super::check;

    fn of(map: &str) -> Vec<String> {
        offences(check, &[("ARCHITECTURE.md", map), ("crates/brisk-core/src/batch.rs", ""), ("crates/brisk-core/src/time.rs", "")])
    }

    #[test]
    fn paths_that_exist_pass() {
        assert!(of("| batches | `crates/brisk-core/src/{batch,time}.rs`, `brisk-core/src`, `crates/*/src/b*.rs` |\n").is_empty());
    }

    #[test]
    fn what_is_no_path_is_left_alone() {
        assert!(of("`and/or`, `a / b`, `https://x.y/z`, `Vec<T>`, `STYLE.md`\n").is_empty());
    }

    #[test]
    fn paths_that_do_not_exist_are_found() {
        let found = of("text\n`crates/brisk-core/src/{batch,gone}.rs` and `brisk-none/src` and `docs/x*.md`\n");
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[1].starts_with("ARCHITECTURE.md:2: `crates/brisk-none/src` does not exist"), "{found:?}");
    }

    #[test]
    fn links_lead_somewhere() {
        let files =
            [("ARCHITECTURE.md", "[a](docs/a.md) [b](https://b.c/d)\n"), ("docs/a.md", "x\n[up](../ARCHITECTURE.md#x) [gone](b.md)\n")];
        let found = offences(check, &files);
        assert_eq!(found, ["docs/a.md:2: the link to 'b.md' leads nowhere: correct it"]);
    }

    #[test]
    fn there_is_a_map() {
        assert!(offences(check, &[("README.md", "x")])[0].starts_with("ARCHITECTURE.md:1: there is no such file"));
    }
}

//! Checks of Rust files: sizes, module comments, forbidden calls and attributes, names.
//!
//! Test code is what stands in a `tests` folder, in a module declared `#[cfg(test)]` (inline or in a file of its own), or in a
//! function marked `#[test]`; the rules about panics do not hold there.

use super::masked::{Function, closing, functions, mask};
use super::{CODE, Offence, line_of};
use crate::repo;
use anyhow::Result;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A longer file fails.
const FILE_LINES: usize = 1000;
/// A longer function needs an `#[expect]` with a reason.
const FUNCTION_LINES: usize = 70;

/// What must not stand in code, and what to do instead.
const FORBIDDEN: [(&str, &str); 5] = [
    ("#[allow(", "use #[expect(lint, reason = \"...\")], or mend the cause"),
    ("#![allow(", "use #![expect(lint, reason = \"...\")], or mend the cause"),
    ("todo!", "write it, or leave it out and say so in the issue"),
    ("unimplemented!", "write it, or make the case impossible by types"),
    ("dbg!", "remove it, or log through tracing"),
];

/// Forbidden outside of tests only.
const FORBIDDEN_IN_PRODUCT: [(&str, &str); 1] =
    [(".unwrap()", "return the error with ?, or use expect(\"why this cannot fail\") for an invariant")];

/// File and folder names that say nothing, or tell of a second version beside the first.
const EMPTY_NAMES: [&str; 6] = ["common", "util", "utils", "helper", "helpers", "misc"];
const SECOND_VERSIONS: [&str; 4] = ["_v2", "_new", "_old", "_legacy"];

pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut sources = Vec::new();
    for folder in CODE {
        for path in repo::files(&root.join(folder), "rs")? {
            sources.push(Source::read(root, &path)?);
        }
    }
    let tests = test_modules(&sources);
    Ok(sources.iter().flat_map(|source| source.offences(&tests)).collect())
}

/// One Rust file.
struct Source {
    /// Relative to the root.
    name: String,
    /// As it stands in the file.
    text: String,
    /// Without comments and literals.
    masked: String,
    /// The parts that are compiled for tests only.
    test_parts: Vec<Range<usize>>,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Result<Self> {
        let text = repo::read(path)?;
        let masked = mask(&text);
        let test_parts = test_parts(&masked);
        Ok(Self { name: repo::relative(root, path), text, masked, test_parts })
    }

    fn offences(&self, tests: &BTreeSet<PathBuf>) -> Vec<Offence> {
        let whole_file_is_test = self.is_test(tests);
        let mut found = Vec::new();
        self.size_and_name(&mut found);
        self.module_comment(&mut found);
        self.long_functions(&mut found);
        self.ignored_tests(&mut found);
        for (what, remedy) in FORBIDDEN {
            found.extend(self.find(what).map(|at| self.offence(at, format!("`{what}`: {remedy}"))));
        }
        if !whole_file_is_test {
            for (what, remedy) in FORBIDDEN_IN_PRODUCT {
                let product = self.find(what).filter(|at| !self.test_parts.iter().any(|part| part.contains(at)));
                found.extend(product.map(|at| self.offence(at, format!("`{what}` outside of tests: {remedy}"))));
            }
        }
        found
    }

    fn is_test(&self, tests: &BTreeSet<PathBuf>) -> bool {
        let path = Path::new(&self.name);
        path.iter().any(|part| part == "tests") || path.ancestors().any(|p| tests.contains(&p.with_extension("")))
    }

    fn offence(&self, at: usize, what: impl Into<String>) -> Offence {
        Offence::new(&self.name, line_of(&self.text, at), what)
    }

    /// Where `what` stands as a word of its own.
    fn find<'a>(&'a self, what: &'a str) -> impl Iterator<Item = usize> + 'a {
        let inside_word =
            |at: usize| at > 0 && (self.masked.as_bytes()[at - 1].is_ascii_alphanumeric() || self.masked.as_bytes()[at - 1] == b'_');
        let starts_word = what.starts_with(|c: char| c.is_alphanumeric());
        self.masked.match_indices(what).map(|(at, _)| at).filter(move |at| !(starts_word && inside_word(*at)))
    }

    fn size_and_name(&self, found: &mut Vec<Offence>) {
        let lines = self.text.lines().count();
        if lines > FILE_LINES {
            found.push(Offence::new(&self.name, 1, format!("{lines} lines: split it by concept; {FILE_LINES} is the limit, 300 the aim")));
        }
        for part in Path::new(&self.name).iter() {
            let stem = Path::new(part).file_stem().unwrap_or(part).to_string_lossy();
            if EMPTY_NAMES.contains(&stem.as_ref()) {
                found.push(Offence::new(&self.name, 1, format!("'{stem}' says nothing: name it for what it does")));
            }
            if let Some(end) = SECOND_VERSIONS.iter().find(|end| stem.ends_with(**end)) {
                found.push(Offence::new(&self.name, 1, format!("'{end}': replace the old version instead of adding one beside it")));
            }
        }
    }

    fn module_comment(&self, found: &mut Vec<Offence>) {
        let first = self.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        if !first.is_some_and(|line| line.starts_with("//!")) {
            let what = "no module comment: open the file with `//!` (what it does, what it never does, its invariants)";
            found.push(Offence::new(&self.name, 1, what));
        }
    }

    fn long_functions(&self, found: &mut Vec<Offence>) {
        let long = functions(&self.masked).into_iter().filter(|f| f.lines > FUNCTION_LINES && !self.expects_length(f));
        for Function { name, at, lines } in long {
            let remedy = "split it, or give a reason with #[expect(clippy::too_many_lines, reason = \"...\")]";
            found.push(self.offence(at, format!("function '{name}' has {lines} lines, the limit is {FUNCTION_LINES}: {remedy}")));
        }
    }

    /// Whether the attributes of a function say that it may be long.
    fn expects_length(&self, function: &Function) -> bool {
        let before = &self.masked[..function.at];
        let from = before.rfind(['}', ';', '{']).map_or(0, |at| at + 1);
        before[from..].contains("clippy::too_many_lines")
    }

    fn ignored_tests(&self, found: &mut Vec<Offence>) {
        let what = "`#[ignore]` without a reason: say why, as in #[ignore = \"needs a network\"]";
        found.extend(self.find("#[ignore]").map(|at| self.offence(at, what)));
    }
}

/// Inline test modules and test functions.
fn test_parts(masked: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    for marker in ["#[cfg(test)]", "#[test]", "#[cfg(all(test"] {
        for (at, _) in masked.match_indices(marker) {
            let Some(stop) = masked[at + marker.len()..].find(['{', ';']).map(|offset| at + marker.len() + offset) else { continue };
            let end = if masked.as_bytes()[stop] == b'{' { closing(masked, stop) } else { stop };
            parts.push(at..end);
        }
    }
    parts
}

/// Files and folders (without extension) of modules that are declared `#[cfg(test)] mod name;`.
fn test_modules(sources: &[Source]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for source in sources {
        for part in &source.test_parts {
            let text = &source.masked[part.clone()];
            let Some((_, name)) = text.rsplit_once("mod ") else { continue };
            if !text.contains('{') {
                found.insert(module_folder(Path::new(&source.name)).join(name.trim()));
            }
        }
    }
    found
}

/// The folder in which the modules of this file lie.
fn module_folder(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => folder.to_path_buf(),
        Some(stem) => folder.join(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::offences;
    use super::check;

    fn of(text: &str) -> Vec<String> {
        offences(check, &[("crates/a/src/lib.rs", text)])
    }

    #[test]
    fn clean_code_passes() {
        assert!(of("//! Does it.\n\n/// Adds, without `unwrap()`.\npub fn add(a: u8) -> u8 {\n    a + 1\n}\n").is_empty());
    }

    #[test]
    fn a_file_opens_with_a_module_comment() {
        let found = of("/// No module comment.\nfn f() {}\n");
        assert!(found[0].starts_with("crates/a/src/lib.rs:1: no module comment"), "{found:?}");
        assert!(of("#![no_std]\n//! Has one.\n").is_empty());
    }

    #[test]
    fn product_code_does_not_unwrap() {
        let found = of(
            "//! A.\nfn f() {\n    g().unwrap();\n}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn t() {\n        f().unwrap();\n    }\n}\n",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/lib.rs:3: `.unwrap()`"), "{found:?}");
    }

    #[test]
    fn test_modules_in_files_of_their_own_may_unwrap() {
        let files = [
            ("crates/a/src/lib.rs", "//! A.\nmod b;\n"),
            ("crates/a/src/b.rs", "//! B.\n#[cfg(test)]\nmod property;\n"),
            ("crates/a/src/b/property.rs", "//! P.\nfn f() { g().unwrap() }\n"),
            ("crates/a/src/b/other.rs", "//! O.\nfn f() { g().unwrap() }\n"),
            ("crates/a/tests/it/main.rs", "//! T.\nfn f() { g().unwrap() }\n"),
        ];
        let found = offences(check, &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/b/other.rs:2:"), "{found:?}");
    }

    #[test]
    fn forbidden_macros_and_attributes_are_found_in_code_only() {
        let found = of(
            "//! todo! in a comment.\n#[allow(dead_code)]\nfn f() {\n    todo!()\n}\nconst A: &str = \"dbg!(x)\";\n#[ignore]\nfn g() {}\n",
        );
        let lines: Vec<_> = found.iter().map(|o| o.split(": ").next().unwrap().to_string()).collect();
        assert_eq!(lines, ["crates/a/src/lib.rs:7", "crates/a/src/lib.rs:2", "crates/a/src/lib.rs:4"]);
    }

    #[test]
    fn long_files_and_functions_are_found() {
        let body = "    let a = 1;\n".repeat(71);
        let long = format!("//! A.\nfn long() {{\n{body}}}\n");
        assert!(of(&long)[0].contains("lib.rs:2: function 'long' has 71 lines"), "{:?}", of(&long));
        let excused = format!("//! A.\n#[expect(clippy::too_many_lines, reason = \"a table\")]\nfn long() {{\n{body}}}\n");
        assert!(of(&excused).is_empty());
        let file = format!("//! A.\n{}", "const A: u8 = 1;\n".repeat(1000));
        assert!(of(&file)[0].contains("1001 lines"));
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        let found = offences(check, &[("crates/a/src/utils.rs", "//! U.\n"), ("crates/a/src/sort_v2.rs", "//! S.\n")]);
        assert!(found[0].contains("'_v2'") && found[1].contains("'utils' says nothing"), "{found:?}");
    }
}

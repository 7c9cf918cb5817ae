//! Checks of manifests: floors, owners of heavy dependencies, one place for versions, a written reason for each dependency.

use super::Offence;
use crate::repo;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// Where each dependency's reason is written down.
const REASONS: &str = "docs/dependencies.md";

/// Heavy dependencies (all crates of this name or with it as prefix) and the only package that may use them.
const OWNERS: [(&str, &str); 6] = [
    ("datafusion", "brisk-table"),
    ("rdkafka", "brisk-connectors"),
    ("axum", "brisk-rest"),
    ("rocksdb", "brisk-state"),
    ("pyo3", "brisk-python"),
    ("clap", "brisk-cli"),
];

/// What a package must never depend on, whatever the floors say: package, prefix of the dependency, why.
const NEVER: [(&str, &str, &str); 3] = [
    ("brisk-core", "tokio", "core does no I/O"),
    ("brisk-core", "datafusion", "core holds contracts and plain data"),
    ("brisk-table", "brisk-connectors", "it finds connectors through the registry in core"),
];

/// The only parts of arrow that core may use.
const CORE_ARROW: [&str; 3] = ["arrow-array", "arrow-buffer", "arrow-schema"];

/// Packages that may use `anyhow` outside of tests; the others have an `Error` of their own.
const ANYHOW: [&str; 3] = ["xtask", "brisk-cli", "brisk-bench"];

pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut found = Vec::new();
    let manifests = read_all(root)?;
    let floors: BTreeMap<_, _> = manifests.iter().map(|m| (m.package.clone(), m.floor)).collect();
    let reasons = std::fs::read_to_string(root.join(REASONS)).unwrap_or_default();
    for manifest in &manifests {
        manifest.own_rules(&mut found);
        for dependency in &manifest.dependencies {
            manifest.edge(dependency, &floors, &mut found);
            if !floors.contains_key(&dependency.name) {
                manifest.owner(dependency, &mut found);
                manifest.reason(dependency, &reasons, &mut found);
            }
        }
    }
    Ok(found)
}

/// One dependency of a package.
struct Dependency {
    name: String,
    /// Of tests, examples and benches only.
    dev: bool,
    /// Its version comes from the root manifest.
    from_workspace: bool,
}

/// One package of the workspace.
struct Manifest {
    /// Relative to the root.
    file: String,
    text: String,
    package: String,
    /// `[package.metadata.brisk] floor`.
    floor: Option<i64>,
    /// Takes the lints of the workspace.
    workspace_lints: bool,
    dependencies: Vec<Dependency>,
}

fn read_all(root: &Path) -> Result<Vec<Manifest>> {
    let mut paths = repo::files(&root.join("crates"), "toml")?;
    paths.extend(["xtask", "benches"].map(|package| root.join(package).join("Cargo.toml")).into_iter().filter(|path| path.exists()));
    paths.retain(|path| path.file_name().is_some_and(|name| name == "Cargo.toml"));
    paths.iter().map(|path| Manifest::parse(&repo::relative(root, path), repo::read(path)?)).collect()
}

impl Manifest {
    fn parse(file: &str, text: String) -> Result<Self> {
        let table: Table = text.parse().with_context(|| format!("{file} is not valid TOML"))?;
        let package = table.get("package").and_then(|p| p.get("name")).and_then(Value::as_str);
        let package = package.with_context(|| format!("{file} names no package"))?.to_string();
        let floor = table.get("package").and_then(|p| p.get("metadata")).and_then(|m| m.get("brisk")).and_then(|b| b.get("floor"));
        let mut dependencies = Vec::new();
        collect(&table, &mut dependencies);
        for target in table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values).filter_map(Value::as_table) {
            collect(target, &mut dependencies);
        }
        let workspace_lints = table.get("lints").and_then(|l| l.get("workspace")).and_then(Value::as_bool) == Some(true);
        let floor = floor.and_then(Value::as_integer);
        Ok(Self { file: file.to_string(), text, package, floor, workspace_lints, dependencies })
    }

    fn own_rules(&self, found: &mut Vec<Offence>) {
        if self.floor.is_none() {
            found.push(Offence::new(&self.file, 1, "no floor: add [package.metadata.brisk] floor = N (see ARCHITECTURE.md)"));
        }
        if !self.workspace_lints {
            found.push(Offence::new(&self.file, 1, "own lints: add [lints] workspace = true"));
        }
    }

    /// Floors, and what a package must never depend on.
    fn edge(&self, dependency: &Dependency, floors: &BTreeMap<String, Option<i64>>, found: &mut Vec<Offence>) {
        let name = &dependency.name;
        if !dependency.from_workspace {
            found.push(self.offence(name, format!("'{name}' has a version of its own: use {name}.workspace = true")));
        }
        if dependency.dev {
            return;
        }
        if let (Some(floor), Some(Some(below))) = (self.floor, floors.get(name))
            && *below >= floor
        {
            let why = format!("'{}' (floor {floor}) depends on '{name}' (floor {below})", self.package);
            found.push(self.offence(name, format!("{why}: arrows point strictly down; move the shared part to a lower floor")));
        }
        for (_, _, why) in NEVER.iter().filter(|(package, prefix, _)| *package == self.package && is_or_extends(name, prefix)) {
            found.push(self.offence(name, format!("'{}' must not depend on '{name}': {why}", self.package)));
        }
        if self.package == "brisk-core" && is_or_extends(name, "arrow") && !CORE_ARROW.contains(&name.as_str()) {
            found.push(self.offence(name, format!("'brisk-core' uses of arrow only {}", CORE_ARROW.join(", "))));
        }
        if name == "anyhow" && !ANYHOW.contains(&self.package.as_str()) {
            found.push(self.offence(name, "a library has an Error of its own (kind, context, source); anyhow is for tools and tests"));
        }
    }

    fn owner(&self, dependency: &Dependency, found: &mut Vec<Offence>) {
        for (heavy, owner) in OWNERS {
            if is_or_extends(&dependency.name, heavy) && self.package != owner {
                let what = format!("'{}' is for '{owner}' alone: go through an interface of that package", dependency.name);
                found.push(self.offence(&dependency.name, what));
            }
        }
    }

    fn reason(&self, dependency: &Dependency, reasons: &str, found: &mut Vec<Offence>) {
        let name = &dependency.name;
        if !reasons.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{name}`"))) {
            found.push(
                self.offence(name, format!("'{name}' has no line in {REASONS}: say why, what else there is, what it costs to build")),
            );
        }
    }

    fn offence(&self, dependency: &str, what: impl Into<String>) -> Offence {
        let names = |line: &str| line.trim_start().strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
        Offence::new(&self.file, 1 + self.text.lines().position(names).unwrap_or(0), what)
    }
}

fn collect(table: &Table, into: &mut Vec<Dependency>) {
    for (section, dev) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
        for (name, value) in table.get(section).and_then(Value::as_table).into_iter().flatten() {
            let from_workspace = value.get("workspace").and_then(Value::as_bool) == Some(true);
            into.push(Dependency { name: name.clone(), dev, from_workspace });
        }
    }
}

/// `datafusion` and `datafusion-expr`, but not `datafusionish`.
fn is_or_extends(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::super::tree::offences;
    use super::check;

    const REASONS: (&str, &str) =
        ("docs/dependencies.md", "| crate | why |\n| `serde` | text |\n| `clap` | arguments |\n| `arrow-ipc` | x |\n");

    fn manifest(name: &str, floor: u8, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n[package.metadata.brisk]\nfloor = {floor}\n\n{rest}\n[lints]\nworkspace = true\n")
    }

    fn of(manifests: &[(&str, u8, &str)]) -> Vec<String> {
        let texts: Vec<_> =
            manifests.iter().map(|(name, floor, rest)| (format!("crates/{name}/Cargo.toml"), manifest(name, *floor, rest))).collect();
        let mut files: Vec<_> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        files.push(REASONS);
        offences(check, &files)
    }

    #[test]
    fn arrows_point_strictly_down() {
        let down = "[dependencies]\nbrisk-a.workspace = true\n";
        assert!(of(&[("brisk-a", 0, ""), ("brisk-b", 1, down)]).is_empty());
        let found = of(&[("brisk-a", 1, ""), ("brisk-b", 1, down)]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/brisk-b/Cargo.toml:8: 'brisk-b' (floor 1) depends on 'brisk-a' (floor 1)"), "{found:?}");
        let for_tests = "[dev-dependencies]\nbrisk-a.workspace = true\n";
        assert!(of(&[("brisk-a", 4, ""), ("brisk-b", 1, for_tests)]).is_empty());
    }

    #[test]
    fn arrows_of_targets_and_builds_count() {
        let target = "[target.'cfg(unix)'.dependencies]\nbrisk-a.workspace = true\n";
        let build = "[build-dependencies]\nbrisk-a.workspace = true\n";
        assert_eq!(of(&[("brisk-a", 2, ""), ("brisk-b", 1, target), ("brisk-c", 1, build)]).len(), 2);
    }

    #[test]
    fn heavy_dependencies_have_one_owner() {
        let clap = "[dependencies]\nclap.workspace = true\n";
        assert!(of(&[("brisk-cli", 7, clap)]).is_empty());
        let found = of(&[("brisk-sim", 5, clap)]);
        assert!(found[0].contains("'clap' is for 'brisk-cli' alone"), "{found:?}");
    }

    #[test]
    fn core_stays_light() {
        let heavy = "[dependencies]\narrow-ipc.workspace = true\ntokio.workspace = true\n";
        let found = of(&[("brisk-core", 1, heavy)]);
        assert!(found.iter().any(|o| o.contains("uses of arrow only")), "{found:?}");
        assert!(found.iter().any(|o| o.contains("must not depend on 'tokio': core does no I/O")), "{found:?}");
    }

    #[test]
    fn versions_and_reasons_have_one_place() {
        let found = of(&[("brisk-a", 0, "[dependencies]\nserde = \"1\"\nrand.workspace = true\nanyhow.workspace = true\n")]);
        assert!(found.iter().any(|o| o.contains(":8: 'serde' has a version of its own")), "{found:?}");
        assert!(found.iter().any(|o| o.contains(":9: 'rand' has no line in docs/dependencies.md")), "{found:?}");
        assert!(found.iter().any(|o| o.contains("a library has an Error of its own")), "{found:?}");
    }

    #[test]
    fn every_manifest_states_its_floor_and_lints() {
        let found = offences(check, &[("crates/a/Cargo.toml", "[package]\nname = \"a\"\n")]);
        assert!(found.iter().any(|o| o.contains("no floor")) && found.iter().any(|o| o.contains("own lints")), "{found:?}");
    }
}

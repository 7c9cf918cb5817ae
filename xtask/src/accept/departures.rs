//! Compares what the departures example writes with the expected files, computed without a stream engine.

use super::proof::Proof;
use crate::process::Program;
use crate::repo;
use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The files the example writes; the order of rows is free.
const FILES: [&str; 4] = ["hourly_by_origin.csv", "sessions_by_plane.csv", "hourly_lateness_60min.csv", "late_60min.csv"];
/// One run of the example takes seconds.
const LIMIT_S: u64 = 600;

/// Runs the example once for each set of extra arguments, and compares every file every time.
pub(super) fn reproduced(proof: &mut Proof, variants: &[&str]) -> Result<String> {
    let flights = repo::root().join("examples/data/flights");
    let binary = proof.example("departures")?;
    let mut rows = 0;
    for variant in variants {
        let out = fresh_folder()?;
        let mut args: Vec<_> = ["--input", "examples/data/flights/departures.csv.gz", "--output"].map(PathBuf::from).into();
        args.push(out.clone());
        args.extend(variant.split_whitespace().map(PathBuf::from));
        proof.run(&Program::new(binary.clone(), args).dir(repo::root()).limit_s(LIMIT_S))?;
        for file in FILES {
            rows += same(&flights.join("expected").join(file), &out.join(file)).with_context(|| format!("departures {variant}"))?;
        }
    }
    Ok(format!("{rows} rows equal in {} runs", variants.len()))
}

fn fresh_folder() -> Result<PathBuf> {
    let out = crate::test::target_dir(&crate::test::metadata()?)?.join("accept-departures");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    Ok(out)
}

/// The number of rows, if both files hold the same ones after the same header.
fn same(expected: &Path, actual: &Path) -> Result<usize> {
    let (expected_head, expected_rows) = table(&lines_of(expected)?);
    let (head, rows) = table(&lines_of(actual)?);
    let name = actual.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ensure!(head == expected_head, "{name}: the columns are '{head}', expected '{expected_head}'");
    if let Some((at, (row, wanted))) = rows.iter().zip(&expected_rows).enumerate().find(|(_, (row, wanted))| row != wanted) {
        bail!("{name}: sorted row {at} is '{row}', expected '{wanted}' ({} rows, expected {})", rows.len(), expected_rows.len());
    }
    ensure!(rows.len() == expected_rows.len(), "{name}: {} rows, expected {}", rows.len(), expected_rows.len());
    Ok(rows.len())
}

/// Header and sorted rows.
fn table(text: &str) -> (String, Vec<String>) {
    let mut lines = text.lines().map(String::from);
    let head = lines.next().unwrap_or_default();
    let mut rows: Vec<_> = lines.collect();
    rows.sort_unstable();
    (head, rows)
}

/// The text of a file, or of the compressed file of the same name.
fn lines_of(path: &Path) -> Result<String> {
    if path.exists() {
        return repo::read(path);
    }
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    let file = File::open(&packed).with_context(|| format!("there is neither {} nor {}", path.display(), packed.display()))?;
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).with_context(|| format!("cannot unpack {}", packed.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(expected: &str, actual: &str) -> Result<usize> {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["expected.csv", "actual.csv"].map(|name| dir.path().join(name));
        fs::write(&a, expected).unwrap();
        fs::write(&b, actual).unwrap();
        same(&a, &b)
    }

    #[test]
    fn the_order_of_rows_is_free() {
        assert_eq!(compared("a,b\n1,2\n3,4\n", "a,b\n3,4\n1,2\n").unwrap(), 2);
    }

    #[test]
    fn any_difference_is_found() {
        for other in ["a,c\n1,2\n", "a,b\n1,3\n", "a,b\n1,2\n1,2\n", "a,b\n", ""] {
            assert!(compared("a,b\n1,2\n", other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn the_expected_files_are_in_the_repository() {
        for file in FILES {
            let path = repo::root().join("examples/data/flights/expected").join(file);
            assert!(table(&lines_of(&path).unwrap()).1.len() > 1000, "{file}");
        }
    }
}

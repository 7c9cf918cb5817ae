//! The readable table of measured runs: medians per case, and ratios to the hand-written loop and to the peer.

use super::{Run, median, peer};
use std::fmt::Write as _;

/// One run on one line, for progress.
pub(super) fn line(run: &Run) -> String {
    let case = &run.case;
    let head = format!("{} {} p{}: {} records", case.name, case.engine, case.parallelism, grouped(case.records));
    let tail = format!("{:.2} s wall, {:.2} CPU-s, {:.0} MB peak", run.wall_s, run.cpu_s, run.peak_rss_mb);
    format!("{head}, {tail}, {:.2} M/CPU-s", run.rate() / 1e6)
}

/// Median figures per case.
struct Row<'a> {
    /// The first run of the case stands for what was run.
    first: &'a Run,
    runs: usize,
    wall_s: f64,
    cpu_s: f64,
    peak_rss_mb: f64,
    /// Records per CPU-second.
    rate: f64,
}

/// A table with one row per case.
pub(super) fn render(runs: &[Run]) -> String {
    let rows = rows(runs);
    let with_peer = rows.iter().any(|row| row.first.case.engine == peer::ENGINE);
    let mut cells = vec![header(with_peer)];
    cells.extend(rows.iter().map(|row| row.cells(&rows, with_peer)));
    let mut text = aligned(&cells);
    for row in &rows {
        let extra: Vec<_> = row.first.extra.iter().filter(|(name, _)| *name != "digest").map(|(k, v)| format!("{k} {v}")).collect();
        if !extra.is_empty() {
            let _ =
                writeln!(text, "{} {} p{}: {}", row.first.case.name, row.first.case.engine, row.first.case.parallelism, extra.join(", "));
        }
    }
    text
}

fn rows(runs: &[Run]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for run in runs {
        let same = |other: &Run| other.case == run.case && variant(other) == variant(run);
        if rows.iter().any(|row| same(row.first)) {
            continue;
        }
        let of = |figure: fn(&Run) -> f64| median(runs.iter().filter(|r| same(r)).map(figure));
        rows.push(Row {
            first: run,
            runs: runs.iter().filter(|r| same(r)).count(),
            wall_s: of(|r| r.wall_s),
            cpu_s: of(|r| r.cpu_s),
            peak_rss_mb: of(|r| r.peak_rss_mb),
            rate: of(Run::rate),
        });
    }
    rows.sort_by(|a, b| a.first.case.name.cmp(&b.first.case.name));
    rows
}

/// What tells apart two runs of one case, such as the peer's buffer timeout.
fn variant(run: &Run) -> Option<&str> {
    run.extra.get("variant").and_then(|v| v.as_str())
}

fn header(with_peer: bool) -> Vec<String> {
    let mut header = vec!["name", "engine", "par", "runs", "records", "wall_s", "cpu_s", "rss_mb", "M rec/CPU-s", "cost / loop"];
    if with_peer {
        header.push("rate / flink");
    }
    header.into_iter().map(String::from).collect()
}

impl Row<'_> {
    fn cells(&self, rows: &[Row<'_>], with_peer: bool) -> Vec<String> {
        let case = &self.first.case;
        let name = variant(self.first).map_or_else(|| case.name.clone(), |v| format!("{} ({v})", case.name));
        let numbers = [self.wall_s, self.cpu_s].map(|s| format!("{s:.2}"));
        let mut cells = vec![name, case.engine.clone(), case.parallelism.to_string(), self.runs.to_string(), grouped(case.records)];
        cells.extend(numbers);
        cells.push(format!("{:.0}", self.peak_rss_mb));
        cells.push(format!("{:.2}", self.rate / 1e6));
        cells.push(self.ratio(rows, "loop").map_or_else(String::new, |r| format!("{:.2}", 1.0 / r)));
        if with_peer {
            cells.push(self.ratio(rows, peer::ENGINE).map_or_else(String::new, |r| format!("{r:.1}")));
        }
        cells
    }

    /// Our rate over that of another engine: with the same parallelism if it has such a row, else with any.
    fn ratio(&self, rows: &[Row<'_>], engine: &str) -> Option<f64> {
        let case = &self.first.case;
        let others = || rows.iter().filter(|row| row.first.case.name == case.name && row.first.case.engine == engine);
        let other = others().find(|row| row.first.case.parallelism == case.parallelism).or_else(|| others().next())?;
        (case.engine != engine).then(|| self.rate / other.rate)
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Columns as wide as their widest cell; text to the left (the first two), numbers to the right.
fn aligned(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let widths: Vec<_> = (0..columns).map(|c| cells.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in cells {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column < 2 { write!(text, "{cell:<width$}  ") } else { write!(text, "{cell:>width$}  ") };
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Case, Run};
    use super::*;

    fn run(engine: &str, parallelism: u64, cpu_s: f64) -> Run {
        let case = Case { name: "window".into(), engine: engine.into(), parallelism, records: 1_000_000 };
        Run { case, wall_s: cpu_s, cpu_s, peak_rss_mb: 10.0, extra: serde_json::Map::new() }
    }

    #[test]
    fn shows_medians_and_ratios() {
        let runs = [run("loop", 1, 1.0), run("brisk", 1, 4.0), run("brisk", 1, 2.0), run("brisk", 1, 2.0), run("flink", 1, 40.0)];
        let text = render(&runs);
        let lines: Vec<_> = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines[1], ["window", "loop", "1", "1", "1,000,000", "1.00", "1.00", "10", "1.00", "40.0"]);
        assert_eq!(lines[2], ["window", "brisk", "1", "3", "1,000,000", "2.00", "2.00", "10", "0.50", "2.00", "20.0"]);
        assert_eq!(lines[3].last(), Some(&"40.00"));
    }

    #[test]
    fn the_peer_column_appears_with_a_peer_only() {
        assert!(!render(&[run("loop", 1, 1.0)]).contains("flink"));
    }

    #[test]
    fn groups_digits() {
        assert_eq!([7, 1234, 1_234_567].map(grouped), ["7", "1,234", "1,234,567"]);
    }
}

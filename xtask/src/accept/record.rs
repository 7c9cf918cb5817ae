//! The page a full run leaves: one row per point. A run of some points keeps the rows of the others.

use std::fmt::Write as _;

/// What became of one point.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    /// Number of the point.
    pub(super) id: String,
    /// The claim.
    pub(super) claim: String,
    /// The commands that were run.
    pub(super) commands: Vec<String>,
    /// What was measured, or why it failed.
    pub(super) figure: String,
    /// Whether the claim holds.
    pub(super) passed: bool,
    /// How long the proof took.
    pub(super) seconds: f64,
}

/// All rows of a page.
#[derive(Default)]
pub(super) struct Record {
    rows: Vec<Row>,
}

impl Record {
    /// Reads a page written by [`Record::render`]; lines that are no rows are left out.
    pub(super) fn parse(page: &str) -> Self {
        Self { rows: page.lines().filter_map(row).collect() }
    }

    /// Puts a row in the place of the one with its number.
    pub(super) fn set(&mut self, row: Row) {
        self.rows.retain(|other| other.id != row.id);
        self.rows.push(row);
        self.rows.sort_by_key(|row| row.id.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect::<Vec<_>>());
    }

    /// The whole page.
    pub(super) fn render(&self, name: &str) -> String {
        let passed = self.rows.iter().filter(|row| row.passed).count();
        let mut page = format!("# Acceptance: {name}\n\n");
        let _ = writeln!(
            page,
            "Written by `cargo xtask accept {name}`; `--point K` repeats one point. {passed} of {} points hold.\n",
            self.rows.len()
        );
        page.push_str("| point | claim | result | figure | seconds | commands |\n|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let result = if row.passed { "pass" } else { "FAIL" };
            let commands: Vec<_> = row.commands.iter().map(|c| format!("`{}`", cell(c))).collect();
            let (claim, figure) = (cell(&row.claim), cell(&row.figure));
            let _ = writeln!(page, "| {} | {claim} | {result} | {figure} | {:.1} | {} |", row.id, row.seconds, commands.join("<br>"));
        }
        page
    }
}

/// Text that fits into a cell of a table.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/").replace('`', "'");
    match line.char_indices().nth(400) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [id, claim, result, figure, seconds, commands] = cells.as_slice() else { return None };
    let commands = commands.split("<br>").map(|c| c.trim_matches('`').to_string()).filter(|c| !c.is_empty()).collect();
    let seconds = seconds.parse().ok()?;
    Some(Row {
        id: (*id).to_string(),
        claim: (*claim).to_string(),
        commands,
        figure: (*figure).to_string(),
        passed: *result == "pass",
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(id: &str, passed: bool) -> Row {
        let commands = vec!["cargo a".to_string(), "cargo b".to_string()];
        Row { id: id.into(), claim: "it holds".into(), commands, figure: "3.0 x".into(), passed, seconds: 1.5 }
    }

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let mut record = Record::default();
        record.set(row_of("1.10", true));
        record.set(row_of("1.2", false));
        let page = record.render("test");
        assert!(page.contains("1 of 2 points hold"), "{page}");
        let again = Record::parse(&page);
        assert_eq!(again.rows, [row_of("1.2", false), row_of("1.10", true)]);
    }

    #[test]
    fn a_new_row_replaces_the_old_one() {
        let mut record = Record::parse(&{
            let mut record = Record::default();
            record.set(row_of("1", false));
            record.set(row_of("2", true));
            record.render("test")
        });
        record.set(row_of("1", true));
        assert_eq!(record.rows, [row_of("1", true), row_of("2", true)]);
    }

    #[test]
    fn cells_stay_on_one_line() {
        assert_eq!(cell("a | b\n  c `d`"), "a / b c 'd'");
        assert_eq!(cell(&"x".repeat(500)).len(), 403);
    }
}

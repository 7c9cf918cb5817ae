//! The text of statements, and errors that point into it.

use brisk_base::Error;
use datafusion_common::DataFusionError;
use std::sync::Arc;

/// A text that statements are read from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqlText(Arc<str>);

impl SqlText {
    /// This text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An error at a line and column, both from 1, with the line and a mark under the place.
    pub fn error_at(&self, line: u64, column: u64, what: &str) -> Error {
        if line == 0 {
            return Error::user(what.to_owned());
        }
        let shown = self.0.lines().nth(line as usize - 1).unwrap_or_default();
        let before: String = shown.chars().take(column.saturating_sub(1) as usize).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Error::user(format!("line {line}, column {column}: {what}\n  {shown}\n  {before}^"))
    }

    /// An error of `sqlparser`, which tells its place in its text.
    pub(crate) fn parser_error(&self, message: &str) -> Error {
        let message = message.trim_start_matches("sql parser error: ");
        let placed = message.rsplit_once(" at Line: ").and_then(|(what, place)| {
            let (line, column) = place.split_once(", Column: ")?;
            Some((what, line.parse().ok()?, column.trim().parse().ok()?))
        });
        match placed {
            Some((what, line, column)) => self.error_at(line, column, what),
            None => Error::user(message.to_owned()),
        }
    }

    /// An error of planning, at its place where that is known.
    pub(crate) fn planning_error(&self, error: &DataFusionError) -> Error {
        if let Some(diagnostic) = error.diagnostic() {
            let mut what = diagnostic.message.clone();
            let hints = diagnostic.helps.iter().map(|help| &help.message).chain(diagnostic.notes.iter().map(|note| &note.message));
            if let Some(hint) = hints.into_iter().next() {
                what.push_str(&format!(" ({hint})"));
            }
            if let Some(span) = diagnostic.span {
                return self.error_at(span.start.line, span.start.column, &what);
            }
            return Error::user(what);
        }
        let text = error.strip_backtrace();
        let known = [
            "Error during planning: ",
            "Schema error: ",
            "This feature is not implemented: ",
            "External error: ",
            "type_coercion\ncaused by\n",
        ];
        let text = known.iter().fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text));
        Error::user(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_show_the_line_and_the_place() {
        let text = SqlText::new("SELECT a\nFROM t WHER b");
        let error = text.parser_error("sql parser error: Expected: end, found: WHER at Line: 2, Column: 8").to_string();
        assert_eq!(error, "line 2, column 8: Expected: end, found: WHER\n  FROM t WHER b\n         ^");
    }
}

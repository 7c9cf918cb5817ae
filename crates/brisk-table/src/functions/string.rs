//! Functions of text.

use super::{Argument, ScalarFunction};
use arrow_array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use regex::Regex;
use std::sync::Arc;

/// Checks the number of arguments.
pub(super) fn expect_count(name: &str, given: &[DataType], usage: &str, counts: std::ops::RangeInclusive<usize>) -> Result<()> {
    if counts.contains(&given.len()) {
        return Ok(());
    }
    Err(Error::user(format!("{} is called with {} arguments: {usage}", name.to_uppercase(), given.len())))
}

/// `REGEXP_EXTRACT(text, regex [, group])`: the group of the first match; null where there is none.
#[derive(Debug)]
pub(super) struct RegexpExtract;

impl ScalarFunction for RegexpExtract {
    fn name(&self) -> &str {
        "regexp_extract"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "REGEXP_EXTRACT(text, regex [, group])", 2..=3)?;
        Ok([DataType::Utf8, DataType::Utf8, DataType::Int64][..given.len()].to_vec())
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let mut compiled: Option<(String, Regex)> = None;
        let mut extract = |row: usize| -> Result<Option<String>> {
            let (Some(text), Some(pattern)) = (arguments[0].text(row), arguments[1].text(row)) else { return Ok(None) };
            let group = match arguments.get(2).map(|group| group.bigint(row)) {
                Some(None) => return Ok(None),
                Some(Some(group)) => group,
                None => 0,
            };
            if compiled.as_ref().is_none_or(|(known, _)| known != pattern) {
                let regex = Regex::new(pattern);
                let regex = regex.map_err(|error| Error::user(format!("REGEXP_EXTRACT: '{pattern}' is no regular expression: {error}")))?;
                compiled = Some((pattern.to_owned(), regex));
            }
            let captures = compiled.as_ref().and_then(|(_, regex)| regex.captures(text));
            let group = usize::try_from(group).ok();
            Ok(captures.zip(group).and_then(|(captures, group)| captures.get(group).map(|found| found.as_str().to_owned())))
        };
        let results = (0..rows).map(&mut extract).collect::<Result<StringArray>>()?;
        Ok(Arc::new(results))
    }
}

/// `SPLIT_INDEX(text, separator, index)`: a part between separators, counted from 0; null where there is none.
#[derive(Debug)]
pub(super) struct SplitIndex;

impl ScalarFunction for SplitIndex {
    fn name(&self) -> &str {
        "split_index"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "SPLIT_INDEX(text, separator, index)", 3..=3)?;
        Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let part = |row: usize| {
            let (text, separator, index) = (arguments[0].text(row)?, arguments[1].text(row)?, arguments[2].bigint(row)?);
            let index = usize::try_from(index).ok()?;
            if separator.is_empty() { (index == 0).then_some(text) } else { text.split(separator).nth(index) }
        };
        Ok(Arc::new((0..rows).map(part).collect::<StringArray>()))
    }
}

/// `CONCAT(text, ...)`: null if one of them is.
#[derive(Debug)]
pub(super) struct Concat;

impl ScalarFunction for Concat {
    fn name(&self) -> &str {
        "concat"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "CONCAT(text, ...)", 1..=255)?;
        Ok(vec![DataType::Utf8; given.len()])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let joined = |row: usize| arguments.iter().map(|argument| argument.text(row)).collect::<Option<String>>();
        Ok(Arc::new((0..rows).map(joined).collect::<StringArray>()))
    }
}

/// `CHAR_LENGTH(text)`: the number of characters.
#[derive(Debug)]
pub(super) struct CharLength(pub(super) &'static str);

impl ScalarFunction for CharLength {
    fn name(&self) -> &str {
        self.0
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "CHAR_LENGTH(text)", 1..=1)?;
        Ok(vec![DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int32
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let length = |row: usize| arguments[0].text(row).map(|text| text.chars().count() as i32);
        Ok(Arc::new((0..rows).map(length).collect::<Int32Array>()))
    }
}

/// Nexmark's `count_char(text, 'c')`: how often a character occurs.
#[derive(Debug)]
pub(super) struct CountChar;

impl ScalarFunction for CountChar {
    fn name(&self) -> &str {
        "count_char"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "COUNT_CHAR(text, character)", 2..=2)?;
        Ok(vec![DataType::Utf8, DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Int64
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let count = |row: usize| {
            let (text, wanted) = (arguments[0].text(row)?, arguments[1].text(row)?);
            Some(wanted.chars().next().map_or(0, |wanted| text.chars().filter(|c| *c == wanted).count() as i64))
        };
        Ok(Arc::new((0..rows).map(count).collect::<Int64Array>()))
    }
}

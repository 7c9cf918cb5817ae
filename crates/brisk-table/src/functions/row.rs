//! Functions given by a closure over the values of one row.
//!
//! Most functions of SQL are null if an argument is, and say nothing else about nulls. So closures never see one.

use super::string::expect_count;
use super::temporal::{Pattern, local_time, time};
use super::{Argument, ScalarFunction};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow_schema::DataType;
use brisk_base::world::World;
use brisk_base::{Error, Result};
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

/// What an argument is cast to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Bigint,
    Double,
    Binary,
    /// TIMESTAMP(3).
    Time,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Binary => DataType::Binary,
            Self::Time => time(),
        }
    }
}

/// Clock and randomness of functions that ask for them in each row.
pub(super) fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(World::real);
    &WORLD
}

/// Compiled patterns are kept from row to row up to this number; more come from columns of patterns.
const KEPT_PATTERNS: usize = 64;

/// Regular expressions and patterns of times that rows of one batch have in common.
#[derive(Default)]
struct Compiled {
    regexes: HashMap<String, Rc<Regex>>,
    times: HashMap<String, Rc<Pattern>>,
    /// The time that was shown last.
    shown: Option<Shown>,
}

/// What times look like.
struct Shown {
    pattern: String,
    /// The times that look so.
    times: Range<i64>,
    text: String,
}

/// The arguments of one row, none of which is null.
pub(super) struct Row<'a> {
    arguments: &'a [Argument],
    row: usize,
    name: &'static str,
    compiled: &'a RefCell<Compiled>,
}

impl Row<'_> {
    /// Whether there is such an argument.
    pub(super) const fn has(&self, argument: usize) -> bool {
        argument < self.arguments.len()
    }

    pub(super) fn text(&self, argument: usize) -> &str {
        self.arguments[argument].text(self.row).unwrap_or_default()
    }

    pub(super) fn bigint(&self, argument: usize) -> i64 {
        self.arguments[argument].values().as_primitive::<Int64Type>().value(self.index(argument))
    }

    pub(super) fn double(&self, argument: usize) -> f64 {
        self.arguments[argument].values().as_primitive::<Float64Type>().value(self.index(argument))
    }

    pub(super) fn binary(&self, argument: usize) -> &[u8] {
        self.arguments[argument].values().as_binary::<i32>().value(self.index(argument))
    }

    pub(super) fn millis(&self, argument: usize) -> i64 {
        self.arguments[argument].millis(self.row).unwrap_or_default()
    }

    /// A regular expression.
    pub(super) fn regex(&self, argument: usize) -> Result<Rc<Regex>> {
        let pattern = self.text(argument);
        let kept = &mut self.compiled.borrow_mut().regexes;
        if let Some(known) = kept.get(pattern) {
            return Ok(Rc::clone(known));
        }
        let regex = Regex::new(pattern)
            .map_err(|error| Error::user(format!("{}: '{pattern}' is no regular expression: {error}", self.name.to_uppercase())))?;
        Ok(keep(kept, pattern, regex))
    }

    /// A pattern of times.
    pub(super) fn pattern(&self, argument: usize) -> Result<Rc<Pattern>> {
        self.pattern_of(self.text(argument))
    }

    /// The pattern that a text is.
    pub(super) fn pattern_of(&self, pattern: &str) -> Result<Rc<Pattern>> {
        let kept = &mut self.compiled.borrow_mut().times;
        if let Some(known) = kept.get(pattern) {
            return Ok(Rc::clone(known));
        }
        let compiled = Pattern::read(self.name, pattern)?;
        Ok(keep(kept, pattern, compiled))
    }

    /// Adds a time as a pattern shows it. Times that look like the one before cost little.
    pub(super) fn write_time(&self, ms: i64, pattern: &str, out: &mut String) -> Result<()> {
        if let Some(shown) = &self.compiled.borrow().shown
            && shown.times.contains(&ms)
            && shown.pattern == pattern
        {
            out.push_str(&shown.text);
            return Ok(());
        }
        let compiled = self.pattern_of(pattern)?;
        let mut text = String::new();
        compiled.write(ms, &mut text);
        out.push_str(&text);
        self.compiled.borrow_mut().shown = Some(Shown { pattern: pattern.to_owned(), times: compiled.same_around(ms), text });
        Ok(())
    }

    fn index(&self, argument: usize) -> usize {
        if self.arguments[argument].is_constant() { 0 } else { self.row }
    }
}

/// The texts that a function writes.
fn written<'a>(rows: impl Iterator<Item = Option<Row<'a>>>, write: &Writes) -> Result<StringArray> {
    let (mut texts, mut text) = (StringBuilder::new(), String::new());
    for row in rows {
        match row {
            Some(row) => {
                text.clear();
                write(&row, &mut text)?;
                texts.append_value(&text);
            }
            None => texts.append_null(),
        }
    }
    Ok(texts.finish())
}

fn keep<T>(kept: &mut HashMap<String, Rc<T>>, pattern: &str, compiled: T) -> Rc<T> {
    if kept.len() == KEPT_PATTERNS {
        kept.clear();
    }
    let compiled = Rc::new(compiled);
    kept.insert(pattern.to_owned(), Rc::clone(&compiled));
    compiled
}

/// The value of a row; `None` is null.
type Of<T> = Box<dyn Fn(&Row<'_>) -> Result<Option<T>> + Send + Sync>;

/// Adds the text of a row, which is never null.
type Writes = Box<dyn Fn(&Row<'_>, &mut String) -> Result<()> + Send + Sync>;

enum Compute {
    Text(Of<String>),
    Written(Writes),
    Int(Of<i32>),
    Bigint(Of<i64>),
    Double(Of<f64>),
    Boolean(Of<bool>),
    Binary(Of<Vec<u8>>),
    Date(Of<i32>),
    Time(Of<i64>),
    LocalTime(Of<i64>),
}

/// See the module.
pub(super) struct RowFunction {
    name: &'static str,
    usage: &'static str,
    takes: &'static [Kind],
    /// How many of the last arguments may be left out.
    optional: usize,
    compute: Compute,
    deterministic: bool,
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Constructors for functions that cannot fail.
macro_rules! constructors {
    ($($name:ident: $variant:ident($type:ty);)*) => {
        impl RowFunction {
            $(
                pub(super) fn $name(
                    usage: &'static str,
                    takes: &'static [Kind],
                    compute: impl Fn(&Row<'_>) -> Option<$type> + Send + Sync + 'static,
                ) -> Self {
                    Self::new(usage, takes, Compute::$variant(Box::new(move |row| Ok(compute(row)))))
                }
            )*
        }
    };
}

constructors! {
    text: Text(String);
    int: Int(i32);
    double: Double(f64);
    boolean: Boolean(bool);
    date: Date(i32);
    time: Time(i64);
    local_time: LocalTime(i64);
}

/// Constructors for functions that can fail.
macro_rules! fallible_constructors {
    ($($name:ident: $variant:ident($type:ty);)*) => {
        impl RowFunction {
            $(
                pub(super) fn $name(
                    usage: &'static str,
                    takes: &'static [Kind],
                    compute: impl Fn(&Row<'_>) -> Result<Option<$type>> + Send + Sync + 'static,
                ) -> Self {
                    Self::new(usage, takes, Compute::$variant(Box::new(compute)))
                }
            )*
        }
    };
}

fallible_constructors! {
    try_text: Text(String);
    try_int: Int(i32);
    try_bigint: Bigint(i64);
    try_boolean: Boolean(bool);
    try_binary: Binary(Vec<u8>);
    try_date: Date(i32);
    try_time: Time(i64);
    try_local_time: LocalTime(i64);
}

impl RowFunction {
    /// The usage begins with the name.
    fn new(usage: &'static str, takes: &'static [Kind], compute: Compute) -> Self {
        let name = usage.split(['(', ' ']).next().unwrap_or(usage);
        Self { name, usage, takes, optional: 0, compute, deterministic: true }
    }

    /// A function that writes its text.
    pub(super) fn written(
        usage: &'static str,
        takes: &'static [Kind],
        write: impl Fn(&Row<'_>, &mut String) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::new(usage, takes, Compute::Written(Box::new(write)))
    }

    /// Lets the last arguments be left out.
    pub(super) fn optional(self, optional: usize) -> Self {
        Self { optional, ..self }
    }

    /// Equal arguments may give other results.
    pub(super) fn volatile(self) -> Self {
        Self { deterministic: false, ..self }
    }
}

impl ScalarFunction for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let most = self.takes.len();
        expect_count(self.name, given, self.usage, most - self.optional..=most)?;
        for (number, (given, kind)) in given.iter().zip(self.takes).enumerate() {
            let fits = match kind {
                Kind::Bigint => given.is_integer() || given.is_null(),
                Kind::Double => given.is_numeric() || given.is_null(),
                Kind::Time => given.is_temporal() || matches!(given, DataType::Utf8 | DataType::Null),
                Kind::Binary => matches!(given, DataType::Binary | DataType::Utf8 | DataType::Null),
                Kind::Text => !given.is_nested() && !matches!(given, DataType::Binary),
            };
            if !fits {
                let (name, given) = (self.name.to_uppercase(), crate::sql::sql_type(given));
                let text = format!("argument {} of {name} cannot be a {given}: {}", number + 1, self.usage);
                return Err(Error::user(text));
            }
        }
        Ok(self.takes[..given.len()].iter().map(|kind| kind.data_type()).collect())
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        match &self.compute {
            Compute::Text(_) | Compute::Written(_) => DataType::Utf8,
            Compute::Int(_) => DataType::Int32,
            Compute::Bigint(_) => DataType::Int64,
            Compute::Double(_) => DataType::Float64,
            Compute::Boolean(_) => DataType::Boolean,
            Compute::Binary(_) => DataType::Binary,
            Compute::Date(_) => DataType::Date32,
            Compute::Time(_) => time(),
            Compute::LocalTime(_) => local_time(),
        }
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let compiled = RefCell::default();
        let rows = (0..rows).map(|row| {
            let null = arguments.iter().any(|argument| argument.values().is_null(if argument.is_constant() { 0 } else { row }));
            (!null).then_some(Row { arguments, row, name: self.name, compiled: &compiled })
        });
        fn all<'a, T, C: FromIterator<Option<T>>>(rows: impl Iterator<Item = Option<Row<'a>>>, compute: &Of<T>) -> Result<C> {
            rows.map(|row| row.map_or(Ok(None), |row| compute(&row))).collect()
        }
        Ok(match &self.compute {
            Compute::Text(compute) => Arc::new(all::<_, StringArray>(rows, compute)?),
            Compute::Written(write) => Arc::new(written(rows, write)?),
            Compute::Int(compute) => Arc::new(all::<_, Int32Array>(rows, compute)?),
            Compute::Bigint(compute) => Arc::new(all::<_, Int64Array>(rows, compute)?),
            Compute::Double(compute) => Arc::new(all::<_, Float64Array>(rows, compute)?),
            Compute::Boolean(compute) => Arc::new(all::<_, BooleanArray>(rows, compute)?),
            Compute::Binary(compute) => Arc::new(all::<_, BinaryArray>(rows, compute)?),
            Compute::Date(compute) => Arc::new(all::<_, Date32Array>(rows, compute)?),
            Compute::Time(compute) => Arc::new(all::<_, TimestampMillisecondArray>(rows, compute)?),
            Compute::LocalTime(compute) => Arc::new(all::<_, TimestampMillisecondArray>(rows, compute)?.with_timezone("UTC")),
        })
    }

    fn is_deterministic(&self) -> bool {
        self.deterministic
    }
}

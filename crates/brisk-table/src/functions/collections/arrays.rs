//! Functions of arrays.

use super::elements::{Elements, arrays_of};
use super::{is_null, per_row, taken};
use crate::functions::string::expect_count;
use crate::functions::{Argument, ScalarFunction};
use crate::operators::row::RowKey;
use crate::sql::{array_type, sql_type};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, StringArray};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// What an argument has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    /// An array.
    Array,
    /// What the arrays hold.
    Element,
    Bigint,
    Boolean,
}

/// A call for one row.
struct Row<'a> {
    /// Of the arguments that are arrays or elements.
    elements: &'a Elements<'a>,
    /// The other ones.
    others: &'a [Argument],
    row: usize,
}

impl Row<'_> {
    fn array(&self, argument: usize) -> Option<Range<u32>> {
        self.elements.array(argument, self.row)
    }

    fn single(&self, argument: usize) -> u32 {
        self.elements.single(argument, self.row)
    }

    fn key(&self, place: u32) -> &RowKey {
        self.elements.key(place)
    }

    /// A number behind the arrays; `None` is null.
    fn bigint(&self, other: usize) -> Option<i64> {
        let row = if self.others[other].is_constant() { 0 } else { self.row };
        let numbers = self.others[other].values().as_primitive::<Int64Type>();
        numbers.is_valid(row).then(|| numbers.value(row))
    }

    /// A truth value behind the arrays; null is what it is without it.
    fn flag(&self, other: usize, without: bool) -> Option<bool> {
        let Some(argument) = self.others.get(other) else { return Some(without) };
        let row = if argument.is_constant() { 0 } else { self.row };
        let flags = argument.values().as_boolean();
        flags.is_valid(row).then(|| flags.value(row))
    }

    /// The places of each value of an array, in their order and once, that the other array has, or has not.
    fn once(&self, wanted: impl Fn(&RowKey) -> bool, places: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        places.filter(|place| wanted(self.key(*place)) && seen.insert(self.key(*place))).collect()
    }
}

/// What a call gives, by the places of values; `None` is null.
#[derive(Clone, Copy, Debug)]
enum Gives {
    Array(fn(&Row<'_>) -> Option<Vec<u32>>),
    Element(fn(&Row<'_>) -> Result<Option<u32>>),
    Int(fn(&Row<'_>) -> Option<i32>),
    Boolean(fn(&Row<'_>) -> Option<bool>),
}

/// See the module.
#[derive(Debug)]
pub(super) struct ArrayFunction {
    name: &'static str,
    usage: &'static str,
    takes: &'static [Takes],
    /// How many of the last arguments may be left out.
    optional: usize,
    /// Whether any number of what the last argument is may follow.
    repeats: bool,
    /// Whether values are compared.
    compares: bool,
    gives: Gives,
}

use Takes::{Array as A, Bigint as N, Boolean as B, Element as E};

/// All of them.
pub(super) fn all() -> Vec<ArrayFunction> {
    let function = |usage: &'static str, takes: &'static [Takes], gives: Gives| {
        let name = usage.split('(').next().unwrap_or(usage);
        ArrayFunction { name, usage, takes, optional: 0, repeats: false, compares: true, gives }
    };
    let plain = |function: ArrayFunction| ArrayFunction { compares: false, ..function };
    vec![
        ArrayFunction { name: "array", repeats: true, ..plain(function("ARRAY[element, ...]", &[E], Gives::Array(elements))) },
        plain(function("cardinality(array or map)", &[A], Gives::Int(|row| row.array(0).map(|places| places.len() as i32)))),
        plain(function("element(array)", &[A], Gives::Element(only_element))),
        function("array_contains(array, element)", &[A, E], Gives::Boolean(|row| position(row).map(|position| position > 0))),
        function("array_position(array, element)", &[A, E], Gives::Int(position_of)),
        function("array_distinct(array)", &[A], Gives::Array(|row| Some(row.once(|_| true, row.array(0)?)))),
        plain(function("array_reverse(array)", &[A], Gives::Array(|row| Some(row.array(0)?.rev().collect())))),
        function("array_remove(array, element)", &[A, E], Gives::Array(without)),
        plain(function("array_append(array, element)", &[A, E], Gives::Array(|row| Some(row.array(0)?.chain([row.single(1)]).collect())))),
        plain(function(
            "array_prepend(array, element)",
            &[A, E],
            Gives::Array(|row| Some([row.single(1)].into_iter().chain(row.array(0)?).collect())),
        )),
        ArrayFunction { repeats: true, ..plain(function("array_concat(array, ...)", &[A], Gives::Array(concatenated))) },
        function("array_union(array, array)", &[A, A], Gives::Array(|row| Some(row.once(|_| true, row.array(0)?.chain(row.array(1)?))))),
        function(
            "array_intersect(array, array)",
            &[A, A],
            Gives::Array(|row| {
                let other: BTreeSet<_> = row.array(1)?.map(|place| row.key(place)).collect();
                Some(row.once(|key| other.contains(key), row.array(0)?))
            }),
        ),
        function(
            "array_except(array, array)",
            &[A, A],
            Gives::Array(|row| {
                let other: BTreeSet<_> = row.array(1)?.map(|place| row.key(place)).collect();
                Some(row.once(|key| !other.contains(key), row.array(0)?))
            }),
        ),
        function(
            "array_max(array)",
            &[A],
            Gives::Element(|row| Ok(row.array(0).and_then(|places| valid(row, places).max_by_key(|place| row.key(*place))))),
        ),
        function(
            "array_min(array)",
            &[A],
            Gives::Element(|row| Ok(row.array(0).and_then(|places| valid(row, places).min_by_key(|place| row.key(*place))))),
        ),
        ArrayFunction { optional: 2, ..function("array_sort(array [, ascending [, nulls_first]])", &[A, B, B], Gives::Array(sorted)) },
        ArrayFunction { optional: 1, ..plain(function("array_slice(array, start [, end])", &[A, N, N], Gives::Array(slice))) },
    ]
}

fn elements(row: &Row<'_>) -> Option<Vec<u32>> {
    Some((0..row.elements.count()).map(|argument| row.single(argument)).collect())
}

fn only_element(row: &Row<'_>) -> Result<Option<u32>> {
    match row.array(0) {
        Some(places) if places.len() > 1 => {
            Err(Error::user(format!("ELEMENT takes an array of one element, but there are {} in it", places.len())))
        }
        places => Ok(places.and_then(|mut places| places.next())),
    }
}

/// The place in the array where the element is first, from 1; 0 if it is not there.
fn position(row: &Row<'_>) -> Option<i32> {
    let wanted = row.key(row.single(1));
    Some(row.array(0)?.position(|place| row.key(place) == wanted).map_or(0, |at| at as i32 + 1))
}

/// As [`position`]; null, if the element is.
fn position_of(row: &Row<'_>) -> Option<i32> {
    if row.elements.is_null(row.single(1)) { None } else { position(row) }
}

fn without(row: &Row<'_>) -> Option<Vec<u32>> {
    let removed = row.key(row.single(1));
    Some(row.array(0)?.filter(|place| row.key(*place) != removed).collect())
}

fn concatenated(row: &Row<'_>) -> Option<Vec<u32>> {
    let mut places = Vec::new();
    for argument in 0..row.elements.count() {
        places.extend(row.array(argument)?);
    }
    Some(places)
}

/// The places whose values are not null.
fn valid<'a>(row: &'a Row<'_>, places: Range<u32>) -> impl Iterator<Item = u32> + 'a {
    places.filter(|place| !row.elements.is_null(*place))
}

fn sorted(row: &Row<'_>) -> Option<Vec<u32>> {
    let ascending = row.flag(0, true)?;
    let nulls_first = row.flag(1, ascending)?;
    let places = row.array(0)?;
    let (mut nulls, mut values): (Vec<_>, Vec<_>) = places.partition(|place| row.elements.is_null(*place));
    values.sort_by_key(|place| row.key(*place));
    if !ascending {
        values.reverse();
    }
    let (first, second) = if nulls_first { (&mut nulls, &mut values) } else { (&mut values, &mut nulls) };
    first.append(second);
    Some(std::mem::take(first))
}

/// Places count from 1, or from the end if they are below 0; 0 is the first.
fn slice(row: &Row<'_>) -> Option<Vec<u32>> {
    let places = row.array(0)?;
    let length = places.len() as i64;
    let absolute = |place: i64| match place {
        0 => 1,
        ..0 => length + 1 + place,
        _ => place,
    };
    let from = absolute(row.bigint(0)?).max(1);
    let to = if row.others.len() > 1 { absolute(row.bigint(1)?) } else { length }.min(length);
    Some(places.skip(from as usize - 1).take((to - from + 1).max(0) as usize).collect())
}

impl ArrayFunction {
    fn takes(&self, argument: usize) -> Takes {
        self.takes[argument.min(self.takes.len() - 1)]
    }

    fn wrong(&self, argument: usize, given: &DataType) -> Error {
        let (name, given) = (self.name.to_uppercase(), sql_type(given));
        Error::user(format!("argument {} of {name} cannot be a {given}: {}", argument + 1, self.usage))
    }

    /// The type of the elements: what all arrays and elements that are given have in common.
    fn element_type(&self, given: &[DataType]) -> Result<DataType> {
        let mut element: Option<DataType> = None;
        for (argument, given) in given.iter().enumerate() {
            let part = match (self.takes(argument), given) {
                (Takes::Array, DataType::List(part)) => part.data_type(),
                (Takes::Array, DataType::Null) | (Takes::Element, _) => given,
                (Takes::Array, _) => return Err(self.wrong(argument, given)),
                _ => continue,
            };
            element = Some(match element {
                None => part.clone(),
                Some(element) => common_type(&element, part).ok_or_else(|| {
                    let (name, element, part) = (self.name.to_uppercase(), sql_type(&element), sql_type(part));
                    Error::user(format!("{name} cannot bring {element} and {part} together: cast one of them"))
                })?,
            });
        }
        element.ok_or_else(|| Error::bug(format!("{} has no array", self.name)))
    }
}

impl ScalarFunction for ArrayFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let most = if self.repeats { usize::MAX } else { self.takes.len() };
        expect_count(self.name, given, self.usage, self.takes.len() - self.optional..=most)?;
        if self.name == "cardinality" && matches!(given[0], DataType::Map(..)) {
            return Ok(given.to_vec());
        }
        let element = self.element_type(given)?;
        let mut types = Vec::new();
        for (argument, given) in given.iter().enumerate() {
            types.push(match self.takes(argument) {
                Takes::Array => array_type(element.clone()),
                Takes::Element => element.clone(),
                Takes::Bigint if given.is_integer() || given.is_null() => DataType::Int64,
                Takes::Boolean if matches!(given, DataType::Boolean | DataType::Null) => DataType::Boolean,
                _ => return Err(self.wrong(argument, given)),
            });
        }
        Ok(types)
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        let element = |first: &DataType| match (self.takes(0), first) {
            (Takes::Array, DataType::List(element)) => element.data_type().clone(),
            _ => first.clone(),
        };
        let element = arguments.first().map_or(DataType::Null, element);
        match self.gives {
            Gives::Array(_) => array_type(element),
            Gives::Element(_) => element,
            Gives::Int(_) => DataType::Int32,
            Gives::Boolean(_) => DataType::Boolean,
        }
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        if let Some(maps) = arguments.first().and_then(|argument| argument.values().as_map_opt()) {
            let offsets = maps.value_offsets();
            let size = |row: usize| maps.is_valid(row).then(|| offsets[row + 1] - offsets[row]);
            return per_row(&Argument::new(Arc::new((0..maps.len()).map(size).collect::<Int32Array>()), arguments[0].is_constant()), rows);
        }
        let others = (0..arguments.len()).position(|argument| matches!(self.takes(argument), Takes::Bigint | Takes::Boolean));
        let (chosen, others) = arguments.split_at(others.unwrap_or(arguments.len()));
        let kinds = (0..).map(|argument| self.takes(argument) == Takes::Array);
        let elements = &Elements::new(chosen.iter().zip(kinds), self.compares)?;
        let rows = (0..rows).map(|row| Row { elements, others, row });
        Ok(match self.gives {
            Gives::Array(places) => arrays_of(&elements.values, &rows.map(|row| places(&row)).collect::<Vec<_>>())?,
            Gives::Element(place) => taken(&elements.values, &rows.map(|row| place(&row)).collect::<Result<Vec<_>>>()?)?,
            Gives::Int(number) => Arc::new(rows.map(|row| number(&row)).collect::<Int32Array>()),
            Gives::Boolean(flag) => Arc::new(rows.map(|row| flag(&row)).collect::<BooleanArray>()),
        })
    }
}

/// The type that values of both are brought to in an array. As in Flink, numbers are no texts.
pub(super) fn common_type(one: &DataType, two: &DataType) -> Option<DataType> {
    match (one, two) {
        _ if one == two => Some(one.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (DataType::List(one), DataType::List(two)) => Some(array_type(common_type(one.data_type(), two.data_type())?)),
        (DataType::Struct(one), DataType::Struct(two)) if one.len() == two.len() => {
            let common = one.iter().zip(two).map(|(one, two)| Some((one.name().clone(), common_type(one.data_type(), two.data_type())?)));
            Some(crate::sql::row_type(common.collect::<Option<Vec<_>>>()?))
        }
        _ if (one.is_numeric() && two.is_numeric()) || (one.is_temporal() && two.is_temporal()) => {
            datafusion_expr::type_coercion::binary::type_union_coercion(one, two)
        }
        _ => None,
    }
}

/// `ARRAY_JOIN(array, delimiter [, null])`: the texts of an array, with what nulls are shown as; without it they are left out.
#[derive(Debug)]
pub(super) struct ArrayJoin;

impl ScalarFunction for ArrayJoin {
    fn name(&self) -> &str {
        "array_join"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let usage = "ARRAY_JOIN(array, delimiter [, null])";
        expect_count(self.name(), given, usage, 2..=3)?;
        if !matches!(given[0], DataType::List(_) | DataType::Null) {
            return Err(Error::user(format!("argument 1 of ARRAY_JOIN cannot be a {}: {usage}", sql_type(&given[0]))));
        }
        let mut types = vec![DataType::Utf8; given.len()];
        types[0] = array_type(DataType::Utf8);
        Ok(types)
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let elements = Elements::new([(&arguments[0], true)], false)?;
        let texts = elements.values.as_string::<i32>();
        let joined = |row: usize| {
            let places = elements.array(0, row)?;
            let delimiter = arguments[1].text(row)?;
            let null = match arguments.get(2) {
                Some(argument) => Some(argument.text(row)?),
                None => None,
            };
            let shown = places.filter_map(|place| if texts.is_null(place as usize) { null } else { Some(texts.value(place as usize)) });
            Some(shown.collect::<Vec<_>>().join(delimiter))
        };
        Ok(Arc::new((0..rows).map(joined).collect::<StringArray>()))
    }
}

/// `SPLIT(text, delimiter)`: an array of the parts; without a delimiter, of the letters.
#[derive(Debug)]
pub(super) struct Split;

impl ScalarFunction for Split {
    fn name(&self) -> &str {
        "split"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "SPLIT(text, delimiter)", 2..=2)?;
        match given.iter().find(|given| !matches!(given, DataType::Utf8 | DataType::Null)) {
            None => Ok(vec![DataType::Utf8; 2]),
            Some(other) => Err(Error::user(format!("SPLIT takes texts, not {}", sql_type(other)))),
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        array_type(DataType::Utf8)
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let (mut parts, mut lists): (Vec<String>, Vec<Option<Vec<u32>>>) = (Vec::new(), Vec::new());
        for row in 0..rows {
            if is_null(&arguments[0], row) || is_null(&arguments[1], row) {
                lists.push(None);
                continue;
            }
            let from = parts.len() as u32;
            match (arguments[0].text(row).unwrap_or_default(), arguments[1].text(row).unwrap_or_default()) {
                (text, "") => parts.extend(text.chars().map(String::from)),
                (text, delimiter) => parts.extend(text.split(delimiter).map(str::to_owned)),
            }
            lists.push(Some((from..parts.len() as u32).collect()));
        }
        let parts: ArrayRef = Arc::new(StringArray::from(parts));
        arrays_of(&parts, &lists)
    }
}

//! Functions of numbers, one row at a time, and those that keep the type of their argument.

use super::row::Kind::Double;
use super::row::{Row, RowFunction};
use super::string::expect_count;
use super::{Argument, ScalarFunction};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array, Float64Array, Int64Array};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::f64::consts;
use std::sync::Arc;

/// Usage and computation of a function of one number.
type OfOne = (&'static str, fn(f64) -> f64);

pub(super) fn all() -> Vec<RowFunction> {
    let of_one: [OfOne; 17] = [
        ("sin(number)", f64::sin),
        ("cos(number)", f64::cos),
        ("tan(number)", f64::tan),
        ("cot(number)", |x| x.tan().recip()),
        ("asin(number)", f64::asin),
        ("acos(number)", f64::acos),
        ("atan(number)", f64::atan),
        ("sinh(number)", f64::sinh),
        ("cosh(number)", f64::cosh),
        ("tanh(number)", f64::tanh),
        ("degrees(number)", f64::to_degrees),
        ("radians(number)", f64::to_radians),
        ("log10(number)", f64::log10),
        ("log2(number)", f64::log2),
        ("ln(number)", f64::ln),
        ("exp(number)", f64::exp),
        ("sqrt(number)", f64::sqrt),
    ];
    let mut functions: Vec<_> =
        of_one.into_iter().map(|(usage, compute)| RowFunction::double(usage, &[Double], move |row| Some(compute(row.double(0))))).collect();
    functions.extend([
        RowFunction::double("pi()", &[], |_| Some(consts::PI)),
        RowFunction::double("e()", &[], |_| Some(consts::E)),
        RowFunction::double("power(number, exponent)", &[Double, Double], |row| Some(row.double(0).powf(row.double(1)))),
        RowFunction::double("atan2(y, x)", &[Double, Double], |row| Some(row.double(0).atan2(row.double(1)))),
        RowFunction::double("log([base, ] number)", &[Double, Double], logarithm).optional(1),
    ]);
    functions
}

fn logarithm(row: &Row<'_>) -> Option<f64> {
    Some(if row.has(1) { row.double(1).ln() / row.double(0).ln() } else { row.double(0).ln() })
}

/// `HEX(value)`: of a whole number its digits, of text those of its bytes.
#[derive(Debug)]
pub(super) struct Hex;

impl ScalarFunction for Hex {
    fn name(&self) -> &str {
        "hex"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "HEX(number or text)", 1..=1)?;
        Ok(vec![if given[0].is_integer() { DataType::Int64 } else { DataType::Utf8 }])
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataType {
        DataType::Utf8
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let number = arguments[0].values().data_type() == &DataType::Int64;
        let hex = |row: usize| {
            if number {
                return arguments[0].bigint(row).map(|number| format!("{number:X}"));
            }
            arguments[0].text(row).map(|text| text.bytes().map(|byte| format!("{byte:02X}")).collect())
        };
        Ok(Arc::new((0..rows).map(hex).collect::<arrow_array::StringArray>()))
    }
}

/// A function whose result has the type of its first argument: whole numbers, decimals or floating-point numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// To so many digits after the point, halves away from zero.
    Round,
    /// The same, towards zero.
    Truncate,
    Sign,
}

/// `ROUND(number [, digits])`, `TRUNCATE(number [, digits])` and `SIGN(number)`.
#[derive(Debug)]
pub(super) struct Shaped(pub(super) Shape);

impl ScalarFunction for Shaped {
    fn name(&self) -> &str {
        match self.0 {
            Shape::Round => "round",
            Shape::Truncate => "truncate",
            Shape::Sign => "sign",
        }
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let usage = match self.0 {
            Shape::Round => "ROUND(number [, digits])",
            Shape::Truncate => "TRUNCATE(number [, digits])",
            Shape::Sign => "SIGN(number)",
        };
        expect_count(self.name(), given, usage, 1..=if self.0 == Shape::Sign { 1 } else { 2 })?;
        let number = match &given[0] {
            decimal @ DataType::Decimal128(_, _) => decimal.clone(),
            given if given.is_integer() => DataType::Int64,
            given if given.is_numeric() || given.is_null() => DataType::Float64,
            other => return Err(Error::user(format!("a {} is not a number: {usage}", crate::sql::sql_type(other)))),
        };
        Ok([number, DataType::Int64][..given.len()].to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        arguments.first().cloned().unwrap_or(DataType::Null)
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let (number, shape) = (&arguments[0], self.0);
        let digits = |row: usize| arguments.get(1).map_or(Some(0), |digits| digits.bigint(row));
        let at = |row: usize| {
            let row = if number.is_constant() { 0 } else { row };
            number.values().is_valid(row).then_some(row)
        };
        Ok(match number.values().data_type() {
            DataType::Int64 => {
                let values = number.values().as_primitive::<Int64Type>();
                let shaped = |row| Some(shape.of_whole(i128::from(values.value(at(row)?)), digits(row)?) as i64);
                Arc::new((0..rows).map(shaped).collect::<Int64Array>())
            }
            DataType::Decimal128(precision, scale) => {
                let (values, scale) = (number.values().as_primitive::<Decimal128Type>(), *scale);
                let shaped = |row| {
                    let (value, digits) = (values.value(at(row)?), digits(row)?);
                    Some(match shape {
                        Shape::Sign => value.signum() * 10_i128.checked_pow(scale as u32)?,
                        _ => shape.of_whole(value, digits.saturating_sub(i64::from(scale))),
                    })
                };
                let shaped = (0..rows).map(shaped).collect::<Decimal128Array>();
                let text = |error: arrow_schema::ArrowError| Error::user(format!("{}: {error}", self.name().to_uppercase()));
                Arc::new(shaped.with_precision_and_scale(*precision, scale).map_err(text)?)
            }
            _ => {
                let values = number.values().as_primitive::<Float64Type>();
                let shaped = |row| Some(shape.of_double(values.value(at(row)?), digits(row)?));
                Arc::new((0..rows).map(shaped).collect::<Float64Array>())
            }
        })
    }
}

impl Shape {
    /// Negative digits are those before the point; there are none behind it.
    fn of_whole(self, value: i128, digits: i64) -> i128 {
        if self == Self::Sign {
            return value.signum();
        }
        if digits >= 0 {
            return value;
        }
        let Some(unit) = u32::try_from(-digits).ok().and_then(|digits| 10_i128.checked_pow(digits)) else { return 0 };
        let below = value % unit;
        let up = if self == Self::Round && below.unsigned_abs() * 2 >= unit.unsigned_abs() { value.signum() * unit } else { 0 };
        (value - below).saturating_add(up)
    }

    /// As Java's `BigDecimal` of the shortest decimal text of the number.
    fn of_double(self, value: f64, digits: i64) -> f64 {
        if self == Self::Sign {
            return if value == 0.0 || value.is_nan() { value } else { value.signum() };
        }
        if !value.is_finite() || digits >= 324 {
            return value;
        }
        // Rust writes the shortest text that reads as the same number, without exponent.
        let text = format!("{}", value.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let kept = whole.len() as i64 + digits;
        if kept < 0 {
            return 0.0;
        }
        if digits >= fraction.len() as i64 {
            return value;
        }
        let mut all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let (kept, point) = (kept as usize, whole.len());
        let up = self == Self::Round && all[kept] >= b'5';
        all[kept..].fill(b'0');
        let mut carry = up;
        for digit in all[..kept].iter_mut().rev() {
            if !carry {
                break;
            }
            carry = *digit == b'9';
            *digit = if carry { b'0' } else { *digit + 1 };
        }
        let digits = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
        let text = format!("{}{}.{}", if carry { "1" } else { "" }, digits(&all[..point]), digits(&all[point..]));
        text.parse::<f64>().unwrap_or(value.abs()).copysign(value)
    }
}

/// `GREATEST(value, ...)` and `LEAST(value, ...)`: null if one of them is, unlike DataFusion's.
#[derive(Debug)]
pub(super) struct Extreme {
    pub(super) greatest: bool,
}

impl ScalarFunction for Extreme {
    fn name(&self) -> &str {
        if self.greatest { "greatest" } else { "least" }
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let usage = format!("{}(value, ...)", self.name().to_uppercase());
        expect_count(self.name(), given, &usage, 1..=255)?;
        let common = datafusion_expr::type_coercion::binary::type_union_resolution(given);
        let common = common.ok_or_else(|| Error::user(format!("the arguments have no type in common: {usage}")))?;
        Ok(vec![common; given.len()])
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        arguments.first().cloned().unwrap_or(DataType::Null)
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let failed = |error: arrow_schema::ArrowError| Error::user(format!("{}: {error}", self.name().to_uppercase()));
        let column = |argument: &Argument| {
            let indices = Int64Array::from_iter_values((0..rows as i64).map(|row| if argument.is_constant() { 0 } else { row }));
            arrow_select::take::take(argument.values(), &indices, None).map_err(failed)
        };
        let mut best = column(&arguments[0])?;
        for argument in &arguments[1..] {
            let other = column(argument)?;
            let better = if self.greatest { arrow_ord::cmp::gt(&best, &other) } else { arrow_ord::cmp::lt(&best, &other) };
            // Where one of the two is null, so is the comparison; what is null then is taken.
            let better = better.map_err(failed)?;
            let mask: arrow_array::BooleanArray =
                (0..rows).map(|row| Some(if better.is_valid(row) { better.value(row) } else { best.is_null(row) })).collect();
            best = arrow_select::zip::zip(&mask, &best, &other).map_err(failed)?;
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_rounded_by_their_decimal_text() {
        let round = |value, digits| Shape::Round.of_double(value, digits);
        assert_eq!([round(2.5, 0), round(-2.5, 0), round(1.005, 2), round(0.05, 1), round(9.99, 1)], [3.0, -3.0, 1.01, 0.1, 10.0]);
        assert_eq!(
            [round(1234.5, -2), round(50.0, -2), round(49.0, -2), round(1e300, 2), round(5.0, -3)],
            [1200.0, 100.0, 0.0, 1e300, 0.0]
        );
        assert_eq!([Shape::Truncate.of_double(1.999, 2), Shape::Truncate.of_double(-1.999, 0)], [1.99, -1.0]);
        assert!(round(f64::NAN, 1).is_nan());
    }

    #[test]
    fn whole_numbers_are_rounded_before_the_point() {
        let round = |value, digits| Shape::Round.of_whole(value, digits);
        assert_eq!([round(1250, -2), round(-1250, -2), round(1249, -2), round(7, 3), round(7, -60)], [1300, -1300, 1200, 7, 0]);
        assert_eq!(Shape::Truncate.of_whole(-1299, -2), -1200);
    }
}

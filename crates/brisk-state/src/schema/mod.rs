//! Whether a program can go on with the state of an older one.

mod compare;
mod convert;

pub(crate) use compare::{check_layout, compare, compare_slots};
pub(crate) use convert::{Conversion, converted};

//! Whether a program can go on with the state of an older one.

mod compare;

pub(crate) use compare::{check_layout, compare, compare_key, compare_values};

//! Whether a program can go on with the state of an older one.

mod compare;

pub(crate) use compare::{compare, compare_key, compare_values};

//! Sources that give columnar batches: what readers of tables have in common.
//!
//! Splits are found once, at the start, and dealt out: split i to reader i modulo their number, so that who reads what does not depend on
//! time. A checkpoint holds the splits with how far they have been read.

mod enumerator;
mod operator;

pub(crate) use operator::{ColumnReader, ColumnSource, Read};

//! Derive macros of Brisk: `#[derive(Record)]` and `#[derive(Key)]`.

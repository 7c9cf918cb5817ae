//! The harnesses themselves.

mod harness;

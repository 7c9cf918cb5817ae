//! Harnesses over the real runtime.

mod engine;
mod feed;
mod inputs;
mod named;
mod output;

pub use inputs::{OneInputHarness, TwoInputHarness};
pub use named::{KeyedOneInputHarness, KeyedTwoInputHarness};
pub use output::Event;

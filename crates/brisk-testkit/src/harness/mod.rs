//! Harnesses over the real runtime.

mod engine;
mod feed;
mod inputs;
mod named;
mod output;
mod snapshot;

pub use inputs::{OneInputHarness, TwoInputHarness};
pub use named::{KeyedOneInputHarness, KeyedTwoInputHarness};
pub use output::Event;
pub use snapshot::HarnessSnapshot;

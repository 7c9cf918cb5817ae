//! Harnesses over the real runtime.

mod engine;
mod feed;
mod inputs;
mod output;

pub use inputs::{OneInputHarness, TwoInputHarness};
pub use output::Event;

//! Test harnesses (Flink's `OneInputStreamOperatorTestHarness` and its relatives) and a manual clock.
//!
//! A harness runs what a test builds with the DataStream API on the real runtime, one step at a time, on the calling thread: the test
//! feeds records, watermarks and processing time, and looks at what comes out. Nothing happens in between, and nothing sleeps.
//!
//! ```
//! use brisk_testkit::OneInputHarness;
//! # fn main() -> brisk_base::Result<()> {
//! let mut harness = OneInputHarness::of(|numbers| numbers.key_by(|n: &i64| n % 2).reduce(|a, b| a + b))?;
//! for n in [1, 2, 3] {
//!     harness.element(n, 0)?;
//! }
//! assert_eq!(harness.output()?, [1, 2, 4]);
//! # Ok(())
//! # }
//! ```

mod clock;
mod harness;

pub use clock::{ManualClock, manual_world};
pub use harness::{Event, HarnessSnapshot, KeyedOneInputHarness, KeyedTwoInputHarness, OneInputHarness, TwoInputHarness};

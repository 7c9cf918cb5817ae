//! Harnesses by Flink's names: a keyed, co- or broadcast function alone, without the stream around it.

use super::{OneInputHarness, TwoInputHarness};
use brisk_base::Result;
use brisk_core::types::Key;
use brisk_stream::function::{KeyedCoProcessFunction, KeyedProcessFunction};

/// A [`OneInputHarness`] around a keyed process function (Flink's `KeyedOneInputStreamOperatorTestHarness`).
pub struct KeyedOneInputHarness;

impl KeyedOneInputHarness {
    /// Runs `F` on the input, keyed by `key`.
    ///
    /// # Errors
    /// When the pipeline is not a right graph.
    pub fn of<F, K>(key: impl Fn(&F::In) -> K + Clone + Send + Sync + 'static) -> Result<OneInputHarness<F::In, F::Out>>
    where
        K: Key,
        F: KeyedProcessFunction<Key = K>,
    {
        OneInputHarness::of(|input| input.key_by(key).process::<F>())
    }
}

/// A [`TwoInputHarness`] around a keyed co-process function (Flink's `KeyedTwoInputStreamOperatorTestHarness`).
pub struct KeyedTwoInputHarness;

impl KeyedTwoInputHarness {
    /// Runs `F` on both inputs, keyed by `first` and `second`.
    ///
    /// # Errors
    /// When the pipeline is not a right graph.
    pub fn of<F, K>(
        first: impl Fn(&F::In1) -> K + Clone + Send + Sync + 'static,
        second: impl Fn(&F::In2) -> K + Clone + Send + Sync + 'static,
    ) -> Result<TwoInputHarness<F::In1, F::In2, F::Out>>
    where
        K: Key,
        F: KeyedCoProcessFunction<Key = K>,
    {
        TwoInputHarness::of(|a, b| a.key_by(first).connect(&b.key_by(second)).process::<F>())
    }
}

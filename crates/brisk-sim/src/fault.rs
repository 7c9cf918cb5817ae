//! A fault in user code that strikes at a record of the seed's choice.

use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Fails one of the records that a function sees, counted over all subtasks: with an error or with a panic, as the seed decides.
///
/// ```
/// use brisk_sim::{Fault, simulate_seeded};
///
/// simulate_seeded(|env, rng| {
///     let fault = Fault::draw(rng, 50);
///     Ok(env.from_sequence(1, 100).try_map(move |n| fault.hit().map(|()| n)))
/// })
/// .seeds(5)
/// .may_fail()
/// .check(|run| assert!(run.result.as_ref().is_err_and(|error| error.to_string().contains(Fault::MESSAGE))));
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    /// Number of the record that fails, from 0.
    at: u64,
    /// Whether it fails with a panic.
    panics: bool,
    /// Records so far.
    seen: Arc<AtomicU64>,
}

impl Fault {
    /// What the error or the panic says.
    pub const MESSAGE: &'static str = "an injected fault";

    /// A fault at one of the first `within` records.
    pub fn draw(rng: &mut Rng, within: u64) -> Self {
        Self { at: rng.below(within), panics: rng.one_in(2), seen: Arc::default() }
    }

    /// To be called for each record.
    ///
    /// # Errors
    /// At the record of the seed's choice.
    ///
    /// # Panics
    /// There, instead of the error, if the seed chose so.
    pub fn hit(&self) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::Relaxed) != self.at {
            return Ok(());
        }
        assert!(!self.panics, "{}", Self::MESSAGE);
        Err(Error::user(Self::MESSAGE))
    }

    /// Whether it has struck.
    pub fn has_struck(&self) -> bool {
        self.seen.load(Ordering::Relaxed) > self.at
    }
}

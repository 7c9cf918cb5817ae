//! Results that the program itself reads from memory, exactly once although tasks restart.
//!
//! A subtask holds its results back until the checkpoint that has them is complete. It stores them with the checkpoint: a task that is
//! restored gives out what may not have been given out before the failure, and the program's side, which survives restarts, knows what it
//! has got. A program that begins from a savepoint of another one is given the results of that savepoint again.

use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use std::collections::{BTreeMap, VecDeque};

/// Results of one subtask between two checkpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed<B> {
    /// The subtask that made them.
    pub subtask: u32,
    /// The checkpoint whose barrier came behind them.
    pub checkpoint: CheckpointId,
    /// The results.
    pub results: Vec<B>,
}

/// Which results the program has got.
#[derive(Default, Debug)]
pub struct GivenOut(BTreeMap<u32, CheckpointId>);

impl GivenOut {
    /// Whether these results are new; they count as given out from now on.
    pub fn is_new<B>(&mut self, sealed: &Sealed<B>) -> bool {
        let last = self.0.entry(sealed.subtask).or_default();
        let is_new = sealed.checkpoint > *last;
        *last = sealed.checkpoint.max(*last);
        is_new
    }
}

/// The results that one subtask holds back.
#[derive(Debug)]
pub struct HeldBack<B> {
    subtask: u32,
    /// Rows that may be held back.
    max_rows: usize,
    /// Results behind the last barrier.
    open: Vec<B>,
    /// Results of checkpoints that are not complete, with their rows, in order.
    sealed: VecDeque<(Sealed<B>, usize)>,
    /// Rows in `open`.
    open_rows: usize,
    /// Rows in `sealed`.
    sealed_rows: usize,
}

impl<B> HeldBack<B> {
    /// Nothing yet.
    pub const fn new(subtask: u32, max_rows: usize) -> Self {
        Self { subtask, max_rows, open: Vec::new(), sealed: VecDeque::new(), open_rows: 0, sealed_rows: 0 }
    }

    /// Holds a batch of results back.
    ///
    /// # Errors
    /// When there are too many of them.
    pub fn push(&mut self, batch: B, rows: usize) -> Result<()> {
        self.open.push(batch);
        self.open_rows += rows;
        if self.open_rows + self.sealed_rows > self.max_rows {
            return Err(Error::user(format!(
                "more than {} results of one subtask wait in memory for a checkpoint: lower execution.checkpointing.interval, or write to \
                 a real sink",
                self.max_rows
            )));
        }
        Ok(())
    }

    /// The barrier of a checkpoint has come.
    pub fn seal(&mut self, checkpoint: CheckpointId) {
        if self.open.is_empty() {
            return;
        }
        let (results, rows) = (std::mem::take(&mut self.open), std::mem::take(&mut self.open_rows));
        self.sealed.push_back((Sealed { subtask: self.subtask, checkpoint, results }, rows));
        self.sealed_rows += rows;
    }

    /// What waits for checkpoints to be complete.
    pub fn waiting(&self) -> impl Iterator<Item = &Sealed<B>> {
        self.sealed.iter().map(|(sealed, _)| sealed)
    }

    /// A checkpoint is complete: gives the results that it and those before it have.
    pub fn complete(&mut self, checkpoint: CheckpointId) -> Vec<Sealed<B>> {
        let mut due = Vec::new();
        while let Some((sealed, rows)) = self.sealed.pop_front_if(|(sealed, _)| sealed.checkpoint <= checkpoint) {
            self.sealed_rows -= rows;
            due.push(sealed);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_out_with_their_checkpoint_and_once() {
        let (mut held, mut given) = (HeldBack::new(3, 10), GivenOut::default());
        held.push("a", 4).expect("there is room");
        held.seal(CheckpointId(1));
        held.seal(CheckpointId(2));
        held.push("b", 6).expect("there is room");
        assert!(held.push("c", 1).is_err(), "too many");
        let due = held.complete(CheckpointId(2));
        assert_eq!(due, [Sealed { subtask: 3, checkpoint: CheckpointId(1), results: vec!["a"] }]);
        assert!(given.is_new(&due[0]) && !given.is_new(&due[0]));
        assert!(held.complete(CheckpointId(9)).is_empty(), "no barrier has come behind them");
        held.seal(CheckpointId(10));
        assert_eq!(held.waiting().count(), 1);
    }
}

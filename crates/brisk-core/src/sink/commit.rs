//! What makes a sink exactly-once: what a writer has prepared becomes visible when the checkpoint that holds it is complete.
//!
//! Invariants: something prepared is part of each checkpoint from the one that it was prepared for until it is committed; it is committed
//! after that checkpoint is complete, or never; after a failure it may be committed again.

use crate::operator::RuntimeContext;
use crate::state::{OperatorSnapshot, Redistribution};
use crate::types::{Decoder, Record};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, ResultExt};
use std::marker::PhantomData;

/// How often a commit is tried before the task fails.
const ATTEMPTS: u32 = 10;
/// Name of the operator state.
const NAME: &str = "$committables";

/// Something that a writer has prepared and a [`Committer`] makes visible: a record, encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committable(Vec<u8>);

impl Committable {
    /// Of a record.
    pub fn new(record: &impl Record) -> Self {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        Self(bytes)
    }

    /// One that has travelled as bytes.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to travel.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The record.
    ///
    /// # Errors
    /// `Corrupt` when it is none of this type.
    pub fn read<C: Record>(&self) -> Result<C> {
        let mut input = Decoder::new(&self.0);
        let record = C::decode(&mut input).context(|| "something to be committed")?;
        input.finish().map(|()| record)
    }
}

/// Makes visible what writers have prepared (Flink's `Committer`).
pub trait Committer<C>: Send {
    /// Commits. After a failure the same may come again: what is visible already is passed over. Gives back what is to be tried again.
    ///
    /// # Errors
    /// Fails the task; what was to be committed comes again after the restart.
    fn commit(&mut self, committables: Vec<C>) -> Result<Vec<C>>;

    /// The input has ended, and everything is committed. Only a global committer knows this of all subtasks.
    ///
    /// # Errors
    /// Fails the task.
    fn end_of_input(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A committer whose type is erased.
pub struct AnyCommitter(Box<dyn Erased>);

trait Erased: Send {
    fn commit(&mut self, committables: &[Committable]) -> Result<()>;
    fn end_of_input(&mut self) -> Result<()>;
}

struct Typed<C, K> {
    committer: K,
    committable: PhantomData<fn(C)>,
}

impl<C: Record, K: Committer<C>> Erased for Typed<C, K> {
    fn commit(&mut self, committables: &[Committable]) -> Result<()> {
        let mut left = committables.iter().map(Committable::read).collect::<Result<Vec<C>>>()?;
        for _ in 0..ATTEMPTS {
            if left.is_empty() {
                return Ok(());
            }
            left = self.committer.commit(left)?;
        }
        if left.is_empty() {
            return Ok(());
        }
        Err(Error::transient(format!("{} of {} commits have not worked in {ATTEMPTS} attempts", left.len(), committables.len())))
    }

    fn end_of_input(&mut self) -> Result<()> {
        self.committer.end_of_input()
    }
}

impl AnyCommitter {
    /// Erases the type of a committer.
    pub fn new<C: Record>(committer: impl Committer<C> + 'static) -> Self {
        Self(Box::new(Typed { committer, committable: PhantomData::<fn(C)> }))
    }
}

/// For operators: what has been prepared and is to be committed, by checkpoint.
pub struct Commits {
    committer: AnyCommitter,
    /// What waits for its checkpoint, in order.
    pending: Vec<(CheckpointId, Committable)>,
}

impl Commits {
    /// Commits what a checkpoint left, and goes on.
    ///
    /// # Errors
    /// The committer's.
    pub fn restored(committer: AnyCommitter, cx: &RuntimeContext) -> Result<Self> {
        let left: Vec<(u64, Vec<u8>)> = cx.state.operator_state(NAME)?;
        let mut commits = Self { committer, pending: Vec::new() };
        let left: Vec<_> = left.into_iter().map(|(_, bytes)| Committable(bytes)).collect();
        commits.commit(&left)?;
        Ok(commits)
    }

    /// Something has been prepared for a checkpoint.
    pub fn add(&mut self, checkpoint: CheckpointId, committables: impl IntoIterator<Item = Committable>) {
        self.pending.extend(committables.into_iter().map(|committable| (checkpoint, committable)));
    }

    /// Adds what waits to a snapshot.
    pub fn snapshot(&self, snapshot: &mut OperatorSnapshot) {
        let items: Vec<_> = self.pending.iter().map(|(checkpoint, committable)| (checkpoint.0, committable.0.clone())).collect();
        snapshot.add_operator_state(NAME, Redistribution::Split, &items);
    }

    /// Commits what was prepared for a checkpoint that is complete, or one before.
    ///
    /// # Errors
    /// The committer's.
    pub fn complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        let due: Vec<_> =
            self.pending.extract_if(.., |(prepared, _)| *prepared <= checkpoint).map(|(_, committable)| committable).collect();
        self.commit(&due)
    }

    /// Commits at once: where there are no checkpoints.
    ///
    /// # Errors
    /// The committer's.
    pub fn commit(&mut self, committables: &[Committable]) -> Result<()> {
        if committables.is_empty() { Ok(()) } else { self.committer.0.commit(committables) }
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The input has ended and everything is committed.
    ///
    /// # Errors
    /// The committer's.
    pub fn end_of_input(&mut self) -> Result<()> {
        self.committer.0.end_of_input()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits odd numbers at the second attempt only.
    struct Slow(Vec<u64>, bool);

    impl Committer<u64> for Slow {
        fn commit(&mut self, committables: Vec<u64>) -> Result<Vec<u64>> {
            let again = std::mem::replace(&mut self.1, true);
            let (now, later): (Vec<_>, Vec<_>) = committables.into_iter().partition(|number| again || number % 2 == 0);
            self.0.extend(now);
            Ok(later)
        }
    }

    struct Never;

    impl Committer<u64> for Never {
        fn commit(&mut self, committables: Vec<u64>) -> Result<Vec<u64>> {
            Ok(committables)
        }
    }

    #[test]
    fn what_is_given_back_is_tried_again_but_not_for_ever() {
        let all = [1u64, 2, 3].map(|number| Committable::new(&number));
        let mut slow = Typed { committer: Slow(Vec::new(), false), committable: PhantomData::<fn(u64)> };
        slow.commit(&all).expect("the second attempt works");
        assert_eq!(slow.committer.0, [2, 1, 3]);
        let error = AnyCommitter::new(Never).0.commit(&all).expect_err("never works");
        assert!(error.to_string().contains("3 of 3 commits have not worked in 10 attempts"), "{error}");
    }

    #[test]
    fn commits_wait_for_their_checkpoint() {
        let mut commits = Commits { committer: AnyCommitter::new(Slow(Vec::new(), true)), pending: Vec::new() };
        commits.add(CheckpointId(1), [Committable::new(&1u64)]);
        commits.add(CheckpointId(2), [Committable::new(&2u64)]);
        commits.complete(CheckpointId(1)).expect("works");
        assert_eq!(commits.pending, [(CheckpointId(2), Committable::new(&2u64))]);
        let mut snapshot = OperatorSnapshot::default();
        commits.snapshot(&mut snapshot);
        assert_eq!(snapshot.operator[0].items.len(), 1);
    }
}

//! What somebody has asked for who will come back for the answer: savepoints, checkpoints, disposals.
//!
//! Bounded: answers are kept for `rest.async.store-duration`, and no more than a thousand operations are known at once.

use crate::details::OperationStatus;
use brisk_base::ids::JobId;
use brisk_base::{Error, Millis, Result, Timestamp};
use std::collections::BTreeMap;

/// How many operations are known at once.
const MOST: usize = 1000;

/// Names an operation: whoever asks for it chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperationKey {
    /// The job that it is about, if it is about one.
    pub job: Option<JobId>,
    /// The number.
    pub trigger: u128,
}

/// See the module.
#[derive(Debug)]
pub struct Operations {
    /// How long answers are kept.
    keep: Millis,
    /// With when each ended.
    known: BTreeMap<OperationKey, (OperationStatus, Option<Timestamp>)>,
}

impl Operations {
    /// No operations.
    pub const fn new(keep: Millis) -> Self {
        Self { keep, known: BTreeMap::new() }
    }

    /// An operation is asked for. False if it has been asked for before: then it is not begun again.
    ///
    /// # Errors
    /// When there are too many.
    pub fn begin(&mut self, key: OperationKey, now: Timestamp) -> Result<bool> {
        self.forget(now);
        if self.known.contains_key(&key) {
            return Ok(false);
        }
        if self.known.len() >= MOST {
            return Err(Error::transient(format!("{MOST} operations are under way or not looked at: try again later")));
        }
        self.known.insert(key, (OperationStatus::InProgress, None));
        Ok(true)
    }

    /// An operation is over. The first end counts.
    pub fn end(&mut self, key: OperationKey, result: Result<String>, now: Timestamp) {
        if let Some((status, ended @ None)) = self.known.get_mut(&key) {
            *status = result.map_or_else(|error| OperationStatus::Failed(error.to_string()), OperationStatus::Completed);
            *ended = Some(now);
        }
    }

    /// How an operation stands.
    pub fn status(&mut self, key: OperationKey, now: Timestamp) -> Option<OperationStatus> {
        self.forget(now);
        self.known.get(&key).map(|(status, _)| status.clone())
    }

    fn forget(&mut self, now: Timestamp) {
        let keep = self.keep;
        self.known.retain(|_, (_, ended)| ended.is_none_or(|ended| now < ended + keep));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trigger: u128) -> OperationKey {
        OperationKey { job: None, trigger }
    }

    #[test]
    fn an_operation_begins_once_and_its_answer_is_kept_for_a_while() {
        let mut operations = Operations::new(Millis(100));
        assert!(operations.begin(key(1), Timestamp(0)).expect("there is room"));
        assert!(!operations.begin(key(1), Timestamp(500)).expect("it is known"));
        assert_eq!(operations.status(key(1), Timestamp(10_000)), Some(OperationStatus::InProgress));
        operations.end(key(1), Ok("here".to_owned()), Timestamp(10_000));
        operations.end(key(1), Err(Error::user("late")), Timestamp(10_001));
        assert_eq!(operations.status(key(1), Timestamp(10_099)), Some(OperationStatus::Completed("here".to_owned())));
        assert_eq!(operations.status(key(1), Timestamp(10_100)), None);
    }

    #[test]
    fn there_is_a_limit() {
        let mut operations = Operations::new(Millis(100));
        for number in 0..MOST {
            operations.begin(key(number as u128), Timestamp(0)).expect("there is room");
        }
        operations.begin(key(MOST as u128), Timestamp(0)).expect_err("it is full");
        operations.end(key(0), Ok(String::new()), Timestamp(0));
        operations.begin(key(MOST as u128), Timestamp(100)).expect("one has been forgotten");
    }
}

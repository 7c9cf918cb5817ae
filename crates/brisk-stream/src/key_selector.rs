//! How a record's key is found: by a closure that makes it, or by one that borrows it from the record.
//!
//! Key selectors are pure: the same record has the same key every time, or records go to the wrong subtask.

use brisk_base::Error;
use brisk_base::Result;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::job_graph::{KeyHasher, RowSelector};
use brisk_core::types::{Key, Record};
use std::borrow::Cow;
use std::marker::PhantomData;

/// Finds the key of a record (Flink's `KeySelector`).
pub trait KeySelector<T>: Clone + Send + Sync + 'static {
    /// The key.
    type Key: Key;

    /// The key of one record, borrowed from it where possible.
    fn key<'a>(&self, value: &'a T) -> Cow<'a, Self::Key>;
}

/// The selector of [`key_by`](crate::DataStream::key_by): makes the key.
#[derive(Clone, Debug)]
pub struct KeyBy<F>(pub(crate) F);

impl<T, K: Key, F: Fn(&T) -> K + Clone + Send + Sync + 'static> KeySelector<T> for KeyBy<F> {
    type Key = K;

    #[inline]
    fn key<'a>(&self, value: &'a T) -> Cow<'a, K> {
        Cow::Owned((self.0)(value))
    }
}

/// The selector of [`key_by_ref`](crate::DataStream::key_by_ref): borrows the key from the record.
#[derive(Clone, Debug)]
pub struct KeyByRef<F>(pub(crate) F);

impl<T, K: Key, F: Fn(&T) -> &K + Clone + Send + Sync + 'static> KeySelector<T> for KeyByRef<F> {
    type Key = K;

    #[inline]
    fn key<'a>(&self, value: &'a T) -> Cow<'a, K> {
        Cow::Borrowed((self.0)(value))
    }
}

/// Computes key hashes for the hash exchange.
pub(crate) struct SelectorHasher<T, S> {
    selector: S,
    record: PhantomData<fn(T)>,
}

impl<T, S> SelectorHasher<T, S> {
    pub(crate) const fn new(selector: S) -> Self {
        Self { selector, record: PhantomData }
    }
}

/// The rows of a batch, borrowed.
fn rows_of<T: Record>(batch: &dyn AnyBatch) -> Result<&Rows<T>> {
    let mismatch = || Error::bug(format!("expected a batch of {}, got one of {}", std::any::type_name::<T>(), batch.type_name()));
    batch.as_any().downcast_ref::<Rows<T>>().ok_or_else(mismatch)
}

/// Replaces `hashes` by the key hash of each row.
pub(crate) fn hash_rows<T, S: KeySelector<T>>(selector: &S, values: &[T], hashes: &mut Vec<u64>) {
    hashes.clear();
    hashes.extend(values.iter().map(|value| selector.key(value).key_hash()));
}

impl<T: Record, S: KeySelector<T>> KeyHasher for SelectorHasher<T, S> {
    fn hash(&self, batch: &dyn AnyBatch, hashes: &mut Vec<u64>) -> Result<()> {
        hash_rows(&self.selector, &rows_of::<T>(batch)?.values, hashes);
        Ok(())
    }

    fn describe(&self) -> String {
        std::any::type_name::<S::Key>().to_owned()
    }
}

/// Asks a user's partitioner for the target of each row.
pub(crate) struct CustomSelector<T, P, F> {
    /// From a key and the number of targets to a target.
    pub(crate) partitioner: P,
    /// From a record to its key.
    pub(crate) key: F,
    pub(crate) record: PhantomData<fn(T)>,
}

impl<T, K, P, F> RowSelector for CustomSelector<T, P, F>
where
    T: Record,
    P: Fn(&K, u32) -> u32 + Send + Sync,
    F: Fn(&T) -> K + Send + Sync,
{
    fn select(&self, batch: &dyn AnyBatch, count: u32, targets: &mut Vec<u32>) -> Result<()> {
        targets.clear();
        for value in &rows_of::<T>(batch)?.values {
            let target = (self.partitioner)(&(self.key)(value), count);
            if target >= count {
                return Err(Error::user(format!(
                    "a custom partitioner chose target {target}, but there are only {count} (0 to {})",
                    count - 1
                )));
            }
            targets.push(target);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_selectors_agree_and_the_hash_is_the_keys() {
        let made = KeyBy(|pair: &(String, u64)| pair.0.clone());
        fn word(pair: &(String, u64)) -> &String {
            &pair.0
        }
        let rows = Rows::from(vec![("a".to_owned(), 1u64), ("b".to_owned(), 2)]);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        SelectorHasher::new(made).hash(&rows, &mut first).expect("same type");
        SelectorHasher::new(KeyByRef(word)).hash(&rows, &mut second).expect("same type");
        assert_eq!(first, ["a", "b"].map(|key| key.to_owned().key_hash()));
        assert_eq!(first, second);
    }

    #[test]
    fn a_partitioner_that_misses_is_named() {
        let selector = CustomSelector { partitioner: |key: &u64, _| *key as u32, key: |value: &u64| *value, record: PhantomData };
        let mut targets = Vec::new();
        selector.select(&Rows::from(vec![0u64, 2, 1]), 3, &mut targets).expect("in range");
        assert_eq!(targets, [0, 2, 1]);
        let error = selector.select(&Rows::from(vec![3u64]), 3, &mut targets).expect_err("out of range");
        assert!(error.to_string().contains("target 3"), "{error}");
    }
}

//! Upsert keys: columns that no two rows of a relation have in common at a time. They tell which row a change is of.
//!
//! What is found here makes plans cheaper, and is shown; no result depends on it, unless a sink is told to trust it.

use super::expression::column_index;
use datafusion_common::DFSchema;
use datafusion_expr::Expr;
use std::collections::BTreeSet;

/// Most keys of one relation that are remembered.
const MOST: usize = 8;

/// The keys of a relation, by the indexes of their columns. The empty key is that of a relation of one row at most.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct UpsertKeys(Vec<BTreeSet<usize>>);

impl UpsertKeys {
    /// One key.
    pub(super) fn of(columns: impl IntoIterator<Item = usize>) -> Self {
        Self(vec![columns.into_iter().collect()])
    }

    /// These keys and another.
    pub(super) fn and(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.add(columns.into_iter().collect());
        self
    }

    /// Adds a key, unless part of it is one.
    fn add(&mut self, key: BTreeSet<usize>) {
        if self.0.len() < MOST && !self.0.iter().any(|known| known.is_subset(&key)) {
            self.0.retain(|known| !key.is_subset(known));
            self.0.push(key);
        }
    }

    /// Whether these columns have a key among them.
    pub(crate) fn are_in(&self, columns: &[usize]) -> bool {
        self.0.iter().any(|key| key.iter().all(|column| columns.contains(column)))
    }

    /// A key that these columns have among them.
    pub(super) fn within(&self, columns: &[usize]) -> Option<Vec<usize>> {
        let key = self.0.iter().find(|key| key.iter().all(|column| columns.contains(column)));
        key.map(|key| key.iter().copied().collect())
    }

    /// The keys of a projection.
    pub(super) fn projected(&self, columns: &[Expr], input: &DFSchema) -> Self {
        let indexes: Vec<_> = columns.iter().map(|column| column_index(column, input)).collect();
        let place = |column: &usize| indexes.iter().position(|index| *index == Some(*column));
        let mut keys = Self::default();
        self.0.iter().filter_map(|key| key.iter().map(place).collect()).for_each(|key| keys.add(key));
        keys
    }

    /// Each key together with more columns.
    pub(super) fn extended(&self, columns: &[usize]) -> Self {
        let mut keys = Self::default();
        self.0.iter().for_each(|key| keys.add(key.iter().chain(columns).copied().collect()));
        keys
    }

    /// The keys of the pairs of two relations, that of the left with so many columns. `one_partner` tells of each side whether its rows have one
    /// partner at most, `missing` whether its columns may be null instead.
    pub(super) fn of_pairs(sides: [&Self; 2], width: usize, one_partner: [bool; 2], missing: [bool; 2]) -> Self {
        let shifted = |key: &BTreeSet<usize>| -> BTreeSet<usize> { key.iter().map(|column| column + width).collect() };
        let mut keys = Self::default();
        if one_partner[0] && !missing[0] {
            sides[0].0.iter().for_each(|key| keys.add(key.clone()));
        }
        if one_partner[1] && !missing[1] {
            sides[1].0.iter().for_each(|key| keys.add(shifted(key)));
        }
        for left in &sides[0].0 {
            for right in &sides[1].0 {
                keys.add(left.union(&shifted(right)).copied().collect());
            }
        }
        keys
    }

    /// The shortest key by the names of its columns, if there is any.
    pub(crate) fn shown(&self, schema: &DFSchema) -> Option<String> {
        let key = self.0.iter().min_by_key(|key| key.len())?;
        Some(key.iter().map(|column| schema.field(*column).name().as_str()).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(all: &[&[usize]]) -> UpsertKeys {
        all.iter().fold(UpsertKeys::default(), |keys, key| keys.and(key.iter().copied()))
    }

    #[test]
    fn the_least_keys_are_kept() {
        assert_eq!(keys(&[&[1, 2], &[1], &[1, 3], &[2, 3]]), keys(&[&[1], &[2, 3]]));
        assert!(keys(&[&[1, 2]]).are_in(&[2, 0, 1]));
        assert!(!keys(&[&[1, 2]]).are_in(&[1]));
        assert!(keys(&[&[]]).are_in(&[]), "one row at most");
        assert!(!UpsertKeys::default().are_in(&[0, 1, 2]), "nothing is known");
    }

    #[test]
    fn pairs_have_keys_of_both_sides_or_of_one() {
        let (left, right) = (keys(&[&[0]]), keys(&[&[1]]));
        let pairs = |one_partner, missing| UpsertKeys::of_pairs([&left, &right], 3, one_partner, missing);
        assert_eq!(pairs([false, false], [false, false]), keys(&[&[0, 4]]));
        assert_eq!(pairs([true, false], [false, true]), keys(&[&[0]]));
        assert_eq!(pairs([true, true], [false, false]), keys(&[&[0], &[4]]));
        assert_eq!(pairs([true, true], [true, true]), keys(&[&[0, 4]]), "rows without a partner have nulls in the place of one key");
    }
}

//! Finds the rows of each key in a batch.

use brisk_core::types::table_hash;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Groups of the rows of one batch, numbered in the order of their first rows. Keeps its memory from batch to batch.
#[derive(Default)]
pub(crate) struct Grouping {
    /// The first row of each group.
    first_rows: Vec<u32>,
    /// Where the rows of each group begin in `rows`, and where the last group's end.
    starts: Vec<u32>,
    /// The rows of the first group in order, then those of the second, ...
    rows: Vec<u32>,
    /// The group of each row.
    group_of: Vec<u32>,
    /// Groups by key.
    table: HashTable<u32>,
}

impl Grouping {
    /// Each row is a group of its own.
    pub(crate) fn rows_alone(&mut self, rows: usize) {
        let rows = rows as u32;
        self.first_rows.clear();
        self.first_rows.extend(0..rows);
        self.rows.clone_from(&self.first_rows);
        self.starts.clear();
        self.starts.extend(0..=rows);
    }

    /// Rows of equal keys are a group. There is one hash per row; `keys` has at least as many entries.
    pub(crate) fn by_key<K: Eq>(&mut self, keys: &[K], hashes: &[u64]) {
        self.table.clear();
        self.first_rows.clear();
        self.group_of.clear();
        let first_rows = &mut self.first_rows;
        for (row, hash) in hashes.iter().enumerate() {
            let same = |group: &u32| keys[first_rows[*group as usize] as usize] == keys[row];
            let entry = self.table.entry(table_hash(*hash), same, |group| table_hash(hashes[first_rows[*group as usize] as usize]));
            let group = match entry {
                Entry::Occupied(group) => *group.get(),
                Entry::Vacant(place) => {
                    let group = first_rows.len() as u32;
                    place.insert(group);
                    first_rows.push(row as u32);
                    group
                }
            };
            self.group_of.push(group);
        }
        self.sort_rows();
    }

    /// Lists the rows of each group: a counting sort, which keeps their order.
    fn sort_rows(&mut self) {
        let groups = self.first_rows.len();
        self.starts.clear();
        self.starts.resize(groups + 1, 0);
        self.group_of.iter().for_each(|group| self.starts[*group as usize] += 1);
        let mut sum = 0;
        for start in &mut self.starts {
            sum += std::mem::replace(start, sum);
        }
        self.rows.clear();
        self.rows.resize(self.group_of.len(), 0);
        for (row, group) in self.group_of.iter().enumerate() {
            let next = &mut self.starts[*group as usize];
            self.rows[*next as usize] = row as u32;
            *next += 1;
        }
        // Each start has moved to the end of its group, which is where the next one begins.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// Index of the first row of each group.
    pub(crate) fn first_rows(&self) -> &[u32] {
        &self.first_rows
    }

    /// The rows of a group, ascending.
    pub(crate) fn rows_of(&self, group: usize) -> &[u32] {
        &self.rows[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::types::Key;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_row_is_in_the_group_of_its_key(batches in proptest::collection::vec(proptest::collection::vec(0i64..9, 0..40), 1..4)) {
            let mut grouping = Grouping::default();
            for keys in batches {
                let hashes: Vec<_> = keys.iter().map(Key::key_hash).collect();
                grouping.by_key(&keys, &hashes);
                let mut seen = Vec::new();
                for (group, first) in grouping.first_rows().iter().enumerate() {
                    let key = keys[*first as usize];
                    prop_assert!(!seen.contains(&key));
                    seen.push(key);
                    let rows: Vec<_> = (0..keys.len() as u32).filter(|row| keys[*row as usize] == key).collect();
                    prop_assert_eq!(grouping.rows_of(group), rows);
                }
                prop_assert!(keys.iter().all(|key| seen.contains(key)));
                prop_assert!(grouping.first_rows().is_sorted());
            }
        }
    }
}

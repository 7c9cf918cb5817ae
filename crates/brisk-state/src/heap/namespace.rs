//! One namespace of a table, found once and then used row by row: for loops in which most rows fall into the same window.

use super::cells::ByKey;
use super::cow::CowTable;
use super::value::{HeapTable, ValueCell};
use brisk_base::Result;
use brisk_core::state::Namespace;
use brisk_core::types::{Key, Record, table_hash};
use std::ops::ControlFlow;

/// Where a namespace lies in its table. Good until the namespace is drained or removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenNamespace(usize);

/// One namespace of a [`HeapTable`].
pub struct HeapNamespace<'a, K, V> {
    /// Its values.
    table: &'a mut CowTable<ByKey<K>, ValueCell<V>>,
}

impl<K: Key, V: Record> HeapNamespace<'_, K, V> {
    /// The value of a key, to be changed in place. Cost: one probe.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        self.table.get_mut(table_hash(hash), |at| at.0 == *key).map(|cell| &mut cell.0)
    }

    /// Inserts the value of a key that has none.
    pub fn insert_new(&mut self, hash: u64, key: K, value: V) {
        self.table.insert_new(table_hash(hash), ByKey(key), ValueCell(value));
    }
}

impl<K: Key, N: Namespace, V: Record> HeapTable<K, N, V> {
    /// Finds a namespace, or creates it: the caller puts a value into it before anything else. Nothing where the layout is by key.
    pub fn open_namespace(&mut self, namespace: &N) -> Option<OpenNamespace> {
        self.cells.open_namespace(namespace).map(OpenNamespace)
    }

    /// The namespace that [`open_namespace`](Self::open_namespace) found.
    #[inline]
    pub fn in_namespace(&mut self, open: OpenNamespace) -> HeapNamespace<'_, K, V> {
        HeapNamespace { table: self.cells.opened(open.0).expect("an open namespace is one of this table") }
    }

    /// Removes values of one namespace and hands them out, in no particular order, until `visit` breaks off. `cursor` remembers where: it is
    /// 0 at the beginning, and no value is missed if it is lost. Says whether the namespace is gone.
    ///
    /// # Errors
    /// Those of `visit`.
    pub fn drain_namespace_from(
        &mut self,
        namespace: &N,
        cursor: &mut usize,
        mut visit: impl FnMut(K, V) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        self.cells.drain_namespace_from(namespace, cursor, |key, cell| visit(key, cell.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::state::{AnyTable, KeyGroups, KeyedTable, Layout, StateDeclarations};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table() -> HeapTable<u64, u64, u64> {
        let mut state = StateDeclarations::new("a test");
        state.engine_value::<u64>("sums", Layout::NamespaceMajor);
        let descriptor = state.finish().expect("one state").remove(0);
        HeapTable::new(descriptor, KeyGroups::of_subtask(128, 1, 0).expect("one subtask"))
    }

    proptest! {
        /// Adding up in open namespaces and draining piece by piece is the same as in a map, freezes or not.
        #[test]
        fn open_namespaces_agree_with_a_map(rows in proptest::collection::vec((0u64..40, 0u64..3, 1u64..100), 0..200), piece in 1usize..7, freezes: [bool; 3]) {
            let (mut table, mut model) = (table(), BTreeMap::new());
            for (number, (key, namespace, value)) in rows.iter().enumerate() {
                let open = table.open_namespace(namespace).expect("by namespace");
                let mut here = table.in_namespace(open);
                match here.get_mut(key.key_hash(), key) {
                    Some(sum) => *sum += value,
                    None => here.insert_new(key.key_hash(), *key, *value),
                }
                *model.entry((*namespace, *key)).or_insert(0) += value;
                if freezes[0] && number == rows.len() / 2 {
                    table.freeze().expect("in memory");
                }
            }
            let kept = freezes[1].then(|| table.freeze().expect("in memory"));
            for namespace in 0..3 {
                let (mut cursor, mut calls) = (0, 0);
                loop {
                    let mut left = piece;
                    let gone = table.drain_namespace_from(&namespace, &mut cursor, |key, sum| {
                        assert_eq!(model.remove(&(namespace, key)), Some(sum));
                        left -= 1;
                        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                    }).expect("no error");
                    if gone {
                        break;
                    }
                    calls += 1;
                    if freezes[2] && calls == 2 {
                        table.freeze().expect("in memory");
                    }
                }
            }
            prop_assert!(model.is_empty() && table.is_empty().expect("in memory") && table.next_namespace(None).expect("in memory").is_none());
            drop(kept);
        }
    }
}

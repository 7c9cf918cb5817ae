//! Values that an aggregate has to keep, with how often each is there: for DISTINCT, and for MIN and MAX where rows are taken back.

use crate::operators::row::RowKey;
use brisk_base::Result;
use brisk_core::state::{KeyedMapTable, Slot};
use std::ops::{Bound, ControlFlow};

/// The values of one key.
pub(crate) trait DistinctValues {
    /// Adds a value of an aggregate so many times. `1` when it was not there before, `-1` when it is there no more, else `0`.
    ///
    /// # Errors
    /// The backend's.
    fn add(&mut self, aggregate: u32, value: &RowKey, times: i64) -> Result<i64>;

    /// The least or the greatest value that is there; an empty row, if there is none.
    ///
    /// # Errors
    /// The backend's.
    fn extreme(&mut self, aggregate: u32, greatest: bool) -> Result<RowKey>;

    /// Forgets all values.
    ///
    /// # Errors
    /// The backend's.
    fn clear(&mut self) -> Result<()>;
}

/// Of aggregates that keep no values.
pub(crate) struct NoValues;

impl DistinctValues for NoValues {
    fn add(&mut self, _aggregate: u32, _value: &RowKey, times: i64) -> Result<i64> {
        Ok(times)
    }

    fn extreme(&mut self, _aggregate: u32, _greatest: bool) -> Result<RowKey> {
        Ok(RowKey::new())
    }

    fn clear(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A table of values: a row of the number of the aggregate and the value, and how often it is there.
pub(crate) type ValueTable<K, N> = Box<dyn KeyedMapTable<K, N, RowKey, i64>>;

/// The key of a value in the table.
fn of_aggregate(aggregate: u32, value: &[u8]) -> RowKey {
    let mut key = RowKey::new();
    key.push_i64(aggregate.into());
    key.push_fields(value);
    key
}

/// The values of one key in a table.
pub(crate) struct TableValues<'a, K, N> {
    pub(crate) table: &'a mut ValueTable<K, N>,
    pub(crate) slot: Slot<'a, K, N>,
}

impl<K: 'static, N: 'static> DistinctValues for TableValues<'_, K, N> {
    fn add(&mut self, aggregate: u32, value: &RowKey, times: i64) -> Result<i64> {
        let mut effect = 0;
        self.table.update(self.slot, &of_aggregate(aggregate, value.as_bytes()), &mut |count| {
            let before = count.unwrap_or(0);
            let after = before + times;
            effect = i64::from(after > 0) - i64::from(before > 0);
            // A value that is taken back before it is added is kept in mind as a debt.
            *count = Some(after).filter(|after| *after != 0);
            Ok(())
        })?;
        Ok(effect)
    }

    fn extreme(&mut self, aggregate: u32, greatest: bool) -> Result<RowKey> {
        let [from, to] = [aggregate, aggregate + 1].map(|aggregate| of_aggregate(aggregate, &[]));
        let mut found = RowKey::new();
        self.table.range(self.slot, (Bound::Included(&from), Bound::Excluded(&to)), &mut |value, count| {
            if *count <= 0 {
                return Ok(ControlFlow::Continue(()));
            }
            found.clear();
            found.push_fields(&value.as_bytes()[from.as_bytes().len()..]);
            Ok(if greatest { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(found)
    }

    fn clear(&mut self) -> Result<()> {
        self.table.remove_all(self.slot)
    }
}

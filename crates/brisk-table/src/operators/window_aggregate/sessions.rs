//! The sessions of each key: which windows there are, and how a row's own window joins them.

use super::WindowAggregateConfig;
use super::operator::Window;
use crate::operators::group_aggregate::{GroupState, RowKey};
use brisk_base::{Result, Timestamp};
use brisk_core::state::{AnyTable, KeyedTable, Layout, Slot, StateDeclarations, StateId};
use brisk_state::KeyedStateStore;

/// See the module.
pub(super) struct Sessions {
    /// The windows of each key, in no order; they do not touch each other.
    windows: Box<dyn KeyedTable<RowKey, (), Vec<Window>>>,
}

impl Sessions {
    pub(super) fn declare(declared: &mut StateDeclarations) -> StateId {
        declared.engine_value::<Vec<Window>>("sessions", Layout::KeyMajor)
    }

    pub(super) fn take(id: StateId, store: &mut KeyedStateStore<RowKey>) -> Result<Self> {
        Ok(Self { windows: store.take_value(id)? })
    }

    pub(super) fn table(&mut self) -> &mut dyn AnyTable {
        &mut *self.windows
    }

    /// The window of a row, merged with those of its key that it touches; `None` if it is over.
    pub(super) fn window(
        &mut self,
        slot: Slot<'_, RowKey, ()>,
        (end, start): Window,
        watermark: Timestamp,
        config: &WindowAggregateConfig,
        groups: &mut dyn KeyedTable<RowKey, Window, GroupState>,
    ) -> Result<Option<Window>> {
        let mut of_key = self.windows.get(slot)?.cloned().unwrap_or_default();
        // As in Flink, windows that only touch are one.
        let touched: Vec<Window> = of_key.extract_if(.., |window| window.1 <= end && window.0 >= start).collect();
        let merged = touched.iter().fold((end, start), |all, window| (all.0.max(window.0), all.1.min(window.1)));
        if touched == [merged] {
            return Ok(Some(merged));
        }
        if merged.0 - 1 <= watermark.0 {
            return Ok(None);
        }
        of_key.push(merged);
        self.windows.put(slot, of_key)?;
        let from: Vec<Window> = touched.into_iter().filter(|window| *window != merged).collect();
        groups.merge_namespaces(slot.at(&merged), &from, &mut |all, one| all.merge(&config.aggregates, &one))?;
        Ok(Some(merged))
    }

    /// A window is over.
    pub(super) fn forget(&mut self, key: &RowKey, window: Window) -> Result<()> {
        self.windows.update(Slot::new(key, &()), &mut |windows| {
            if let Some(left) = windows {
                left.retain(|other| *other != window);
                if left.is_empty() {
                    *windows = None;
                }
            }
            Ok(())
        })
    }
}

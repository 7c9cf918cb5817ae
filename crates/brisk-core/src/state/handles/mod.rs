//! The handles that user functions hold. A handle is a number and its types: cheap to clone, and of use only with a context.

mod aggregating;
mod list;
mod live;
mod map;
mod reducing;
mod value;

pub use aggregating::AggregatingState;
pub use list::ListState;
pub use map::MapState;
pub use reducing::ReducingState;
pub use value::ValueState;

use super::{KeyedTable, Slot, StateAccess, StateId, StateStore};
use crate::types::Record;
use brisk_base::Result;

/// The table and slot that a value handle means just now.
type ValueAt<'a, C, V> = (
    &'a mut dyn KeyedTable<<C as StateAccess>::Key, <C as StateAccess>::Namespace, V>,
    Slot<'a, <C as StateAccess>::Key, <C as StateAccess>::Namespace>,
);

fn value_at<C: StateAccess, V: Record>(ctx: &mut C, id: StateId) -> Result<ValueAt<'_, C, V>> {
    let current = ctx.current_state()?;
    Ok((current.store.value(id)?, current.slot))
}

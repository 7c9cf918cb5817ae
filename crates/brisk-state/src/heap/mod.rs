//! Tables of typed objects in memory: the `hashmap` backend.
//!
//! No access encodes or decodes anything. Invariants: the order of a scan follows from the history of the table alone; a frozen
//! generation never changes.

mod cells;
mod chunk_map;
mod cow;
mod frozen;
mod list;
mod list_cell;
mod map;
mod namespace;
mod regions;
mod value;

pub use list::HeapListTable;
pub use map::HeapMapTable;
pub use namespace::{HeapNamespace, OpenNamespace};
pub use value::HeapTable;

//! Tables over a [`ByteStore`](brisk_core::state::ByteStore): keys and values encoded by their own codecs.
//!
//! The key of an entry is: key group (two bytes, big-endian), number of the state (likewise), then key and namespace in their ordered
//! encodings (namespace first where the layout says so), then the entry's key in a map. So a key group, a state, a slot and a range of a
//! map are ranges of bytes.
//!
//! Invariant: no user code runs while the store is locked, so that it may use other tables of the same store.

mod frozen;
mod list;
mod map;
mod space;
mod untyped;
mod value;

pub use list::ByteListTable;
pub use map::ByteMapTable;
pub use space::SharedByteStore;
pub(crate) use space::prefetch;
pub(crate) use untyped::{convert, freeze_untyped, load};
pub use value::ByteTable;

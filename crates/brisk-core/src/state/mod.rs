//! The contract of keyed state: what user functions hold, what operators call, and what a backend provides.
//!
//! * Users hold [handles](ValueState), made by [`StateDeclarations`] and used with a context ([`StateAccess`]).
//! * Operators hold typed tables ([`KeyedTable`], [`KeyedListTable`], [`KeyedMapTable`]), addressed by [`Slot`]s, a batch at a time.
//! * A backend ([`StateBackend`]) either lets the engine keep typed objects on the heap or provides a [`ByteStore`].
//!
//! Nothing here stores anything: tables live in `brisk-state`.
//!
//! Invariants: values change only through put and update, so that a table can copy on write; a table that has been [frozen](FrozenTable)
//! shows that generation unchanged, from any thread, while the table goes on; user calls never block, since
//! [`prefetch`](KeyedTable::prefetch) has run before.

mod access;
mod backend;
mod byte_store;
mod declarations;
mod descriptor;
mod event_time;
mod frozen;
mod handles;
mod list_table;
mod map_table;
mod migration;
mod restore;
mod slot;
mod snapshot;
mod table;
mod ttl;

pub use access::{CurrentState, StateAccess, StateStore};
pub use backend::{StateBackend, StateBackendContext, StateBackendFactory, Store};
pub use byte_store::{ByteStore, ByteVisitor, FoundVisitor, FrozenBytes, Write};
pub use declarations::{ExpiringDeclarations, StateDeclarations};
pub use descriptor::{Layout, StateDescriptor, StateId, StateKind};
pub use event_time::EventTimeStanding;
pub use frozen::{EntryVisitor, FrozenTable};
pub use handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
pub use list_table::{KeyedListTable, ListView, ListVisitor};
pub use map_table::{KeyRange, KeyedMapTable};
pub use migration::StateMigration;
pub use restore::{AskedStates, LocalNativeState, OperatorRestore, OperatorStateContext, RestoredKeyedState, RestoredOperatorState};
pub use slot::{KeyGroups, Namespace, Slot};
pub use snapshot::{
    FileRef, FrozenState, KeyedStateMeta, NativeFile, NativeFiles, NativeSnapshot, NativeState, OperatorSnapshot, OperatorStateSnapshot,
    Redistribution,
};
pub use table::{AnyTable, KeyedTable};
pub use ttl::{Expiring, IncrementalCleanup, StateTtlConfig, StateTtlConfigBuilder, StateVisibility, TtlUpdateType};

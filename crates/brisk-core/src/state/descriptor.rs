//! What is known of a state before its first value.

use super::{StateMigration, StateTtlConfig};
use crate::types::Schema;
use std::sync::Arc;

/// Number of a state within its operator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StateId(pub u16);

/// How the values of one key and namespace belong together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StateKind {
    /// One value. Reducing and aggregating states are these too.
    Value,
    /// A list that grows at its end.
    List,
    /// An ordered map.
    Map,
}

/// What a table is mostly asked for. A hint: every table can do everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Layout {
    /// Single keys. Few entries share a namespace (process functions, session windows); asking for a whole namespace reads the whole table.
    #[default]
    KeyMajor,
    /// Whole namespaces, each of which holds many keys (aligned windows): dropped and scanned in one go.
    NamespaceMajor,
}

/// Name, kind and types of one state.
#[derive(Clone, Debug)]
pub struct StateDescriptor {
    /// Its number within the operator.
    pub id: StateId,
    /// Its name: unique within the operator, and how a savepoint's state is matched.
    pub name: Arc<str>,
    /// Value, list or map.
    pub kind: StateKind,
    /// What it is mostly asked for.
    pub layout: Layout,
    /// Schema of a value, of an element of a list, or of a value of a map.
    pub value: Schema,
    /// Schema of a map's keys.
    pub map_key: Option<Schema>,
    /// How long values live, if not for ever. Then `value` is that of an [`Expiring`](super::Expiring).
    pub ttl: Option<Arc<StateTtlConfig>>,
    /// The program's own ways from older types of values to the present one.
    pub migrations: Vec<StateMigration>,
}

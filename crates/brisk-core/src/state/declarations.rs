//! Declares the states of one operator.

use super::{
    AggregatingState, Expiring, Layout, ListState, MapState, ReducingState, StateDescriptor, StateId, StateKind, StateMigration,
    StateTtlConfig, ValueState,
};
use crate::function::{AggregateFunction, ReduceFunction};
use crate::types::{Key, Record, Schema};
use brisk_base::{Error, Result};
use std::sync::Arc;

/// Names of the engine's own tables begin with this, so that they never meet a user's.
const RESERVED: char = '$';

/// Gathers what states an operator has, and gives out the handles to them.
///
/// ```
/// use brisk_core::state::{StateDeclarations, ValueState};
///
/// let mut state = StateDeclarations::new("operator 'count' (1/1)");
/// let count: ValueState<u64> = state.value("count");
/// let again: ValueState<u64> = state.value("count");
/// let error = state.finish().expect_err("declared twice");
/// assert!(error.to_string().starts_with("operator 'count' (1/1): state 'count' is declared twice"));
/// # let _ = (count, again);
/// ```
#[derive(Debug)]
pub struct StateDeclarations {
    /// How errors name the operator.
    place: Arc<str>,
    /// What has been declared; the index is the id.
    states: Vec<StateDescriptor>,
    /// The program's own ways from older types.
    migrations: Vec<StateMigration>,
    /// The first thing that was wrong.
    error: Option<Error>,
}

impl StateDeclarations {
    /// No states yet. `place` is how errors name the operator, such as `operator 'name' (2/4)`.
    pub fn new(place: impl Into<Arc<str>>) -> Self {
        Self { place: place.into(), states: Vec::new(), migrations: Vec::new(), error: None }
    }

    /// A single value per key.
    pub fn value<V: Record>(&mut self, name: impl Into<Arc<str>>) -> ValueState<V> {
        ValueState::new(self.user(name.into(), StateKind::Value, V::schema(), None), None, None)
    }

    /// A single value per key, which reads as `default` until it is set.
    pub fn value_with_default<V: Record>(&mut self, name: impl Into<Arc<str>>, default: V) -> ValueState<V> {
        ValueState::new(self.user(name.into(), StateKind::Value, V::schema(), None), Some(default), None)
    }

    /// A list per key.
    pub fn list<V: Record>(&mut self, name: impl Into<Arc<str>>) -> ListState<V> {
        ListState::new(self.user(name.into(), StateKind::List, V::schema(), None), None)
    }

    /// An ordered map per key.
    pub fn map<UK: Key, UV: Record>(&mut self, name: impl Into<Arc<str>>) -> MapState<UK, UV> {
        MapState::new(self.user(name.into(), StateKind::Map, UV::schema(), Some(UK::schema())), None)
    }

    /// A value per key into which others are folded.
    pub fn reducing<V: Record>(&mut self, name: impl Into<Arc<str>>, reduce: impl ReduceFunction<V>) -> ReducingState<V> {
        ReducingState::new(self.user(name.into(), StateKind::Value, V::schema(), None), Arc::new(reduce), None)
    }

    /// An accumulator per key into which values are folded.
    pub fn aggregating<A: AggregateFunction>(&mut self, name: impl Into<Arc<str>>, aggregate: A) -> AggregatingState<A> {
        AggregatingState::new(self.user(name.into(), StateKind::Value, A::Acc::schema(), None), Arc::new(aggregate), None)
    }

    /// Declares states whose values expire.
    ///
    /// ```
    /// use brisk_core::state::{StateDeclarations, StateTtlConfig, ValueState};
    /// use std::time::Duration;
    ///
    /// let mut state = StateDeclarations::new("operator 'count' (1/1)");
    /// let ttl = StateTtlConfig::builder(Duration::from_secs(60)).build();
    /// let last: ValueState<u64> = state.with_ttl(ttl).value("last");
    /// # let _ = last;
    /// ```
    pub fn with_ttl(&mut self, ttl: StateTtlConfig) -> ExpiringDeclarations<'_> {
        ExpiringDeclarations { declarations: self, ttl: Arc::new(ttl) }
    }

    /// Turns values of an older type of a state into its present one when it is restored: for changes that do not follow from the names of
    /// fields. It is used where the checkpoint has exactly the type `Old` (of elements, in lists; of a map, of its values).
    ///
    /// ```
    /// use brisk_core::state::StateDeclarations;
    ///
    /// let mut state = StateDeclarations::new("operator 'count' (1/1)");
    /// let count = state.value::<u64>("count");
    /// state.migrate("count", |text: String| Ok(text.parse::<u64>()?));
    /// # let _ = count;
    /// ```
    pub fn migrate<Old: Record, New: Record>(
        &mut self,
        state: impl Into<Arc<str>>,
        migrate: impl Fn(Old) -> Result<New> + Send + Sync + 'static,
    ) {
        self.migrations.push(StateMigration::new(state.into(), migrate));
    }

    /// For operators: a table of the engine's own with one value per key and namespace.
    pub fn engine_value<V: Record>(&mut self, name: &str, layout: Layout) -> StateId {
        self.engine(name, StateKind::Value, layout, V::schema(), None)
    }

    /// For operators: a table of the engine's own with one list per key and namespace.
    pub fn engine_list<V: Record>(&mut self, name: &str, layout: Layout) -> StateId {
        self.engine(name, StateKind::List, layout, V::schema(), None)
    }

    /// For operators: a table of the engine's own with one map per key and namespace.
    pub fn engine_map<UK: Key, UV: Record>(&mut self, name: &str, layout: Layout) -> StateId {
        self.engine(name, StateKind::Map, layout, UV::schema(), Some(UK::schema()))
    }

    /// Everything that was declared.
    ///
    /// # Errors
    /// When two states have one name, or a name is not allowed.
    pub fn finish(mut self) -> Result<Vec<StateDescriptor>> {
        for migration in std::mem::take(&mut self.migrations) {
            match self.states.iter_mut().find(|state| state.name == migration.state) {
                Some(state) => state.migrations.push(migration),
                None => self.refuse(format!("state '{}' has a migration, but is not declared", migration.state)),
            }
        }
        match self.error {
            Some(error) => Err(error.context(&*self.place)),
            None => Ok(self.states),
        }
    }

    fn user(&mut self, name: Arc<str>, kind: StateKind, value: Schema, map_key: Option<Schema>) -> StateId {
        if name.is_empty() || name.starts_with(RESERVED) {
            self.refuse(format!("'{name}' cannot be the name of a state: names are not empty and do not begin with '{RESERVED}'"));
        }
        self.declare(name, kind, Layout::KeyMajor, value, map_key)
    }

    fn engine(&mut self, name: &str, kind: StateKind, layout: Layout, value: Schema, map_key: Option<Schema>) -> StateId {
        self.declare(format!("{RESERVED}{name}").into(), kind, layout, value, map_key)
    }

    fn declare(&mut self, name: Arc<str>, kind: StateKind, layout: Layout, value: Schema, map_key: Option<Schema>) -> StateId {
        if self.states.iter().any(|state| state.name == name) {
            self.refuse(format!("state '{name}' is declared twice; give each state of an operator a name of its own"));
        }
        let id = StateId(u16::try_from(self.states.len()).unwrap_or(u16::MAX));
        if id.0 == u16::MAX {
            self.refuse(format!("an operator can have {} states at most", u16::MAX));
        } else {
            self.states.push(StateDescriptor { id, name, kind, layout, value, map_key, ttl: None, migrations: Vec::new() });
        }
        id
    }

    fn refuse(&mut self, message: String) {
        self.error.get_or_insert_with(|| Error::user(message));
    }
}

/// Declares states whose values expire. Made by [`StateDeclarations::with_ttl`].
#[derive(Debug)]
pub struct ExpiringDeclarations<'a> {
    declarations: &'a mut StateDeclarations,
    ttl: Arc<StateTtlConfig>,
}

impl ExpiringDeclarations<'_> {
    /// A single value per key.
    pub fn value<V: Record>(&mut self, name: impl Into<Arc<str>>) -> ValueState<V> {
        ValueState::new(self.declare(name.into(), StateKind::Value, V::schema(), None), None, Some(Arc::clone(&self.ttl)))
    }

    /// A single value per key, which reads as `default` until it is set, and again once it has expired.
    pub fn value_with_default<V: Record>(&mut self, name: impl Into<Arc<str>>, default: V) -> ValueState<V> {
        ValueState::new(self.declare(name.into(), StateKind::Value, V::schema(), None), Some(default), Some(Arc::clone(&self.ttl)))
    }

    /// A list per key; each element expires by itself.
    pub fn list<V: Record>(&mut self, name: impl Into<Arc<str>>) -> ListState<V> {
        ListState::new(self.declare(name.into(), StateKind::List, V::schema(), None), Some(Arc::clone(&self.ttl)))
    }

    /// An ordered map per key; each entry expires by itself.
    pub fn map<UK: Key, UV: Record>(&mut self, name: impl Into<Arc<str>>) -> MapState<UK, UV> {
        MapState::new(self.declare(name.into(), StateKind::Map, UV::schema(), Some(UK::schema())), Some(Arc::clone(&self.ttl)))
    }

    /// A value per key into which others are folded.
    pub fn reducing<V: Record>(&mut self, name: impl Into<Arc<str>>, reduce: impl ReduceFunction<V>) -> ReducingState<V> {
        let id = self.declare(name.into(), StateKind::Value, V::schema(), None);
        ReducingState::new(id, Arc::new(reduce), Some(Arc::clone(&self.ttl)))
    }

    /// An accumulator per key into which values are folded.
    pub fn aggregating<A: AggregateFunction>(&mut self, name: impl Into<Arc<str>>, aggregate: A) -> AggregatingState<A> {
        let id = self.declare(name.into(), StateKind::Value, A::Acc::schema(), None);
        AggregatingState::new(id, Arc::new(aggregate), Some(Arc::clone(&self.ttl)))
    }

    /// For operators: a table of the engine's own with one [`Expiring`] value per key and namespace.
    pub fn engine_value<V: Record>(&mut self, name: &str, layout: Layout) -> StateId {
        let id = self.declarations.engine(name, StateKind::Value, layout, Expiring::schema_of(V::schema()), None);
        self.expiring(id)
    }

    /// For operators: a table of the engine's own with one map of [`Expiring`] values per key and namespace.
    pub fn engine_map<UK: Key, UV: Record>(&mut self, name: &str, layout: Layout) -> StateId {
        let id = self.declarations.engine(name, StateKind::Map, layout, Expiring::schema_of(UV::schema()), Some(UK::schema()));
        self.expiring(id)
    }

    fn declare(&mut self, name: Arc<str>, kind: StateKind, value: Schema, map_key: Option<Schema>) -> StateId {
        let id = self.declarations.user(name, kind, Expiring::schema_of(value), map_key);
        self.expiring(id)
    }

    fn expiring(&mut self, id: StateId) -> StateId {
        if let Some(state) = self.declarations.states.get_mut(usize::from(id.0)) {
            state.ttl = Some(Arc::clone(&self.ttl));
        }
        id
    }
}

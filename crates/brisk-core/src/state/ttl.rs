//! Time to live: state that nobody has used for some time vanishes.

use crate::types::{Decoder, Field, Record, Schema};
use brisk_base::{Millis, Result, Timestamp};
use std::time::Duration;

/// How long a state's values live, and what is done with those that have expired (Flink's `StateTtlConfig`).
///
/// ```
/// use brisk_core::state::{StateTtlConfig, StateVisibility, TtlUpdateType};
/// use std::time::Duration;
///
/// let ttl = StateTtlConfig::builder(Duration::from_secs(3600))
///     .update_type(TtlUpdateType::OnReadAndWrite)
///     .visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
///     .cleanup_full_snapshot()
///     .build();
/// assert_eq!(ttl.ttl().0, 3_600_000);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateTtlConfig {
    ttl: Millis,
    update_type: TtlUpdateType,
    visibility: StateVisibility,
    full_snapshot: bool,
    incremental: Option<IncrementalCleanup>,
    compaction: bool,
}

/// Which uses of a value let it live on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TtlUpdateType {
    /// Creating and writing.
    #[default]
    OnCreateAndWrite,
    /// Reading, too.
    OnReadAndWrite,
}

/// Whether a value that has expired can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum StateVisibility {
    /// Never.
    #[default]
    NeverReturnExpired,
    /// Once, if it is still there.
    ReturnExpiredIfNotCleanedUp,
}

/// How tables on the heap are cleaned up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IncrementalCleanup {
    /// How many keys are looked at with each access of the state.
    pub keys: usize,
}

impl StateTtlConfig {
    /// Keys that are looked at with each access, unless told otherwise: Flink's default.
    const KEYS: usize = 5;

    /// State that lives for this long after its last use. Expired values are cleaned up in the background: of tables on the heap a few with
    /// each access, in RocksDB when its files are compacted.
    pub fn builder(ttl: Duration) -> StateTtlConfigBuilder {
        let ttl = Millis(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let incremental = Some(IncrementalCleanup { keys: Self::KEYS });
        StateTtlConfigBuilder(Self {
            ttl,
            update_type: TtlUpdateType::default(),
            visibility: StateVisibility::default(),
            full_snapshot: false,
            incremental,
            compaction: true,
        })
    }

    /// How long values live after their last use.
    pub const fn ttl(&self) -> Millis {
        self.ttl
    }

    /// Which uses count.
    pub const fn update_type(&self) -> TtlUpdateType {
        self.update_type
    }

    /// Whether expired values can be seen.
    pub const fn visibility(&self) -> StateVisibility {
        self.visibility
    }

    /// Whether savepoints and full checkpoints leave expired values out.
    pub const fn cleanup_full_snapshot(&self) -> bool {
        self.full_snapshot
    }

    /// How tables on the heap are cleaned up.
    pub const fn incremental_cleanup(&self) -> Option<IncrementalCleanup> {
        self.incremental
    }

    /// Whether RocksDB drops expired values when it compacts files.
    pub const fn compaction_cleanup(&self) -> bool {
        self.compaction
    }

    /// Whether a value that was last used at `at` has expired.
    #[inline]
    pub fn is_expired(&self, at: Timestamp, now: Timestamp) -> bool {
        at + self.ttl <= now
    }

    /// Whether a value that was last used at `at` can be seen.
    #[inline]
    pub(super) fn is_visible(&self, at: Timestamp, now: Timestamp) -> bool {
        self.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp || !self.is_expired(at, now)
    }

    /// Whether reading counts.
    #[inline]
    pub(super) fn on_read(&self) -> bool {
        self.update_type == TtlUpdateType::OnReadAndWrite
    }
}

/// Makes a [`StateTtlConfig`].
#[derive(Clone, Debug)]
pub struct StateTtlConfigBuilder(StateTtlConfig);

impl StateTtlConfigBuilder {
    /// Which uses let a value live on; creating and writing, unless told otherwise.
    #[must_use]
    pub const fn update_type(mut self, update_type: TtlUpdateType) -> Self {
        self.0.update_type = update_type;
        self
    }

    /// Whether expired values can be seen; never, unless told otherwise.
    #[must_use]
    pub const fn visibility(mut self, visibility: StateVisibility) -> Self {
        self.0.visibility = visibility;
        self
    }

    /// Leaves expired values out of savepoints and of checkpoints that store all state.
    #[must_use]
    pub const fn cleanup_full_snapshot(mut self) -> Self {
        self.0.full_snapshot = true;
        self
    }

    /// For tables on the heap: looks at so many keys with each access of the state, and removes what has expired.
    #[must_use]
    pub const fn cleanup_incrementally(mut self, keys: usize) -> Self {
        self.0.incremental = Some(IncrementalCleanup { keys });
        self
    }

    /// For RocksDB: drops what has expired when files are compacted.
    #[must_use]
    pub const fn cleanup_in_rocksdb_compact_filter(mut self) -> Self {
        self.0.compaction = true;
        self
    }

    /// Removes expired values only when they are met, and in full snapshots if so configured.
    #[must_use]
    pub const fn disable_cleanup_in_background(mut self) -> Self {
        self.0.incremental = None;
        self.0.compaction = false;
        self
    }

    /// The configuration.
    pub fn build(self) -> StateTtlConfig {
        self.0
    }
}

/// A value with the time of its last use: what lies in the tables of states that expire. Its encoding begins with the time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expiring<V> {
    /// Processing time of the last use.
    pub at: Timestamp,
    /// The value.
    pub value: V,
}

impl Expiring<()> {
    /// Name of the schema; no type of a program can have it.
    const NAME: &'static str = "$ttl";

    /// The schema of a value that expires.
    pub fn schema_of(value: Schema) -> Schema {
        Schema::Struct { name: Self::NAME.to_owned(), fields: vec![Field::new("at", Schema::Timestamp), Field::new("value", value)] }
    }

    /// The schema of the value, if this is that of one that expires.
    pub fn value_schema(schema: &Schema) -> Option<&Schema> {
        match schema {
            Schema::Struct { name, fields } if name == Self::NAME => fields.get(1).map(|field| &field.schema),
            _ => None,
        }
    }
}

impl<V: Record> Record for Expiring<V> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.at.encode(out);
        self.value.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self { at: Timestamp::decode(input)?, value: V::decode(input)? })
    }

    fn schema() -> Schema {
        Expiring::schema_of(V::schema())
    }

    fn heap_bytes(&self) -> usize {
        self.value.heap_bytes()
    }

    fn last_use(&self) -> Option<Timestamp> {
        Some(self.at)
    }
}

//! States that expire, on all backends, as user functions use them.

use crate::support::{GROUPS, K, Kept, backends, barrier, ready, restored};
use brisk_base::world::{Clock, MonoTime};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::function::AggregateFunction;
use brisk_core::state::{
    CurrentState, OperatorRestore, OperatorSnapshot, Slot, StateAccess, StateBackend, StateBackendContext, StateDeclarations,
    StateTtlConfig, StateTtlConfigBuilder, StateVisibility, TtlUpdateType,
};
use brisk_core::types::Key;
use brisk_state::{HashMapStateBackend, KeyedStateStore};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock that the test sets.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn mono(&self) -> MonoTime {
        MonoTime::default()
    }
}

struct Context {
    store: KeyedStateStore<K>,
    clock: Arc<Hand>,
    key: Option<(K, u64)>,
}

impl Context {
    fn open(backend: &dyn StateBackend, left: Option<OperatorRestore>, declared: StateDeclarations) -> Result<Self> {
        let clock = Arc::new(Hand::default());
        clock.0.store(1000, Ordering::Relaxed);
        let cx = StateBackendContext {
            restored: left.map(Arc::new),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            ..StateBackendContext::new("operator 'test' (1/1)", GROUPS)
        };
        Ok(Self { store: KeyedStateStore::open(backend, cx, declared)?, clock, key: None })
    }

    fn at(&mut self, key: &str) -> &mut Self {
        let key = key.to_owned();
        ready(|cx| self.store.prefetch(cx, &[Slot::new(&key, &())]));
        self.key = Some((key.clone(), key.key_hash()));
        self
    }

    fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::Relaxed);
    }

    fn snapshot(&mut self) -> Kept {
        let mut snapshot = OperatorSnapshot::default();
        self.store.snapshot_at(&mut snapshot, barrier(SnapshotKind::Savepoint)).expect("snapshots never fail here");
        Kept::of(snapshot)
    }
}

impl StateAccess for Context {
    type Key = K;
    type Namespace = ();
    type Store = KeyedStateStore<K>;

    fn current_state(&mut self) -> Result<CurrentState<'_, Self::Store, K, ()>> {
        let (key, hash) = self.key.as_ref().ok_or_else(|| Error::user("there is no current key"))?;
        Ok(CurrentState { store: &mut self.store, slot: Slot { hash: *hash, key, namespace: &() } })
    }
}

fn ttl() -> StateTtlConfigBuilder {
    StateTtlConfig::builder(Duration::from_millis(100))
}

struct Sum;

impl AggregateFunction for Sum {
    type In = i64;
    type Acc = i64;
    type Out = i64;

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn add(&self, accumulator: &mut i64, value: i64) -> Result<()> {
        *accumulator += value;
        Ok(())
    }

    fn get_result(&self, accumulator: &i64) -> Result<i64> {
        Ok(*accumulator)
    }

    fn merge(&self, into: &mut i64, from: i64) -> Result<()> {
        *into += from;
        Ok(())
    }
}

#[test]
fn values_of_all_kinds_expire_after_the_last_write() -> Result<()> {
    for (name, backend) in backends() {
        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let mut expiring = declared.with_ttl(ttl().disable_cleanup_in_background().build());
        let value = expiring.value_with_default("value", 9u64);
        let list = expiring.list::<u64>("list");
        let map = expiring.map::<u64, String>("map");
        let longest = expiring.reducing("longest", |a: String, b: String| Ok(if b.len() > a.len() { b } else { a }));
        let sum = expiring.aggregating("sum", Sum);
        let ctx = &mut Context::open(&*backend, None, declared)?;
        ctx.at("ada");
        value.put(ctx, 1)?;
        list.add(ctx, 1)?;
        map.put(ctx, 1, "one".to_owned())?;
        longest.add(ctx, "aaa".to_owned())?;
        sum.add(ctx, 5)?;
        ctx.pass(60);
        assert_eq!(value.get(ctx)?, Some(1), "{name}");
        list.add_all(ctx, [2, 3])?;
        map.put(ctx, 2, "two".to_owned())?;
        longest.add(ctx, "bb".to_owned())?;
        sum.add(ctx, 6)?;
        ctx.pass(40);
        assert_eq!(value.get(ctx)?, Some(9), "{name}: reading did not count");
        assert_eq!(list.get(ctx)?, [2, 3]);
        assert_eq!((map.get(ctx, &1)?, map.entries(ctx)?), (None, vec![(2, "two".to_owned())]));
        assert_eq!(longest.get(ctx)?.as_deref(), Some("aaa"), "writing counted");
        assert_eq!(sum.get(ctx)?, Some(11));
        value.update(ctx, |value| *value = value.map(|value| value + 1))?;
        assert_eq!(value.take(ctx)?, Some(10));
        ctx.pass(100);
        assert!(list.get(ctx)?.is_empty() && map.is_empty(ctx)?);
        assert_eq!((longest.get(ctx)?, sum.get(ctx)?), (None, None));
        sum.add(ctx, 1)?;
        longest.add(ctx, "c".to_owned())?;
        assert_eq!((longest.get(ctx)?.as_deref(), sum.get(ctx)?), (Some("c"), Some(1)), "they begin anew");
        sum.clear(ctx)?;
        longest.clear(ctx)?;
        assert!(ctx.store.is_empty()?, "{name}: what has expired is removed where it is met");
    }
    Ok(())
}

#[test]
fn reading_counts_where_it_is_to() -> Result<()> {
    for (_, backend) in backends() {
        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let mut expiring = declared.with_ttl(ttl().update_type(TtlUpdateType::OnReadAndWrite).build());
        let value = expiring.value::<u64>("value");
        let list = expiring.list::<u64>("list");
        let map = expiring.map::<u64, u64>("map");
        let ctx = &mut Context::open(&*backend, None, declared)?;
        ctx.at("ada");
        value.put(ctx, 1)?;
        list.add(ctx, 1)?;
        map.put_all(ctx, [(1, 1), (2, 2)])?;
        for _ in 0..5 {
            ctx.pass(60);
            assert_eq!((value.get(ctx)?, list.get(ctx)?, map.get(ctx, &1)?), (Some(1), vec![1], Some(1)));
        }
        assert_eq!(map.entries(ctx)?, [(1, 1)], "the other entry was not read");
        ctx.pass(60);
        assert_eq!(map.entries(ctx)?, [(1, 1)]);
        ctx.pass(100);
        assert_eq!((value.get(ctx)?, map.contains(ctx, &1)?), (None, false));
    }
    Ok(())
}

#[test]
fn expired_values_are_seen_once_where_they_may_be() -> Result<()> {
    for (_, backend) in backends() {
        let config = ttl().visibility(StateVisibility::ReturnExpiredIfNotCleanedUp).disable_cleanup_in_background().build();
        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let mut expiring = declared.with_ttl(config);
        let (value, list, map) = (expiring.value::<u64>("value"), expiring.list::<u64>("list"), expiring.map::<u64, u64>("map"));
        let ctx = &mut Context::open(&*backend, None, declared)?;
        ctx.at("ada");
        value.put(ctx, 1)?;
        list.add(ctx, 2)?;
        map.put(ctx, 3, 4)?;
        ctx.pass(1000);
        assert_eq!((value.get(ctx)?, list.get(ctx)?, map.entries(ctx)?), (Some(1), vec![2], vec![(3, 4)]));
        assert_eq!((value.get(ctx)?, list.get(ctx)?, map.entries(ctx)?), (None, vec![], vec![]));
        let mut seen = 0;
        map.for_each(ctx, |_, _| {
            seen += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        assert_eq!(seen, 0);
    }
    Ok(())
}

#[test]
fn full_snapshots_leave_expired_values_out() -> Result<()> {
    for (name, backend) in backends() {
        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let kept = declared.with_ttl(ttl().disable_cleanup_in_background().build()).value::<u64>("kept");
        let mut expiring = declared.with_ttl(ttl().disable_cleanup_in_background().cleanup_full_snapshot().build());
        let (value, list) = (expiring.value::<u64>("value"), expiring.list::<u64>("list"));
        let ctx = &mut Context::open(&*backend, None, declared)?;
        for key in ["ada", "bob"] {
            ctx.at(key);
            kept.put(ctx, 1)?;
            value.put(ctx, 1)?;
            list.add(ctx, 1)?;
            ctx.pass(60);
        }
        list.add(ctx.at("ada"), 2)?;
        ctx.pass(50);
        let snapshot = ctx.snapshot();
        let rows = ["kept", "value", "list"].map(|state| snapshot.rows(state).len());
        assert_eq!(rows, [2, 0, 1], "{name}");
    }
    Ok(())
}

#[test]
fn a_time_to_live_can_be_given_and_taken_later() -> Result<()> {
    for (_, backend) in backends() {
        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let (value, list) = (declared.value::<u32>("value"), declared.list::<u32>("list"));
        let ctx = &mut Context::open(&*backend, None, declared)?;
        ctx.at("ada");
        value.put(ctx, 7)?;
        list.add_all(ctx, [1, 2])?;
        let plain = ctx.snapshot();

        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let mut expiring = declared.with_ttl(ttl().build());
        let (value, list) = (expiring.value::<u64>("value"), expiring.list::<u64>("list"));
        let ctx = &mut Context::open(&*backend, Some(restored(&plain)), declared)?;
        ctx.at("ada");
        assert_eq!((value.get(ctx)?, list.get(ctx)?), (Some(7), vec![1, 2]));
        let timed = ctx.snapshot();
        ctx.pass(100);
        assert_eq!((value.get(ctx)?, list.get(ctx)?), (None, vec![]), "their time began when they were restored");

        let mut declared = StateDeclarations::new("operator 'test' (1/1)");
        let (value, list) = (declared.value::<u64>("value"), declared.list::<u64>("list"));
        let ctx = &mut Context::open(&*backend, Some(restored(&timed)), declared)?;
        ctx.at("ada");
        assert_eq!((value.get(ctx)?, list.get(ctx)?), (Some(7), vec![1, 2]));
    }
    Ok(())
}

#[test]
fn tables_on_the_heap_are_cleaned_up_a_little_with_each_access() -> Result<()> {
    let mut declared = StateDeclarations::new("operator 'test' (1/1)");
    let mut expiring = declared.with_ttl(ttl().cleanup_incrementally(5).build());
    let (value, list, map) = (expiring.value::<u64>("value"), expiring.list::<u64>("list"), expiring.map::<u64, u64>("map"));
    let ctx = &mut Context::open(&HashMapStateBackend, None, declared)?;
    for key in 0..1000u64 {
        ctx.at(&format!("key {key}"));
        value.put(ctx, key)?;
        list.add_all(ctx, 0..300)?;
        map.put_all(ctx, [(key, key), (key + 1, key)])?;
    }
    assert_eq!(ctx.store.entries()?, 4000);
    ctx.pass(100);
    for _ in 0..2000 {
        ctx.at("another");
        value.put(ctx, 1)?;
        list.update(ctx, vec![1])?;
        map.put(ctx, 1, 1)?;
    }
    assert_eq!(ctx.store.entries()?, 3);
    Ok(())
}

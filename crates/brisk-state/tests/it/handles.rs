//! Handles as user functions use them.

use crate::support::{GROUPS, K, backends, ready};
use brisk_base::{Error, Result};
use brisk_core::function::AggregateFunction;
use brisk_core::state::{CurrentState, Slot, StateAccess, StateBackend, StateBackendContext, StateDeclarations};
use brisk_core::types::Key;
use brisk_state::KeyedStateStore;
use std::ops::ControlFlow;

/// What a keyed operator's context does.
struct Context {
    store: KeyedStateStore<K>,
    key: Option<(K, u64)>,
}

impl Context {
    fn open(backend: &dyn StateBackend, declared: StateDeclarations) -> Result<Self> {
        let cx = StateBackendContext::new("operator 'test' (1/1)", GROUPS);
        Ok(Self { store: KeyedStateStore::open(backend, cx, declared)?, key: None })
    }

    /// Makes `key` the current one, as an operator does before it calls user code.
    fn at(&mut self, key: &str) -> &mut Self {
        let key = key.to_owned();
        ready(|cx| self.store.prefetch(cx, &[Slot::new(&key, &())]));
        self.key = Some((key.clone(), key.key_hash()));
        self
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

struct Mean;

impl AggregateFunction for Mean {
    type In = i64;
    type Acc = (i64, i64);
    type Out = i64;

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, accumulator: &mut (i64, i64), value: i64) -> Result<()> {
        *accumulator = (accumulator.0 + value, accumulator.1 + 1);
        Ok(())
    }

    fn get_result(&self, accumulator: &(i64, i64)) -> Result<i64> {
        Ok(accumulator.0 / accumulator.1)
    }

    fn merge(&self, into: &mut (i64, i64), from: (i64, i64)) -> Result<()> {
        *into = (into.0 + from.0, into.1 + from.1);
        Ok(())
    }
}

#[test]
fn each_key_has_its_own() -> Result<()> {
    for (_, backend) in backends() {
        let mut state = StateDeclarations::new("operator 'test' (1/1)");
        let last = state.value::<i64>("last");
        let count = state.value_with_default("count", 10u64);
        let seen = state.list::<String>("seen");
        let by_day = state.map::<i64, String>("by day");
        let longest = state.reducing("longest", |a: String, b: String| Ok(if b.len() > a.len() { b } else { a }));
        let mean = state.aggregating("mean", Mean);
        let ctx = &mut Context::open(&*backend, state)?;

        last.put(ctx.at("ada"), 7)?;
        assert_eq!((last.get(ctx.at("ada"))?, last.get(ctx.at("bob"))?), (Some(7), None));
        assert_eq!((last.take(ctx.at("ada"))?, last.take(ctx.at("ada"))?), (Some(7), None));

        assert_eq!(count.get(ctx.at("ada"))?, Some(10));
        assert_eq!(count.update(ctx.at("ada"), |count| count.as_mut().map(|count| std::mem::replace(count, 11)))?, Some(10));
        assert_eq!((count.get(ctx.at("ada"))?, count.get(ctx.at("bob"))?), (Some(11), Some(10)));
        count.clear(ctx.at("ada"))?;
        assert_eq!(count.with(ctx.at("ada"), |count| count.copied())?, Some(10));

        seen.add(ctx.at("ada"), "x".to_owned())?;
        seen.add_all(ctx.at("ada"), ["y".to_owned(), "z".to_owned()])?;
        assert_eq!((seen.get(ctx.at("ada"))?.concat(), seen.get(ctx.at("bob"))?), ("xyz".to_owned(), vec![]));
        seen.update(ctx.at("ada"), vec!["w".to_owned()])?;
        assert_eq!(seen.take(ctx.at("ada"))?, ["w"]);

        by_day.put_all(ctx.at("ada"), (1..=5).map(|day| (day, day.to_string())))?;
        by_day.remove_range(ctx.at("ada"), ..2)?;
        by_day.update(ctx.at("ada"), &3, |day| *day = None)?;
        assert_eq!(by_day.entries(ctx.at("ada"))?.into_iter().map(|(day, _)| day).collect::<Vec<_>>(), [2, 4, 5]);
        assert_eq!(by_day.range(ctx.at("ada"), 3..5)?, [(4, "4".to_owned())]);
        assert!(by_day.contains(ctx.at("ada"), &2)? && by_day.is_empty(ctx.at("bob"))?);
        let mut first = None;
        by_day.for_each(ctx.at("ada"), |day, _| {
            first = Some(*day);
            Ok(ControlFlow::Break(()))
        })?;
        assert_eq!((first, by_day.remove(ctx.at("ada"), &2)?), (Some(2), Some("2".to_owned())));
        by_day.clear(ctx.at("ada"))?;

        for word in ["a", "ccc", "bb"] {
            longest.add(ctx.at("ada"), word.to_owned())?;
        }
        assert_eq!((longest.get(ctx.at("ada"))?, longest.get(ctx.at("bob"))?), (Some("ccc".to_owned()), None));
        longest.clear(ctx.at("ada"))?;

        for value in [2, 4, 9] {
            mean.add(ctx.at("ada"), value)?;
        }
        assert_eq!((mean.get(ctx.at("ada"))?, mean.get(ctx.at("bob"))?), (Some(5), None));
        assert!(!ctx.store.is_empty()?);
        mean.clear(ctx.at("ada"))?;
        assert!(ctx.store.is_empty()?);
    }
    Ok(())
}

#[test]
fn wrong_uses_name_operator_and_state() -> Result<()> {
    for (_, backend) in backends() {
        let mut state = StateDeclarations::new("operator 'test' (1/1)");
        let number = state.value::<i64>("number");
        let mut other = StateDeclarations::new("operator 'other' (1/1)");
        let text = other.value::<String>("text");
        let beyond = other.value::<String>("beyond");
        let ctx = &mut Context::open(&*backend, state)?;

        assert!(number.get(ctx).expect_err("no key").to_string().contains("there is no current key"));
        let error = text.get(ctx.at("ada")).expect_err("a handle of another operator").to_string();
        assert!(error.starts_with("operator 'test' (1/1): state 'number' was declared as another kind or type"), "{error}");
        let error = beyond.get(ctx.at("ada")).expect_err("a handle of another operator").to_string();
        assert!(error.starts_with("operator 'test' (1/1): a state is used that this operator has not declared"), "{error}");
        number.put(ctx.at("ada"), 1)?;
        let error = text.get(ctx.at("ada")).expect_err("a handle of another type").to_string();
        assert!(error.starts_with("operator 'test' (1/1): state 'number' was first used with other types"), "{error}");
        assert_eq!(number.get(ctx.at("ada"))?, Some(1));
    }
    Ok(())
}

#[test]
fn names_are_unique_and_the_users_own() {
    for (first, second, message) in [
        ("a", "a", "operator 'test' (1/1): state 'a' is declared twice; give each state of an operator a name of its own"),
        ("a", "", "operator 'test' (1/1): '' cannot be the name of a state: names are not empty and do not begin with '$'"),
        ("a", "$a", "operator 'test' (1/1): '$a' cannot be the name of a state: names are not empty and do not begin with '$'"),
    ] {
        let mut state = StateDeclarations::new("operator 'test' (1/1)");
        state.value::<i64>(first);
        state.list::<i64>(second);
        assert_eq!(state.finish().expect_err("the second is refused").to_string(), message);
    }
}

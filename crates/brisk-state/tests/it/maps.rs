//! Tables of maps against a tree of trees.

use crate::support::{Generations, K, N, Rows, backends, key, layout, pair, ready, rows, slot_bytes, slots, store};
use brisk_core::state::{KeyedMapTable, Layout, Slot, StateBackend};
use brisk_core::types::{Key, Record};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow, RangeBounds};

type UK = String;
type UV = u64;
type Model = BTreeMap<(K, N), BTreeMap<UK, UV>>;
type Range = (Bound<UK>, Bound<UK>);

#[derive(Clone, Debug)]
enum Op {
    Put((K, N), UK, UV),
    PutMany((K, N), u64),
    Remove((K, N), UK),
    Update((K, N), UK, Option<UV>),
    Get((K, N), UK),
    Range((K, N), Range, usize),
    RemoveRange((K, N), Range),
    RemoveAll((K, N)),
    RemoveNamespace(N),
    Merge(K, N, Vec<N>),
    Freeze,
    DropFrozen(usize),
    Restore,
}

fn entry_key() -> impl Strategy<Value = UK> {
    (0u32..60).prop_map(|number| if number % 7 == 0 { format!("{number}\0\u{ff}") } else { number.to_string() })
}

fn bound() -> impl Strategy<Value = Bound<UK>> {
    prop_oneof![1 => Just(Bound::Unbounded), 2 => entry_key().prop_map(Bound::Included), 2 => entry_key().prop_map(Bound::Excluded)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (pair(6), entry_key(), any::<u64>()).prop_map(|(at, key, value)| Op::Put(at, key, value)),
        4 => (pair(2), 0u64..300).prop_map(|(at, count)| Op::PutMany(at, count)),
        4 => (pair(6), entry_key()).prop_map(|(at, key)| Op::Remove(at, key)),
        6 => (pair(6), entry_key(), any::<Option<u64>>()).prop_map(|(at, key, value)| Op::Update(at, key, value)),
        4 => (pair(6), entry_key()).prop_map(|(at, key)| Op::Get(at, key)),
        4 => (pair(3), (bound(), bound()), 0usize..20).prop_map(|(at, range, limit)| Op::Range(at, range, limit)),
        2 => (pair(6), (bound(), bound())).prop_map(|(at, range)| Op::RemoveRange(at, range)),
        1 => pair(6).prop_map(Op::RemoveAll),
        1 => (-3i64..4).prop_map(Op::RemoveNamespace),
        2 => (key(6), -3i64..4, prop::collection::vec(-3i64..4, 0..4)).prop_map(|(key, into, from)| Op::Merge(key, into, from)),
        3 => Just(Op::Freeze),
        2 => any::<usize>().prop_map(Op::DropFrozen),
        1 => Just(Op::Restore),
    ]
}

fn table(backend: &dyn StateBackend, layout: Layout) -> Box<dyn KeyedMapTable<K, N, UK, UV>> {
    let (mut store, id) = store(backend, |state| state.engine_map::<UK, UV>("maps", layout));
    store.take_map(id).expect("the state was declared")
}

fn encoded(model: &Model) -> Rows {
    let row = |at: &(K, N), key: &UK, value: &UV| {
        let (mut key_bytes, mut value_bytes) = (slot_bytes(at), Vec::new());
        key.encode_ordered(&mut key_bytes);
        value.encode(&mut value_bytes);
        (key_bytes, value_bytes)
    };
    model.iter().flat_map(|(at, map)| map.iter().map(move |(key, value)| row(at, key, value))).collect()
}

fn near(table: &mut dyn KeyedMapTable<K, N, UK, UV>, pairs: &[(K, N)]) {
    let slots = slots(pairs);
    ready(|cx| table.prefetch(cx, &slots));
}

fn within(model: &Model, at: &(K, N), range: &Range) -> Vec<(UK, UV)> {
    let entries = model.get(at).into_iter().flatten();
    entries.filter(|(key, _)| range.contains(*key)).map(|(key, value)| (key.clone(), *value)).collect()
}

fn merge(table: &mut dyn KeyedMapTable<K, N, UK, UV>, model: &mut Model, key: &K, into: N, from: &[N]) {
    let all: Vec<(K, N)> = from.iter().chain([&into]).map(|namespace| (key.clone(), *namespace)).collect();
    near(table, &all);
    table
        .merge_namespaces(Slot::new(key, &into), from, &mut |to, from| {
            *to = to.wrapping_mul(3).wrapping_add(from);
            Ok(())
        })
        .expect("merging never fails here");
    for namespace in from.iter().filter(|namespace| **namespace != into) {
        for (entry_key, value) in model.remove(&(key.clone(), *namespace)).unwrap_or_default() {
            let target = model.entry((key.clone(), into)).or_default();
            target.entry(entry_key).and_modify(|to| *to = to.wrapping_mul(3).wrapping_add(value)).or_insert(value);
        }
    }
}

fn check_range(table: &mut dyn KeyedMapTable<K, N, UK, UV>, model: &Model, at: &(K, N), range: &Range, limit: usize) {
    let mut seen = Vec::new();
    let visit = &mut |key: &UK, value: &UV| {
        if seen.len() == limit {
            return Ok(ControlFlow::Break(()));
        }
        seen.push((key.clone(), *value));
        Ok(ControlFlow::Continue(()))
    };
    table.range(Slot::new(&at.0, &at.1), (range.0.as_ref(), range.1.as_ref()), visit).expect("scanning never fails here");
    let expected: Vec<_> = within(model, at, range).into_iter().take(limit).collect();
    assert_eq!(seen, expected);
    assert_eq!(table.has_none(Slot::new(&at.0, &at.1)).expect("asking never fails here"), !model.contains_key(at));
}

fn change(table: &mut dyn KeyedMapTable<K, N, UK, UV>, model: &mut Model, op: &Op) {
    match op {
        Op::Put(at, key, value) => {
            table.put(Slot::new(&at.0, &at.1), key.clone(), *value).expect("putting never fails here");
            model.entry(at.clone()).or_default().insert(key.clone(), *value);
        }
        Op::PutMany(at, count) => {
            for value in 0..*count {
                table.put(Slot::new(&at.0, &at.1), format!("{value:04}"), value).expect("putting never fails here");
                model.entry(at.clone()).or_default().insert(format!("{value:04}"), value);
            }
        }
        Op::Remove(at, key) => {
            near(table, std::slice::from_ref(at));
            let removed = table.remove(Slot::new(&at.0, &at.1), key).expect("removing never fails here");
            assert_eq!(removed, model.get_mut(at).and_then(|map| map.remove(key)));
        }
        Op::Update(at, key, value) => {
            near(table, std::slice::from_ref(at));
            let mut seen = None;
            let update = &mut |slot: &mut Option<UV>| {
                seen = std::mem::replace(slot, *value);
                Ok(())
            };
            table.update(Slot::new(&at.0, &at.1), key, update).expect("updating never fails here");
            let map = model.entry(at.clone()).or_default();
            assert_eq!(
                seen,
                match value {
                    Some(value) => map.insert(key.clone(), *value),
                    None => map.remove(key),
                }
            );
        }
        Op::RemoveRange(at, range) => {
            let bounds = (range.0.as_ref(), range.1.as_ref());
            table.remove_range(Slot::new(&at.0, &at.1), bounds).expect("removing never fails here");
            model.entry(at.clone()).or_default().retain(|key, _| !range.contains(key));
        }
        Op::RemoveAll(at) => {
            table.remove_all(Slot::new(&at.0, &at.1)).expect("removing never fails here");
            model.remove(at);
        }
        Op::RemoveNamespace(namespace) => {
            table.remove_namespace(namespace).expect("removing never fails here");
            model.retain(|(_, at), _| at != namespace);
        }
        Op::Merge(key, into, from) => merge(table, model, key, *into, from),
        _ => unreachable!("the caller handles what changes nothing"),
    }
    model.retain(|_, map| !map.is_empty());
}

fn run(backend: &dyn StateBackend, layout: Layout, ops: &[Op]) {
    let mut owner = table(backend, layout);
    let mut model = Model::new();
    let mut generations = Generations::default();
    for op in ops {
        let table = &mut *owner;
        match op {
            Op::Get(at, key) => {
                near(table, std::slice::from_ref(at));
                let value = table.get(Slot::new(&at.0, &at.1), key).expect("getting never fails here");
                assert_eq!(value, model.get(at).and_then(|map| map.get(key)));
            }
            Op::Range(at, range, limit) => {
                near(table, std::slice::from_ref(at));
                check_range(table, &model, at, range, *limit);
            }
            Op::Freeze => generations.push(table.freeze().expect("freezing never fails here"), encoded(&model)),
            Op::DropFrozen(number) => generations.drop_one(*number),
            Op::Restore => {
                let frozen = table.freeze().expect("freezing never fails here");
                let mut restored = self::table(backend, layout);
                rows(&*frozen).iter().for_each(|(key, value)| restored.restore(key, value).expect("the rows are good"));
                owner = restored;
            }
            change_op => change(table, &mut model, change_op),
        }
        assert_eq!(owner.len().expect("counting never fails here"), model.values().map(BTreeMap::len).sum::<usize>());
    }
    let mut all = Model::new();
    let visit = &mut |key: &K, namespace: &N, entry_key: &UK, value: &UV| {
        assert!(all.entry((key.clone(), *namespace)).or_default().insert(entry_key.clone(), *value).is_none());
        Ok(())
    };
    owner.scan(visit).expect("scanning never fails here");
    assert_eq!(all, model);
    generations.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn all_backends_behave_like_trees(layout in layout(), ops in prop::collection::vec(op(), 1..60)) {
        for (_, backend) in backends() {
            run(&*backend, layout, &ops);
        }
    }
}

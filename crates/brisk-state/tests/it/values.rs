//! Tables of values against a tree.

use crate::support::{Generations, K, N, Rows, backends, key, layout, pair, ready, rows, slot_bytes, slots, store};
use brisk_core::state::{KeyedTable, Layout, Slot, StateBackend};
use brisk_core::types::Record;
use proptest::prelude::*;
use std::collections::BTreeMap;

type V = Vec<u32>;
type Model = BTreeMap<(K, N), V>;

#[derive(Clone, Debug)]
enum Op {
    Put((K, N), V),
    Remove((K, N)),
    /// Appends the number; a 0 removes the value.
    Update(Vec<((K, N), u32)>),
    Add(Vec<((K, N), u32)>),
    Get(Vec<(K, N)>),
    ScanNamespace(N),
    DrainNamespace(N),
    RemoveNamespace(N),
    Namespaces,
    Merge(K, N, Vec<N>),
    Freeze,
    DropFrozen(usize),
    Clear,
    Restore,
}

fn op(keys: u32) -> impl Strategy<Value = Op> {
    let value = prop::collection::vec(any::<u32>(), 0..4);
    let changes = || prop::collection::vec((pair(keys), 0u32..6), 1..60);
    prop_oneof![
        10 => (pair(keys), value).prop_map(|(at, value)| Op::Put(at, value)),
        6 => pair(keys).prop_map(Op::Remove),
        6 => changes().prop_map(Op::Update),
        8 => changes().prop_map(Op::Add),
        4 => prop::collection::vec(pair(keys), 1..40).prop_map(Op::Get),
        2 => (-3i64..4).prop_map(Op::ScanNamespace),
        1 => (-3i64..4).prop_map(Op::DrainNamespace),
        1 => (-3i64..4).prop_map(Op::RemoveNamespace),
        2 => Just(Op::Namespaces),
        3 => (key(keys), -3i64..4, prop::collection::vec(-3i64..4, 0..4)).prop_map(|(key, into, from)| Op::Merge(key, into, from)),
        3 => Just(Op::Freeze),
        2 => any::<usize>().prop_map(Op::DropFrozen),
        1 => Just(Op::Clear),
        1 => Just(Op::Restore),
    ]
}

fn table(backend: &dyn StateBackend, layout: Layout) -> Box<dyn KeyedTable<K, N, V>> {
    let (mut store, id) = store(backend, |state| state.engine_value::<V>("values", layout));
    store.take_value(id).expect("the state was declared")
}

fn encoded(model: &Model) -> Rows {
    model
        .iter()
        .map(|(at, value)| {
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            (slot_bytes(at), bytes)
        })
        .collect()
}

fn within(model: &Model, namespace: N) -> BTreeMap<K, V> {
    model.iter().filter(|((_, at), _)| *at == namespace).map(|((key, _), value)| (key.clone(), value.clone())).collect()
}

fn change(value: &mut Option<V>, number: u32) {
    match number {
        0 => *value = None,
        number => value.get_or_insert_default().push(number),
    }
}

fn near(table: &mut dyn KeyedTable<K, N, V>, pairs: &[(K, N)]) {
    let slots = slots(pairs);
    ready(|cx| table.prefetch(cx, &slots));
}

/// Changes many values in both.
fn change_many(table: &mut dyn KeyedTable<K, N, V>, model: &mut Model, changes: &[((K, N), u32)], add: bool) {
    let pairs: Vec<(K, N)> = changes.iter().map(|(at, _)| at.clone()).collect();
    near(table, &pairs);
    let mut seen = Vec::new();
    if add {
        table
            .add_many(&slots(&pairs), &mut |_| Ok(vec![77]), &mut |index, value| {
                value.push(changes[index].1);
                seen.push(value.clone());
                Ok(())
            })
            .expect("adding never fails here");
    } else {
        table
            .update_many(&slots(&pairs), &mut |index, value| {
                seen.push(value.clone().unwrap_or_default());
                change(value, changes[index].1);
                Ok(())
            })
            .expect("updating never fails here");
    }
    let mut expected = Vec::new();
    for (at, number) in changes {
        if add {
            let value = model.entry(at.clone()).or_insert_with(|| vec![77]);
            value.push(*number);
            expected.push(value.clone());
        } else {
            let mut value = model.remove(at);
            expected.push(value.clone().unwrap_or_default());
            change(&mut value, *number);
            value.map(|value| model.insert(at.clone(), value));
        }
    }
    assert_eq!(seen, expected);
}

fn check_namespaces(table: &mut dyn KeyedTable<K, N, V>, model: &Model) {
    let (mut found, mut after) = (Vec::new(), None);
    while let Some(namespace) = table.next_namespace(after.as_ref()).expect("asking never fails here") {
        found.push(namespace);
        after = Some(namespace);
    }
    let mut expected: Vec<N> = model.keys().map(|(_, namespace)| *namespace).collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(found, expected);
}

fn merge(table: &mut dyn KeyedTable<K, N, V>, model: &mut Model, key: &K, into: N, from: &[N]) {
    let all: Vec<(K, N)> = from.iter().chain([&into]).map(|namespace| (key.clone(), *namespace)).collect();
    near(table, &all);
    let fold = |to: &mut V, from: V| to.extend(from);
    table
        .merge_namespaces(Slot::new(key, &into), from, &mut |to, from| {
            fold(to, from);
            Ok(())
        })
        .expect("merging never fails here");
    for namespace in from.iter().filter(|namespace| **namespace != into) {
        if let Some(value) = model.remove(&(key.clone(), *namespace)) {
            match model.get_mut(&(key.clone(), into)) {
                Some(to) => fold(to, value),
                None => drop(model.insert((key.clone(), into), value)),
            }
        }
    }
}

fn check_scan(table: &mut dyn KeyedTable<K, N, V>, model: &Model) {
    let mut all = Model::new();
    table
        .scan(&mut |key, namespace, value| {
            assert!(all.insert((key.clone(), *namespace), value.clone()).is_none(), "a value came twice");
            Ok(())
        })
        .expect("scanning never fails here");
    assert_eq!(all, *model);
    assert_eq!(table.len().expect("counting never fails here"), model.len());
}

fn run(backend: &dyn StateBackend, layout: Layout, ops: &[Op]) {
    let mut owner = table(backend, layout);
    let mut model = Model::new();
    let mut generations = Generations::default();
    for op in ops {
        let table = &mut *owner;
        match op {
            Op::Put(at, value) => {
                table.put(Slot::new(&at.0, &at.1), value.clone()).expect("putting never fails here");
                model.insert(at.clone(), value.clone());
            }
            Op::Remove(at) => {
                near(table, std::slice::from_ref(at));
                assert_eq!(table.remove(Slot::new(&at.0, &at.1)).expect("removing never fails here"), model.remove(at));
            }
            Op::Update(changes) => change_many(table, &mut model, changes, false),
            Op::Add(changes) => change_many(table, &mut model, changes, true),
            Op::Get(pairs) => {
                near(table, pairs);
                let mut count = 0;
                let visit = &mut |index: usize, value: Option<&V>| {
                    assert_eq!((index, value), (count, model.get(&pairs[index])));
                    count += 1;
                    Ok(())
                };
                table.get_many(&slots(pairs), visit).expect("getting never fails here");
                let last = pairs.last().expect("there is one at least");
                assert_eq!(table.get(Slot::new(&last.0, &last.1)).expect("getting never fails here"), model.get(last));
            }
            Op::ScanNamespace(namespace) | Op::DrainNamespace(namespace) => {
                let mut found = BTreeMap::new();
                let drain = matches!(op, Op::DrainNamespace(_));
                if drain {
                    table.drain_namespace(namespace, &mut |key, value| {
                        assert!(found.insert(key, value).is_none());
                        Ok(())
                    })
                } else {
                    table.scan_namespace(namespace, &mut |key, value| {
                        assert!(found.insert(key.clone(), value.clone()).is_none());
                        Ok(())
                    })
                }
                .expect("scanning never fails here");
                assert_eq!(found, within(&model, *namespace));
                model.retain(|(_, at), _| !drain || at != namespace);
            }
            Op::RemoveNamespace(namespace) => {
                table.remove_namespace(namespace).expect("removing never fails here");
                model.retain(|(_, at), _| at != namespace);
            }
            Op::Namespaces => check_namespaces(table, &model),
            Op::Merge(key, into, from) => merge(table, &mut model, key, *into, from),
            Op::Freeze => generations.push(table.freeze().expect("freezing never fails here"), encoded(&model)),
            Op::DropFrozen(number) => generations.drop_one(*number),
            Op::Clear => {
                table.clear().expect("clearing never fails here");
                model.clear();
            }
            Op::Restore => {
                let frozen = table.freeze().expect("freezing never fails here");
                let mut restored = self::table(backend, layout);
                rows(&*frozen).iter().for_each(|(key, value)| restored.restore(key, value).expect("the rows are good"));
                owner = restored;
            }
        }
    }
    check_scan(&mut *owner, &model);
    check_namespaces(&mut *owner, &model);
    generations.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn all_backends_behave_like_a_tree(layout in layout(), ops in prop::collection::vec(op(12), 1..60)) {
        for (_, backend) in backends() {
            run(&*backend, layout, &ops);
        }
    }

    #[test]
    fn the_heap_behaves_like_a_tree_with_many_keys(layout in layout(), ops in prop::collection::vec(op(400), 1..200)) {
        run(&brisk_state::HashMapStateBackend, layout, &ops);
    }
}

#[test]
fn an_error_of_the_update_keeps_what_was_done_before() {
    for (name, backend) in backends() {
        for layout in [Layout::KeyMajor, Layout::NamespaceMajor] {
            let mut table = table(&*backend, layout);
            let pairs = [("a".to_owned(), 1), ("b".to_owned(), 1), ("c".to_owned(), 2)];
            near(&mut *table, &pairs);
            let error = table.add_many(
                &slots(&pairs),
                &mut |index| if index == 2 { Err(brisk_base::Error::user("no")) } else { Ok(vec![]) },
                &mut |index, value| {
                    value.push(index as u32);
                    Ok(())
                },
            );
            assert!(error.expect_err("the third fails").to_string().ends_with("no"));
            check_scan(&mut *table, &BTreeMap::from([(pairs[0].clone(), vec![0]), (pairs[1].clone(), vec![1])]));
            assert_eq!(table.next_namespace(Some(&1)).expect("asking never fails here"), None, "{name}, {layout:?}");
        }
    }
}

#[test]
fn reading_what_was_not_prefetched_fails_in_the_delayed_backend() {
    let (_, backend) = brisk_state::mock::backends().pop().expect("it is the last one");
    let mut ids = Vec::new();
    let (mut store, _) = store(&*backend, |state| {
        ids.extend([state.engine_value::<V>("values", Layout::KeyMajor), state.engine_value::<V>("other", Layout::KeyMajor)]);
        ids[0]
    });
    let mut table = store.take_value::<N, V>(ids[0]).expect("the state was declared");
    let mut other = store.take_value::<N, V>(ids[1]).expect("the state was declared");
    let (near_key, far_key) = ("near".to_owned(), "far".to_owned());
    near(&mut *table, &[(near_key.clone(), 0)]);
    assert_eq!(table.get(Slot::new(&near_key, &0)).expect("it was prefetched"), None);
    near(&mut *other, &[(far_key.clone(), 0)]);
    assert_eq!(table.get(Slot::new(&near_key, &0)).expect("another state was prefetched since"), None);
    let error = table.get(Slot::new(&far_key, &0)).expect_err("it was not prefetched").to_string();
    assert!(error.contains("state '$values'") && error.contains("not prefetched"), "{error}");
}

#[test]
fn memory_is_accounted_and_given_back() {
    let mut table = table(&brisk_state::HashMapStateBackend, Layout::KeyMajor);
    let empty = table.heap_bytes();
    for number in 0..1000 {
        table.put(Slot::new(&format!("key {number}"), &0), vec![0; 100]).expect("putting never fails here");
    }
    let full = table.heap_bytes();
    assert!((400_000..800_000).contains(&(full - empty)), "{full} bytes");
    table.clear().expect("clearing never fails here");
    assert!(table.heap_bytes() < full / 5);
}

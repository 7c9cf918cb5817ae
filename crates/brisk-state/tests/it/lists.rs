//! Tables of lists against a tree of vectors.

use crate::support::{Generations, K, N, Rows, backends, key, layout, pair, ready, rows, slot_bytes, slots, store};
use brisk_core::state::{KeyedListTable, Layout, Slot, StateBackend};
use brisk_core::types::{Record, put_varint};
use proptest::prelude::*;
use std::collections::BTreeMap;

type V = String;
type Model = BTreeMap<(K, N), Vec<V>>;

#[derive(Clone, Debug)]
enum Op {
    Append((K, N), V),
    AppendMany(Vec<(K, N)>),
    AppendAll((K, N), usize),
    Replace((K, N), Vec<V>),
    Take((K, N)),
    Remove((K, N)),
    Get((K, N)),
    RemoveNamespace(N),
    Merge(K, N, Vec<N>),
    Freeze,
    DropFrozen(usize),
    Restore,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (pair(10), "[a-z]{0,3}").prop_map(|(at, value)| Op::Append(at, value)),
        4 => prop::collection::vec(pair(10), 1..40).prop_map(Op::AppendMany),
        3 => (pair(3), 0usize..600).prop_map(|(at, count)| Op::AppendAll(at, count)),
        2 => (pair(10), prop::collection::vec("[a-z]{0,3}", 0..4)).prop_map(|(at, values)| Op::Replace(at, values)),
        2 => pair(10).prop_map(Op::Take),
        2 => pair(10).prop_map(Op::Remove),
        4 => pair(10).prop_map(Op::Get),
        1 => (-3i64..4).prop_map(Op::RemoveNamespace),
        2 => (key(10), -3i64..4, prop::collection::vec(-3i64..4, 0..4)).prop_map(|(key, into, from)| Op::Merge(key, into, from)),
        3 => Just(Op::Freeze),
        2 => any::<usize>().prop_map(Op::DropFrozen),
        1 => Just(Op::Restore),
    ]
}

fn table(backend: &dyn StateBackend, layout: Layout) -> Box<dyn KeyedListTable<K, N, V>> {
    let (mut store, id) = store(backend, |state| state.engine_list::<V>("lists", layout));
    store.take_list(id).expect("the state was declared")
}

fn encoded(model: &Model) -> Rows {
    let bytes = |values: &Vec<V>| {
        values.iter().fold(Vec::new(), |mut out, value| {
            let mut element = Vec::new();
            value.encode(&mut element);
            put_varint(&mut out, element.len() as u64);
            out.extend(element);
            out
        })
    };
    model.iter().map(|(at, values)| (slot_bytes(at), bytes(values))).collect()
}

fn near(table: &mut dyn KeyedListTable<K, N, V>, pairs: &[(K, N)]) {
    let slots = slots(pairs);
    ready(|cx| table.prefetch(cx, &slots));
}

fn merge(table: &mut dyn KeyedListTable<K, N, V>, model: &mut Model, key: &K, into: N, from: &[N]) {
    let all: Vec<(K, N)> = from.iter().chain([&into]).map(|namespace| (key.clone(), *namespace)).collect();
    near(table, &all);
    table.merge_namespaces(Slot::new(key, &into), from).expect("merging never fails here");
    for namespace in from.iter().filter(|namespace| **namespace != into) {
        if let Some(values) = model.remove(&(key.clone(), *namespace)) {
            model.entry((key.clone(), into)).or_default().extend(values);
        }
    }
}

fn check_scans(table: &mut dyn KeyedListTable<K, N, V>, model: &Model) {
    let mut all = Model::new();
    let visit = &mut |key: &K, namespace: &N, list: brisk_core::state::ListView<'_, V>| {
        assert!(all.insert((key.clone(), *namespace), list.to_vec()).is_none());
        Ok(())
    };
    table.scan(visit).expect("scanning never fails here");
    assert_eq!(all, *model);
    assert_eq!(table.len().expect("counting never fails here"), model.len());
    let mut in_namespace = 0;
    table
        .scan_namespace(&0, &mut |key, list| {
            assert_eq!(list.to_vec(), model[&(key.clone(), 0)]);
            in_namespace += 1;
            Ok(())
        })
        .expect("scanning never fails here");
    assert_eq!(in_namespace, model.keys().filter(|(_, namespace)| *namespace == 0).count());
}

fn run(backend: &dyn StateBackend, layout: Layout, ops: &[Op]) {
    let mut owner = table(backend, layout);
    let mut model = Model::new();
    let mut generations = Generations::default();
    for op in ops {
        let table = &mut *owner;
        match op {
            Op::Append(at, value) => {
                table.append(Slot::new(&at.0, &at.1), value.clone()).expect("appending never fails here");
                model.entry(at.clone()).or_default().push(value.clone());
            }
            Op::AppendMany(pairs) => {
                table.append_many(&slots(pairs), &mut |index| index.to_string()).expect("appending never fails here");
                pairs.iter().enumerate().for_each(|(index, at)| model.entry(at.clone()).or_default().push(index.to_string()));
            }
            Op::AppendAll(at, count) => {
                let values: Vec<V> = (0..*count).map(|number| number.to_string()).collect();
                table.append_all(Slot::new(&at.0, &at.1), values.clone()).expect("appending never fails here");
                if !values.is_empty() {
                    model.entry(at.clone()).or_default().extend(values);
                }
            }
            Op::Replace(at, values) => {
                table.replace(Slot::new(&at.0, &at.1), values.clone()).expect("replacing never fails here");
                model.insert(at.clone(), values.clone());
                model.retain(|_, values| !values.is_empty());
            }
            Op::Take(at) => {
                near(table, std::slice::from_ref(at));
                assert_eq!(table.take(Slot::new(&at.0, &at.1)).expect("taking never fails here"), model.remove(at).unwrap_or_default());
            }
            Op::Remove(at) => {
                table.remove(Slot::new(&at.0, &at.1)).expect("removing never fails here");
                model.remove(at);
            }
            Op::Get(at) => {
                near(table, std::slice::from_ref(at));
                let list = table.get(Slot::new(&at.0, &at.1)).expect("getting never fails here");
                let expected = model.get(at).cloned().unwrap_or_default();
                assert_eq!((list.to_vec(), list.len(), list.is_empty()), (expected.clone(), expected.len(), expected.is_empty()));
            }
            Op::RemoveNamespace(namespace) => {
                table.remove_namespace(namespace).expect("removing never fails here");
                model.retain(|(_, at), _| at != namespace);
            }
            Op::Merge(key, into, from) => merge(table, &mut model, key, *into, from),
            Op::Freeze => generations.push(table.freeze().expect("freezing never fails here"), encoded(&model)),
            Op::DropFrozen(number) => generations.drop_one(*number),
            Op::Restore => {
                let frozen = table.freeze().expect("freezing never fails here");
                let mut restored = self::table(backend, layout);
                rows(&*frozen).iter().for_each(|(key, value)| restored.restore(key, value).expect("the rows are good"));
                owner = restored;
            }
        }
    }
    check_scans(&mut *owner, &model);
    generations.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn all_backends_behave_like_vectors(layout in layout(), ops in prop::collection::vec(op(), 1..60)) {
        for (_, backend) in backends() {
            run(&*backend, layout, &ops);
        }
    }
}

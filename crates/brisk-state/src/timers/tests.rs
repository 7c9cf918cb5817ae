//! The queue against a naive one.

use super::{Timer, TimerQueue};
use brisk_base::Timestamp;
use brisk_core::state::KeyGroups;
use brisk_core::types::{Key, KeyGroupRange};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Timers in the order of timestamp and registration.
#[derive(Default)]
struct Naive {
    timers: BTreeSet<(i64, u64, String, i64)>,
    numbers: BTreeMap<(i64, String, i64), u64>,
    registered: u64,
}

impl Naive {
    fn register(&mut self, time: i64, key: &str, namespace: i64) -> bool {
        self.registered += 1;
        let timer = (time, key.to_owned(), namespace);
        !self.numbers.contains_key(&timer) && {
            self.numbers.insert(timer, self.registered);
            self.timers.insert((time, self.registered, key.to_owned(), namespace))
        }
    }

    fn delete(&mut self, time: i64, key: &str, namespace: i64) -> bool {
        let number = self.numbers.remove(&(time, key.to_owned(), namespace));
        number.is_some_and(|number| self.timers.remove(&(time, number, key.to_owned(), namespace)))
    }

    fn pop_due(&mut self, now: i64) -> Option<Timer<String, i64>> {
        let first = self.timers.first().filter(|timer| timer.0 <= now)?.clone();
        self.timers.remove(&first);
        self.numbers.remove(&(first.0, first.2.clone(), first.3));
        Some(Timer { timestamp: Timestamp(first.0), key: first.2, namespace: first.3 })
    }

    fn all(&self) -> Vec<(i64, String, i64)> {
        self.timers.iter().map(|timer| (timer.0, timer.2.clone(), timer.3)).collect()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Register(i64, u8, i64),
    RegisterMany(i64, u16),
    Delete(i64, u8, i64),
    Pop(i64),
    PopAll(i64),
    Freeze,
}

fn op() -> impl Strategy<Value = Op> {
    let timer = || (0i64..40, 0u8..12, 0i64..2);
    prop_oneof![
        12 => timer().prop_map(|(time, key, namespace)| Op::Register(time, key, namespace)),
        1 => (0i64..40, 0u16..400).prop_map(|(time, count)| Op::RegisterMany(time, count)),
        6 => timer().prop_map(|(time, key, namespace)| Op::Delete(time, key, namespace)),
        4 => (0i64..40).prop_map(Op::Pop),
        1 => (0i64..45).prop_map(Op::PopAll),
        1 => Just(Op::Freeze),
    ]
}

const GROUPS: KeyGroups = KeyGroups { max_parallelism: 8, range: KeyGroupRange::new(0, 8) };

/// A queue made of the rows of a frozen one.
fn restored(frozen: &dyn brisk_core::state::FrozenTable) -> TimerQueue<String, i64> {
    let mut queue = TimerQueue::default();
    let mut last = None;
    frozen
        .scan(GROUPS.range, &mut |group, row, value| {
            assert!(value.is_empty() && last <= Some(group));
            last = Some(group);
            queue.restore(row)
        })
        .expect("the rows are good");
    queue
}

fn all(queue: &TimerQueue<String, i64>) -> Vec<(i64, String, i64)> {
    queue.iter().map(|(time, key, namespace)| (time.0, key.clone(), *namespace)).collect()
}

proptest! {
    #[test]
    fn fires_as_a_sorted_set_does(ops in prop::collection::vec(op(), 1..200)) {
        let (mut queue, mut naive) = (TimerQueue::default(), Naive::default());
        let mut frozen = Vec::new();
        for op in ops {
            match op {
                Op::Register(time, key, namespace) => {
                    let key = key.to_string();
                    let new = queue.register(Timestamp(time), key.key_hash(), &key, &namespace).expect("there is room");
                    prop_assert_eq!(new, naive.register(time, &key, namespace));
                }
                Op::RegisterMany(time, count) => for number in 0..count {
                    let key = format!("many {number}");
                    let new = queue.register(Timestamp(time), key.key_hash(), &key, &0).expect("there is room");
                    prop_assert_eq!(new, naive.register(time, &key, 0));
                },
                Op::Delete(time, key, namespace) => {
                    let key = key.to_string();
                    prop_assert_eq!(queue.delete(Timestamp(time), key.key_hash(), &key, &namespace), naive.delete(time, &key, namespace));
                }
                Op::Pop(now) => prop_assert_eq!(queue.pop_due(Timestamp(now)), naive.pop_due(now)),
                Op::PopAll(now) => {
                    let due: Vec<_> = queue.due(Timestamp(now)).map(|(timestamp, key, namespace)| Timer { timestamp, key: key.clone(), namespace: *namespace }).collect();
                    let popped: Vec<_> = std::iter::from_fn(|| queue.pop_due(Timestamp(now))).collect();
                    prop_assert_eq!(&due, &popped);
                    prop_assert_eq!(popped, std::iter::from_fn(|| naive.pop_due(now)).collect::<Vec<_>>());
                }
                Op::Freeze => frozen.push((queue.freeze(GROUPS), naive.all())),
            }
            prop_assert_eq!(queue.peek().map(|next| next.0), naive.timers.first().map(|timer| timer.0));
            prop_assert_eq!(queue.len(), naive.timers.len());
        }
        prop_assert_eq!(all(&queue), naive.all());
        for (frozen, expected) in frozen {
            let mut in_order = expected;
            in_order.sort_by_key(|(time, key, _)| (*time, GROUPS.of(key.key_hash())));
            prop_assert_eq!(all(&restored(&*frozen)), in_order);
        }
    }
}

#[test]
fn a_timer_registered_while_firing_fires_in_its_turn() {
    let mut queue = TimerQueue::default();
    let register = |queue: &mut TimerQueue<i64, ()>, time: i64, key: i64| {
        queue.register(Timestamp(time), key.key_hash(), &key, &()).expect("there is room")
    };
    assert!(register(&mut queue, 10, 1) && register(&mut queue, 30, 2) && !register(&mut queue, 10, 1));
    let mut fired = Vec::new();
    while let Some(timer) = queue.pop_due(Timestamp(30)) {
        fired.push((timer.timestamp.0, timer.key));
        if fired.len() == 1 {
            assert!(register(&mut queue, 20, 3) && register(&mut queue, 10, 1), "a timer that has fired can be registered again");
        }
        if fired.len() == 2 {
            assert!(queue.delete(Timestamp(30), 2i64.key_hash(), &2, &()));
        }
    }
    assert_eq!(fired, [(10, 1), (10, 1), (20, 3)]);
}

#[test]
fn memory_per_timer_is_small_and_given_back() {
    let mut queue = TimerQueue::default();
    let empty = queue.heap_bytes();
    for key in 0..100_000i64 {
        queue.register(Timestamp(key % 1000), key.key_hash(), &key, &()).expect("there is room");
    }
    assert!((queue.heap_bytes() - empty) / 100_000 < 64, "{} bytes for 100,000 timers", queue.heap_bytes());
    while queue.pop_due(Timestamp::MAX).is_some() {}
    assert_eq!(queue.heap_bytes(), empty);
}

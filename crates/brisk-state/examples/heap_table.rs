//! Compares the heap's tables with a bare hashbrown map: `cargo run --release -p brisk-state --example heap_table`.

use brisk_base::Timestamp;
use brisk_base::world::World;
use brisk_core::state::{KeyGroups, KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::{Key, KeyGroupRange};
use brisk_state::heap::HeapTable;
use brisk_state::timers::TimerQueue;
use std::hint::black_box;

/// Rows of one measurement; a debug build only shows that the program runs.
const ROWS: usize = if cfg!(debug_assertions) { 16 << 10 } else { 8 << 20 };
const BATCH: usize = 1024;

/// Nanoseconds this thread has been on a core: what else runs on the machine does not count.
fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Prints how much CPU time a pass over the keys takes per row: the best of seven.
fn measure(name: &str, keys: &[i64], mut pass: impl FnMut(&[i64])) {
    let best = (0..7)
        .map(|_| {
            let start = cpu_ns();
            keys.chunks(BATCH).for_each(&mut pass);
            (cpu_ns() - start) as f64 / keys.len() as f64
        })
        .fold(f64::MAX, f64::min);
    println!("  {name:<48} {best:6.1} ns");
}

fn table<N: brisk_core::state::Namespace>(layout: Layout) -> HeapTable<i64, N, u64> {
    let mut state = StateDeclarations::new("bench");
    state.engine_value::<u64>("sum", layout);
    let descriptor = state.finish().expect("one state").remove(0);
    HeapTable::new(descriptor, KeyGroups { max_parallelism: 128, range: KeyGroupRange::new(0, 128) })
}

fn tables(keys: &[i64]) {
    let mut map = hashbrown::HashMap::<i64, u64, foldhash::fast::RandomState>::default();
    measure("hashbrown + foldhash: entry", keys, |batch| {
        for key in batch {
            *map.entry(*key).or_insert(0) += 1;
        }
    });
    measure("making slots", keys, |batch| {
        let slots: Vec<_> = batch.iter().map(|key| Slot { hash: key.key_hash(), key, namespace: &() }).collect();
        black_box(&slots);
    });
    let mut plain = table::<()>(Layout::KeyMajor);
    measure("key-major, () : add_many_inline", keys, |batch| {
        let slots: Vec<_> = batch.iter().map(|key| Slot { hash: key.key_hash(), key, namespace: &() }).collect();
        plain
            .add_many_inline(
                &slots,
                |_| Ok(0),
                |_, sum| {
                    *sum += 1;
                    Ok(())
                },
            )
            .expect("adding cannot fail");
    });
    measure("key-major, () : add_many through dyn", keys, |batch| {
        let table: &mut dyn KeyedTable<i64, (), u64> = black_box(&mut plain);
        let slots: Vec<_> = batch.iter().map(|key| Slot { hash: key.key_hash(), key, namespace: &() }).collect();
        table
            .add_many(&slots, &mut |_| Ok(0), &mut |_, sum| {
                *sum += 1;
                Ok(())
            })
            .expect("adding cannot fail");
    });
    measure("key-major, () : update_many through dyn", keys, |batch| {
        let table: &mut dyn KeyedTable<i64, (), u64> = black_box(&mut plain);
        let slots: Vec<_> = batch.iter().map(|key| Slot { hash: key.key_hash(), key, namespace: &() }).collect();
        table
            .update_many(&slots, &mut |_, sum| {
                *sum.get_or_insert(0) += 1;
                Ok(())
            })
            .expect("updating cannot fail");
    });
    measure("key-major, () : get, put through dyn", keys, |batch| {
        let table: &mut dyn KeyedTable<i64, (), u64> = black_box(&mut plain);
        for key in batch {
            let slot = Slot { hash: key.key_hash(), key, namespace: &() };
            let sum = table.get(slot).expect("getting cannot fail").copied().unwrap_or(0);
            table.put(slot, sum + 1).expect("putting cannot fail");
        }
    });
}

fn windowed(keys: &[i64]) {
    let mut windows = table::<(i64, i64)>(Layout::NamespaceMajor);
    measure("namespace-major, one window: add_many_inline", keys, |batch| {
        let window = (0, 10);
        let slots: Vec<_> = batch.iter().map(|key| Slot { hash: key.key_hash(), key, namespace: &window }).collect();
        windows
            .add_many_inline(
                &slots,
                |_| Ok(0),
                |_, sum| {
                    *sum += 1;
                    Ok(())
                },
            )
            .expect("adding cannot fail");
    });
    let mut pairs = hashbrown::HashMap::<(i64, i64), u64, foldhash::fast::RandomState>::default();
    measure("hashbrown + foldhash by (window, key), four windows", keys, |batch| {
        for (row, key) in batch.iter().enumerate() {
            *pairs.entry(((row * 7 % 13) as i64 % 4, *key)).or_insert(0) += 1;
        }
    });
    let all: Vec<(i64, i64)> = (0..4).map(|start| (start * 10, start * 10 + 10)).collect();
    measure("namespace-major, four windows: add_many_inline", keys, |batch| {
        let slots: Vec<_> =
            batch.iter().enumerate().map(|(row, key)| Slot { hash: key.key_hash(), key, namespace: &all[(row * 7 % 13) % 4] }).collect();
        windows
            .add_many_inline(
                &slots,
                |_| Ok(0),
                |_, sum| {
                    *sum += 1;
                    Ok(())
                },
            )
            .expect("adding cannot fail");
    });
}

fn main() {
    let world = World::real();
    for distinct in [1_000, 100_000, 4_000_000] {
        let mut random = world.rng();
        let keys: Vec<i64> = (0..ROWS).map(|_| (random.below(distinct as u64)) as i64 * 7919).collect();
        println!("{distinct} keys, {ROWS} rows");
        tables(&keys);
        windowed(&keys);
        let mut queue = TimerQueue::default();
        measure("timers: register (mostly there already)", &keys, |batch| {
            for key in batch {
                queue.register(Timestamp(1000 + key % 10), key.key_hash(), key, &()).expect("there is room");
            }
        });
    }
}

//! One seed, one run.

use brisk_sim::{Simulation, simulate};
use brisk_stream::{DataStream, StreamEnvironment};

type Counts = DataStream<(i64, u64)>;

fn simulation() -> Simulation<impl Fn(&StreamEnvironment, &mut brisk_base::world::Rng) -> brisk_base::Result<Counts>> {
    simulate(|env: &StreamEnvironment| {
        let numbers = env.from_sequence(1, 500).shuffle().map(|n| (n % 7, 1));
        Ok(numbers.key_by(|pair| pair.0).sum(|pair| &mut pair.1))
    })
}

#[test]
fn the_same_seed_takes_the_same_steps_to_the_same_output() {
    for seed in 0..30 {
        let (first, second) = (simulation().run_seed(seed).unwrap(), simulation().run_seed(seed).unwrap());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!((first.output, first.elapsed, first.parallelism), (second.output, second.elapsed, second.parallelism), "seed {seed}");
    }
}

#[test]
fn other_seeds_take_other_steps() {
    let mut traces: Vec<_> = (0..30).map(|seed| simulation().run_seed(seed).unwrap().trace.fingerprint()).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 30);
}

#[test]
fn a_cancelled_run_repeats_too() {
    for seed in 0..30 {
        let (first, second) = (simulation().cancels().run_seed(seed).unwrap(), simulation().cancels().run_seed(seed).unwrap());
        assert_eq!((first.trace, first.status, first.output), (second.trace, second.status, second.output), "seed {seed}");
    }
}

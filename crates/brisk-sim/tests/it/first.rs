use brisk_sim::simulate;
use brisk_stream::StreamEnvironment;

#[test]
fn numbers_arrive() {
    simulate(|env: &StreamEnvironment| Ok(env.from_sequence(1, 1000).rebalance().filter(|n| n % 2 == 0)))
        .seeds(50)
        .parallelism(1..=4)
        .check(|run| assert_eq!(run.output_sorted(), (1..=500).map(|n| n * 2).collect::<Vec<i64>>()));
}

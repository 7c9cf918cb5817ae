//! Generated records: all of them once, and each when it is due.

use super::*;
use crate::harness::SourceHarness;
use brisk_base::world::MonoTime;
use std::time::Duration;

#[test]
fn each_index_is_made_once() {
    let mut harness = SourceHarness::new(DataGeneratorSource::new(|n| n * 2).count(10_001), 3).unwrap();
    assert!(harness.run().unwrap());
    let by_subtask: Vec<Vec<u64>> = (0..3).map(|subtask| harness.take(subtask)).collect();
    assert_eq!(by_subtask[1][..3], [2, 8, 14]);
    let mut all = by_subtask.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq((0..10_001).map(|n| n * 2)));
}

#[test]
fn records_come_when_they_are_due_and_late_polls_catch_up() {
    let source = DataGeneratorSource::with_due_time(|n, due: MonoTime| (n, due.0)).count(100).per_second(1000.0);
    let mut harness = SourceHarness::new(source, 1).unwrap();
    assert!(!harness.run().unwrap());
    assert_eq!(harness.take(0), [(0, 0)]);
    assert_eq!(harness.wake_after(0), Some(Duration::from_millis(1)));
    harness.advance(Duration::from_micros(3500)).unwrap();
    harness.run().unwrap();
    assert_eq!(harness.take(0), [(1, 1_000_000), (2, 2_000_000), (3, 3_000_000)]);
    assert_eq!(harness.wake_after(0), Some(Duration::from_micros(500)));
    harness.advance(Duration::from_secs(1)).unwrap();
    assert!(harness.run().unwrap());
    assert_eq!(harness.take(0).last(), Some(&(99, 99_000_000)));
}

#[test]
fn generating_goes_on_from_a_checkpoint_with_another_parallelism() {
    for (polls, after) in [(0, 2), (1, 5), (3, 1), (50, 2)] {
        let source = || DataGeneratorSource::new(|n| n).count(20_000);
        let mut harness = SourceHarness::new(source(), 3).unwrap();
        for poll in 0..polls {
            harness.poll(poll % 3).unwrap();
        }
        let mut all: Vec<u64> = (0..3).flat_map(|subtask| harness.take(subtask)).collect();
        let left = harness.checkpoint().unwrap();
        harness.run().unwrap();
        let mut restored = SourceHarness::restored(source(), after, &left).unwrap();
        // A reader that is through asks for more first.
        assert!(restored.run().unwrap() || restored.run().unwrap());
        all.extend((0..after as usize).flat_map(|subtask| restored.take(subtask)));
        all.sort_unstable();
        assert!(all.into_iter().eq(0..20_000), "{polls} polls, then {after} readers");
    }
}

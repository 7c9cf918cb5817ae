//! What barriers mean, in each order in which they may come.

use super::*;
use brisk_core::checkpoint::SnapshotKind;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_000);

fn barrier(id: u64, alignment: Alignment) -> Barrier {
    Barrier { checkpoint: CheckpointId(id), timestamp: NOW, kind: SnapshotKind::Checkpoint, alignment }
}

#[test]
fn aligned_channels_wait_for_each_other() {
    let mut tracker = BarrierTracker::new([true, true, false]);
    let first = barrier(1, Alignment::Aligned);
    assert_eq!(tracker.arrive(0, first, NOW), [Step::Block(0)]);
    assert_eq!(tracker.arrive(2, first, NOW), [Step::Block(2)]);
    assert_eq!(tracker.arrive(1, first, NOW), [Step::Block(1), Step::Pass(first), Step::Unblock]);
    assert_eq!(tracker.arrive(1, first, NOW), [], "over");
}

#[test]
fn an_ended_channel_is_not_waited_for() {
    let mut tracker = BarrierTracker::new([true, true]);
    let first = barrier(1, Alignment::Aligned);
    tracker.arrive(0, first, NOW);
    assert_eq!(tracker.end(1, NOW), [Step::Pass(first), Step::Unblock]);
    let second = barrier(2, Alignment::Aligned);
    assert_eq!(tracker.arrive(0, second, NOW), [Step::Block(0), Step::Pass(second), Step::Unblock]);
}

#[test]
fn a_later_barrier_abandons_an_earlier_checkpoint() {
    let mut tracker = BarrierTracker::new([true, true]);
    tracker.arrive(0, barrier(1, Alignment::Aligned), NOW);
    let second = barrier(2, Alignment::Aligned);
    assert_eq!(tracker.arrive(1, second, NOW), [Step::Abandoned(CheckpointId(1)), Step::Unblock, Step::Block(1)]);
    assert_eq!(tracker.arrive(1, barrier(1, Alignment::Aligned), NOW), [], "it is over");
    assert_eq!(tracker.arrive(0, second, NOW), [Step::Block(0), Step::Pass(second), Step::Unblock]);
}

#[test]
fn giving_up_frees_the_channels() {
    let mut tracker = BarrierTracker::new([true, true]);
    tracker.arrive(0, barrier(1, Alignment::Aligned), NOW);
    assert_eq!(tracker.abort(CheckpointId(1)), [Step::Abandoned(CheckpointId(1)), Step::Unblock]);
    assert_eq!(tracker.arrive(1, barrier(1, Alignment::Aligned), NOW), []);
}

#[test]
fn at_least_once_blocks_nobody_and_keeps_several_open() {
    let mut tracker = BarrierTracker::new([true, true]);
    let [first, second] = [1, 2].map(|id| barrier(id, Alignment::AtLeastOnce));
    assert_eq!(tracker.arrive(0, first, NOW), []);
    assert_eq!(tracker.arrive(0, second, NOW), []);
    assert_eq!(tracker.arrive(1, first, NOW), [Step::Pass(first)]);
    assert_eq!(tracker.arrive(1, second, NOW), [Step::Pass(second)]);
}

#[test]
fn an_unaligned_barrier_overtakes_at_once() {
    let mut tracker = BarrierTracker::new([true, true]);
    let first = barrier(1, Alignment::Unaligned);
    assert_eq!(tracker.announce(0, first, NOW), [Step::Overtake(first)]);
    assert_eq!(tracker.overtaken_channels(first.checkpoint), [0, 1]);
    assert_eq!(tracker.copied(first.checkpoint, &[0], NOW), []);
    assert_eq!((tracker.captures(0), tracker.captures(1)), (None, Some(CheckpointId(1))));
    assert_eq!(tracker.arrive(0, first, NOW), [], "blocks nothing");
    assert_eq!(tracker.announce(1, first, NOW), [Step::EndOfInFlight(1), Step::Whole(CheckpointId(1))]);
    assert_eq!(tracker.arrive(1, first, NOW), []);
}

#[test]
fn channels_that_cannot_be_overtaken_are_waited_for() {
    let mut tracker = BarrierTracker::new([true, false]);
    let first = barrier(1, Alignment::Unaligned);
    assert_eq!(tracker.announce(0, first, NOW), []);
    assert_eq!(tracker.arrive(0, first, NOW), [Step::Block(0)], "what comes behind it must not be seen before the snapshot");
    let steps = tracker.arrive(1, first, NOW);
    assert_eq!(steps, [Step::Block(1), Step::Pass(first), Step::Unblock], "all have come: nothing is under way");
    let second = barrier(2, Alignment::Unaligned);
    assert_eq!(tracker.announce(0, second, NOW), []);
    assert_eq!(tracker.arrive(1, second, NOW), [Step::Block(1), Step::Overtake(second), Step::Unblock]);
    assert_eq!(tracker.overtaken_channels(second.checkpoint), [0], "although its barrier has been announced");
    assert_eq!(tracker.copied(second.checkpoint, &[0], NOW), [Step::Whole(CheckpointId(2))]);
}

#[test]
fn alignment_times_out() {
    let mut tracker = BarrierTracker::new([true, true]);
    let first = barrier(1, Alignment::AlignedTimeout(Duration::from_millis(10)));
    assert_eq!(tracker.announce(0, first, NOW), []);
    assert_eq!(tracker.deadline(), Some(Timestamp(1_010)));
    assert_eq!(tracker.arrive(0, first, NOW), [Step::Block(0)]);
    assert_eq!(tracker.on_time(Timestamp(1_009)), []);
    assert_eq!(tracker.on_time(Timestamp(1_010)), [Step::Overtake(first.unaligned()), Step::Unblock]);
    assert_eq!(tracker.captures(1), Some(CheckpointId(1)));
    assert_eq!(tracker.copied(CheckpointId(1), &[1], NOW), [Step::Whole(CheckpointId(1))]);
}

proptest! {
    /// Whatever the order in which barriers come: each checkpoint is taken once, or abandoned, and nothing stays blocked.
    #[test]
    fn every_checkpoint_is_taken_or_abandoned(
        channels in proptest::collection::vec(any::<bool>(), 1..5),
        unaligned in any::<bool>(),
        order in proptest::collection::vec((0usize..5, any::<bool>()), 0..60),
    ) {
        let mut tracker = BarrierTracker::new(channels.clone());
        let alignment = if unaligned { Alignment::Unaligned } else { Alignment::Aligned };
        let mut next = vec![1; channels.len()];
        let mut blocked = vec![false; channels.len()];
        let (mut taken, mut last) = (Vec::new(), 0);
        let mut act = |tracker: &mut BarrierTracker, at: usize, announce: bool, blocked: &mut Vec<bool>, next: &mut Vec<u64>| {
            if blocked[at] {
                return;
            }
            let steps = if announce && channels[at] {
                tracker.announce(at, barrier(next[at], alignment), NOW)
            } else {
                next[at] += 1;
                tracker.arrive(at, barrier(next[at] - 1, alignment), NOW)
            };
            let mut steps = std::collections::VecDeque::from(steps);
            while let Some(step) = steps.pop_front() {
                if let Step::Overtake(barrier) = step {
                    steps.extend(tracker.copied(barrier.checkpoint, &[], NOW));
                }
                match step {
                    Step::Block(channel) => blocked[channel] = true,
                    Step::Unblock => blocked.fill(false),
                    Step::Pass(barrier) | Step::Overtake(barrier) => {
                        assert!(barrier.checkpoint.0 > last, "ascending");
                        last = barrier.checkpoint.0;
                        taken.push(last);
                    }
                    Step::EndOfInFlight(_) | Step::Whole(_) | Step::Abandoned(_) => {}
                }
            }
        };
        for (at, announce) in order {
            act(&mut tracker, at % channels.len(), announce && unaligned, &mut blocked, &mut next);
        }
        // Everybody gets to the same barrier in the end.
        let goal = *next.iter().max().expect("a channel") + 1;
        for _ in 0..goal * channels.len() as u64 {
            for at in 0..channels.len() {
                if next[at] < goal {
                    act(&mut tracker, at, false, &mut blocked, &mut next);
                }
            }
        }
        prop_assert_eq!(next, vec![goal; channels.len()], "a channel stays blocked");
        prop_assert_eq!(taken.last(), Some(&(goal - 1)));
        prop_assert!(blocked.iter().all(|blocked| !blocked));
    }
}

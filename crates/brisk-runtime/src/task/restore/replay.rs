//! Elements under way at another parallelism: what several old subtasks had in front of them becomes one sequence.
//!
//! Each old subtask reads its own elements as it would have gone on, through channels that stand where its own stood, and rows of key groups that
//! are not the new task's are left out. Of the sequences the one with the lowest watermark always goes on first, and the new task's watermark
//! is the lowest of all. (Flink's virtual channels keep their watermarks for the same reason.)
//!
//! Invariants: no row comes under a higher watermark than it had in front of its old subtask, and a row comes under the same one if the
//! old subtasks had the same watermarks to come.

use super::{OldTask, Restorer};
use crate::barrier::{ChannelKey, ChannelStanding, Stored};
use crate::task::barriers::InputChannel;
use crate::task::chain::Chain;
use crate::task::inputs::Inputs;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::AnyBatch;
use brisk_core::element::{Element, StreamStatus};
use brisk_core::types::KeyGroupRange;
use std::collections::VecDeque;

/// One thing that an old subtask would have come to.
enum Step {
    /// Rows of the new task, for a logical input.
    Rows(usize, Box<dyn AnyBatch>),
    Watermark(Timestamp),
    Status(StreamStatus),
}

/// What an old subtask had in front of it.
struct Sequence {
    steps: VecDeque<Step>,
    watermark: Timestamp,
    idle: bool,
}

impl Restorer<'_> {
    /// Gives the task all that its predecessors had in front of them.
    pub(super) fn replay(&self, chain: &Chain, inputs: &mut Inputs) -> Result<()> {
        let (mut sequences, mut standings) = (Vec::new(), Vec::new());
        for old in self.own() {
            let (sequence, ends) = self.sequence(old, chain, inputs)?;
            standings.extend(ends);
            if self.goes_on_with(old)? {
                sequences.push(sequence);
            }
        }
        let reached = merge(&mut sequences, |input, element| inputs.restore_pending(input, element));
        for (at, channel) in inputs.channels().to_vec().into_iter().enumerate() {
            let of_gate = standings.iter().filter(|standing| standing.channel.gate == channel.key.gate && !standing.idle);
            if let Some(lowest) = of_gate.map(|standing| standing.watermark).min() {
                inputs.restore_standing(at, lowest, false);
            }
        }
        inputs.restore_watermark(reached);
        Ok(())
    }

    /// Whether this task has key groups of an old subtask, or goes on with what had no key.
    fn goes_on_with(&self, old: &OldTask) -> Result<bool> {
        let max_parallelism = self.info.max_parallelism;
        let own = KeyGroupRange::of_subtask(max_parallelism, self.info.parallelism, self.info.subtask)?;
        let its = KeyGroupRange::of_subtask(max_parallelism, old.parallelism, old.subtask)?;
        Ok(self.takes_over(old) || !own.intersection(its).is_empty())
    }

    /// What an old subtask had in front of it, and where its channels stand behind that.
    fn sequence(&self, old: &OldTask, chain: &Chain, inputs: &Inputs) -> Result<(Sequence, Vec<ChannelStanding>)> {
        let input_of =
            |key: &ChannelKey| inputs.channels().iter().find(|channel| channel.key.gate == key.gate).map(|channel| channel.input);
        let channel = |standing: &ChannelStanding| {
            Some(InputChannel { input: input_of(&standing.channel)?, key: standing.channel, overtakable: false })
        };
        let channels: Vec<InputChannel> = old.elements.standings.iter().filter_map(channel).collect();
        let mut its = Inputs::of_channels(channels.clone());
        let at = |key: &ChannelKey| channels.iter().position(|channel| channel.key == *key);
        for standing in &old.elements.standings {
            if let Some(at) = at(&standing.channel) {
                its.restore_standing(at, standing.watermark, standing.idle);
            }
        }
        let (watermark, idle) = (Timestamp::MIN, !channels.is_empty() && old.elements.standings.iter().all(|standing| standing.idle));
        let mut sequence = Sequence { steps: VecDeque::new(), watermark, idle };
        for (input, stored) in &old.elements.head {
            match stored {
                Stored::Watermark(watermark) => sequence.steps.push_back(Step::Watermark(*watermark)),
                _ => {
                    if let Some(batch) = self.batch(chain, 0, *input as usize, stored)? {
                        self.cut(*input as usize, batch, old, &mut sequence)?;
                    }
                }
            }
        }
        sequence.steps.push_back(Step::Watermark(its.watermark()));
        for (key, elements) in self.channels().filter(|(key, _)| key.consumer == old.subtask) {
            let Some(at) = at(key) else { continue };
            for stored in elements {
                let element = self.element(chain, channels[at].input.into(), stored)?;
                element.into_iter().for_each(|element| its.restore_element(at, element));
            }
        }
        for (input, element) in its.take_pending() {
            match element {
                Element::Batch(batch) => self.cut(input, batch, old, &mut sequence)?,
                Element::Watermark(watermark) => sequence.steps.push_back(Step::Watermark(watermark)),
                Element::Status(status) => sequence.steps.push_back(Step::Status(status)),
                _ => {}
            }
        }
        Ok((sequence, its.standings()))
    }

    /// The rows of a batch that are this task's, and the watermarks between them.
    fn cut(&self, input: usize, mut batch: Box<dyn AnyBatch>, old: &OldTask, sequence: &mut Sequence) -> Result<()> {
        let mut taken = 0;
        for mark in std::mem::take(batch.marks_mut()) {
            let rows = batch.split_front((mark.row - taken) as usize);
            taken = mark.row;
            sequence.steps.extend(self.of_task(input, rows, old)?);
            sequence.steps.push_back(Step::Watermark(mark.watermark));
        }
        sequence.steps.extend(self.of_task(input, batch, old)?);
        Ok(())
    }

    fn of_task(&self, input: usize, rows: Box<dyn AnyBatch>, old: &OldTask) -> Result<Option<Step>> {
        let rows = match self.hasher_of_input(input) {
            _ if rows.is_empty() => None,
            Some(hasher) => self.mine(rows, hasher.as_ref())?,
            None => self.takes_over(old).then_some(rows),
        };
        Ok(rows.filter(|rows| !rows.is_empty()).map(|rows| Step::Rows(input, rows)))
    }
}

/// Gives the steps of all sequences, and the lowest watermark of those that are not idle each time it has advanced. The last of these.
fn merge(sequences: &mut [Sequence], mut give: impl FnMut(usize, Element)) -> Timestamp {
    let mut reached = Timestamp::MIN;
    while let Some(next) = sequences.iter_mut().filter(|sequence| !sequence.steps.is_empty()).min_by_key(|sequence| sequence.watermark) {
        match next.steps.pop_front() {
            Some(Step::Rows(input, rows)) => give(input, Element::Batch(rows)),
            Some(Step::Watermark(watermark)) => next.watermark = next.watermark.max(watermark),
            Some(Step::Status(status)) => next.idle = status == StreamStatus::Idle,
            None => {}
        }
        let active = sequences.iter().filter(|sequence| !sequence.idle).map(|sequence| sequence.watermark).min();
        let lowest = active.or_else(|| sequences.iter().map(|sequence| sequence.watermark).min());
        if let Some(lowest) = lowest.filter(|lowest| *lowest > reached) {
            reached = lowest;
            give(0, Element::Watermark(lowest));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::testing::{batch, show};
    use brisk_core::batch::Rows;
    use proptest::prelude::*;

    fn sequence(steps: impl IntoIterator<Item = Step>) -> Sequence {
        Sequence { steps: steps.into_iter().collect(), watermark: Timestamp::MIN, idle: false }
    }

    fn row(value: i64) -> Step {
        Step::Rows(0, batch([value]))
    }

    fn to(watermark: i64) -> Step {
        Step::Watermark(Timestamp(watermark))
    }

    fn merged(mut sequences: Vec<Sequence>) -> Vec<String> {
        let mut seen = Vec::new();
        merge(&mut sequences, |_, element| {
            seen.push(match element {
                Element::Batch(batch) => show(&Rows::from_any(batch).expect("numbers")),
                Element::Watermark(watermark) => format!("<{}", watermark.0),
                other => format!("{other:?}"),
            });
        });
        seen
    }

    #[test]
    fn the_slowest_goes_on_first() {
        let (a, b) = ([to(5), row(6), to(9), row(1)], [to(2), row(3), to(9), row(2)]);
        assert_eq!(merged(vec![sequence(a), sequence(b)]), ["<2", "3", "<5", "6", "<9", "1", "2"]);
    }

    #[test]
    fn one_that_has_nothing_left_holds_the_watermark_and_an_idle_one_does_not() {
        assert_eq!(merged(vec![sequence([to(5), row(6), to(9)]), sequence([to(2)])]), ["<2", "6"]);
        let idle = sequence([to(2), Step::Status(StreamStatus::Idle)]);
        assert_eq!(merged(vec![sequence([to(5), row(6), to(9)]), idle]), ["<2", "<5", "6", "<9"]);
    }

    proptest! {
        /// Those who have the same watermarks to come see each row under the watermark that it had.
        #[test]
        fn each_row_keeps_its_watermark(starts in prop::collection::vec(0i64..6, 1..5), rows in prop::collection::vec(0u8..3, 30)) {
            let sequences: Vec<Sequence> = (0..).zip(&starts).map(|(index, start)| {
                let steps = (*start..6).flat_map(|watermark| {
                    let count = rows[(index * 6 + watermark as usize) % rows.len()];
                    std::iter::once(to(watermark)).chain((0..count).map(move |_| row(watermark)))
                });
                sequence(steps)
            }).collect();
            let mut watermark = i64::MIN;
            for seen in merged(sequences) {
                match seen.strip_prefix('<') {
                    Some(advanced) => watermark = advanced.parse().expect("a number"),
                    None => prop_assert_eq!(seen.parse::<i64>().expect("a number"), watermark),
                }
            }
            prop_assert_eq!(watermark, 5);
        }
    }
}

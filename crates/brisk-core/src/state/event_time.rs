//! Where event time stood in the subtasks of an operator that makes watermarks.
//!
//! Flink forgets this: there, watermarks go back when a job is restored. Here each subtask stores its own, and gets those of all: at the
//! same parallelism it goes on with its own, at another one with the lowest.

use super::{OperatorSnapshot, Redistribution};
use crate::operator::RuntimeContext;
use brisk_base::{Result, Timestamp};

/// Name of the operator state.
const NAME: &str = "$event-time";

/// As stored: subtask, parallelism, watermark, what the generator remembers, whether idle.
type Item = (u32, u32, Timestamp, Option<Timestamp>, bool);

/// Where event time stands in one subtask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventTimeStanding {
    /// The watermark that was emitted last.
    pub watermark: Timestamp,
    /// What the watermark generator remembers.
    pub generator: Option<Timestamp>,
    /// Whether the subtask has said that it is idle; a restored one says so again.
    pub idle: bool,
}

impl EventTimeStanding {
    /// Adds the standing of this subtask to a snapshot. The end of event time is not stored: an operator that is restored behind it has
    /// finished, or was drained and goes on.
    pub fn snapshot(self, runtime: &RuntimeContext, snapshot: &mut OperatorSnapshot) {
        let item: Item = (runtime.task.subtask, runtime.task.parallelism, self.watermark, self.generator, self.idle);
        let items = Some(item).filter(|_| self.watermark < Timestamp::MAX);
        snapshot.add_operator_state(NAME, Redistribution::Union, &items);
    }

    /// What a checkpoint left for this subtask.
    ///
    /// # Errors
    /// When its bytes are damaged.
    pub fn restored(runtime: &RuntimeContext) -> Result<Option<Self>> {
        let items: Vec<Item> = runtime.state.operator_state(NAME)?;
        let own = items.iter().find(|item| (item.0, item.1) == (runtime.task.subtask, runtime.task.parallelism));
        Ok(match own {
            Some((_, _, watermark, generator, idle)) => Some(Self { watermark: *watermark, generator: *generator, idle: *idle }),
            None => items.iter().map(|item| item.2).min().map(|watermark| Self {
                watermark,
                // `None` is the lowest.
                generator: items.iter().map(|item| item.3).min().flatten(),
                idle: false,
            }),
        })
    }
}

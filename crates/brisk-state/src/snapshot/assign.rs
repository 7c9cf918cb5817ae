//! Spreads the state of old subtasks over the subtasks of a restored job. Looks at handles only, never at files.

use super::handle::{OperatorStateHandle, OperatorSubtaskState};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::state::Redistribution;
use brisk_core::types::KeyGroupRange;
use std::sync::Arc;

/// How an operator of the restored job runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewParallelism {
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
}

/// The state with which each new subtask of an operator begins, given that of all old ones, whose max parallelism was
/// `old_max_parallelism`.
///
/// Key groups go to whoever has them now. Items of `Split` states stay where they are while the parallelism does, and are else dealt out
/// evenly in order; those of `Union` states go to all; of `Broadcast` states, new subtask `i` gets those of old subtask `i` modulo the
/// number of old ones that have any. The watermark stays while the parallelism does, and is else the lowest that old subtasks had
/// seen; an operator is finished once all its old subtasks were.
///
/// # Errors
/// When there is keyed state and the max parallelism has changed, or the parallelism is above it.
pub fn assign(old: &[OperatorSubtaskState], old_max_parallelism: u32, new: NewParallelism) -> Result<Vec<OperatorSubtaskState>> {
    let keyed = old.iter().any(|state| !state.keyed.is_empty());
    if keyed && old_max_parallelism != new.max_parallelism {
        return Err(Error::user(format!(
            "the checkpoint was taken with max parallelism {old_max_parallelism} and cannot be restored with {}: set \
             `set_max_parallelism({old_max_parallelism})`, or `pipeline.max-parallelism: {old_max_parallelism}`",
            new.max_parallelism
        )));
    }
    let finished = !old.is_empty() && old.iter().all(|state| state.finished);
    let lowest = old.iter().map(|state| state.watermark).min().unwrap_or(Timestamp::MIN);
    let mut states: Vec<OperatorSubtaskState> =
        (0..new.parallelism).map(|_| OperatorSubtaskState { finished, watermark: lowest, ..OperatorSubtaskState::default() }).collect();
    if old.len() == states.len() {
        // Subtasks that an unaligned checkpoint found at different watermarks go on with the records that they had.
        old.iter().zip(&mut states).for_each(|(old, state)| state.watermark = old.watermark);
    }
    if keyed {
        for (subtask, state) in (0..).zip(&mut states) {
            let range = KeyGroupRange::of_subtask(new.max_parallelism, new.parallelism, subtask)?;
            let overlapping = old.iter().flat_map(|old| &old.keyed).filter(|handle| !handle.range().intersection(range).is_empty());
            state.keyed = overlapping.map(|handle| handle.restricted(range)).collect();
        }
    }
    for name in names(old) {
        spread(&name, old, &mut states);
    }
    Ok(states)
}

/// Names of the operator states, in the order in which they are met.
fn names(old: &[OperatorSubtaskState]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for handle in old.iter().flat_map(|state| &state.operator) {
        if !names.contains(&handle.name) {
            names.push(Arc::clone(&handle.name));
        }
    }
    names
}

fn spread(name: &str, old: &[OperatorSubtaskState], new: &mut [OperatorSubtaskState]) {
    let of = |state: &OperatorSubtaskState| -> Vec<OperatorStateHandle> {
        state.operator.iter().filter(|handle| &*handle.name == name).cloned().collect()
    };
    let holders: Vec<Vec<OperatorStateHandle>> = old.iter().map(of).filter(|handles| !handles.is_empty()).collect();
    let redistribution = holders.iter().flatten().next().map_or(Redistribution::Split, |handle| handle.redistribution);
    match redistribution {
        Redistribution::Split if old.len() == new.len() => {
            old.iter().zip(new).for_each(|(old, new)| new.operator.extend(of(old)));
        }
        Redistribution::Split => deal_out(&holders.concat(), new),
        Redistribution::Union => new.iter_mut().for_each(|state| state.operator.extend(holders.concat())),
        Redistribution::Broadcast => {
            new.iter_mut().zip(holders.iter().cycle()).for_each(|(state, handles)| state.operator.extend_from_slice(handles));
        }
    }
}

/// Deals items out evenly, in order; the first subtasks get one more where it does not come out even.
fn deal_out(handles: &[OperatorStateHandle], new: &mut [OperatorSubtaskState]) {
    let total: u64 = handles.iter().map(|handle| handle.count).sum();
    let (each, more) = (total / new.len().max(1) as u64, total % new.len().max(1) as u64);
    let mut rest = handles.iter().cloned();
    let mut current = rest.next();
    for (index, state) in (0..).zip(new) {
        let mut wanted = each + u64::from(index < more);
        while wanted > 0 {
            let Some(handle) = &mut current else { return };
            let count = wanted.min(handle.count);
            if count > 0 {
                state.operator.push(OperatorStateHandle { count, ..handle.clone() });
            }
            wanted -= count;
            handle.first += count;
            handle.count -= count;
            if handle.count == 0 {
                current = rest.next();
            }
        }
    }
}

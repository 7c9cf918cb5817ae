//! Reads the items of operator states.

use super::handle::OperatorStateHandle;
use super::reader::BlockReader;
use crate::checkpoint_storage::CheckpointStorage;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::RestoredOperatorState;

/// The operator states of these handles, the items of equal names one after the other.
pub(super) fn read_items(storage: &dyn CheckpointStorage, handles: &[OperatorStateHandle]) -> Result<Vec<RestoredOperatorState>> {
    let mut states: Vec<RestoredOperatorState> = Vec::new();
    for handle in handles {
        let place = || format!("operator state '{}'", handle.name);
        let index = states.iter().position(|state| state.name == handle.name).unwrap_or_else(|| {
            states.push(RestoredOperatorState {
                name: handle.name.clone(),
                redistribution: handle.redistribution,
                schema: handle.schema.clone(),
                items: Vec::new(),
            });
            states.len() - 1
        });
        let state = &mut states[index];
        if state.redistribution != handle.redistribution || state.schema != handle.schema {
            return Err(Error::corrupt("the subtasks of the checkpoint disagree about its type").context(place()));
        }
        read_handle(storage, handle, &mut state.items).context(place)?;
    }
    Ok(states)
}

fn read_handle(storage: &dyn CheckpointStorage, handle: &OperatorStateHandle, items: &mut Vec<Vec<u8>>) -> Result<()> {
    if handle.count == 0 {
        return Ok(());
    }
    let mut blocks = BlockReader::open(storage, &handle.data)?;
    let wanted = handle.first..handle.first.saturating_add(handle.count);
    let before = items.len();
    let mut index = 0;
    for block in &handle.blocks {
        let end = index + block.items;
        if end > wanted.start && index < wanted.end {
            blocks.payloads(block.offset, block.length, &mut |mut payload| {
                while payload.remaining() > 0 {
                    let item = payload.bytes()?;
                    if wanted.contains(&index) {
                        items.push(item.to_vec());
                    }
                    index += 1;
                }
                Ok(())
            })?;
            blocks.check_count(index, end)?;
        }
        index = end;
    }
    blocks.check_count((items.len() - before) as u64, handle.count)
}

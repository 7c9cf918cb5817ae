//! The `_metadata` file: everything that a checkpoint or savepoint is made of. Its bytes are described in `docs/formats/metadata.md`.
//!
//! Invariants: reading never panics, whatever the bytes, and sets aside memory for what is there only; a file that is read is what was
//! written, bit by bit, or an error.

mod metadata;

pub use metadata::{
    ChannelState, CheckpointMetadata, METADATA_LIMIT_BYTES, MasterState, OperatorMetadata, VertexChannels, read, read_from, write, write_to,
};

#[cfg(test)]
mod tests;

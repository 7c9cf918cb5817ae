//! Checkpoints of a job, as its JobMaster sees them.
//!
//! | what | file |
//! |---|---|
//! | when one begins, and what becomes of it | [`coordinator`] |
//! | what the configuration says | [`settings`] |

pub mod coordinator;
pub mod settings;

//! Checkpoints of a job, as its JobMaster sees them.
//!
//! | what | file |
//! |---|---|
//! | when one begins, and what becomes of it | [`coordinator`] |
//! | what the configuration says | [`settings`] |
//! | what a completed one is made of, and which are kept | [`completed`] |
//! | what they took | [`statistics`] |
//! | what the tasks of a restored job begin with | [`plan`] |
//! | which one a JobManager that is started again goes on from | [`noted`] |
//! | writing, reading and deleting metadata and files | [`store`] |

pub mod completed;
pub mod coordinator;
pub mod noted;
pub mod plan;
pub mod settings;
pub mod statistics;
pub mod store;

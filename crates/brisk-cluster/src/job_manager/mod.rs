//! The JobManager: accepts jobs, hands out slots, and runs a JobMaster per job.
//!
//! | component | file |
//! |---|---|
//! | [`Dispatcher`]: accepts, finds and cancels jobs | [`dispatcher`] |
//! | [`ResourceManager`]: knows TaskManagers and their slots | [`resource_manager`] |
//! | jobs that are over, as far as they can still be looked at | [`job_store`] |
//! | what was asked for and takes a while | [`operations`] |
//! | deleting savepoints | [`disposal`] |
//! | [`job_master`]: one per job | [`job_master`] |

pub mod dispatcher;
pub mod disposal;
pub mod job_master;
pub mod job_store;
pub mod operations;
pub mod resource_manager;

pub use dispatcher::{Dispatcher, DispatcherMessage};
pub use job_master::{JobMasterMessage, JobMasterShell};
pub use resource_manager::{ResourceManager, ResourceManagerMessage, SlotOffer};

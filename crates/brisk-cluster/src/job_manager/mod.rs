//! The JobManager: accepts jobs, hands out slots, and runs a JobMaster per job.
//!
//! | component | file |
//! |---|---|
//! | [`Dispatcher`]: accepts, finds and cancels jobs | [`dispatcher`] |
//! | [`ResourceManager`]: knows TaskManagers and their slots | [`resource_manager`] |
//! | [`job_master`]: one per job | [`job_master`] |

pub mod dispatcher;
pub mod job_master;
pub mod resource_manager;

pub use dispatcher::{Dispatcher, DispatcherMessage};
pub use job_master::{JobMasterMessage, JobMasterShell};
pub use resource_manager::{ResourceManager, ResourceManagerMessage, SlotOffer};

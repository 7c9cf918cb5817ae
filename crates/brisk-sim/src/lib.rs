//! The simulator: whole jobs in one thread, from one seed, in virtual time.
//!
//! The job runs on the real dispatcher, JobMaster, TaskManager and tasks; only clock, executor and message delivery are the simulator's.
//! The seed decides which task runs next and for how long, which control message arrives next, where batches are cut, and which channels
//! are slow. A job that gives the same results for hundreds of seeds does not depend on such things; a seed that fails repeats exactly.
//!
//! ```
//! use brisk_sim::simulate;
//! use brisk_stream::StreamEnvironment;
//!
//! simulate(|env: &StreamEnvironment| Ok(env.from_sequence(1, 100).filter(|n| n % 2 == 0)))
//!     .seeds(5)
//!     .parallelism(1..=4)
//!     .check(|run| assert_eq!(run.output_sorted(), (1..=50).map(|n| n * 2).collect::<Vec<i64>>()));
//! ```
//!
//! | what | file |
//! |---|---|
//! | [`simulate`]: a user's job under many seeds | `simulation.rs` |
//! | [`SimExecutor`]: runs any program's jobs from one seed | `executor.rs` |
//! | the cluster that is driven step by step | `cluster.rs` |
//! | what is disturbed, and how much | `mood.rs` |
//! | [`Recovery`]: checkpoints, crashes, restarts at other parallelisms | `recovery.rs` |
//! | a cluster of processes that crash, over a network that is disturbed | `processes` |
//! | [`planted`]: bugs that the checkers have to find | `planted.rs` |
//! | jobs with checkers that the project itself runs | [`workloads`] |
//!
//! Invariant: nothing here reads the machine's clock or starts a thread, so a seed decides everything.

mod clock;
mod cluster;
mod dump;
mod executor;
mod fault;
mod gather;
mod launcher;
mod mood;
mod outputs;
pub mod planted;
mod processes;
mod recovery;
mod run;
mod simulation;
mod storage;
mod trace;
pub mod workloads;

pub use executor::SimExecutor;
pub use fault::Fault;
pub use outputs::{Gathered, Outputs};
pub use recovery::Recovery;
pub use run::Run;
pub use simulation::{Simulation, simulate, simulate_seeded};
pub use trace::{Step, Trace};

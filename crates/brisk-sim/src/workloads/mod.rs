//! Jobs with checkers: what the project itself runs in the simulator.
//!
//! Each draws its parameters from the seed, runs one job, and compares the results with a plain computation over the same records.

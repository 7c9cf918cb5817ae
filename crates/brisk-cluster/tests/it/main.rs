//! The control plane as a whole: stepped with fake tasks, and in real threads with real ones.

mod fake;
mod interleaving;
mod jobs;
mod losses;
mod mini_cluster;
mod transport;

//! `brisk-sim`: runs the project's workloads in the simulator, many seeds each. `cargo xtask sim` calls it.

fn main() {}

//! The simulator itself: it repeats exactly, it finds what it should find, and its workloads pass.

mod finds;
mod processes;
mod repeats;
mod workloads;

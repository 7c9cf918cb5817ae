//! Joins on the real runtime, against naive references: random streams out of order on both sides, cut into batches and interleaved at
//! random, with watermarks at random places within the batches.

mod interval;
mod streams;
mod windows;

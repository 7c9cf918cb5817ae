//! Tests of the operators through the in-crate driver.

mod async_io;
mod broadcast;
mod checkpoints;
mod connected;
mod keyed;
mod stateless;

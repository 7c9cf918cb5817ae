//! Tests of the operators through the in-crate driver.

mod async_io;
mod broadcast;
mod connected;
mod keyed;
mod stateless;

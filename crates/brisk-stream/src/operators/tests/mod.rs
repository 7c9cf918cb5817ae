//! Tests of the operators through the in-crate driver.

mod async_io;
mod connected;
mod stateless;

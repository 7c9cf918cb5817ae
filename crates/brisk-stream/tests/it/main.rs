//! Integration tests of the DataStream API.

mod joins;
mod windows;

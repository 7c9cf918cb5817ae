//! Integration tests of the DataStream API.

mod windows;

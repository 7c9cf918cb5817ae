//! Against a real server of the protocol: a process of its own on a free port of the loopback interface.

mod job;
mod server;
mod storage;

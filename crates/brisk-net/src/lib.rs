//! Moves bytes between the processes of a cluster. It knows neither records nor jobs.
//!
//! Two processes share one connection. On it are any number of **channels**, each from one process to the other: a channel is opened by
//! its sender with a descriptor, and carries **batches** (byte strings) in order, each exactly once, until it is finished or fails. The
//! receiver grants **credit** in bytes and batches for what it has room for, and nothing is sent without: so a receiver that does not
//! read stops its own sender, and nobody else, and what is under way is bounded.
//!
//! | what | file |
//! |---|---|
//! | frames: length, kind, channel, checksums, compression | [`frame`] |
//! | credit: what may be sent, what has to be granted | [`credit`] |
//! | all channels of one connection, without I/O | [`multiplexer`] |
//! | a connection over TCP, and how tasks use it | [`connection`] |
//!
//! What is wrong with one batch fails its channel; what is wrong with the stream of frames fails the connection and with it all channels.
//! Either is an error that says what, and never a panic: nothing that comes from the other side is trusted, and nothing is allocated for
//! a length before it has been checked.

pub mod connection;
pub mod credit;
pub mod frame;
pub mod multiplexer;

pub use connection::{BatchReceiver, BatchSender, Connection, Incoming};
pub use credit::Window;
pub use multiplexer::ChannelId;

//! Actors and how they reach each other within a process.
//!
//! | what | file |
//! |---|---|
//! | [`Address`]: where an actor is reached | [`address`] |
//! | [`Actor`], [`ActorContext`] | [`actor`] |
//! | [`Reply`]: the way back of an answer | [`reply`] |
//! | [`ControlPlane`]: delivers messages, on a thread or step by step | [`plane`] |
//!
//! An actor owns its state and shows it to nobody; it changes only when a message arrives. Messages of one sender to one receiver arrive
//! in the order in which they were sent; nothing else is promised. The steppable plane delivers in any order that keeps this promise, so
//! what the simulator finds is what a network may do.

pub mod actor;
pub mod address;
pub mod plane;
pub mod reply;

pub use actor::{Actor, ActorContext};
pub use address::Address;
pub use plane::{ControlPlane, PlaneThread};
pub use reply::Reply;

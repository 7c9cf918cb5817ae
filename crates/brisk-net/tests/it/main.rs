//! Connections over TCP.

mod connections;

//! Tables of all backends against naive models; handles; a state store as operators use it.

mod evolution;
mod handles;
mod lists;
mod lives;
mod maps;
mod restore;
mod support;
mod ttl;
mod values;

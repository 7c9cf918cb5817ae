//! The contract of keyed state.

//! The simulator itself: it repeats exactly, and it finds what it should find.
mod first;

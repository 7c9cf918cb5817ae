//! Sinks that need nothing but the program: standard output, closures, and the hand-over to the program itself.

mod closure;
mod collected;
mod print;

pub use closure::FnSink;
pub use collected::Collected;
pub use print::PrintSink;

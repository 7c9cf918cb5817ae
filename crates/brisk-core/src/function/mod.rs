//! What user functions are given to emit with: [`Collector`], [`OutputTag`], and the watermark contracts.

mod collector;
mod emitter;
pub mod watermark;

pub use collector::Collector;
pub use emitter::{Emitter, OutputTag, SideOutputs};

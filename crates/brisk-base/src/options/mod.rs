//! Configuration: options declared once with type, default and documentation, read from Flink's keys.
//!
//! An option is a constant made by [`options!`](crate::options!) in the component that obeys it; the same declaration gives the default,
//! the checks and the reference page. A [`Configuration`] holds texts by key, as they came from a file, from `-D` or from the program;
//! they are parsed when read, and an error names key, value and what was expected.
//!
//! This module opens no files and obeys no option.

pub mod checkpoint_options;
mod configuration;
pub mod core_options;
mod declare;
mod flink_keys;
mod known;
mod value;

pub use self::configuration::Configuration;
pub use self::declare::{AnyOption, ConfigOption};
pub use self::known::{KeyStatus, classify};
pub use self::value::{MemorySize, OptionValue};

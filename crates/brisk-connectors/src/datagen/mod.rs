//! Generated data: a function of consecutive numbers, as fast as it goes or at a rate.

mod config;
mod source;
#[cfg(test)]
mod tests;

pub use config::DataGeneratorSource;
pub use source::GeneratorSplit;

//! Sources that need nothing but the program: collections and sequences.

mod collection;
mod range;
mod sequence;

pub use collection::CollectionSource;
pub use sequence::SequenceSource;

#[cfg(test)]
mod tests;

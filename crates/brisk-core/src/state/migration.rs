//! A program's own way from an older type of a state to the present one.

use crate::types::{Decoder, Record, Schema};
use brisk_base::Result;
use std::fmt;
use std::sync::Arc;

/// Turns values of one type into those of another while a state is restored. Made by
/// [`StateDeclarations::migrate`](super::StateDeclarations::migrate).
#[derive(Clone)]
pub struct StateMigration {
    /// The state it is for.
    pub(super) state: Arc<str>,
    /// Schema of the older type.
    from: Schema,
    /// Schema of the newer type.
    to: Schema,
    /// Turns the bytes of one value.
    convert: Arc<Convert>,
}

/// Turns the bytes of a value into those of another.
type Convert = dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync;

impl StateMigration {
    pub(super) fn new<Old: Record, New: Record>(state: Arc<str>, migrate: impl Fn(Old) -> Result<New> + Send + Sync + 'static) -> Self {
        let convert = move |bytes: &[u8]| {
            let mut input = Decoder::new(bytes);
            let old = Old::decode(&mut input)?;
            input.finish()?;
            let mut out = Vec::new();
            migrate(old)?.encode(&mut out);
            Ok(out)
        };
        Self { state, from: Old::schema(), to: New::schema(), convert: Arc::new(convert) }
    }

    /// Whether it leads from one type to the other.
    pub fn leads(&self, from: &Schema, to: &Schema) -> bool {
        self.from == *from && self.to == *to
    }

    /// Turns one value.
    ///
    /// # Errors
    /// The program's, and when the bytes are damaged.
    pub fn convert(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        (self.convert)(bytes)
    }
}

impl fmt::Debug for StateMigration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateMigration({} -> {})", self.from, self.to)
    }
}

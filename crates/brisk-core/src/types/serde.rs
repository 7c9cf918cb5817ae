//! Records of types that only know serde.

use super::{Decoder, Record, Schema, put_bytes};
use ::serde::Serialize;
use ::serde::de::DeserializeOwned;
use brisk_base::Result;
use std::any::type_name;
use std::ops::{Deref, DerefMut};

/// Makes a [`Record`] of a type that implements serde's traits, in postcard's format.
///
/// The schema is opaque: Brisk cannot tell whether a newer version of the type reads older bytes, and memory accounting sees only the
/// value's own size. A type that contains itself may nest without bound, so decode such a one from trusted bytes only. Derive `Record` for types of your own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Serde<T>(pub T);

impl<T> Deref for Serde<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Serde<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Record for Serde<T> {
    /// Length as LEB128, then postcard's bytes.
    ///
    /// # Panics
    /// When the type's `Serialize` fails, or gives a list whose length it does not know (which postcard refuses).
    fn encode(&self, out: &mut Vec<u8>) {
        match postcard::to_allocvec(&self.0) {
            Ok(bytes) => put_bytes(out, &bytes),
            Err(error) => {
                panic!("cannot encode a {} through serde: {error}; derive Record for it or use #[record(with = ...)]", type_name::<T>())
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        let bytes = input.bytes()?;
        match postcard::take_from_bytes(bytes) {
            Ok((value, [])) => Ok(Self(value)),
            Ok((_, rest)) => Err(input.corrupt(format!("{} bytes are left after a {}", rest.len(), type_name::<T>()))),
            Err(error) => Err(input.corrupt(format!("these bytes are no {}: {error}", type_name::<T>()))),
        }
    }

    fn schema() -> Schema {
        Schema::Opaque { name: format!("Serde<{}>", type_name::<T>()) }
    }
}

//! Blobs: executables of programs, named by what is in them.

use brisk_base::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The name of a blob: the 128-bit XXH3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlobId(pub u128);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for BlobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match u128::from_str_radix(text, 16) {
            Ok(id) if text.len() == 32 => Ok(Self(id)),
            _ => Err(Error::user(format!("'{text}' is not the name of a blob: expected 32 hexadecimal digits"))),
        }
    }
}

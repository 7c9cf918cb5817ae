//! Serde of timestamps as `YYYY-MM-DD HH:MM:SS[.fff]`, in UTC: `#[serde(with = "brisk::formats::timestamp")]`.
//!
//! ```
//! # use brisk_formats as formats;
//! use brisk_base::Timestamp;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Reading {
//!     #[serde(with = "formats::timestamp")]
//!     at: Timestamp,
//!     #[serde(with = "formats::timestamp::option")]
//!     checked: Option<Timestamp>,
//! }
//! ```

use crate::excerpt::excerpt;
use brisk_base::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};
use std::fmt;

/// Writes a timestamp as text.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(timestamp)
}

/// Reads a timestamp from text.
///
/// # Errors
/// When the text is no timestamp.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    deserializer.deserialize_str(TimestampText)
}

struct TimestampText;

impl Visitor<'_> for TimestampText {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as YYYY-MM-DD HH:MM:SS")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::parse(text).ok_or_else(|| E::custom(format!("{} is no time; write it as YYYY-MM-DD HH:MM:SS", excerpt(text))))
    }
}

/// The same for `Option<Timestamp>`; no text is `None`.
pub mod option {
    use super::{Error, TimestampText, Visitor, fmt};
    use brisk_base::Timestamp;
    use serde::{Deserializer, Serializer};

    /// Writes a timestamp as text, or nothing.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(timestamp: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match timestamp {
            Some(timestamp) => serializer.serialize_some(&timestamp.to_string()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a timestamp from text, or nothing.
    ///
    /// # Errors
    /// When there is text that is no timestamp.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        deserializer.deserialize_option(OptionalText)
    }

    struct OptionalText;

    impl<'de> Visitor<'de> for OptionalText {
        type Value = Option<Timestamp>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time as YYYY-MM-DD HH:MM:SS, or nothing")
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_str(TimestampText).map(Some)
        }
    }
}

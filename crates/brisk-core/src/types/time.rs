//! Records and keys of time.

use super::{Decoder, Key, Record, Schema, hash, put_varint};
use brisk_base::{Millis, Result, Timestamp};
use std::time::Duration;

/// `Record` and `Key` of a newtype around an `i64`.
macro_rules! time {
    ($($type:ident)*) => {$(
        impl Record for $type {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }

            #[inline]
            fn decode(input: &mut Decoder<'_>) -> Result<Self> {
                input.zigzag().map(Self)
            }

            fn schema() -> Schema {
                Schema::$type
            }
        }

        impl Key for $type {
            #[inline]
            fn key_hash(&self) -> u64 {
                hash::hash_i64(self.0)
            }

            #[inline]
            fn encode_ordered(&self, out: &mut Vec<u8>) {
                self.0.encode_ordered(out);
            }

            #[inline]
            fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
                i64::decode_ordered(input).map(Self)
            }
        }
    )*};
}

time! { Timestamp Millis }

impl Record for Duration {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.as_secs());
        put_varint(out, u64::from(self.subsec_nanos()));
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        let (seconds, nanos) = (input.varint()?, u32::decode(input)?);
        duration(seconds, nanos, input)
    }

    fn schema() -> Schema {
        Schema::Duration
    }
}

impl Key for Duration {
    /// That of the number of nanoseconds.
    fn key_hash(&self) -> u64 {
        hash::hash_u128(self.as_nanos())
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        self.as_secs().encode_ordered(out);
        self.subsec_nanos().encode_ordered(out);
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        let (seconds, nanos) = (u64::decode_ordered(input)?, u32::decode_ordered(input)?);
        duration(seconds, nanos, input)
    }
}

fn duration(seconds: u64, nanos: u32, input: &Decoder<'_>) -> Result<Duration> {
    if nanos < 1_000_000_000 {
        Ok(Duration::new(seconds, nanos))
    } else {
        Err(input.corrupt(format!("a duration has {nanos} nanoseconds beside its seconds")))
    }
}

//! The frozen routing hash: from a key's value to its key group.
//!
//! It is defined on the *logical* value, so that a typed key and the Arrow column of the same value agree, and widening an integer moves
//! no key. It never goes through `std::hash::Hash` and depends on no crate.
//!
//! | value | hash |
//! |---|---|
//! | any integer that fits `i64`; `Timestamp`, `Millis`, days as a number | [`hash_i64`] |
//! | `bool` | that of 0 or 1 |
//! | an integer above `i64::MAX` that fits `u64` | [`hash_u64`] |
//! | other integers of 128 bits | [`combine`] of [`hash_i64`] of the high and low half |
//! | text, `char`, the name of an enum's variant | [`hash_bytes`] of the UTF-8 |
//! | bytes: `Vec<u8>`, `[u8; N]` | [`hash_bytes`] |
//! | floating point (columns only) | [`hash_f64`], after widening |
//! | null, `None` | [`hash_null`] |
//! | struct, tuple, array, row: several fields | the first field's hash, [`combine`]d with the others' in order |
//! | enum variant with fields | its name's, combined with the fields' |
//! | list | [`hash_i64`] of its length, combined with the elements' |
//! | no field at all | [`hash_null`] |
//!
//! Invariant: golden values pin all of it. A change needs a new [`VERSION`] and a migration of every savepoint: don't.

use super::KeyGroup;

/// Version of the hash; savepoints carry it.
pub const VERSION: u16 = 1;

// Odd constants without a pattern: those of splitmix64, xxHash and wyhash.
const INTEGER: u64 = 0x9E37_79B9_7F4A_7C15;
const BIG_INTEGER: u64 = 0xC2B2_AE3D_27D4_EB4F;
const FLOAT: u64 = 0xD6E8_FEB8_6659_FD93;
const BYTES: [u64; 4] = [0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3, 0x5899_65CC_7537_4CC3];
const COMBINE: [u64; 2] = [0x2D35_8DCC_AA6C_78A5, 0x8BB8_4B93_962E_ACC9];
const NULL: u64 = 0x4B33_A62E_D433_D4A3;
const CANONICAL_NAN: u64 = 0x7FF8_0000_0000_0000;

/// Hash of an integer.
#[inline]
pub const fn hash_i64(value: i64) -> u64 {
    mix(value as u64 ^ INTEGER)
}

/// Hash of an unsigned integer: that of the same number as `i64` where there is one.
#[inline]
pub const fn hash_u64(value: u64) -> u64 {
    mix(value ^ if value >> 63 == 0 { INTEGER } else { BIG_INTEGER })
}

/// Hash of a signed integer of 128 bits: that of the same number in 64 bits where there is one.
#[inline]
pub const fn hash_i128(value: i128) -> u64 {
    if value >= 0 {
        hash_u128(value as u128)
    } else if value >= i64::MIN as i128 {
        hash_i64(value as i64)
    } else {
        hash_halves(value as u128)
    }
}

/// Hash of an unsigned integer of 128 bits: that of the same number in 64 bits where there is one.
#[inline]
pub const fn hash_u128(value: u128) -> u64 {
    if value <= u64::MAX as u128 { hash_u64(value as u64) } else { hash_halves(value) }
}

const fn hash_halves(value: u128) -> u64 {
    combine(hash_i64((value >> 64) as i64), hash_i64(value as i64))
}

/// Hash of a floating point number. All NaNs are equal here, and so are the two zeros.
#[inline]
pub const fn hash_f64(value: f64) -> u64 {
    let bits = if value == 0.0 {
        0
    } else if value.is_nan() {
        CANONICAL_NAN
    } else {
        value.to_bits()
    };
    mix(bits ^ FLOAT)
}

/// Hash of a null.
#[inline]
pub const fn hash_null() -> u64 {
    NULL
}

/// Hash of a string's UTF-8, or of bytes: 16 bytes a step, each step one 64 x 64 -> 128 bit product.
#[inline]
pub const fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut state = BYTES[0];
    let mut rest = bytes;
    while rest.len() > 16 {
        let Some((block, tail)) = rest.split_first_chunk::<16>() else { break };
        state = fold(first_u64(block) ^ BYTES[1], last_u64(block) ^ state);
        rest = tail;
    }
    let (a, b) = match rest.len() {
        0 => (0, 0),
        1..=3 => (rest[0] as u64 | (rest[rest.len() / 2] as u64) << 8 | (rest[rest.len() - 1] as u64) << 16, 0),
        4..=7 => (first_u32(rest), last_u32(rest)),
        _ => (first_u64(rest), last_u64(rest)),
    };
    finish_bytes(a, b, state, bytes.len())
}

#[inline]
const fn finish_bytes(a: u64, b: u64, state: u64, len: usize) -> u64 {
    fold(fold(a ^ BYTES[1], b ^ state) ^ BYTES[2], len as u64 ^ BYTES[3])
}

/// [`hash_bytes`] of the first `len` of 15 bytes, those behind being zeros: without a branch by the length, which nobody could foresee.
#[inline]
pub(super) const fn hash_short(low: u64, high: u64, len: usize) -> u64 {
    debug_assert!(len <= 15);
    let long = len >= 8;
    let wide = len >= 4;
    // The last 8 bytes, if there are so many: low and high together, shifted by what lies in front of them.
    let shift = 8 * (len as u32 & 7);
    let last_8 = low >> shift | high << 1 << (63 - shift);
    let last_4 = low >> (8 * (len.saturating_sub(4) as u32 & 7)) & 0xFFFF_FFFF;
    let middle = low >> (8 * ((len as u32 / 2) & 7)) & 0xFF;
    let last = low >> (8 * (len.saturating_sub(1) as u32 & 7)) & 0xFF;
    let few = low & 0xFF | middle << 8 | last << 16;
    let (a_wide, a_long) = (low & 0xFFFF_FFFF, low);
    let a = pick(long, a_long, pick(wide, a_wide, few));
    let b = pick(long, last_8, pick(wide, last_4, 0));
    finish_bytes(a, b, BYTES[0], len)
}

/// One of two numbers, by arithmetic.
#[inline]
const fn pick(first: bool, a: u64, b: u64) -> u64 {
    let mask = (first as u64).wrapping_neg();
    a & mask | b & !mask
}

/// Hash of a row so far and of its next field.
#[inline]
pub const fn combine(hash: u64, field_hash: u64) -> u64 {
    fold(hash ^ COMBINE[0], field_hash ^ COMBINE[1])
}

/// Hash of a list, from those of its elements.
pub fn hash_list(element_hashes: impl ExactSizeIterator<Item = u64>) -> u64 {
    element_hashes.len().try_into().map_or(NULL, |len| element_hashes.fold(hash_i64(len), combine))
}

/// The key group a hash belongs to, out of `max_parallelism` (at most 32768): its top 24 bits, scaled.
#[inline]
pub const fn key_group(hash: u64, max_parallelism: u32) -> KeyGroup {
    KeyGroup((((hash >> 40) * max_parallelism as u64) >> 24) as u16)
}

/// The hash to use in a hash table (hashbrown's), from a key's routing hash.
///
/// hashbrown takes the tag of an entry from the top 7 bits, which are nearly the same for all keys of one subtask, since they chose the
/// key group. This gives those bits entropy of their own, and leaves the bits that choose the slot alone.
#[inline]
pub const fn table_hash(hash: u64) -> u64 {
    hash ^ hash << 25
}

/// A bijection in which every input bit reaches every output bit (Pelle Evensen's "moremur").
#[inline]
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 27;
    x = x.wrapping_mul(0x3C79_AC49_2BA7_B653);
    x ^= x >> 33;
    x = x.wrapping_mul(0x1C69_B3F7_4AC4_AE35);
    x ^ x >> 27
}

/// Both halves of the product, folded.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

#[inline]
const fn first_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("the caller has at least 8 bytes"))
}

#[inline]
const fn last_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.last_chunk().expect("the caller has at least 8 bytes"))
}

#[inline]
const fn first_u32(bytes: &[u8]) -> u64 {
    u32::from_le_bytes(*bytes.first_chunk().expect("the caller has at least 4 bytes")) as u64
}

#[inline]
const fn last_u32(bytes: &[u8]) -> u64 {
    u32::from_le_bytes(*bytes.last_chunk().expect("the caller has at least 4 bytes")) as u64
}

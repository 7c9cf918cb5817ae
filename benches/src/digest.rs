//! Mixing of numbers, for keys and for digests of results.

/// The finaliser of splitmix64: spreads a number over all 64 bits, and never maps two numbers to one.
pub(crate) const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The step of splitmix64's sequence.
pub(crate) const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number for one result made of these parts; results are summed up, so their order does not matter.
pub(crate) fn of(parts: [u64; 3]) -> u64 {
    parts.iter().fold(STEP, |digest, part| mix(digest ^ mix(part.wrapping_add(STEP))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_as_splitmix64_does() {
        // The first number of splitmix64 with seed 0.
        assert_eq!(mix(STEP), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn a_digest_depends_on_every_part() {
        let all = [of([1, 2, 3]), of([2, 1, 3]), of([1, 2, 4]), of([0, 2, 3])];
        assert!((0..4).all(|a| (0..a).all(|b| all[a] != all[b])));
    }
}

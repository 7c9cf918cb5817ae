//! The frozen hash: golden values, quality, and agreement of typed keys with Arrow columns.

use super::*;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, NullArray, PrimitiveArray, StringArray, StringViewArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use brisk_base::Timestamp;
use brisk_base::world::Rng;
use std::sync::Arc;

const TEXT: &str = "The quick brown fox jumps over the lazy dog; then it hashes 64 bytes and some more.";

#[test]
fn golden_values_never_change() {
    assert_eq!(hash::VERSION, 1);
    let golden: &[(&str, u64, u64)] = &[
        ("0", 0i64.key_hash(), 0xB70F_B2CC_55AF_013F),
        ("1", 1u8.key_hash(), 0x0871_64D5_C9E6_AE5E),
        ("-1", (-1i16).key_hash(), 0x560D_5C59_9C8C_5172),
        ("1234567890123", 1_234_567_890_123i64.key_hash(), 0x300F_CD44_48F9_9DF9),
        ("i64::MIN", i64::MIN.key_hash(), 0x92F9_8E73_61AA_CF96),
        ("i64::MAX", i64::MAX.key_hash(), 0xE162_A601_749F_5D4A),
        ("u64::MAX", u64::MAX.key_hash(), 0xDD39_D3AE_C2ED_1395),
        ("u128::MAX", u128::MAX.key_hash(), 0x546E_68D0_2681_CF80),
        ("1 << 100", (1i128 << 100).key_hash(), 0x0826_49CD_E6BD_63F9),
        ("true", true.key_hash(), 0x0871_64D5_C9E6_AE5E),
        ("0.0", hash::hash_f64(-0.0), 0x68C2_FA40_A4D1_5220),
        ("1.5", hash::hash_f64(1.5), 0xCDC9_5B0A_1D45_50FF),
        ("NaN", hash::hash_f64(-f64::NAN), 0x3203_F629_33CD_ADA1),
        ("null", None::<u8>.key_hash(), 0x4B33_A62E_D433_D4A3),
        ("unit", ().key_hash(), 0x4B33_A62E_D433_D4A3),
        ("0 bytes", hash::hash_bytes(&TEXT.as_bytes()[..0]), 0x2AFA_3043_C0FB_B4D2),
        ("1 bytes", hash::hash_bytes(&TEXT.as_bytes()[..1]), 0x26FA_C07D_B58D_3882),
        ("2 bytes", hash::hash_bytes(&TEXT.as_bytes()[..2]), 0x359F_3A06_4527_227E),
        ("3 bytes", hash::hash_bytes(&TEXT.as_bytes()[..3]), 0xDB08_CF98_96CB_E628),
        ("4 bytes", hash::hash_bytes(&TEXT.as_bytes()[..4]), 0x348A_43CD_10AC_5CC6),
        ("7 bytes", hash::hash_bytes(&TEXT.as_bytes()[..7]), 0x8C65_F5DF_180E_4DB6),
        ("8 bytes", hash::hash_bytes(&TEXT.as_bytes()[..8]), 0xEE2B_E626_3A85_0574),
        ("9 bytes", hash::hash_bytes(&TEXT.as_bytes()[..9]), 0x95B4_8A8F_5ABA_1D07),
        ("15 bytes", hash::hash_bytes(&TEXT.as_bytes()[..15]), 0x0F32_BDF6_9AE7_4B99),
        ("16 bytes", hash::hash_bytes(&TEXT.as_bytes()[..16]), 0x96B6_E476_635B_B53F),
        ("17 bytes", hash::hash_bytes(&TEXT.as_bytes()[..17]), 0x2F87_7A66_AF0E_B900),
        ("31 bytes", hash::hash_bytes(&TEXT.as_bytes()[..31]), 0xCA79_BDA2_7E5C_CF9E),
        ("32 bytes", hash::hash_bytes(&TEXT.as_bytes()[..32]), 0x18DD_3186_38BE_ED72),
        ("33 bytes", hash::hash_bytes(&TEXT.as_bytes()[..33]), 0xC697_6ACB_C7E7_2C48),
        ("83 bytes", hash::hash_bytes(&TEXT.as_bytes()[..83]), 0xFF86_AE0A_6B96_423C),
        ("text", "Kraków".to_owned().key_hash(), 0x6B33_AAA5_41AA_58C0),
        ("pair", (42u32, "EWR".to_owned()).key_hash(), 0x484D_0FBC_59F0_600C),
        ("triple", (1u8, None::<u8>, 'x').key_hash(), 0xA1B5_F6B5_F0DA_6BD3),
        ("list", vec![1u16, 2].key_hash(), 0x9668_F639_1905_6285),
        ("timestamp", Timestamp(1_357_035_300_000).key_hash(), 0xAB0C_7836_6512_7408),
        ("variant", Kind::Stop(1, String::new()).key_hash(), 0x3D5C_7F37_B4F1_60AF),
    ];
    for (what, actual, expected) in golden {
        assert_eq!(actual, expected, "{what}");
    }
}

#[test]
fn equal_logical_values_have_equal_hashes() {
    assert_eq!(7u8.key_hash(), 7i128.key_hash());
    assert_eq!((-7i8).key_hash(), (-7i128).key_hash());
    assert_eq!((i64::MAX as u64).key_hash(), i64::MAX.key_hash());
    assert_eq!(u64::MAX.key_hash(), u128::from(u64::MAX).key_hash());
    assert_ne!(u64::MAX.key_hash(), (-1i64).key_hash());
    assert_eq!(true.key_hash(), 1u8.key_hash());
    assert_eq!(Timestamp(-5).key_hash(), (-5i64).key_hash());
    assert_eq!('é'.key_hash(), "é".to_owned().key_hash());
    assert_eq!(b"ab".to_vec().key_hash(), "ab".to_owned().key_hash());
    assert_eq!(("a".to_owned(),).key_hash(), "a".to_owned().key_hash());
    assert_eq!(None::<String>.key_hash(), hash::hash_null());
    assert_eq!(hash::hash_f64(0.0), hash::hash_f64(-0.0));
    assert_eq!(hash::hash_f64(f64::NAN), hash::hash_f64(f64::from_bits(0xFFF8_0000_0000_1234)));
    assert_ne!((1u8, 2u8).key_hash(), (2u8, 1u8).key_hash());
}

/// Flips each of `bits` input bits of many random inputs: each output bit changes half of the time, to within `tolerance`.
fn avalanches(what: &str, bits: usize, tolerance: f64, hash: impl Fn(&[u8]) -> u64) {
    const ROUNDS: u32 = 2000;
    let mut rng = Rng::seeded(bits as u64);
    let mut changed = vec![[0u32; 64]; bits];
    let mut input = vec![0u8; bits.div_ceil(8)];
    for _ in 0..ROUNDS {
        input.iter_mut().for_each(|byte| *byte = rng.next_u64() as u8);
        let before = hash(&input);
        for (bit, counts) in changed.iter_mut().enumerate() {
            input[bit / 8] ^= 1 << (bit % 8);
            let difference = before ^ hash(&input);
            input[bit / 8] ^= 1 << (bit % 8);
            counts.iter_mut().enumerate().for_each(|(out, count)| *count += (difference >> out & 1) as u32);
        }
    }
    for (bit, counts) in changed.iter().enumerate() {
        for (out, count) in counts.iter().enumerate() {
            let share = f64::from(*count) / f64::from(ROUNDS);
            assert!((share - 0.5).abs() < tolerance, "{what}: input bit {bit} changes output bit {out} with probability {share}");
        }
    }
}

fn integer(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    hash::hash_i64(i64::from_le_bytes(padded))
}

#[test]
fn every_input_bit_reaches_every_output_bit() {
    avalanches("integers", 64, 0.08, integer);
    avalanches("small integers", 16, 0.08, integer);
    avalanches("pairs of small integers", 32, 0.08, |bytes| hash::combine(integer(&bytes[..2]), integer(&bytes[2..])));
    avalanches("1 byte (of which there are few)", 8, 0.2, hash::hash_bytes);
    for len in [2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 32, 33, 40] {
        avalanches(&format!("{len} bytes"), len * 8, 0.08, hash::hash_bytes);
    }
}

/// The chi-squared statistic of how many hashes fall into each of `cells`, in standard deviations from its mean.
fn unevenness(cells: usize, hashes: impl Iterator<Item = usize>) -> f64 {
    let mut counts = vec![0u32; cells];
    let mut total = 0;
    for cell in hashes {
        counts[cell] += 1;
        total += 1;
    }
    let expected = f64::from(total) / cells as f64;
    let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    let freedom = cells as f64 - 1.0;
    (chi - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn regular_keys_spread_evenly_over_key_groups_and_table_slots() {
    type HashOf = fn(i64) -> u64;
    let keys: [(&str, HashOf); 6] = [
        ("counting", |n| hash::hash_i64(n)),
        ("multiples of 2^20", |n| hash::hash_i64(n << 20)),
        ("multiples of 3600000", |n| hash::hash_i64(n * 3_600_000)),
        ("texts", |n| hash::hash_bytes(format!("user-{n}").as_bytes())),
        ("long texts", |n| hash::hash_bytes(format!("{TEXT}{n}").as_bytes())),
        ("pairs", |n| hash::combine(hash::hash_i64(n / 300), hash::hash_i64(n % 300))),
    ];
    for (what, key) in keys {
        let hashes: Vec<u64> = (0..100_000).map(key).collect();
        for max_parallelism in [128, 1000, 32_768] {
            let groups = hashes.iter().map(|&hash| usize::from(key_group(hash, max_parallelism).0));
            let unevenness = unevenness(max_parallelism as usize, groups);
            assert!(unevenness.abs() < 5.0, "{what}: {unevenness} over {max_parallelism} key groups");
        }
        // Within one key group of 128, as a subtask sees them: hashbrown's tag (top 7 bits) and slot (low bits) must still vary.
        let more = (0..2_000_000).map(key).filter(|&hash| key_group(hash, 128) == KeyGroup(77)).map(table_hash).collect::<Vec<_>>();
        for (part, cells) in
            [(more.iter().map(|hash| hash >> 57).collect::<Vec<_>>(), 128), (more.iter().map(|hash| hash & 255).collect(), 256)]
        {
            let unevenness = unevenness(cells, part.iter().map(|&cell| cell as usize));
            assert!(unevenness.abs() < 5.0, "{what}: {unevenness} over {cells} cells within one key group");
        }
    }
}

#[test]
fn key_groups_stay_below_the_max_parallelism() {
    for max_parallelism in [1, 2, 127, 128, MAX_MAX_PARALLELISM] {
        assert_eq!(key_group(0, max_parallelism), KeyGroup(0));
        assert_eq!(u32::from(key_group(u64::MAX, max_parallelism).0), max_parallelism - 1);
    }
}

/// The hashes of one column.
fn hashes(column: impl Array + 'static) -> Vec<u64> {
    let mut out = Vec::new();
    hash_columns(&[Arc::new(column) as ArrayRef], &mut out).expect("a key column");
    out
}

fn typed<K: Key>(values: &[Option<K>]) -> Vec<u64> {
    values.iter().map(Key::key_hash).collect()
}

fn floats<T: arrow_array::ArrowPrimitiveType>(values: &[Option<T::Native>]) -> PrimitiveArray<T> {
    values.iter().copied().collect()
}

macro_rules! columns_agree {
    ($($name:ident: $type:ty => $($array:ty),+;)*) => {
        proptest! {
            $(#[test]
            fn $name(values in proptest::collection::vec(any::<Option<$type>>(), 0..20)) {
                $(prop_assert_eq!(hashes(<$array>::from(values.clone())), typed(&values));)+
                let present: Vec<$type> = values.into_iter().flatten().collect();
                $(prop_assert_eq!(
                    hashes(<$array>::from(present.clone())),
                    present.iter().map(Key::key_hash).collect::<Vec<_>>()
                );)+
            })*
        }
    };
}

columns_agree! {
    int8: i8 => Int8Array;
    int16: i16 => Int16Array;
    int32: i32 => Int32Array, Date32Array;
    int64: i64 => Int64Array, TimestampMillisecondArray;
    uint8: u8 => UInt8Array;
    uint16: u16 => UInt16Array;
    uint32: u32 => UInt32Array;
    uint64: u64 => UInt64Array;
    boolean: bool => BooleanArray;
    text: String => StringArray, LargeStringArray;
}

proptest! {
    #[test]
    fn views_bytes_and_several_columns(rows in proptest::collection::vec(any::<(Option<String>, Option<Vec<u8>>, i64)>(), 0..20)) {
        let texts: Vec<_> = rows.iter().map(|row| row.0.clone()).collect();
        let bytes: Vec<_> = rows.iter().map(|row| row.1.clone()).collect();
        let numbers: Vec<_> = rows.iter().map(|row| row.2).collect();
        let slices: Vec<Option<&[u8]>> = bytes.iter().map(Option::as_deref).collect();
        prop_assert_eq!(hashes(texts.iter().collect::<StringViewArray>()), typed(&texts));
        prop_assert_eq!(hashes(BinaryArray::from(slices.clone())), typed(&bytes));
        prop_assert_eq!(hashes(LargeBinaryArray::from(slices.clone())), typed(&bytes));
        prop_assert_eq!(hashes(slices.iter().collect::<BinaryViewArray>()), typed(&bytes));

        let columns: [ArrayRef; 3] =
            [Arc::new(StringArray::from(texts)), Arc::new(BinaryArray::from(slices)), Arc::new(Int64Array::from(numbers))];
        let mut out = vec![42];
        hash_columns(&columns, &mut out).expect("key columns");
        prop_assert_eq!(out.remove(0), 42);
        prop_assert_eq!(out, rows.iter().map(Key::key_hash).collect::<Vec<_>>());
    }

    #[test]
    fn floats_hash_by_their_value(values in proptest::collection::vec(any::<Option<f32>>(), 0..20)) {
        let wide: Vec<Option<f64>> = values.iter().map(|value| value.map(f64::from)).collect();
        let expected: Vec<u64> = wide.iter().map(|value| value.map_or(hash::hash_null(), hash::hash_f64)).collect();
        prop_assert_eq!(&hashes(floats::<Float32Type>(&values)), &expected);
        prop_assert_eq!(hashes(floats::<Float64Type>(&wide)), expected);
    }
}

#[test]
fn all_zeros_and_all_nans_are_equal_in_columns() {
    let narrow = hashes(Float32Array::from(vec![0.0, -0.0, f32::NAN, -f32::NAN]));
    let wide = hashes(Float64Array::from(vec![-0.0, 0.0, -f64::NAN, f64::NAN]));
    assert_eq!(narrow, wide);
    assert!(narrow[0] == narrow[1] && narrow[2] == narrow[3] && narrow[0] != narrow[2]);
}

#[test]
fn nulls_and_fixed_size_bytes() {
    assert_eq!(hashes(NullArray::new(2)), [hash::hash_null(); 2]);
    let fixed = FixedSizeBinaryArray::try_from_iter([b"abcd", b"efgh"].into_iter()).expect("equal sizes");
    assert_eq!(hashes(fixed), [b"abcd".key_hash(), b"efgh".to_vec().key_hash()]);
}

#[test]
fn what_cannot_be_a_key_is_refused_and_leaves_nothing() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1, 2]));
    let short: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    for columns in [vec![], vec![numbers.clone(), micros.clone()], vec![micros], vec![numbers, short]] {
        let mut out = vec![42];
        hash_columns(&columns, &mut out).expect_err("no key");
        assert_eq!(out, [42]);
    }
}

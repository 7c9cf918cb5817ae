//! Text for the word count: lines of ten words out of 50,000, the smaller numbers far more often.
//!
//! The same bytes as the peer's text maker writes. Files are kept in the system's folder for temporary files (or in the one named by
//! `BRISK_BENCH_DATA`) and made once per size.

use crate::digest::{STEP, mix};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Words per line.
pub(crate) const WORDS_PER_LINE: u64 = 10;
/// Size of the vocabulary.
const VOCABULARY: usize = 50_000;

/// Where the text with at least this many words lies.
pub(crate) fn path(words: u64) -> PathBuf {
    let folder = std::env::var_os("BRISK_BENCH_DATA").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join("brisk-bench").join(format!("words-{words}.txt"))
}

/// Makes the text with this many words, unless it is there. It appears under its name only when it is whole.
pub(crate) fn make(words: u64) -> Result<PathBuf> {
    let path = path(words);
    if path.exists() {
        return Ok(path);
    }
    let folder = path.parent().context("a text without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let unfinished = folder.join(format!("unfinished-{}", std::process::id()));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    write(words, &mut file).and_then(|()| file.flush()).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, &path)?;
    Ok(path)
}

/// Writes whole lines until there are this many words.
fn write(words: u64, out: &mut impl Write) -> std::io::Result<()> {
    let vocabulary = vocabulary();
    let mut state = 42_u64;
    for _ in 0..words.div_ceil(WORDS_PER_LINE) {
        for at in 0..WORDS_PER_LINE {
            state = state.wrapping_add(STEP);
            let u = (mix(state) >> 11) as f64 * (-53_f64).exp2();
            out.write_all(&vocabulary[(u * u * u * VOCABULARY as f64) as usize])?;
            out.write_all(if at + 1 == WORDS_PER_LINE { b"\n" } else { b" " })?;
        }
    }
    Ok(())
}

/// Words of 3 to 10 letters.
fn vocabulary() -> Vec<Vec<u8>> {
    let word = |i: u64| {
        let mut r = mix(i + 1);
        let length = 3 + (r >> 8 & 7);
        let letter = |j| {
            r = mix(r.wrapping_add(j));
            b'a' + ((r >> 33) % 26) as u8
        };
        (0..length).map(letter).collect()
    };
    (0..VOCABULARY as u64).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_ten_words_of_three_to_ten_letters() {
        let mut text = Vec::new();
        write(1000, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(text.lines().all(|line| line.split(' ').count() == 10));
        assert!(text.split_whitespace().all(|word| (3..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())));
    }

    #[test]
    fn small_numbers_are_frequent() {
        let mut text = Vec::new();
        write(10_000, &mut text).unwrap();
        let first = String::from_utf8(vocabulary().remove(0)).unwrap();
        let count = String::from_utf8(text).unwrap().split_whitespace().filter(|word| *word == first).count();
        // The cube root of 1 / 50,000 is 0.027.
        assert!((200..350).contains(&count), "{count}");
    }
}

//! Word count: text file -> lines -> words -> rolling count per word.

use crate::digest_sink::DigestSink;
use crate::{Benchmark, Outcome, Spec, engine, no_engine, text};
use anyhow::{Context as _, Result, ensure};
use brisk::prelude::{Collector, EnvironmentExt as _, Key, Str};
use hashbrown::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::Ordering;

/// As many words as the peer counts in its gigabyte of text.
const WORDS: u64 = 143_178_890;

/// The engine with words as `String`s, each with memory of its own.
const STRINGS: &str = "strings";

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "words",
    records: WORDS,
    engines: &[("brisk", 1), ("brisk", 2), (STRINGS, 2), ("loop", 1)],
    prepare: |spec| text::make(spec.records).map(drop),
    run,
};

fn run(spec: &Spec) -> Result<Outcome> {
    let path = text::path(spec.records);
    match spec.engine.as_str() {
        "brisk" => by_engine::<Str>(spec, &path),
        STRINGS => by_engine::<String>(spec, &path),
        "loop" => by_hand(&path),
        _ => Err(no_engine(spec)),
    }
}

/// Lines -> words -> running count per word; the sum of all running counts is the digest.
fn by_engine<W: Key + for<'a> From<&'a str>>(spec: &Spec, path: &Path) -> Result<Outcome> {
    let env = engine::environment(spec)?;
    let (sink, total) = DigestSink::new(|(_, count): &(W, u64), _| *count);
    env.read_text_file(path)
        .flat_map(|line: String, out: &mut Collector<(W, u64)>| {
            let mut from = 0;
            for to in memchr::memchr_iter(b' ', line.as_bytes()).chain([line.len()]) {
                if to > from {
                    out.collect((W::from(&line[from..to]), 1));
                }
                from = to + 1;
            }
        })
        .key_by_ref(|(word, _)| word)
        .sum(|pair| &mut pair.1)
        .sink_to(sink);
    engine::execute(&env, "words")?;
    Ok(Outcome::new(spec.records, total.load(Ordering::Relaxed)))
}

/// Occurrences per word.
type Counts = HashMap<String, u64, foldhash::fast::FixedState>;

/// One thread, one hash map, lines read into one buffer. The digest is the sum of all rolling counts.
fn by_hand(path: &Path) -> Result<Outcome> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut lines = BufReader::with_capacity(1 << 18, file);
    let mut counts = Counts::default();
    let (mut words, mut digest) = (0, 0_u64);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        let bytes = line.trim_end_matches('\n').as_bytes();
        let mut from = 0;
        for to in memchr::memchr_iter(b' ', bytes).chain([bytes.len()]) {
            if to > from {
                words += 1;
                digest = digest.wrapping_add(counted(&mut counts, &line[from..to]));
            }
            from = to + 1;
        }
        line.clear();
    }
    ensure!(words > 0, "{} holds no words", path.display());
    Ok(Outcome::new(words, digest))
}

fn counted(counts: &mut Counts, word: &str) -> u64 {
    let count = counts.entry_ref(word).or_insert(0);
    *count += 1;
    *count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_counts_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        std::fs::write(&path, "a b  a\n\nb a c").unwrap();
        let outcome = by_hand(&path).unwrap();
        // a: 1 + 2 + 3, b: 1 + 2, c: 1.
        assert_eq!((outcome.records, outcome.digest), (6, 10));
    }
}

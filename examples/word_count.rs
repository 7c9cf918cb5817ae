//! Word count: text -> words -> how often each has come so far.
//!
//!     cargo run --release --example word_count [-- FILE]

use brisk::prelude::*;
use std::collections::BTreeMap;

#[global_allocator]
static ALLOCATOR: brisk::allocator::MiMalloc = brisk::allocator::MiMalloc;

const TEXT: [&str; 4] = [
    "To be, or not to be, that is the question:",
    "Whether 'tis nobler in the mind to suffer",
    "The slings and arrows of outrageous fortune,",
    "Or to take arms against a sea of troubles",
];

/// Emits a word with its new count each time that it comes.
fn word_count(lines: &DataStream<String>) -> DataStream<(String, u64)> {
    lines
        .flat_map(|line: String, out: &mut Collector<(String, u64)>| {
            for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                out.collect((word.to_lowercase(), 1));
            }
        })
        .key_by_ref(|pair| &pair.0)
        .sum(|pair| &mut pair.1)
}

fn main() -> Result<()> {
    let env = StreamEnvironment::get()?;
    if let Some(path) = std::env::args().nth(1) {
        word_count(&env.read_text_file(path)).print();
        env.execute("word count")?;
        return Ok(());
    }
    let rolling = word_count(&env.from_elements(TEXT.map(String::from))).collect()?;
    assert_eq!(rolling.len(), 34, "one count for each word of the text");
    // The last count of a word is its final one.
    let counts: BTreeMap<String, u64> = rolling.into_iter().collect();
    for (word, count) in counts.iter().filter(|(_, count)| **count > 1) {
        println!("{word}: {count}");
    }
    let most: Vec<(&str, u64)> = ["to", "the", "or", "be", "of"].map(|word| (word, counts[word])).to_vec();
    assert_eq!(most, [("to", 4), ("the", 3), ("or", 2), ("be", 2), ("of", 2)]);
    Ok(())
}

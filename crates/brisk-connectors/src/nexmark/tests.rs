//! The stream against a golden extract of the specified one: 1000 events a second, bids of about 44 bytes.

use super::event::Stream;
use super::text::Texts;
use brisk_base::Timestamp;

/// Rows of the specified stream: the first of each table, and the last.
const GOLDEN: &str = include_str!("golden.csv");

fn time(ms: i64) -> String {
    let text = Timestamp(ms).to_string();
    if text.contains('.') { text } else { format!("{text}.000") }
}

/// The row of event `n` as the golden file has it.
fn row(stream: &Stream, n: u64) -> String {
    let (texts, ts) = (Texts::get(), time(stream.time_of(n)));
    match n % 50 {
        0 => {
            let p = stream.person(n);
            let extra = &texts.pool[p.extra];
            format!("{},{},{},{},{},{},{ts},{extra}", p.id, p.name, p.email, p.card, p.city, p.state)
        }
        1..4 => {
            let a = stream.auction(n);
            let (expires, extra) = (time(a.expires), &texts.pool[a.extra]);
            let front = format!("{},{},{},{},{}", a.id, a.item, a.description, a.initial_bid, a.reserve);
            format!("{front},{ts},{expires},{},{},{extra}", a.seller, a.category)
        }
        _ => {
            let b = stream.bid(n);
            let extra = &texts.pool[b.extra];
            format!("{},{},{},{},{},{ts},{extra}", b.auction, b.bidder, b.price, texts.channels[b.channel], texts.urls[b.channel])
        }
    }
}

#[test]
fn events_are_those_of_the_specification() {
    let stream = Stream { rate: 1000, bid_bytes: 44, seed: 0 };
    let mut rows = 0;
    for line in GOLDEN.lines() {
        let (n, expected) = line.split_once('|').expect("number of the event, row");
        assert_eq!(row(&stream, n.parse().expect("a number")), expected, "event {n}");
        rows += 1;
    }
    assert!(rows > 100);
}

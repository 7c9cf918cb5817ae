//! One event from its number: random draws and the facts that follow from the number alone.

use super::text::{CHANNELS, CITIES, FIRST_NAMES, LAST_NAMES, POOL, STATES, Texts};
use std::ops::Range;

/// Time of event 0: 2015-07-15 00:00:00 UTC.
const BASE_MS: i64 = 1_436_918_400_000;
const FIRST_ID: u64 = 1000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
/// Auctions that are open at a time.
const IN_FLIGHT: u64 = 100;
/// People who are active at a time.
const ACTIVE_PEOPLE: u64 = 1000;
/// How far ids may run ahead.
const LEAD: u64 = 10;
/// Auctions or people that share a hot one.
const BATCH: u64 = 100;
/// Of so many events one is a person and three are auctions; the others are bids.
pub(super) const EPOCH: u64 = 50;

/// Most letters of one text of them.
const LONGEST_WORD: u64 = 100;

/// Splitmix64's finaliser.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// From one draw to the next.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A draw as a number in `0..n`, `n` below 2^31.
#[inline]
const fn scaled(draw: u64, n: u64) -> u64 {
    ((draw >> 32) * n) >> 32
}

/// The first of two numbers if `which` is 1, the second if it is 0.
#[inline]
const fn chosen(which: u64, one: u64, zero: u64) -> u64 {
    zero ^ ((zero ^ one) & which.wrapping_neg())
}

/// The random draws of one event.
pub(super) struct Draws(u64);

impl Draws {
    /// Those of event `n`; seed 0 is the stream of the specification.
    #[inline]
    pub(super) const fn of(n: u64, seed: u64) -> Self {
        Self(mix(n ^ 0x5DEE_CE66_D1CE_4E5B ^ mix(seed)))
    }

    #[inline]
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Uniform in `0..n`, `n` below 2^31.
    #[inline]
    pub(super) const fn below(&mut self, n: u64) -> u64 {
        scaled(self.next(), n)
    }

    /// The draw that comes next, which is not taken.
    #[inline]
    const fn after(&self) -> u64 {
        mix(self.0.wrapping_add(STEP))
    }

    /// Takes so many draws.
    #[inline]
    const fn skip(&mut self, count: u64) {
        self.0 = self.0.wrapping_add(STEP.wrapping_mul(count));
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len() as u64) as usize]
    }

    /// Adds three to `max - 1` letters, some of them gaps; `max` is at most [`LONGEST_WORD`].
    pub(super) fn word(&mut self, max: u64, gap: u8, to: &mut String) {
        let mut letters = [0; LONGEST_WORD as usize];
        let letters = &mut letters[..3 + self.below(max - 3) as usize];
        letters.iter_mut().for_each(|letter| *letter = if self.below(13) == 0 { gap } else { b'a' + self.below(26) as u8 });
        to.push_str(std::str::from_utf8(letters).expect("letters are ASCII"));
    }

    /// Puts words with blanks between them, none at the ends, into `to`.
    fn words<'t>(&mut self, max: u64, to: &'t mut String) -> &'t str {
        to.clear();
        self.word(max, b' ', to);
        to.trim()
    }

    /// From 10^2 to 10^8, uniform in its logarithm.
    fn price(&mut self, texts: &Texts) -> i64 {
        let draw = self.next();
        let step = (draw >> 54) as usize;
        let part = ((draw >> 11) & ((1 << 43) - 1)) as f64 * (1.0 / (1_u64 << 43) as f64);
        let [from, to] = [texts.prices[step], texts.prices[step + 1]];
        (from + (to - from) * part + 0.5) as i64
    }

    /// Where in the pool the text lies that fills an event up from `used` to about `wanted` bytes.
    fn extra(&mut self, used: usize, wanted: u64) -> Range<usize> {
        let Some(rest) = wanted.checked_sub(used as u64).filter(|rest| *rest > 0) else { return 0..0 };
        let fifth = (rest + 2) / 5;
        let length = rest - fifth + if fifth == 0 { 0 } else { self.below(2 * fifth) };
        let at = self.below(POOL as u64 - length) as usize;
        at..at + length as usize
    }
}

/// What is the same for all events of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stream {
    /// Events per second of event time.
    pub(super) rate: u64,
    /// About how many bytes a bid has.
    pub(super) bid_bytes: u64,
    /// Chooses among the streams.
    pub(super) seed: u64,
}

/// Texts of the event at hand, which keep their memory from event to event.
#[derive(Default)]
pub(super) struct Scratch {
    first: String,
    second: String,
    third: String,
}

/// Someone new on the site.
pub(super) struct Person<'t> {
    pub(super) id: i64,
    pub(super) name: &'t str,
    pub(super) email: &'t str,
    pub(super) card: &'t str,
    pub(super) city: &'static str,
    pub(super) state: &'static str,
    pub(super) extra: Range<usize>,
}

/// Something for sale.
pub(super) struct Auction<'t> {
    pub(super) id: i64,
    pub(super) item: &'t str,
    pub(super) description: &'t str,
    pub(super) initial_bid: i64,
    pub(super) reserve: i64,
    pub(super) expires: i64,
    pub(super) seller: i64,
    pub(super) category: i64,
    pub(super) extra: Range<usize>,
}

/// An offer.
pub(super) struct Bid {
    pub(super) auction: i64,
    pub(super) bidder: i64,
    pub(super) price: i64,
    /// Index of the channel.
    pub(super) channel: usize,
    pub(super) extra: Range<usize>,
}

const fn last_person(n: u64) -> u64 {
    n / EPOCH
}

/// Number of the auction last opened at event `n`, and -1 before the first.
const fn last_auction(n: u64) -> i64 {
    let (epoch, offset) = ((n / EPOCH) as i64, (n % EPOCH) as i64);
    match offset {
        0 => epoch * 3 - 1,
        1..3 => epoch * 3 + offset - 1,
        _ => epoch * 3 + 2,
    }
}

fn some_person(n: u64, draws: &mut Draws) -> u64 {
    let people = last_person(n) + 1;
    let active = people.min(ACTIVE_PEOPLE);
    people - active + draws.below(active + LEAD)
}

impl Stream {
    /// Time of event `n`, in milliseconds.
    pub(super) const fn time_of(&self, n: u64) -> i64 {
        BASE_MS + (n as i64).wrapping_mul(1000) / self.rate as i64
    }

    /// Event `n`, which is a person.
    pub(super) fn person<'t>(&self, n: u64, scratch: &'t mut Scratch) -> Person<'t> {
        let draws = &mut Draws::of(n, self.seed);
        let Scratch { first: name, second: email, third: card } = scratch;
        [&mut *name, email, card].into_iter().for_each(String::clear);
        name.extend([draws.pick(&FIRST_NAMES), " ", draws.pick(&LAST_NAMES)]);
        draws.word(7, b'.', email);
        email.push('@');
        draws.word(5, b'-', email);
        email.push_str(".example");
        card.extend((0..19).map(|at| if at % 5 == 4 { ' ' } else { char::from(b'0' + draws.below(10) as u8) }));
        let (city, state) = (draws.pick(&CITIES), draws.pick(&STATES));
        let used = 8 + name.len() + email.len() + card.len() + city.len() + state.len();
        let extra = draws.extra(used, 2 * self.bid_bytes);
        Person { id: (FIRST_ID + last_person(n)) as i64, name, email, card, city, state, extra }
    }

    /// Event `n`, which is an auction.
    pub(super) fn auction<'t>(&self, n: u64, scratch: &'t mut Scratch) -> Auction<'t> {
        let (texts, draws, time) = (Texts::get(), &mut Draws::of(n, self.seed), self.time_of(n));
        // Three of four auctions come from the batch's hot seller.
        let seller = if draws.below(4) > 0 { last_person(n) / BATCH * BATCH } else { some_person(n, draws) };
        let category = FIRST_CATEGORY + draws.below(CATEGORIES);
        let initial_bid = draws.price(texts);
        let horizon = self.time_of(n + IN_FLIGHT * EPOCH / 3) - time;
        let expires = time + 1 + draws.below((2 * horizon).max(1) as u64) as i64;
        let (item, description) = (draws.words(20, &mut scratch.first), draws.words(LONGEST_WORD, &mut scratch.second));
        let reserve = initial_bid + draws.price(texts);
        let extra = draws.extra(48 + item.len() + description.len(), 5 * self.bid_bytes);
        let (id, seller, category) = (FIRST_ID as i64 + last_auction(n), (FIRST_ID + seller) as i64, category as i64);
        Auction { id, item, description, initial_bid, reserve, expires, seller, category, extra }
    }

    /// Times of events that follow each other: one division for all of them.
    pub(super) fn times(&self, events: Range<u64>) -> impl Iterator<Item = i64> {
        let rate = self.rate as i64;
        let thousands = (events.start as i64).wrapping_mul(1000);
        let (mut time, mut rest) = (BASE_MS + thousands / rate, thousands % rate);
        events.map(move |_| {
            let now = time;
            time += 1000 / rate;
            rest += 1000 % rate;
            if rest >= rate {
                rest -= rate;
                time += 1;
            }
            now
        })
    }

    /// Event `n`, which is a bid. There are no branches on what is drawn: half of them would be predicted wrong.
    #[inline]
    pub(super) fn bid(&self, n: u64, texts: &Texts) -> Bid {
        let draws = &mut Draws::of(n, self.seed);
        let last = last_auction(n) as u64;
        let first = last.saturating_sub(IN_FLIGHT);
        // Half of the bids go to the hot auction; the others take one more draw.
        let is_other = u64::from(draws.below(2) == 0);
        let other = first + scaled(draws.after(), last - first + 1 + LEAD);
        draws.skip(is_other);
        let auction = chosen(is_other, other, last / BATCH * BATCH);
        // One in four comes from somebody else than the hot bidder.
        let people = last_person(n) + 1;
        let active = people.min(ACTIVE_PEOPLE);
        let is_other = u64::from(draws.below(4) == 0);
        let other = people - active + scaled(draws.after(), active + LEAD);
        draws.skip(is_other);
        let bidder = chosen(is_other, other, last_person(n) / BATCH * BATCH + 1);
        let price = draws.price(texts);
        let is_hot = draws.below(2);
        let channel = CHANNELS as u64 * is_hot + draws.below(chosen(is_hot, 4, CHANNELS as u64));
        let extra = draws.extra(32, self.bid_bytes);
        Bid { auction: (FIRST_ID + auction) as i64, bidder: (FIRST_ID + bidder) as i64, price, channel: channel as usize, extra }
    }
}

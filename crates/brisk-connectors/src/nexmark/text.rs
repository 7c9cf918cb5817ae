//! Texts that many events share, made once.

use super::event::{Bid, Draws};
use std::sync::OnceLock;

/// Bytes that come from memory together.
const CACHE_LINE: usize = 64;

/// Channels besides the named ones.
pub(super) const CHANNELS: usize = 10_000;
/// Bytes of random letters that texts are cut from.
pub(super) const POOL: usize = 1 << 20;

pub(super) const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
pub(super) const CITIES: [&str; 10] = ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ironwood", "Juniper"];
pub(super) const FIRST_NAMES: [&str; 11] = ["Ada", "Ben", "Cleo", "Dov", "Eva", "Finn", "Gus", "Hana", "Ivo", "June", "Kai"];
pub(super) const LAST_NAMES: [&str; 9] = ["Archer", "Baker", "Cooper", "Dyer", "Ennis", "Fisher", "Glover", "Hunter", "Irwin"];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// Ratio of two neighbours of 1024 steps from 10^2 to 10^8: 10^(6/1024).
const PRICE_STEP: f64 = 1.013_582_890_201_848;

/// See the module.
pub(super) struct Texts {
    /// Random letters.
    pub(super) pool: String,
    /// Names and addresses of the channels, the hot ones last; one behind the other, since bids take both.
    sources: String,
    /// Where the name of each begins in them, where its address begins, and where that ends.
    bounds: Vec<[u32; 3]>,
    /// Prices from 10^2 to 10^8 in 1024 steps of one ratio.
    pub(super) prices: Vec<f64>,
}

impl Texts {
    /// The texts of this process.
    pub(super) fn get() -> &'static Self {
        static TEXTS: OnceLock<Texts> = OnceLock::new();
        TEXTS.get_or_init(Self::make)
    }

    /// The name of a channel.
    #[inline]
    pub(super) fn channel(&self, index: usize) -> &str {
        let [from, to, _] = self.bounds[index];
        &self.sources[from as usize..to as usize]
    }

    /// The address of a channel.
    #[inline]
    pub(super) fn url(&self, index: usize) -> &str {
        let [_, from, to] = self.bounds[index];
        &self.sources[from as usize..to as usize]
    }

    /// Fetches the texts of a bid into the cache: nothing waits for what is read here, so that many come at the same time.
    #[inline]
    pub(super) fn fetch(&self, bid: &Bid) {
        let [from, _, to] = self.bounds[bid.channel];
        let (sources, pool) = (self.sources.as_bytes(), self.pool.as_bytes());
        let of_source = (from as usize..to as usize).step_by(CACHE_LINE).map(|at| sources[at]);
        let of_pool = bid.extra.clone().step_by(CACHE_LINE).map(|at| pool[at]);
        let last = pool[bid.extra.end.max(1) - 1] ^ sources[to as usize - 1];
        std::hint::black_box(of_source.chain(of_pool).fold(last, |all, byte| all ^ byte));
    }

    fn make() -> Self {
        // The negative numbers of events are those of the shared texts.
        let mut draws = Draws::of(u64::MAX, 0);
        let pool = (0..POOL).map(|_| char::from(b'a' + draws.below(26) as u8)).collect();
        let mut draws = Draws::of(u64::MAX - 1, 0);
        let (mut sources, mut bounds) = (String::new(), Vec::new());
        for index in 0..CHANNELS + HOT_CHANNELS.len() {
            let hot = index.checked_sub(CHANNELS).map(|hot| HOT_CHANNELS[hot]);
            let mut url = String::from("https://www.auction.example/");
            for _ in 0..3 {
                draws.word(5, b'_', &mut url);
                url.push('/');
            }
            url.push_str("item.htm?query=1");
            if hot.is_none() && draws.below(10) > 0 {
                url.push_str(&format!("&channel_id={}", i64::from((index as i32).reverse_bits()).abs()));
            }
            let name = hot.map_or_else(|| format!("channel-{index}"), str::to_owned);
            bounds.push([sources.len(), sources.len() + name.len(), sources.len() + name.len() + url.len()].map(|at| at as u32));
            sources.push_str(&name);
            sources.push_str(&url);
        }
        let prices = std::iter::successors(Some(100.0), |price| Some(price * PRICE_STEP)).take(1025).collect();
        Self { pool, sources, bounds, prices }
    }
}

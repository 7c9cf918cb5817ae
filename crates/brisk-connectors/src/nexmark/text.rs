//! Texts that many events share, made once.

use super::event::Draws;
use std::sync::OnceLock;

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
    /// Names of the channels, the hot ones last.
    pub(super) channels: Vec<String>,
    /// Their addresses.
    pub(super) urls: Vec<String>,
    /// Prices from 10^2 to 10^8 in 1024 steps of one ratio.
    pub(super) prices: Vec<f64>,
}

impl Texts {
    /// The texts of this process.
    pub(super) fn get() -> &'static Self {
        static TEXTS: OnceLock<Texts> = OnceLock::new();
        TEXTS.get_or_init(Self::make)
    }

    fn make() -> Self {
        // The negative numbers of events are those of the shared texts.
        let mut draws = Draws::of(u64::MAX, 0);
        let pool = (0..POOL).map(|_| char::from(b'a' + draws.below(26) as u8)).collect();
        let mut draws = Draws::of(u64::MAX - 1, 0);
        let (mut channels, mut urls) = (Vec::new(), Vec::new());
        for index in 0..CHANNELS + HOT_CHANNELS.len() {
            let hot = index.checked_sub(CHANNELS).map(|hot| HOT_CHANNELS[hot]);
            let folders: Vec<_> = (0..3).map(|_| draws.word(5, '_')).collect();
            let mut url = format!("https://www.auction.example/{}/item.htm?query=1", folders.join("/"));
            if hot.is_none() && draws.below(10) > 0 {
                url.push_str(&format!("&channel_id={}", i64::from((index as i32).reverse_bits()).abs()));
            }
            urls.push(url);
            channels.push(hot.map_or_else(|| format!("channel-{index}"), str::to_owned));
        }
        let prices = std::iter::successors(Some(100.0), |price| Some(price * PRICE_STEP)).take(1025).collect();
        Self { pool, channels, urls, prices }
    }
}

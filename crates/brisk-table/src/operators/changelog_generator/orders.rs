//! The changes of one split, one after the other.

use super::ChangelogGeneratorConfig;
use brisk_base::world::{Rng, mix64};
use brisk_base::{Millis, Timestamp};
use brisk_core::batch::RowKind;

/// Orders of one split that exist at a time; bounds the memory of the source.
const MAX_ORDERS: usize = 1024;

/// One order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Order {
    /// Number of the key.
    pub key: u64,
    /// How many pieces; not always known.
    pub quantity: Option<i64>,
    /// A multiple of 0.25.
    pub price: f64,
    /// When it was placed.
    pub placed: Timestamp,
}

/// One row of the changelog.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OrderChange {
    /// What the row does.
    pub kind: RowKind,
    /// The order before or after the change.
    pub order: Order,
    /// When the change happened.
    pub at: Timestamp,
    /// The watermark of the split after this row.
    pub watermark: Timestamp,
}

/// Iterates over the changes of one split.
#[derive(Clone, Debug)]
pub struct OrderChanges {
    rng: Rng,
    keys: u64,
    changes: bool,
    out_of_orderness: Millis,
    /// Rows that are still to come.
    left: u64,
    /// Event time.
    clock: Timestamp,
    /// Orders that exist.
    orders: Vec<Order>,
    /// The second row of an update whose first has been given.
    update_after: Option<OrderChange>,
}

impl OrderChanges {
    /// The changes of split `index`.
    pub fn new(config: &ChangelogGeneratorConfig, index: u32) -> Self {
        let (splits, index) = (u64::from(config.splits), u64::from(index));
        Self {
            rng: Rng::seeded(mix64(config.seed ^ mix64(index + 1))),
            keys: config.keys,
            changes: config.changes,
            out_of_orderness: config.out_of_orderness,
            left: config.rows / splits + u64::from(index < config.rows % splits),
            clock: Timestamp(0),
            orders: Vec::new(),
            update_after: None,
        }
    }

    fn order(&mut self, placed: Timestamp) -> Order {
        let rng = &mut self.rng;
        let quantity = (!rng.one_in(8)).then(|| rng.below(200) as i64 - 50);
        Order { key: rng.below(self.keys), quantity, price: rng.below(4000) as f64 / 4.0, placed }
    }

    fn change(&self, kind: RowKind, order: Order, at: Timestamp) -> OrderChange {
        let watermark = Timestamp(self.clock.0 - self.out_of_orderness.0 - 1);
        OrderChange { kind, order, at, watermark }
    }

    fn update(&mut self, index: usize, at: Timestamp) -> OrderChange {
        let before = self.orders[index];
        let mut after = self.order(before.placed);
        if !self.rng.one_in(4) {
            after.key = before.key;
        }
        self.orders[index] = after;
        self.update_after = Some(self.change(RowKind::UpdateAfter, after, at));
        self.change(RowKind::UpdateBefore, before, at)
    }
}

impl Iterator for OrderChanges {
    type Item = OrderChange;

    fn next(&mut self) -> Option<OrderChange> {
        if let Some(after) = self.update_after.take() {
            self.left = self.left.saturating_sub(1);
            return Some(after);
        }
        self.left = self.left.checked_sub(1)?;
        self.clock += Millis(self.rng.below(3) as i64);
        let delay = self.rng.below(self.out_of_orderness.0 as u64 + 1) as i64;
        let at = Timestamp(self.clock.0 - delay);
        let grows = self.orders.len() < MAX_ORDERS && self.rng.one_in(2);
        if !self.changes || self.orders.is_empty() || grows {
            let order = self.order(at);
            if self.changes {
                self.orders.push(order);
            }
            return Some(self.change(RowKind::Insert, order, at));
        }
        let index = self.rng.below(self.orders.len() as u64) as usize;
        if self.rng.one_in(3) {
            let order = self.orders.swap_remove(index);
            return Some(self.change(RowKind::Delete, order, at));
        }
        Some(self.update(index, at))
    }
}

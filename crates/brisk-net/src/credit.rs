//! Credit: how much of a channel may be under way. No I/O.
//!
//! The receiver opens a window of bytes and batches. What the sender sends is taken from it; what the receiver has consumed is granted
//! again, in portions of half the window, so that grants are few. A batch that is larger than the whole window may be sent when nothing
//! else is under way: then at most that one is.

use brisk_base::{Error, Result};

/// How much of a channel may be under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Bytes of batches.
    pub bytes: u64,
    /// Batches.
    pub batches: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: 1 << 20, batches: 16 }
    }
}

/// The sender's side of a channel's credit.
#[derive(Debug, Default)]
pub struct SendCredit {
    /// May be below zero: after a batch that is larger than the window.
    bytes: i64,
    batches: u32,
    /// The largest credit that there was: the window.
    full: (i64, u32),
}

impl SendCredit {
    /// Whether a batch of so many bytes may be sent.
    pub const fn allows(&self, bytes: u64) -> bool {
        let nothing_under_way = self.bytes == self.full.0 && self.batches == self.full.1;
        self.batches > 0 && (bytes as i64 <= self.bytes || nothing_under_way)
    }

    /// A batch is sent, which [is allowed](Self::allows).
    pub const fn spend(&mut self, bytes: u64) {
        self.bytes -= bytes as i64;
        self.batches -= 1;
    }

    /// The receiver grants more.
    ///
    /// # Errors
    /// `Corrupt` when it is more than could ever be wanted.
    pub fn grant(&mut self, window: Window) -> Result<()> {
        let bytes = i64::try_from(window.bytes).ok().and_then(|bytes| self.bytes.checked_add(bytes));
        let (Some(bytes), Some(batches)) = (bytes, self.batches.checked_add(window.batches)) else {
            return Err(Error::corrupt(format!("a grant of {} bytes and {} batches is too much", window.bytes, window.batches)));
        };
        (self.bytes, self.batches) = (bytes, batches);
        self.full = (self.full.0.max(bytes), self.full.1.max(batches));
        Ok(())
    }
}

/// The receiver's side of a channel's credit.
#[derive(Debug)]
pub struct ReceiveCredit {
    window: Window,
    /// What is under way or waits to be consumed, as far as it is known here.
    outstanding: (u64, u32),
    /// Consumed and not granted again.
    consumed: Window,
}

impl ReceiveCredit {
    /// All of the window has been granted.
    pub const fn new(window: Window) -> Self {
        Self { window, outstanding: (0, 0), consumed: Window { bytes: 0, batches: 0 } }
    }

    /// A batch has arrived.
    ///
    /// # Errors
    /// `Corrupt` when there was no credit for it.
    pub fn arrived(&mut self, bytes: u64) -> Result<()> {
        let unused =
            Window { bytes: self.window.bytes.saturating_sub(self.held().bytes), batches: self.window.batches - self.held().batches };
        let nothing_held = self.held() == Window { bytes: 0, batches: 0 };
        if unused.batches == 0 || (bytes > unused.bytes && !nothing_held) {
            return Err(Error::corrupt(format!(
                "a batch of {bytes} bytes came, though only {} bytes and {} batches may",
                unused.bytes, unused.batches
            )));
        }
        self.outstanding = (self.outstanding.0 + bytes, self.outstanding.1 + 1);
        Ok(())
    }

    /// What has been taken of the window and not been granted again.
    const fn held(&self) -> Window {
        Window { bytes: self.outstanding.0 + self.consumed.bytes, batches: self.outstanding.1 + self.consumed.batches }
    }

    /// A batch that has arrived is consumed: what is to be granted, if it is time.
    pub fn consumed(&mut self, bytes: u64) -> Option<Window> {
        self.outstanding = (self.outstanding.0.saturating_sub(bytes), self.outstanding.1.saturating_sub(1));
        self.consumed = Window { bytes: self.consumed.bytes + bytes, batches: self.consumed.batches + 1 };
        let half = self.consumed.bytes * 2 >= self.window.bytes || self.consumed.batches * 2 >= self.window.batches;
        // Otherwise the sender might wait for the whole window in vain.
        let all = self.outstanding == (0, 0);
        (half || all).then(|| std::mem::replace(&mut self.consumed, Window { bytes: 0, batches: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const WINDOW: Window = Window { bytes: 100, batches: 4 };

    #[test]
    fn nothing_is_sent_without_credit() {
        let mut credit = SendCredit::default();
        assert!(!credit.allows(1));
        credit.grant(WINDOW).expect("it is little");
        assert!(credit.allows(500), "a batch larger than the window goes alone");
        credit.spend(60);
        assert!(credit.allows(40) && !credit.allows(41) && !credit.allows(500));
        credit.grant(Window { bytes: u64::MAX, batches: 1 }).expect_err("nobody has so much room");
        credit.grant(Window { bytes: 1, batches: u32::MAX }).expect_err("nor so many batches");
    }

    #[test]
    fn what_comes_without_credit_is_an_error() {
        let mut credit = ReceiveCredit::new(WINDOW);
        credit.arrived(90).expect("there is room");
        credit.arrived(11).expect_err("there is no room");
        for _ in 0..3 {
            credit.arrived(1).expect("there is room");
        }
        credit.arrived(1).expect_err("four batches are enough");
    }

    proptest! {
        #[test]
        fn both_sides_agree_and_nobody_waits_for_ever(sizes in proptest::collection::vec(0u64..250, 1..60), order in any::<u64>()) {
            let (mut sender, mut receiver) = (SendCredit::default(), ReceiveCredit::new(WINDOW));
            sender.grant(WINDOW).expect("it is little");
            let mut rng = brisk_base::world::Rng::seeded(order);
            let (mut to_send, mut under_way, mut arrived): (VecDeque<u64>, VecDeque<u64>, VecDeque<u64>) = (sizes.into(), VecDeque::new(), VecDeque::new());
            let mut grants = VecDeque::new();
            while !(to_send.is_empty() && under_way.is_empty() && arrived.is_empty()) {
                let can_send = to_send.front().is_some_and(|size| sender.allows(*size));
                prop_assert!(can_send || !under_way.is_empty() || !arrived.is_empty() || !grants.is_empty(), "everybody waits");
                match rng.below(4) {
                    0 if can_send => {
                        let size = to_send.pop_front().expect("there is one");
                        sender.spend(size);
                        under_way.push_back(size);
                    }
                    1 => if let Some(size) = under_way.pop_front() {
                        receiver.arrived(size).expect("the sender keeps to its credit");
                        arrived.push_back(size);
                    },
                    2 => if let Some(size) = arrived.pop_front() {
                        grants.extend(receiver.consumed(size));
                    },
                    _ => if let Some(window) = grants.pop_front() {
                        sender.grant(window).expect("it is little");
                    },
                }
                prop_assert!(under_way.len() + arrived.len() <= WINDOW.batches as usize);
            }
        }
    }
}

//! Combines the watermarks and the idleness of a task's logical inputs (Flink's `IndexedCombinedWatermarkStatus`).
//!
//! Invariants: the combined watermark is the minimum over the inputs that are not idle and never goes back; unlike a channel, an input that
//! comes back from idleness counts at once, and when all are idle nothing more is emitted. With one input everything passes through.

use crate::valve::Change;
use brisk_base::Timestamp;

/// One input.
#[derive(Clone, Copy)]
struct Partial {
    /// The last watermark of its valve.
    watermark: Timestamp,
    /// Whether all of its channels are idle.
    idle: bool,
}

/// See the module.
pub(super) struct CombinedWatermark {
    /// By input.
    partials: Vec<Partial>,
    /// The combined watermark.
    combined: Timestamp,
    /// Whether all inputs are idle.
    idle: bool,
}

impl CombinedWatermark {
    /// All inputs active, no watermark.
    pub(super) fn new(inputs: usize) -> Self {
        Self { partials: vec![Partial { watermark: Timestamp::MIN, idle: false }; inputs], combined: Timestamp::MIN, idle: false }
    }

    /// The combined watermark.
    pub(super) fn watermark(&self) -> Timestamp {
        self.combined
    }

    /// Nothing is emitted up to this watermark.
    pub(super) fn begin_at(&mut self, watermark: Timestamp) {
        self.combined = self.combined.max(watermark);
    }

    /// An input's watermark has advanced.
    pub(super) fn advance(&mut self, input: usize, watermark: Timestamp) -> Option<Timestamp> {
        let partial = &mut self.partials[input];
        partial.watermark = partial.watermark.max(watermark);
        self.combine()
    }

    /// An input has changed.
    pub(super) fn apply(&mut self, input: usize, change: Change) -> Change {
        let mut combined = Change::default();
        if change.active {
            self.partials[input].idle = false;
            combined.active = std::mem::replace(&mut self.idle, false);
            // While all were idle, nothing was emitted.
            combined.watermark = self.combine();
        }
        if let Some(watermark) = change.watermark {
            combined.watermark = self.advance(input, watermark).or(combined.watermark);
        }
        if change.idle {
            self.partials[input].idle = true;
            combined.watermark = self.combine().or(combined.watermark);
            self.idle = self.partials.iter().all(|partial| partial.idle);
            combined.idle = self.idle;
        }
        combined
    }

    fn combine(&mut self) -> Option<Timestamp> {
        let lowest = self.partials.iter().filter(|partial| !partial.idle).map(|partial| partial.watermark).min()?;
        (lowest > self.combined).then(|| {
            self.combined = lowest;
            lowest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Change = Change { active: false, watermark: None, idle: true };
    const ACTIVE: Change = Change { active: true, watermark: None, idle: false };

    fn to(watermark: i64) -> Change {
        Change { watermark: Some(Timestamp(watermark)), ..Change::default() }
    }

    #[test]
    fn the_slower_input_counts_unless_it_is_idle() {
        let mut combined = CombinedWatermark::new(2);
        assert_eq!(combined.advance(0, Timestamp(100)), None);
        assert_eq!(combined.advance(1, Timestamp(50)), Some(Timestamp(50)));
        assert_eq!(combined.apply(1, IDLE), to(100));
        assert_eq!(combined.apply(1, ACTIVE), Change::default(), "it was not idle as a whole");
        assert_eq!(combined.advance(0, Timestamp(200)), None, "an input that is back counts at once");
        assert_eq!(combined.advance(1, Timestamp(120)), Some(Timestamp(120)));
    }

    #[test]
    fn when_all_inputs_are_idle_the_watermark_stays() {
        let mut combined = CombinedWatermark::new(2);
        combined.advance(0, Timestamp(100));
        combined.advance(1, Timestamp(50));
        assert_eq!(combined.apply(0, IDLE), Change::default());
        assert_eq!(combined.apply(1, IDLE), IDLE, "rows after 50 may still come from the second");
        assert_eq!(combined.watermark(), Timestamp(50));
        assert_eq!(combined.apply(1, ACTIVE), ACTIVE);
    }

    #[test]
    fn one_input_passes_through() {
        let mut combined = CombinedWatermark::new(1);
        let change = Change { active: false, watermark: Some(Timestamp(7)), idle: true };
        assert_eq!(combined.apply(0, change), change);
        assert_eq!(combined.apply(0, ACTIVE), ACTIVE);
        assert_eq!(combined.advance(0, Timestamp(9)), Some(Timestamp(9)));
    }
}

//! What each operator of a chain is seen to do, with Flink's names: rows in and out, and watermarks. Counted per batch, not per row.

use brisk_base::Timestamp;
use brisk_base::metrics::{Counter, Gauge, MetricGroup};

/// Figures of one operator, registered in its scope.
#[derive(Debug)]
pub(super) struct OperatorMetrics {
    records_in: Counter,
    records_out: Counter,
    input_watermark: Gauge,
    output_watermark: Gauge,
}

impl OperatorMetrics {
    /// Registers them.
    pub(super) fn new(group: &MetricGroup) -> Self {
        let counted = |name: &str, rate: &str| {
            let counter = group.counter(name);
            group.meter_of(rate, counter.clone());
            counter
        };
        let watermark = |name: &str| {
            let gauge = group.gauge(name);
            gauge.set(Timestamp::MIN.millis());
            gauge
        };
        Self {
            records_in: counted("numRecordsIn", "numRecordsInPerSecond"),
            records_out: counted("numRecordsOut", "numRecordsOutPerSecond"),
            input_watermark: watermark("currentInputWatermark"),
            output_watermark: watermark("currentOutputWatermark"),
        }
    }

    /// Rows that it has taken.
    pub(super) fn took(&self, rows: usize) {
        self.records_in.inc_by(rows as u64);
    }

    /// Rows that it has given.
    pub(super) fn gave(&self, rows: usize) {
        self.records_out.inc_by(rows as u64);
    }

    /// A watermark has come to it.
    pub(super) fn watermark_came(&self, watermark: Timestamp) {
        self.input_watermark.set(watermark.millis());
    }

    /// It has passed a watermark on.
    pub(super) fn watermark_went(&self, watermark: Timestamp) {
        self.output_watermark.set(watermark.millis());
    }
}

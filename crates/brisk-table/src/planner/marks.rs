//! Properties of columns that go with them through projections, as metadata of their fields.

use arrow_schema::Field;

/// Key of the metadata.
const KEY: &str = "brisk.column";

/// A property of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// An event-time attribute: the watermark follows it.
    EventTime,
    /// A processing-time attribute.
    ProcessingTime,
    /// Begin of a window.
    WindowStart,
    /// End of a window: rows are complete when the watermark is there.
    WindowEnd,
    /// Begin of a window of processing time.
    ClockWindowStart,
    /// End of a window of processing time: rows are complete when the clock is there.
    ClockWindowEnd,
}

impl Mark {
    const fn text(self) -> &'static str {
        match self {
            Self::EventTime => "event time",
            Self::ProcessingTime => "processing time",
            Self::WindowStart => "window start",
            Self::WindowEnd => "window end",
            Self::ClockWindowStart => "clock window start",
            Self::ClockWindowEnd => "clock window end",
        }
    }

    /// The field with this property alone.
    pub(crate) fn on(self, field: Field) -> Field {
        field.with_metadata([(KEY.to_owned(), self.text().to_owned())].into())
    }

    /// Whether a field has this property.
    pub(crate) fn is_on(self, field: &Field) -> bool {
        field.metadata().get(KEY).is_some_and(|text| text == self.text())
    }
}

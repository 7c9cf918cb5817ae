//! The records that come in and go out, with the columns of their files.

use brisk::formats::timestamp;
use brisk::prelude::*;
use serde::{Deserialize, Serialize};

/// A flight that has just departed.
#[derive(Clone, Debug, Record, Deserialize)]
pub(crate) struct Departure {
    pub(crate) id: u64,
    /// Event time: when it should have departed.
    #[serde(with = "timestamp")]
    pub(crate) sched_time: Timestamp,
    /// In minutes.
    pub(crate) dep_delay: i64,
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
}

/// Delays of one airport and hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Record, Serialize, Deserialize)]
pub(crate) struct Hour {
    #[serde(with = "timestamp")]
    pub(crate) window_start: Timestamp,
    pub(crate) origin: String,
    pub(crate) flights: u64,
    pub(crate) sum_dep_delay: i64,
    pub(crate) max_dep_delay: i64,
    pub(crate) min_dep_delay: i64,
}

/// Flights of one airport and hour that came in time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Record, Serialize, Deserialize)]
pub(crate) struct HourInTime {
    #[serde(with = "timestamp")]
    pub(crate) window_start: Timestamp,
    pub(crate) origin: String,
    pub(crate) flights: u64,
    pub(crate) sum_dep_delay: i64,
}

/// A flight that came too late for its window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Record, Serialize, Deserialize)]
pub(crate) struct Late {
    pub(crate) id: u64,
    #[serde(with = "timestamp")]
    pub(crate) sched_time: Timestamp,
    pub(crate) origin: String,
    pub(crate) dep_delay: i64,
}

/// A time in which a plane was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Record, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) tailnum: String,
    #[serde(with = "timestamp")]
    pub(crate) session_start: Timestamp,
    #[serde(with = "timestamp")]
    pub(crate) session_end: Timestamp,
    pub(crate) flights: u64,
}

/// Number of flights, and their delays.
#[derive(Clone, Debug, PartialEq, Eq, Record)]
pub(crate) struct Delays {
    pub(crate) flights: u64,
    pub(crate) sum: i64,
    pub(crate) max: i64,
    pub(crate) min: i64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { flights: 0, sum: 0, max: i64::MIN, min: i64::MAX }
    }
}

impl Delays {
    /// Adds the delay of a flight.
    pub(crate) fn add(&mut self, delay: i64) {
        self.merge(&Self { flights: 1, sum: delay, max: delay, min: delay });
    }

    /// Adds the delays of other flights.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.flights += other.flights;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        self.min = self.min.min(other.min);
    }

    /// The average in minutes.
    pub(crate) fn average(&self) -> f64 {
        self.sum as f64 / self.flights as f64
    }
}

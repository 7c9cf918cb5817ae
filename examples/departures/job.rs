//! The job: one source of departures, and what is made of it.

use crate::arguments::Arguments;
use crate::records::{Delays, Departure, Hour, HourInTime, Late, Session};
use crate::weather::{Condition, delays_by_condition};
use brisk::prelude::*;
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// What the sinks have gathered.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) hours: Vec<Hour>,
    pub(crate) hours_in_time: Vec<HourInTime>,
    pub(crate) late: Vec<Late>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) weather: Vec<(Condition, Delays)>,
}

/// What sinks gather while the job runs.
#[derive(Clone, Default)]
pub(crate) struct Gathering(Arc<Mutex<Results>>);

impl Gathering {
    /// What has been gathered.
    pub(crate) fn take(&self) -> Results {
        std::mem::take(&mut self.0.lock().expect("no sink panics"))
    }

    /// Gathers the records of a stream in one list.
    fn gather<T: Record>(&self, stream: &DataStream<T>, list: fn(&mut Results) -> &mut Vec<T>) {
        let results = Arc::clone(&self.0);
        stream.add_sink(move |record| list(&mut results.lock().expect("no sink panics")).push(record));
    }
}

/// Describes the job.
pub(crate) fn build(env: &StreamEnvironment, arguments: &Arguments) -> Gathering {
    let gathering = Gathering::default();
    let departures = env.read_csv::<Departure>(&arguments.input).set_parallelism(1);

    // No flight departs two days late: with this watermark, none is left out.
    let all = with_event_time(&departures, days(2));
    let hours = hourly(&all);
    let sessions = sessions_by_plane(&all);
    // With this one, many are.
    let late_tag = OutputTag::new("late");
    let hours_in_time = hourly_in_time(&with_event_time(&departures, minutes(60)), &late_tag);
    let late = hours_in_time.side_output(&late_tag).map(|Departure { id, sched_time, dep_delay, origin, .. }| Late {
        id,
        sched_time,
        origin,
        dep_delay,
    });

    gathering.gather(&hours, |results| &mut results.hours);
    gathering.gather(&sessions, |results| &mut results.sessions);
    gathering.gather(&hours_in_time, |results| &mut results.hours_in_time);
    gathering.gather(&late, |results| &mut results.late);
    if let Some(weather) = &arguments.weather {
        gathering.gather(&delays_by_condition(&all, env, weather), |results| &mut results.weather);
    }
    if let Some(folder) = &arguments.output {
        let write = |name: &str| folder.join(format!("{name}.csv"));
        write_csv(&hours, write("hourly_by_origin"));
        write_csv(&sessions, write("sessions_by_plane"));
        write_csv(&hours_in_time, write("hourly_lateness_60min"));
        write_csv(&late, write("late_60min"));
    }
    gathering
}

fn write_csv<T: Record + Serialize>(stream: &DataStream<T>, path: std::path::PathBuf) {
    stream.sink_to(FileSink::csv(path).single_file()).set_parallelism(1);
}

/// A watermark that stays `bound` behind the latest scheduled time. One subtask, so that it follows the order of the file.
fn with_event_time(departures: &DataStream<Departure>, bound: Millis) -> DataStream<Departure> {
    let strategy = WatermarkStrategy::bounded_out_of_orderness(bound).with_timestamp(|departure: &Departure| departure.sched_time);
    departures.assign_timestamps_and_watermarks(strategy).set_parallelism(1)
}

/// Folds departures into their delays.
struct DelaysOf;

impl AggregateFunction for DelaysOf {
    type In = Departure;
    type Acc = Delays;
    type Out = Delays;

    fn create_accumulator(&self) -> Delays {
        Delays::default()
    }

    fn add(&self, delays: &mut Delays, departure: Departure) -> Result<()> {
        delays.add(departure.dep_delay);
        Ok(())
    }

    fn get_result(&self, delays: &Delays) -> Result<Delays> {
        Ok(delays.clone())
    }

    fn merge(&self, into: &mut Delays, from: Delays) -> Result<()> {
        into.merge(&from);
        Ok(())
    }
}

fn hourly(departures: &DataStream<Departure>) -> DataStream<Hour> {
    departures.key_by_ref(|departure| &departure.origin).window(TumblingEventTimeWindows::of(hours(1))).aggregate(
        DelaysOf,
        |origin: &String, window: &TimeWindow, delays, out: &mut Collector<Hour>| {
            out.collect(Hour {
                window_start: window.start(),
                origin: origin.clone(),
                flights: delays.flights,
                sum_dep_delay: delays.sum,
                max_dep_delay: delays.max,
                min_dep_delay: delays.min,
            });
        },
    )
}

fn hourly_in_time(departures: &DataStream<Departure>, late: &OutputTag<Departure>) -> DataStream<HourInTime> {
    departures
        .key_by_ref(|departure| &departure.origin)
        .window(TumblingEventTimeWindows::of(hours(1)))
        .side_output_late_data(late)
        .aggregate(DelaysOf, |origin: &String, window: &TimeWindow, delays, out: &mut Collector<HourInTime>| {
            out.collect(HourInTime {
                window_start: window.start(),
                origin: origin.clone(),
                flights: delays.flights,
                sum_dep_delay: delays.sum,
            });
        })
}

fn sessions_by_plane(departures: &DataStream<Departure>) -> DataStream<Session> {
    departures
        .flat_map(|departure: Departure, out: &mut Collector<(String, u64)>| {
            if let Some(tailnum) = departure.tailnum {
                out.collect((tailnum, 1));
            }
        })
        .key_by_ref(|flight| &flight.0)
        .window(EventTimeSessionWindows::with_gap(hours(24)))
        .reduce_then(
            |a, b| (a.0, a.1 + b.1),
            |tailnum: &String, window: &TimeWindow, (_, flights), out: &mut Collector<Session>| {
                out.collect(Session { tailnum: tailnum.clone(), session_start: window.start(), session_end: window.end(), flights });
            },
        )
}

//! Shows the results to a person.

use crate::job::Results;
use crate::records::{Delays, Hour};
use brisk::prelude::*;
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Rows of the lists of extremes.
const TOP: usize = 5;

/// All tables, one below the other.
pub(crate) fn of(results: &Results) -> String {
    let mut text = [airports(results), worst_hours(results), planes(results)].join("\n\n");
    if !results.weather.is_empty() {
        text.push_str(&format!("\n\n{}", weather(results)));
    }
    text
}

/// A table whose first columns are texts and the others numbers.
fn table(title: &str, header: &[&str], texts: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(header);
    let aligned = |(column, text): (usize, String)| {
        Cell::new(text).set_alignment(if column < texts { CellAlignment::Left } else { CellAlignment::Right })
    };
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(aligned));
    }
    format!("{title}\n{table}")
}

fn airports(results: &Results) -> String {
    let mut airports: BTreeMap<&str, (Delays, Option<&Hour>, u64)> = BTreeMap::new();
    for hour in &results.hours {
        let (delays, busiest, _) = airports.entry(&hour.origin).or_default();
        delays.merge(&Delays { flights: hour.flights, sum: hour.sum_dep_delay, max: hour.max_dep_delay, min: hour.min_dep_delay });
        if busiest.is_none_or(|busiest| (hour.flights, Reverse(hour.window_start)) > (busiest.flights, Reverse(busiest.window_start))) {
            *busiest = Some(hour);
        }
    }
    for late in &results.late {
        airports.entry(&late.origin).or_default().2 += 1;
    }
    let rows = airports.into_iter().map(|(origin, (delays, busiest, late))| {
        let busiest = busiest.map_or(String::new(), |hour| format!("{} ({})", hour.window_start, hour.flights));
        vec![
            origin.to_owned(),
            busiest,
            count(delays.flights),
            format!("{:.1}", delays.average()),
            count(delays.max as u64),
            count(late),
            format!("{:.1} %", 100.0 * late as f64 / delays.flights as f64),
        ]
    });
    let header = ["airport", "busiest hour (flights)", "flights", "mean delay", "longest", "over 60 min late", "share"];
    table("Departures per airport; times in UTC, delays in minutes", &header, 2, rows)
}

fn worst_hours(results: &Results) -> String {
    let mut hours: Vec<&Hour> = results.hours.iter().filter(|hour| hour.flights >= 10).collect();
    hours.sort_by_key(|hour| (Reverse(hour.sum_dep_delay / hour.flights as i64), hour.window_start));
    let rows = hours.into_iter().take(TOP).map(|hour| {
        let mean = hour.sum_dep_delay as f64 / hour.flights as f64;
        vec![
            hour.window_start.to_string(),
            hour.origin.clone(),
            count(hour.flights),
            format!("{mean:.1}"),
            count(hour.max_dep_delay as u64),
        ]
    });
    table("Most delayed hours with ten flights or more", &["hour", "airport", "flights", "mean delay", "longest"], 2, rows)
}

fn planes(results: &Results) -> String {
    let mut sessions: Vec<_> = results.sessions.iter().collect();
    sessions.sort_by_key(|session| (Reverse(session.flights), session.session_start));
    let rows = sessions.iter().take(TOP).map(|session| {
        let days = (session.session_end - session.session_start).0 as f64 / days(1).0 as f64;
        vec![session.tailnum.clone(), session.session_start.to_string(), format!("{days:.1}"), count(session.flights)]
    });
    let title = format!("Busiest of {} sessions of planes, with less than 24 hours between departures", count(sessions.len() as u64));
    table(&title, &["plane", "first departure", "days", "flights"], 2, rows)
}

fn weather(results: &Results) -> String {
    let mut rows = results.weather.clone();
    rows.sort_by_key(|(condition, _)| *condition);
    let rows = rows.into_iter().map(|(condition, delays)| {
        vec![condition.to_string(), count(delays.flights), format!("{:.1}", delays.average()), count(delays.max as u64)]
    });
    table("Delays by weather at the time of departure", &["weather", "flights", "mean delay", "longest"], 1, rows)
}

/// A number with a comma between thousands.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

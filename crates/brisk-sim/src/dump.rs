//! The report of a simulation that is stuck: how each task stands, what lies in front of it, and what was done last.

use crate::launcher::{SimLauncher, Started};
use crate::trace::Trace;
use std::fmt::Write;

/// How everything stands, as lines.
pub(crate) fn standing(launcher: &SimLauncher, trace: &Trace) -> String {
    let mut text = String::from("tasks:\n");
    for started in launcher.started().iter() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}", task(started));
    }
    text.push_str("last steps:\n");
    for step in trace.last_steps() {
        let _ = writeln!(text, "  {step}");
    }
    text
}

fn task(started: &Started) -> String {
    let Started { control, job, vertex, exchanges } = started;
    let io = control.io();
    let name = control.name();
    let mut text = format!("'{name}': {} rows in, {} out, watermark {:?}", io.records_in, io.records_out, io.watermark);
    if let Some(exchanges) = exchanges.upgrade() {
        let (elements, bytes) = exchanges.gate(&job.graph, *vertex, control.attempt().subtask, control.attempt().attempt).backlog();
        let _ = write!(text, "; {elements} elements ({bytes} bytes) wait at its gate");
    }
    text
}

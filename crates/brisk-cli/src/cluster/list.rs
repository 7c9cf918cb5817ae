//! What `list` prints: Flink's lines, or JSON.

use anyhow::{Context, Result};
use brisk::Timestamp;
use serde_json::{Value, json};
use std::fmt;

/// A job of the overview.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Job {
    id: String,
    name: String,
    state: String,
    started: Timestamp,
}

/// The jobs of an overview.
pub(super) fn jobs(overview: &Value) -> Result<Vec<Job>> {
    let jobs = overview["jobs"].as_array().context("the cluster's overview has no list of jobs")?;
    let job = |job: &Value| {
        let text = |key: &str| job[key].as_str().map(str::to_owned);
        Some(Job { id: text("jid")?, name: text("name")?, state: text("state")?, started: Timestamp(job["start-time"].as_i64()?) })
    };
    jobs.iter().map(|one| job(one).with_context(|| format!("the cluster's overview has a job that is none: {one}"))).collect()
}

impl Job {
    fn is_scheduled(&self) -> bool {
        matches!(&*self.state, "CREATED" | "INITIALIZING")
    }

    fn is_terminated(&self) -> bool {
        matches!(&*self.state, "FINISHED" | "CANCELED" | "FAILED")
    }
}

/// Which jobs to show.
#[derive(Clone, Copy)]
pub(super) struct Show {
    pub(super) running: bool,
    pub(super) scheduled: bool,
    pub(super) terminated: bool,
}

/// Jobs to be shown; `None` for those that are not.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Shown {
    running: Option<Vec<Job>>,
    scheduled: Option<Vec<Job>>,
    terminated: Option<Vec<Job>>,
}

impl Show {
    /// The jobs to be shown, by when they began; those that are over by how they ended.
    pub(super) fn select(self, mut jobs: Vec<Job>) -> Shown {
        jobs.sort_by(|a, b| a.started.cmp(&b.started).then_with(|| a.id.cmp(&b.id)));
        let (mut terminated, alive): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(Job::is_terminated);
        terminated.sort_by(|a, b| a.state.cmp(&b.state));
        let (scheduled, running) = alive.into_iter().partition(Job::is_scheduled);
        Shown {
            running: self.running.then_some(running),
            scheduled: self.scheduled.then_some(scheduled),
            terminated: self.terminated.then_some(terminated),
        }
    }
}

impl Shown {
    /// All of them in one list.
    pub(super) fn to_json(&self) -> Value {
        let jobs = [&self.running, &self.scheduled, &self.terminated].into_iter().flatten().flatten();
        let job = |job: &Job| json!({ "id": job.id, "name": job.name, "state": job.state, "start-time": job.started.millis() });
        json!({ "jobs": jobs.map(job).collect::<Vec<_>>() })
    }
}

/// Closes a list.
const LINE: &str = "--------------------------------------------------------------";

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            (&self.running, "------------------ Running/Restarting Jobs -------------------", Some("No running jobs.")),
            (&self.scheduled, "----------------- Scheduled/Initializing Jobs ----------------", Some("No scheduled jobs.")),
            (&self.terminated, "---------------------- Terminated Jobs -----------------------", None),
        ];
        for (jobs, title, none) in lists {
            match (jobs.as_deref(), none) {
                (None, _) | (Some([]), None) => {}
                (Some([]), Some(none)) => writeln!(f, "{none}")?,
                (Some(jobs), _) => {
                    writeln!(f, "{title}")?;
                    for Job { id, name, state, started } in jobs {
                        writeln!(f, "{} : {id} : {name} ({state})", date(*started))?;
                    }
                    writeln!(f, "{LINE}")?;
                }
            }
        }
        Ok(())
    }
}

/// `28.11.2026 05:58:11`, in UTC.
fn date(at: Timestamp) -> String {
    // `2026-11-28 05:58:11`, with milliseconds if there are any.
    let text = Timestamp(at.millis().div_euclid(1000).saturating_mul(1000)).to_string();
    match (text.get(0..4), text.get(5..7), text.get(8..10), text.get(11..)) {
        (Some(year), Some(month), Some(day), Some(time)) => format!("{day}.{month}.{year} {time}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview() -> Vec<Job> {
        let job =
            |id: &str, state: &str, started: i64| json!({ "jid": id, "name": format!("job {id}"), "state": state, "start-time": started });
        let jobs = [
            job("b", "RUNNING", 2000),
            job("a", "RESTARTING", 1_357_035_300_123),
            job("c", "CREATED", 0),
            job("d", "FINISHED", 0),
            job("e", "CANCELED", 5),
        ];
        super::jobs(&json!({ "jobs": jobs })).expect("they are jobs")
    }

    #[test]
    fn jobs_are_listed_as_flink_does() {
        let all = Show { running: true, scheduled: true, terminated: true }.select(overview());
        let expected = "\
------------------ Running/Restarting Jobs -------------------
01.01.1970 00:00:02 : b : job b (RUNNING)
01.01.2013 10:15:00 : a : job a (RESTARTING)
--------------------------------------------------------------
----------------- Scheduled/Initializing Jobs ----------------
01.01.1970 00:00:00 : c : job c (CREATED)
--------------------------------------------------------------
---------------------- Terminated Jobs -----------------------
01.01.1970 00:00:00 : e : job e (CANCELED)
01.01.1970 00:00:00 : d : job d (FINISHED)
--------------------------------------------------------------
";
        assert_eq!(all.to_string(), expected);
        let none = Show { running: true, scheduled: true, terminated: true }.select(Vec::new());
        assert_eq!(none.to_string(), "No running jobs.\nNo scheduled jobs.\n");
        let scheduled = Show { running: false, scheduled: true, terminated: false }.select(overview());
        assert_eq!(scheduled.to_json(), json!({ "jobs": [{ "id": "c", "name": "job c", "state": "CREATED", "start-time": 0 }] }));
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        jobs(&json!({ "jobs": [{ "jid": 7 }] })).expect_err("an id is a text");
        jobs(&json!([])).expect_err("there is no list of jobs");
    }
}

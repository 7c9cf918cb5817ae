//! Gathers the figures of running tasks from all TaskManagers for clients that ask.

use super::machine::JobMaster;
use crate::job::{JobReport, TaskSnapshot};
use brisk_base::ids::AttemptId;
use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::SyncSender;

/// Requests that wait for answers.
#[derive(Default)]
pub(super) struct Reporting {
    /// Number of requests so far.
    count: u64,
    /// By number.
    open: BTreeMap<u64, Gathering>,
}

struct Gathering {
    reply: SyncSender<JobReport>,
    /// Answers still to come.
    missing: usize,
    tasks: HashMap<AttemptId, TaskSnapshot>,
}

impl Reporting {
    /// Opens a request that `hosts` are to answer; gives its number, if there is anybody to ask.
    pub(super) fn begin(&mut self, reply: SyncSender<JobReport>, hosts: usize) -> Option<u64> {
        self.count += 1;
        self.open.insert(self.count, Gathering { reply, missing: hosts, tasks: HashMap::new() });
        (hosts > 0).then_some(self.count)
    }

    /// Takes one host's answer.
    pub(super) fn take(&mut self, request: u64, tasks: Vec<(AttemptId, TaskSnapshot)>) {
        if let Some(gathering) = self.open.get_mut(&request) {
            gathering.missing = gathering.missing.saturating_sub(1);
            gathering.tasks.extend(tasks);
        }
    }

    /// Answers the requests to which nothing is missing.
    pub(super) fn answer_ready(&mut self, machine: &JobMaster) {
        self.open.retain(|_, gathering| {
            if gathering.missing == 0 {
                // The client may have given up waiting.
                drop(gathering.reply.try_send(machine.report(&gathering.tasks)));
            }
            gathering.missing > 0
        });
    }

    /// Answers all requests: the job is over.
    pub(super) fn answer_all(&mut self, report: &JobReport) {
        std::mem::take(&mut self.open).into_values().for_each(|gathering| drop(gathering.reply.try_send(report.clone())));
    }
}

//! Gathers the figures of running tasks from all TaskManagers for those who ask how the job stands.

use super::machine::JobMaster;
use crate::details::{JobDetails, JobPlan};
use crate::job::{JobReport, TaskSnapshot};
use crate::transport::Reply;
use crate::user_metrics::UserMetric;
use brisk_base::Timestamp;
use brisk_base::ids::AttemptId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What somebody wants to know.
pub(super) enum Question {
    /// Sums over the tasks.
    Report(Reply<JobReport>),
    /// The whole job.
    Details(Reply<Arc<JobDetails>>),
}

/// Requests that wait for answers.
pub(super) struct Reporting {
    /// What the job runs.
    plan: Arc<JobPlan>,
    /// Number of requests so far.
    count: u64,
    /// By number.
    open: BTreeMap<u64, Gathering>,
}

struct Gathering {
    question: Question,
    /// Answers still to come.
    missing: usize,
    tasks: HashMap<AttemptId, TaskSnapshot>,
    metrics: Vec<UserMetric>,
}

impl Reporting {
    /// Nobody has asked yet.
    pub(super) fn new(plan: JobPlan) -> Self {
        Self { plan: Arc::new(plan), count: 0, open: BTreeMap::new() }
    }

    /// Opens a request that `hosts` are to answer; gives its number, if there is anybody to ask.
    pub(super) fn begin(&mut self, question: Question, hosts: usize) -> Option<u64> {
        self.count += 1;
        self.open.insert(self.count, Gathering { question, missing: hosts, tasks: HashMap::new(), metrics: Vec::new() });
        (hosts > 0).then_some(self.count)
    }

    /// Takes one host's answer.
    pub(super) fn take(&mut self, request: u64, tasks: Vec<(AttemptId, TaskSnapshot)>, metrics: Vec<UserMetric>) {
        if let Some(gathering) = self.open.get_mut(&request) {
            gathering.missing = gathering.missing.saturating_sub(1);
            gathering.tasks.extend(tasks);
            gathering.metrics.extend(metrics);
        }
    }

    /// A host will not answer any more. Nobody knows to which requests it has: all are answered with what there is.
    pub(super) fn lost_host(&mut self) {
        self.open.values_mut().for_each(|gathering| gathering.missing = 0);
    }

    /// Answers the requests to which nothing is missing.
    pub(super) fn answer_ready(&mut self, machine: &JobMaster, now: Timestamp) {
        let ready: Vec<u64> = self.open.iter().filter(|(_, gathering)| gathering.missing == 0).map(|(request, _)| *request).collect();
        for request in ready {
            if let Some(gathering) = self.open.remove(&request) {
                self.answer(gathering, machine, now);
            }
        }
    }

    /// Answers all requests: the job is over.
    pub(super) fn answer_all(&mut self, machine: &JobMaster, now: Timestamp) {
        std::mem::take(&mut self.open).into_values().for_each(|gathering| self.answer(gathering, machine, now));
    }

    /// The job as it stands, as far as the JobMaster itself knows.
    pub(super) fn details(&self, machine: &JobMaster, now: Timestamp) -> JobDetails {
        machine.details(&self.plan, &HashMap::new(), now)
    }

    fn answer(&self, gathering: Gathering, machine: &JobMaster, now: Timestamp) {
        match gathering.question {
            Question::Report(reply) => reply.send(machine.report(&gathering.tasks)),
            Question::Details(reply) => {
                let details = machine.details(&self.plan, &gathering.tasks, now);
                reply.send(Arc::new(JobDetails { metrics: gathering.metrics, ..details }));
            }
        }
    }
}

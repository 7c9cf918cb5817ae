//! What a JobMaster shows of its job.

use super::JobMaster;
use crate::details::{JobDetails, JobPlan, SubtaskDetails};
use crate::job::{JobReport, TaskSnapshot};
use crate::job_manager::job_master::execution_graph::Execution;
use brisk_base::Timestamp;
use brisk_base::ids::AttemptId;
use std::collections::HashMap;
use std::sync::Arc;

impl JobMaster {
    /// The job as it stands, given the present figures of the tasks that run.
    pub fn details(&self, plan: &Arc<JobPlan>, running: &HashMap<AttemptId, TaskSnapshot>, now: Timestamp) -> JobDetails {
        let mut subtasks: Vec<Vec<SubtaskDetails>> = vec![Vec::new(); plan.vertices.len()];
        for (subtask, execution) in self.executions.subtasks() {
            let snapshot = execution.last().or_else(|| running.get(&self.executions.attempt(subtask)));
            subtasks[subtask.vertex].push(details(execution, snapshot));
        }
        let (failures, failures_truncated) = self.failures.newest_first();
        let JobReport { checkpoints, accumulators, .. } = self.report(running);
        JobDetails {
            id: self.job.id,
            name: self.job.graph.name.clone(),
            status: self.status,
            times: self.times.clone(),
            now,
            plan: Arc::clone(plan),
            config: Arc::clone(&self.job.config),
            subtasks,
            failures,
            failures_truncated,
            restarts: self.restarts,
            checkpoint_settings: *self.checkpoints.settings(),
            checkpoints,
            accumulators,
            metrics: Vec::new(),
        }
    }
}

fn details(execution: &Execution, snapshot: Option<&TaskSnapshot>) -> SubtaskDetails {
    SubtaskDetails {
        attempt: execution.attempt,
        state: execution.state,
        slot: execution.slot,
        times: execution.times.clone(),
        figures: snapshot.map(|snapshot| snapshot.figures),
        accumulators: snapshot.map(|snapshot| snapshot.accumulators.clone()).unwrap_or_default(),
    }
}

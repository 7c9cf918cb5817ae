//! The job graph with its subtasks: the current attempt of each, its state and its slot.
//!
//! It knows which state may follow which (Flink's rules) and nothing of what to do about it.

use super::checkpoint::coordinator::Standing;
use crate::job::{JobReport, SlotId, TaskDeployment, TaskRestorePlan, TaskSnapshot};
use brisk_base::Timestamp;
use brisk_base::ids::{AttemptId, OperatorId, TaskManagerId, VertexId};
use brisk_core::accumulator::Accumulators;
use brisk_core::job::{ExecutionState, JobProgress};
use brisk_core::job_graph::JobGraph;
use brisk_runtime::exchange::producers_of;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A subtask by vertex and index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subtask {
    /// Index of the vertex in the job graph.
    pub vertex: usize,
    /// Index of the subtask.
    pub index: u32,
}

/// The current attempt of a subtask (Flink's `Execution`).
#[derive(Clone, Debug)]
pub struct Execution {
    /// Number of the attempt.
    pub attempt: u32,
    /// Where it is in its life.
    pub state: ExecutionState,
    /// Where it runs, once there are slots.
    pub slot: Option<SlotId>,
    /// When it came into each state that it has had.
    pub times: BTreeMap<ExecutionState, Timestamp>,
    /// Its last figures, once it is over.
    last: Option<TaskSnapshot>,
}

impl Execution {
    fn created(attempt: u32, slot: Option<SlotId>, now: Timestamp) -> Self {
        Self { attempt, state: ExecutionState::Created, slot, times: [(ExecutionState::Created, now)].into(), last: None }
    }

    fn enter(&mut self, state: ExecutionState, now: Timestamp) {
        self.state = state;
        self.times.insert(state, now);
    }

    /// Its last figures, once it is over.
    pub const fn last(&self) -> Option<&TaskSnapshot> {
        self.last.as_ref()
    }
}

/// What a report changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing: a late message, a repeated one, or one of an old attempt.
    None,
    /// The state is now this one.
    To(ExecutionState),
    /// The task ended as cancelled, though nobody had cancelled it.
    Vanished,
}

/// See the module.
pub struct ExecutionGraph {
    graph: Arc<JobGraph>,
    vertices: Vec<Vec<Execution>>,
    by_id: HashMap<VertexId, usize>,
    /// Subtasks in no final state.
    unfinished: usize,
    /// When what happens now happens.
    now: Timestamp,
}

impl ExecutionGraph {
    /// All subtasks created at this time, first attempts.
    pub fn new(graph: &Arc<JobGraph>, now: Timestamp) -> Self {
        let created = Execution::created(0, None, now);
        let vertices: Vec<_> = graph.vertices.iter().map(|vertex| vec![created.clone(); vertex.parallelism as usize]).collect();
        Self {
            graph: Arc::clone(graph),
            unfinished: vertices.iter().map(Vec::len).sum(),
            by_id: graph.vertices.iter().enumerate().map(|(index, vertex)| (vertex.id, index)).collect(),
            vertices,
            now,
        }
    }

    /// What is told from now on happens at this time.
    pub const fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Whether every subtask is in a final state.
    pub fn is_over(&self) -> bool {
        self.unfinished == 0
    }

    /// One subtask.
    pub fn execution(&self, subtask: Subtask) -> &Execution {
        &self.vertices[subtask.vertex][subtask.index as usize]
    }

    /// All subtasks, by vertex and index.
    pub fn subtasks(&self) -> impl Iterator<Item = (Subtask, &Execution)> {
        let subtask = |vertex| move |(index, execution)| (Subtask { vertex, index: index as u32 }, execution);
        self.vertices.iter().enumerate().flat_map(move |(vertex, executions)| executions.iter().enumerate().map(subtask(vertex)))
    }

    /// The id of a subtask's current attempt.
    pub fn attempt(&self, subtask: Subtask) -> AttemptId {
        let vertex = self.graph.vertices[subtask.vertex].id;
        AttemptId { vertex, subtask: subtask.index, attempt: self.execution(subtask).attempt }
    }

    /// The subtask whose current attempt this is, if it is not over.
    pub fn live(&self, attempt: AttemptId) -> Option<Subtask> {
        let subtask = Subtask { vertex: *self.by_id.get(&attempt.vertex)?, index: attempt.subtask };
        let execution = self.vertices[subtask.vertex].get(attempt.subtask as usize)?;
        (execution.attempt == attempt.attempt && !execution.state.is_terminal()).then_some(subtask)
    }

    /// Every created subtask waits for its slot.
    pub fn schedule(&mut self) {
        self.vertices.iter_mut().flatten().for_each(|execution| execution.enter(ExecutionState::Scheduled, self.now));
    }

    /// Makes the next attempt of all subtasks of these vertices, all with one number; they are to be deployed where they ran before.
    pub fn restart(&mut self, vertices: &[usize]) {
        let of = |vertex: &usize| self.vertices[*vertex].iter().map(|execution| execution.attempt);
        let attempt = vertices.iter().flat_map(of).max().map_or(0, |last| last + 1);
        for vertex in vertices {
            for execution in &mut self.vertices[*vertex] {
                self.unfinished += usize::from(execution.state.is_terminal());
                *execution = Execution::created(attempt, execution.slot, self.now);
                execution.enter(ExecutionState::Scheduled, self.now);
            }
        }
    }

    /// Whether every subtask of these vertices is in a final state.
    pub fn are_over(&self, vertices: &[usize]) -> bool {
        vertices.iter().flat_map(|vertex| &self.vertices[*vertex]).all(|execution| execution.state.is_terminal())
    }

    /// Pipelined regions: vertices that are connected by exchanges, by their lowest index.
    pub fn regions(&self) -> Vec<Vec<usize>> {
        let mut region: Vec<usize> = (0..self.graph.vertices.len()).collect();
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for edge in &self.graph.edges {
                let lowest = region[edge.from].min(region[edge.to]);
                changed |= region[edge.from] != lowest || region[edge.to] != lowest;
                (region[edge.from], region[edge.to]) = (lowest, lowest);
            }
        }
        let mut regions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        region.into_iter().enumerate().for_each(|(vertex, region)| regions.entry(region).or_default().push(vertex));
        regions.into_values().collect()
    }

    /// How the subtasks stand, for a checkpoint that is to begin.
    pub fn standing(&self, sources: Vec<(usize, OperatorId)>) -> Standing {
        let mut standing = Standing { all_running: true, sources, ..Standing::default() };
        for (subtask, execution) in self.subtasks() {
            match execution.state {
                ExecutionState::Running => drop(standing.running.insert(self.attempt(subtask))),
                ExecutionState::Finished => drop(standing.finished.insert(self.attempt(subtask))),
                _ => standing.all_running = false,
            }
        }
        let runs = |vertex: usize, index: u32| self.vertices[vertex][index as usize].state == ExecutionState::Running;
        for (subtask, _) in self.subtasks().filter(|(_, execution)| execution.state == ExecutionState::Running) {
            let mut producers = self.graph.vertices[subtask.vertex].incoming.iter().flat_map(|edge| {
                let from = self.graph.edges[*edge].from;
                producers_of(&self.graph, *edge, subtask.index).map(move |index| (from, index))
            });
            if !producers.any(|(vertex, index)| runs(vertex, index)) {
                standing.roots.push(self.attempt(subtask));
            }
        }
        standing
    }

    /// Gives a slot to the subtasks that belong to it: `belongs(vertex, index)`.
    pub fn assign_slot(&mut self, slot: SlotId, belongs: impl Fn(usize, u32) -> bool) {
        for (vertex, executions) in self.vertices.iter_mut().enumerate() {
            let there = executions.iter_mut().enumerate().filter(|(index, _)| belongs(vertex, *index as u32));
            there.for_each(|(_, execution)| execution.slot = Some(slot));
        }
    }

    /// Whether a subtask waits to be deployed.
    pub fn has_scheduled(&self) -> bool {
        self.subtasks().any(|(_, execution)| execution.state == ExecutionState::Scheduled)
    }

    /// The orders for all scheduled subtasks, which become deploying, by TaskManager.
    pub fn deploy(&mut self, restore: impl Fn(usize, u32) -> Option<Arc<TaskRestorePlan>>) -> BTreeMap<TaskManagerId, Vec<TaskDeployment>> {
        let mut orders: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (vertex, executions) in self.vertices.iter_mut().enumerate() {
            let id = self.graph.vertices[vertex].id;
            for (index, execution) in executions.iter_mut().enumerate() {
                if let (ExecutionState::Scheduled, Some(slot)) = (execution.state, execution.slot) {
                    execution.enter(ExecutionState::Deploying, self.now);
                    let attempt = AttemptId { vertex: id, subtask: index as u32, attempt: execution.attempt };
                    orders.entry(slot.task_manager).or_default().push(TaskDeployment {
                        attempt,
                        vertex,
                        slot,
                        restore: restore(vertex, index as u32),
                    });
                }
            }
        }
        orders
    }

    /// Cancels these vertices: what runs nowhere is cancelled at once; the rest, by TaskManager, must be told.
    pub fn cancel(&mut self, vertices: &[usize]) -> BTreeMap<TaskManagerId, Vec<AttemptId>> {
        let mut orders: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for vertex in vertices.iter().copied() {
            let executions = &mut self.vertices[vertex];
            let id = self.graph.vertices[vertex].id;
            for (index, execution) in executions.iter_mut().enumerate() {
                match (execution.state, execution.slot) {
                    (ExecutionState::Created | ExecutionState::Scheduled, _) => {
                        execution.enter(ExecutionState::Canceled, self.now);
                        self.unfinished -= 1;
                    }
                    (ExecutionState::Deploying | ExecutionState::Initializing | ExecutionState::Running, Some(slot)) => {
                        execution.enter(ExecutionState::Canceling, self.now);
                        let attempt = AttemptId { vertex: id, subtask: index as u32, attempt: execution.attempt };
                        orders.entry(slot.task_manager).or_default().push(attempt);
                    }
                    _ => {}
                }
            }
        }
        orders
    }

    /// Takes a report of a live subtask over.
    pub fn report(&mut self, subtask: Subtask, reported: ExecutionState, last: Option<TaskSnapshot>) -> Change {
        use ExecutionState::{Canceled, Canceling, Created, Deploying, Failed, Finished, Initializing, Running, Scheduled};
        let execution = &mut self.vertices[subtask.vertex][subtask.index as usize];
        let next = match (execution.state, reported) {
            (Deploying, Initializing) | (Deploying | Initializing, Running) => reported,
            (Deploying | Initializing | Running, Finished) => Finished,
            // However it came to its end: it was being cancelled.
            (Canceling, Finished | Canceled | Failed) => Canceled,
            (Created | Scheduled | Deploying | Initializing | Running, Failed) => Failed,
            (Deploying | Initializing | Running, Canceled) => Failed,
            _ => return Change::None,
        };
        let vanished = reported == Canceled && next == Failed;
        execution.enter(next, self.now);
        if next.is_terminal() {
            self.unfinished -= 1;
            execution.last = last;
        }
        if vanished { Change::Vanished } else { Change::To(next) }
    }

    /// Sums over all subtasks: the last figures of those that are over, `running` of the others.
    pub fn sum(&self, running: &HashMap<AttemptId, TaskSnapshot>) -> JobReport {
        let mut progress = JobProgress { watermark: i64::MAX, ..JobProgress::default() };
        let (accumulators, mut any_sink) = (Accumulators::default(), false);
        for (subtask, execution) in self.subtasks() {
            progress.tasks += 1;
            progress.tasks_running += u32::from(execution.state == ExecutionState::Running);
            let vertex = &self.graph.vertices[subtask.vertex];
            let (source, sink) = (vertex.inputs == 0, vertex.outgoing.is_empty());
            let snapshot = execution.last.as_ref().or_else(|| running.get(&self.attempt(subtask)));
            let figures = snapshot.map(|snapshot| snapshot.figures);
            if execution.last.is_none() {
                progress.state_entries += figures.map_or(0, |figures| figures.state_entries);
            }
            let rows = |figures: &crate::job::TaskFigures| figures.records_in;
            if source {
                progress.records_in += figures.as_ref().map_or(0, rows);
            }
            if sink {
                any_sink = true;
                progress.records_out += figures.as_ref().map_or(0, rows);
                progress.watermark = progress.watermark.min(figures.map_or(i64::MIN, |figures| figures.watermark.millis()));
            }
            if let Some(snapshot) = snapshot {
                accumulators.merge(&snapshot.accumulators);
            }
        }
        progress.watermark = if any_sink { progress.watermark } else { i64::MIN };
        JobReport { progress, accumulators: accumulators.snapshot(), ..JobReport::default() }
    }
}

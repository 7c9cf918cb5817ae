//! What is done to the processes: crashes, stops, connections that break or fall silent. The seed draws how much of it; then it is calm, and
//! the job has to come to its end.

use super::Processes;
use brisk_base::Result;
use brisk_base::world::{MonoTime, Rng};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Strikes of a run at most.
const MOST_STRIKES: u64 = 12;

/// What one run goes through.
pub(super) struct Storm {
    /// Steps until it is calm.
    steps: u64,
    /// One step in so many brings something.
    one_in: u64,
    /// Strikes that are still to come.
    left: u64,
    /// Frames that are lost, repeated or reordered.
    pub(super) frame_faults: u64,
    /// Calls of the checkpoint storage that fail.
    pub(super) storage_faults: u64,
    /// Tasks that crash.
    pub(super) task_crashes: u64,
    /// Whether it is over.
    calm: bool,
    story: Vec<String>,
    kinds: BTreeMap<&'static str, u64>,
}

impl Storm {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let magnitude = 8 + rng.below(8);
        let left = rng.below(MOST_STRIKES + 1);
        Self {
            steps: 1 << magnitude,
            one_in: ((1 << magnitude) / (left + 1)).max(1),
            left,
            frame_faults: [0, 1, 4, 20][rng.below(4) as usize],
            storage_faults: rng.below(3),
            task_crashes: rng.below(4),
            calm: false,
            story: Vec::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// Notes something for the report of a failure.
    pub(super) fn tell(&mut self, what: String) {
        self.story.push(what);
    }
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {:?}", self.story.join("; "), self.kinds)
    }
}

impl Processes {
    /// Strikes, if it is time.
    pub(super) fn strike(&mut self) -> Result<()> {
        if self.storm.calm {
            return Ok(());
        }
        if self.trace.steps() > self.storm.steps || self.storm.left == 0 && self.trace.steps() > self.storm.steps / 2 {
            self.calm();
            return Ok(());
        }
        if self.storm.left > 0 && self.rng.one_in(self.storm.one_in) {
            self.storm.left -= 1;
            let kind = self.strike_now()?;
            *self.storm.kinds.entry(kind).or_default() += 1;
            let at = self.clock.peek().since(MonoTime(0));
            self.storm.tell(format!("{kind} at step {} ({at:?})", self.trace.steps()));
        }
        Ok(())
    }

    fn strike_now(&mut self) -> Result<&'static str> {
        Ok(match self.rng.below(8) {
            0 | 1 => {
                let workers: Vec<u64> = self.workers.values().map(|worker| worker.process).collect();
                let Some(worker) = self.one_of(&workers) else { return Ok("no worker to crash") };
                let silently = false;
                self.crash(worker, silently);
                "worker crashed"
            }
            2 => {
                let seat = self.rng.below(self.seats.len() as u64) as usize;
                let silently = self.rng.one_in(2);
                self.crash_task_manager(seat, silently);
                "TaskManager crashed"
            }
            3 => {
                let silently = self.rng.one_in(2);
                self.crash_job_manager(silently);
                "JobManager crashed"
            }
            4 | 5 => {
                let all: Vec<u64> = self.processes.keys().copied().collect();
                let Some(process) = self.one_of(&all) else { return Ok("no process to stop") };
                let magnitude = self.rng.below(15);
                let until = self.clock.peek().after(Duration::from_millis(self.rng.below(1 << magnitude)));
                self.processes.entry(process).and_modify(|process| process.stopped_until = until);
                "process stopped"
            }
            kind => {
                let all: Vec<u64> = self.processes.values().flat_map(super::process::Process::connections).collect();
                let Some(connection) = self.one_of(&all) else { return Ok("no connection to cut") };
                if kind == 6 {
                    self.network.break_off(connection);
                    "connection broken"
                } else {
                    self.network.silence(connection);
                    "connection silent"
                }
            }
        })
    }

    fn one_of(&mut self, all: &[u64]) -> Option<u64> {
        let at = self.rng.below(all.len().max(1) as u64) as usize;
        all.get(at).copied()
    }

    /// No more faults: stopped processes go on, and from here on the job has to come to its end.
    pub(super) fn calm(&mut self) {
        if self.storm.calm {
            return;
        }
        self.storm.calm = true;
        self.network.calm();
        self.storages.let_fail(0, 1, 0);
        self.chaos.let_crash(0, 1);
        self.processes.values_mut().for_each(|process| process.stopped_until = MonoTime(0));
    }

    /// A process is gone.
    pub(super) fn crash(&mut self, process: u64, silently: bool) {
        if let Some(process) = self.processes.remove(&process) {
            process.crash(&self.network, silently);
        }
    }
}

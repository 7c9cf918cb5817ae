//! How part files are called: `part-<sink>-<subtask>-<number>.csv`, and `.part-....csv.inprogress` until they are finished.
//!
//! The sink's token is that of the job's first attempt and goes with its checkpoints, so that no two jobs write the same name and restarts
//! of one job do. Numbers go up over restarts: those from the checkpoint's highest on are unknown to it.

use brisk_base::Result;
use brisk_base::ids::OperatorId;
use brisk_core::operator::TaskInfo;
use std::fs;
use std::path::Path;

/// What the names of files in progress end in.
const UNFINISHED: &str = ".inprogress";

/// See the module.
pub(super) struct PartNames {
    pub(super) prefix: String,
    pub(super) suffix: String,
    pub(super) token: String,
    pub(super) subtask: u32,
    parallelism: u32,
    /// One name for the only file there is.
    single: Option<String>,
}

impl PartNames {
    pub(super) fn new(prefix: &str, suffix: &str, single: Option<String>, operator: OperatorId, task: &TaskInfo) -> Self {
        Self {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            token: format!("{:08x}", (task.job_id.0 ^ operator.0) as u32),
            subtask: task.subtask,
            parallelism: task.parallelism,
            single,
        }
    }

    /// The name of a finished part.
    pub(super) fn finished(&self, number: u64) -> String {
        let Self { prefix, suffix, token, subtask, .. } = self;
        self.single.clone().unwrap_or_else(|| format!("{prefix}-{token}-{subtask}-{number}{suffix}"))
    }

    /// The name until then.
    pub(super) fn unfinished(&self, number: u64) -> String {
        format!(".{}{UNFINISHED}", self.finished(number))
    }

    /// Subtask and number of a part of this sink, and whether it is finished.
    fn read(&self, name: &str) -> Option<(u32, u64, bool)> {
        let unfinished = name.strip_prefix('.').and_then(|name| name.strip_suffix(UNFINISHED));
        let numbers = unfinished.unwrap_or(name).strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
        let (subtask, number) = numbers.strip_prefix('-')?.strip_prefix(&self.token)?.strip_prefix('-')?.split_once('-')?;
        Some((subtask.parse().ok()?, number.parse().ok()?, unfinished.is_none()))
    }

    /// Removes parts below a folder that no checkpoint knows: those with numbers from `next` on, of this subtask, and of subtasks that there
    /// are no more. Finished ones are removed, too, if the job begins anew.
    pub(super) fn clean(&self, folder: &Path, next: u64, anew: bool) -> Result<()> {
        if self.single.is_some() || !folder.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.clean(&entry.path(), next, anew)?;
                continue;
            }
            let name = entry.file_name();
            let Some((subtask, number, finished)) = name.to_str().and_then(|name| self.read(name)) else { continue };
            let is_ours = subtask == self.subtask || (self.subtask == 0 && subtask >= self.parallelism);
            if is_ours && number >= next && (anew || !finished) {
                super::part::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

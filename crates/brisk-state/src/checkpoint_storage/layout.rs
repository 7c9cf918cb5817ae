//! Which file of a checkpoint lies where, as in Flink.
//!
//! ```text
//! <dir>/<job id>/chk-7/_metadata       what the checkpoint is made of; without it, it never completed
//! <dir>/<job id>/chk-7/...             files of this checkpoint alone
//! <dir>/<job id>/shared/...            files that several checkpoints refer to
//! <dir>/<job id>/taskowned/...         files that tasks look after
//! <dir>/savepoint-<job>-<random>/...   everything of a savepoint
//! ```

use brisk_base::ids::{CheckpointId, JobId};

/// The file that makes a checkpoint complete.
pub const METADATA: &str = "_metadata";

/// Folder of files that several checkpoints refer to.
pub const SHARED: &str = "shared";

/// Folder of files that tasks look after.
pub const TASK_OWNED: &str = "taskowned";

/// Folder of a job's checkpoints below the checkpoint directory.
pub fn job_folder(job: JobId) -> String {
    job.to_string()
}

/// Folder of a checkpoint below that of its job.
pub fn checkpoint_folder(checkpoint: CheckpointId) -> String {
    format!("chk-{checkpoint}")
}

/// The checkpoint that a folder's name stands for.
pub fn checkpoint_of_folder(name: &str) -> Option<CheckpointId> {
    let number = name.strip_prefix("chk-")?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok().map(CheckpointId)).flatten()
}

/// Folder of a savepoint below the savepoint directory. `random` keeps savepoints of one job apart.
pub fn savepoint_folder(job: JobId, random: u64) -> String {
    format!("savepoint-{}-{:012x}", &job.to_string()[..6], random & 0xFFFF_FFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_flinks() {
        let job = JobId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(job_folder(job), "0123456789abcdef0123456789abcdef");
        assert_eq!(checkpoint_folder(CheckpointId(12)), "chk-12");
        assert_eq!(savepoint_folder(job, u64::MAX - 1), "savepoint-012345-fffffffffffe");
        assert_eq!(checkpoint_of_folder("chk-12"), Some(CheckpointId(12)));
        for name in ["chk-", "chk--1", "chk-+1", "12", "shared"] {
            assert_eq!(checkpoint_of_folder(name), None, "{name}");
        }
    }
}

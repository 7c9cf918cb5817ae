//! What a session does with jobs that are not its own: looks at them, stops them. Blocks until the dispatcher answers.

use crate::job_manager::DispatcherMessage;
use crate::transport::{Address, Reply};
use brisk_base::ids::JobId;
use brisk_base::{Error, Result};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::job::{JobOverview, StopMode};

/// Asks a dispatcher, of this process or of another one.
fn ask<T: Send + 'static>(dispatcher: &Address<DispatcherMessage>, message: impl FnOnce(Reply<T>) -> DispatcherMessage) -> Result<T> {
    let (reply, answer) = Reply::channel();
    dispatcher.send(message(reply));
    answer.recv().map_err(|_| Error::transient("the cluster does not answer"))
}

/// All jobs that are known, the newest first.
pub(crate) fn jobs(dispatcher: &Address<DispatcherMessage>) -> Result<Vec<JobOverview>> {
    let mut all = Vec::new();
    for job in ask(dispatcher, DispatcherMessage::Jobs)? {
        // It may have been forgotten in the meantime.
        all.extend(ask(dispatcher, |reply| DispatcherMessage::Overview { job, reply })?);
    }
    all.sort_by_key(|job| std::cmp::Reverse(job.started));
    Ok(all)
}

/// Stops a job; the folder of its savepoint, if one was wanted.
pub(crate) fn stop(dispatcher: &Address<DispatcherMessage>, job: JobId, mode: StopMode) -> Result<Option<String>> {
    let known = ask(dispatcher, |reply| DispatcherMessage::Overview { job, reply })?;
    let known = known.ok_or_else(|| Error::user(format!("there is no job {job}; SHOW JOBS lists those that are known")))?;
    if known.status.is_globally_terminal() {
        return Err(Error::user(format!("job {job} '{}' is {} already", known.name, known.status)));
    }
    match mode {
        StopMode::Cancel => {
            dispatcher.send(DispatcherMessage::Cancel(job));
            Ok(None)
        }
        StopMode::Savepoint { drain } => {
            let kind = SnapshotKind::StopWithSavepoint { drain };
            ask(dispatcher, |reply| DispatcherMessage::Savepoint { job, folder: None, kind, reply })?.map(Some)
        }
    }
}

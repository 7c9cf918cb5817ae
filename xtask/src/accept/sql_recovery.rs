//! Kills queries in the middle, and lets them go on from their checkpoints at another parallelism.
//!
//! Results go to files, exactly once: what the two processes have written together has to be what Flink computed.

use crate::process::{now, pause};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long one life of the process may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A query that writes files.
pub(super) struct Interrupted<'a> {
    pub(super) brisk: &'a Path,
    /// The folder of its checkpoints.
    pub(super) checkpoints: PathBuf,
    /// The statements.
    pub(super) file: PathBuf,
    pub(super) backend: &'a str,
}

impl Interrupted<'_> {
    /// Starts the query, kills it when it has a checkpoint, and lets it go on to its end. The query has to be in its middle by then.
    pub(super) fn run(&self, [before, after]: [u32; 2]) -> Result<()> {
        let mut first = self.start(before, None)?;
        let checkpoint = self.wait_for_checkpoint(&mut first);
        first.kill()?;
        first.wait()?;
        let checkpoint = checkpoint?;
        // A later one may have been completed in the meantime, and the one that was seen deleted.
        let checkpoint = self.newest()?.unwrap_or(checkpoint);
        let second = self.start(after, Some(&checkpoint))?;
        let output = second.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "after the restore: {}", said.lines().next().unwrap_or_default());
        Ok(())
    }

    fn start(&self, parallelism: u32, checkpoint: Option<&Path>) -> Result<Child> {
        let mut command = Command::new(self.brisk);
        command.arg("sql");
        let mut options = vec![
            format!("parallelism.default={parallelism}"),
            format!("state.backend.type={}", self.backend),
            "execution.checkpointing.interval=50ms".to_owned(),
            format!("execution.checkpointing.dir={}", self.checkpoints.display()),
            "execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION".to_owned(),
        ];
        options.extend(checkpoint.map(|path| format!("execution.state-recovery.path={}", path.display())));
        for option in &options {
            command.args(["-D", option]);
        }
        command.arg("-f").arg(&self.file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().context("starting brisk sql")
    }

    fn wait_for_checkpoint(&self, child: &mut Child) -> Result<PathBuf> {
        let begun = now();
        while begun.elapsed() < PATIENCE {
            if let Some(found) = self.newest()? {
                return Ok(found);
            }
            ensure!(child.try_wait()?.is_none(), "the query ended before its first checkpoint");
            pause(Duration::from_millis(1));
        }
        bail!("there is no checkpoint after {PATIENCE:?}")
    }

    /// The newest complete checkpoint: `<job>/chk-<number>` with metadata.
    fn newest(&self) -> Result<Option<PathBuf>> {
        let mut complete = Vec::new();
        for job in entries(&self.checkpoints)? {
            for checkpoint in entries(&job)? {
                let number = checkpoint.file_name().and_then(|name| name.to_str()?.strip_prefix("chk-")?.parse::<u64>().ok());
                if let Some(number) = number.filter(|_| checkpoint.join("_metadata").exists()) {
                    complete.push((number, checkpoint));
                }
            }
        }
        Ok(complete.into_iter().max().map(|(_, path)| path))
    }
}

/// What a folder holds; nothing where it is none, or no longer.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    Ok(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
}

//! A daemon that runs in the background: its file with the number of its process.

use anyhow::{Context, Result, bail};
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(10);

/// A daemon of a local cluster.
pub(super) struct Daemon {
    /// `jobmanager`, `taskmanager-2`.
    name: String,
    folder: PathBuf,
}

impl Daemon {
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), folder: folder.to_owned() }
    }

    /// The daemons that have files in a folder: TaskManagers first.
    pub(super) fn all(folder: &Path) -> Result<Vec<Self>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("folder '{}'", folder.display()))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".pid").map(str::to_owned));
        }
        names.sort_by_key(|name| (name.as_str() == "jobmanager", name.clone()));
        Ok(names.into_iter().map(|name| Self::new(folder, &name)).collect())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join(format!("{}.pid", self.name))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log").join(format!("{}.log", self.name))
    }

    /// The number of its process, if that runs. A number that another program has by now does not count.
    pub(super) fn process(&self) -> Option<u32> {
        let process: u32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
        let kind = self.name.split('-').next().unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == kind.as_bytes()).then_some(process)
    }

    /// Starts it: `brisk <kind> <arguments>`.
    pub(super) fn start(&self, arguments: &[String]) -> Result<()> {
        let place = || format!("file '{}'", self.log().display());
        fs::create_dir_all(self.folder.join("log")).with_context(place)?;
        let log = OpenOptions::new().create(true).append(true).open(self.log()).with_context(place)?;
        let kind = self.name.split('-').next().unwrap_or_default();
        let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
        command.arg(kind).args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Signals of the terminal are not for it.
        let child = command.process_group(0).spawn().with_context(|| format!("starting the {}", self.name))?;
        fs::write(self.pid_file(), child.id().to_string()).with_context(|| format!("file '{}'", self.pid_file().display()))
    }

    /// Waits until it has ended by itself, and forgets it.
    pub(super) fn buried(&self, patience: Duration) -> Result<()> {
        let mut waited = Duration::ZERO;
        while self.process().is_some() {
            if waited >= patience {
                bail!("the {} does not end: see '{}'", self.name, self.log().display());
            }
            std::thread::park_timeout(PAUSE);
            waited += PAUSE;
        }
        fs::remove_file(self.pid_file()).with_context(|| format!("file '{}'", self.pid_file().display()))
    }

    /// The end of its log, for whoever wonders why it has ended.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Asks it to end, and kills it if it does not.
    pub(super) fn stop(&self, patience: Duration) -> Result<bool> {
        let Some(process) = self.process() else {
            let _ = fs::remove_file(self.pid_file());
            return Ok(false);
        };
        signal(process, libc::SIGTERM);
        let mut waited = Duration::ZERO;
        while self.process().is_some() {
            if waited >= patience {
                signal(process, libc::SIGKILL);
            }
            if waited >= patience * 2 {
                bail!("the {} (process {process}) does not end", self.name);
            }
            std::thread::park_timeout(PAUSE);
            waited += PAUSE;
        }
        fs::remove_file(self.pid_file()).with_context(|| format!("file '{}'", self.pid_file().display()))?;
        Ok(true)
    }
}

fn signal(process: u32, signal: i32) {
    if let Ok(process) = i32::try_from(process) {
        // SAFETY: `kill` only takes numbers; a process that is gone is an error that nobody needs.
        let _ = unsafe { libc::kill(process, signal) };
    }
}

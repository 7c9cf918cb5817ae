//! Processes of programs: starting, killing and burying them.
//!
//! A process has a folder of its own, in which it works and keeps temporary files, and which is deleted when it is over; what it prints
//! goes to a file of the logs.

use super::Origin;
use brisk_base::world::{MonoTime, World};
use brisk_base::{Error, Result, ResultExt};
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// How often it is looked whether a process lives.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How much of the end of a log is quoted.
const TAIL: u64 = 2000;

/// How a process is to be started.
pub struct ChildOrder<'a> {
    /// The executable.
    pub executable: &'a Path,
    /// What it is called with.
    pub arguments: &'a [String],
    /// What it is told.
    pub origin: Origin,
    /// Its folder; it is made, and deleted when the process is over.
    pub folder: PathBuf,
    /// Where what it prints is added.
    pub log: PathBuf,
}

/// How a process has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Whether it was by itself, and successful.
    pub success: bool,
    /// Its exit code, if it has one.
    pub code: Option<i32>,
    /// For people.
    pub text: String,
}

/// Hears how the process has ended.
pub type OnExit = Box<dyn FnOnce(&Ending) + Send>;

/// A process that has been started. Dropping this changes nothing for it.
#[derive(Clone)]
pub struct Child {
    shared: Arc<Shared>,
    /// Looks after it.
    keeper: Thread,
    world: World,
}

struct Shared {
    id: u32,
    state: Mutex<State>,
}

struct State {
    /// When it is to be killed, if it has not ended by itself.
    kill_at: Option<MonoTime>,
    /// Whether it has ended.
    ended: bool,
}

impl Child {
    /// Starts a process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(order: ChildOrder<'_>, world: &World, on_exit: OnExit) -> Result<Self> {
        let place = || format!("starting '{}'", order.executable.display());
        fs::create_dir_all(&order.folder).context(|| format!("folder '{}'", order.folder.display()))?;
        let log_place = || format!("file '{}'", order.log.display());
        order.log.parent().map_or(Ok(()), fs::create_dir_all).context(log_place)?;
        let log = OpenOptions::new().create(true).append(true).open(&order.log).context(log_place)?;
        let mut command = Command::new(order.executable);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BRISK_PROCESS_")) {
            command.env_remove(name);
        }
        command
            .args(order.arguments)
            .envs(order.origin.variables())
            .env("TMPDIR", &order.folder)
            .env_remove("BRISK_CONF")
            .envs(super::log::variables());
        command.current_dir(&order.folder).stdin(Stdio::null()).stdout(log.try_clone().context(log_place)?).stderr(log);
        let child = command.spawn().map_err(|error| Error::transient(error.to_string())).context(place)?;
        let shared = Arc::new(Shared { id: child.id(), state: Mutex::new(State { kill_at: None, ended: false }) });
        let (kept, clock, log, folder) = (Arc::clone(&shared), world.clone(), order.log, order.folder);
        let keep = move || {
            let status = kept.keep(child, &clock);
            if let Err(error) = fs::remove_dir_all(&folder) {
                tracing::debug!(%error, folder = %folder.display(), "the folder of a process cannot be deleted");
            }
            on_exit(&Ending { success: status.success(), code: status.code(), text: describe(status, &log) });
        };
        let thread = world.spawner.spawn("brisk-child", Box::new(keep)).context(place)?;
        Ok(Self { shared, keeper: thread.thread().clone(), world: world.clone() })
    }

    /// The number by which the system knows it.
    pub fn id(&self) -> u32 {
        self.shared.id
    }

    /// Kills it, unless it has ended by itself until then.
    pub fn kill_after(&self, patience: Duration) {
        let at = self.world.mono().after(patience);
        let mut state = self.shared.state();
        state.kill_at = Some(state.kill_at.map_or(at, |before| before.min(at)));
        drop(state);
        self.keeper.unpark();
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.state().ended
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its end, and kills it if that is wanted.
    fn keep(&self, mut child: std::process::Child, world: &World) -> ExitStatus {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => {
                    self.state().ended = true;
                    return status;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, process = self.id, "nobody knows whether a process lives"),
            }
            if self.state().kill_at.is_some_and(|at| at <= world.mono())
                && let Err(error) = child.kill()
            {
                tracing::warn!(%error, process = self.id, "a process cannot be killed");
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }
}

fn describe(status: ExitStatus, log: &Path) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let tail = tail(log);
    if status.success() || tail.is_empty() { how } else { format!("{how}; its log '{}' ends with:\n{tail}", log.display()) }
}

/// The end of a log.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::ProgramRole;
    use super::*;
    use std::sync::mpsc::channel;

    fn run(script: &str, kill: bool) -> (Ending, String, bool) {
        let world = World::real();
        let base = std::env::temp_dir().join(format!("brisk-child-test-{}", world.random()));
        let (sender, ended) = channel();
        let origin = Origin { role: ProgramRole::Worker, address: "here".to_owned(), token: 1, memory: None };
        let (folder, log) = (base.join("work"), base.join("log/child.log"));
        let arguments = ["-c".to_owned(), script.to_owned()];
        let order =
            ChildOrder { executable: Path::new("/bin/sh"), arguments: &arguments, origin, folder: folder.clone(), log: log.clone() };
        let child = Child::start(order, &world, Box::new(move |ending| drop(sender.send(ending.clone())))).expect("there is a shell");
        if kill {
            child.kill_after(Duration::ZERO);
        }
        let ending = ended.recv_timeout(Duration::from_secs(60)).expect("it ends");
        assert!(child.has_ended());
        let printed = tail(&log);
        let left = folder.exists();
        fs::remove_dir_all(&base).expect("it is there");
        (ending, printed, left)
    }

    #[test]
    fn a_process_works_in_its_folder_and_leaves_its_log() {
        let (ending, printed, left) = run("touch here; pwd; echo $TMPDIR $BRISK_PROCESS_ADDRESS $BRISK_PROCESS_ROLE >&2", false);
        assert!(ending.success && printed.ends_with("/work here worker") && !left, "{ending:?} {printed}");
    }

    #[test]
    fn how_a_process_ended_is_told_with_what_it_said_last() {
        let (ending, ..) = run("echo cannot find it; exit 3", false);
        assert!(!ending.success && ending.code == Some(3), "{ending:?}");
        assert!(ending.text.contains("exit code 3") && ending.text.contains("cannot find it"), "{}", ending.text);
        let (ending, ..) = run("sleep 1000", true);
        assert!(ending.text.contains("killed by signal 9"), "{}", ending.text);
    }
}

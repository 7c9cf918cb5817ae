//! What can be looked at in a process from outside: its logs, its threads, what it uses of the machine.
//!
//! Read from the system when somebody asks; nothing is decided by it. A TaskManager answers for the workers that it has started, too. Files
//! are read by an actor with a thread of its own.

use crate::process::log;
use crate::transport::{Actor, ActorContext, Reply};
use crate::wire::Bytes;
use brisk_base::world::{MonoTime, World};
use brisk_base::{Error, Result, ResultExt};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod stacks;

/// Processes that this one has started, and that can be asked.
pub trait StartedProcesses: Send + Sync {
    /// Their threads, by numbers of processes. May wait for them.
    fn threads(&self) -> BTreeMap<u32, Vec<ThreadInfo>>;

    /// Has them log up to a level.
    fn change_log_level(&self, level: &str);
}

/// Bytes of a log that are read at once.
pub const PIECE: u64 = 1 << 20;

/// The pace of the system's clock for processor times, in ticks per second: fixed for user space on Linux.
const TICKS: u64 = 100;

/// Threads of a process that are told.
const MOST_THREADS: usize = 2000;

/// A file of the log folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Bytes of it.
    pub size: u64,
    /// When it was written last, in milliseconds since the epoch.
    pub modified_ms: i64,
}

/// Which log is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhichLog {
    /// What the process writes to its log.
    Main,
    /// What it prints.
    Stdout,
    /// A file of the log folder.
    Named(String),
}

/// A thread of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadInfo {
    /// Its name.
    pub name: String,
    /// Its number, state and processor time, and where it is: its stack, or at least the place in the system where it waits.
    pub text: String,
}

/// What a process uses of the machine, with those that it has started.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ProcessFigures {
    /// Nanoseconds of processor time.
    pub cpu_time_ns: u64,
    /// The part of the machine's cores that it has used since it was asked last.
    pub cpu_load: f64,
    /// Threads.
    pub threads: u64,
    /// Files and connections that are open.
    pub open_files: u64,
    /// How many may be open in one process.
    pub most_files: u64,
    /// Bytes of memory that are resident.
    pub resident: u64,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Inspector {
    /// The folder of logs, if there is one.
    logs: Option<PathBuf>,
    world: World,
    /// When processor time was read last, and what it was.
    last: Arc<Mutex<Option<(MonoTime, u64)>>>,
    /// Asks processes that it has started.
    processes: Option<Arc<dyn StartedProcesses>>,
}

impl Inspector {
    /// Looks at this process, whose logs are in a folder.
    pub fn new(logs: Option<PathBuf>, world: &World) -> Self {
        Self { logs, world: world.clone(), last: Arc::default(), processes: None }
    }

    /// The same, also asking processes that this one has started.
    #[must_use]
    pub fn asking(mut self, processes: Arc<dyn StartedProcesses>) -> Self {
        self.processes = Some(processes);
        self
    }

    /// The files of the log folder, by name; none where there is no folder.
    ///
    /// # Errors
    /// The file system's.
    pub fn logs(&self) -> Result<Vec<LogFile>> {
        let Some(folder) = self.logs.as_ref().filter(|folder| folder.exists()) else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).context(|| format!("folder '{}'", folder.display()))? {
            let entry = entry?;
            let Some(about) = entry.metadata().ok().filter(fs::Metadata::is_file) else { continue };
            let modified = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push(LogFile { name, size: about.len(), modified_ms: modified.as_millis() as i64 });
        }
        files.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(files)
    }

    /// A piece of a log, from an offset; none at its end.
    ///
    /// # Errors
    /// When there is no such log.
    pub fn read(&self, which: &WhichLog, offset: u64) -> Result<Bytes> {
        let path = match which {
            WhichLog::Main => standard_file(2).ok_or_else(|| Error::user("this process writes its log to no file"))?,
            WhichLog::Stdout => standard_file(1).ok_or_else(|| Error::user("what this process prints goes to no file"))?,
            WhichLog::Named(name) => {
                // What is listed can be read, nothing else.
                let known = self.logs()?.iter().any(|file| file.name == *name);
                let folder = self.logs.as_ref().filter(|_| known);
                folder.ok_or_else(|| Error::user(format!("there is no log '{name}'")))?.join(name)
            }
        };
        let place = || format!("file '{}'", path.display());
        let mut file = File::open(&path).context(place)?;
        file.seek(SeekFrom::Start(offset)).context(place)?;
        let mut piece = Vec::new();
        file.take(PIECE).read_to_end(&mut piece).context(place)?;
        Ok(Bytes(piece))
    }

    /// The threads of this process, and of those that it has started; their names then have the number of the process in front.
    pub fn threads(&self) -> Vec<ThreadInfo> {
        let mut all = own_threads();
        let mut told = self.processes.as_ref().map(|processes| processes.threads()).unwrap_or_default();
        for process in children() {
            let of_process = told.remove(&process).unwrap_or_else(|| threads_of(&Path::new("/proc").join(process.to_string()), |_| None));
            let named = |thread: ThreadInfo| ThreadInfo {
                name: format!("[{process}] {}", thread.name),
                text: thread.text.replacen('"', &format!("\"[{process}] "), 1),
            };
            all.extend(of_process.into_iter().map(named));
        }
        all.truncate(MOST_THREADS);
        all
    }

    /// The level up to which this process logs, after it was changed to `wanted`, if that is one: then also that of the processes which it has
    /// started, and will start.
    ///
    /// # Errors
    /// When there is no such level.
    pub fn log_level(&self, wanted: Option<&str>) -> Result<String> {
        if let Some(wanted) = wanted {
            log::change_level(log::named_level(wanted)?);
            self.processes.iter().for_each(|processes| processes.change_log_level(wanted));
            tracing::info!(level = wanted, "the level of the log was changed");
        }
        Ok(log::level().to_string().to_lowercase())
    }

    /// What this process uses, with those that it has started.
    pub fn process(&self) -> ProcessFigures {
        let mut sum = figures_of(Path::new("/proc/self")).unwrap_or_default();
        for process in children() {
            if let Some(more) = figures_of(&Path::new("/proc").join(process.to_string())) {
                sum.cpu_time_ns += more.cpu_time_ns;
                sum.threads += more.threads;
                sum.open_files += more.open_files;
                sum.resident += more.resident;
            }
        }
        let now = self.world.mono();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace((now, sum.cpu_time_ns));
        if let Some((at, before)) = last {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get) as f64;
            let wall = now.since(at).as_nanos() as f64;
            sum.cpu_load = if wall > 0.0 { sum.cpu_time_ns.saturating_sub(before) as f64 / wall / cores } else { 0.0 };
        }
        sum
    }
}

/// The file that the process has there, if it is one.
fn standard_file(number: u32) -> Option<PathBuf> {
    let path = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    fs::metadata(&path).ok()?.is_file().then_some(path)
}

/// Processes that this one has started.
fn children() -> Vec<u32> {
    let own = std::process::id();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let child = |entry: fs::DirEntry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        (fields(&stat)?.get(1)?.parse() == Ok(own)).then_some(process)
    };
    all.filter_map(child).collect()
}

/// What stands behind the name in a `stat` of the system: state, parent, and so on.
fn fields(stat: &str) -> Option<Vec<&str>> {
    // The name may have any characters.
    Some(stat.rsplit_once(')')?.1.split_whitespace().collect())
}

/// User and system time.
fn cpu_time_ns(fields: &[&str]) -> Option<u64> {
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) * (1_000_000_000 / TICKS))
}

fn figures_of(process: &Path) -> Option<ProcessFigures> {
    let read = |file: &str| fs::read_to_string(process.join(file)).ok();
    let status = read("status")?;
    let number = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    let limits = read("limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    Some(ProcessFigures {
        cpu_time_ns: cpu_time_ns(&fields(&read("stat")?)?)?,
        cpu_load: 0.0,
        threads: number("Threads:").unwrap_or(0),
        open_files: fs::read_dir(process.join("fd")).map_or(0, |files| files.count() as u64),
        most_files: most.unwrap_or(0),
        resident: number("VmRSS:").unwrap_or(0) * 1024,
    })
}

/// The threads of this process, with their stacks where those can be had. That takes a while: names have to be found.
pub fn own_threads() -> Vec<ThreadInfo> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    let stack = stacks::of_thread;
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let stack = |_: i32| None;
    threads_of(Path::new("/proc/self"), stack)
}

/// Threads of a process; what `stack` knows of one stands for the place where it waits.
fn threads_of(process: &Path, stack: impl Fn(i32) -> Option<String>) -> Vec<ThreadInfo> {
    let all = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    let thread = |entry: fs::DirEntry| {
        let number = entry.file_name().to_string_lossy().into_owned();
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
        let stat = read("stat")?;
        let fields = fields(&stat)?;
        let name = read("comm")?.trim().to_owned();
        let state = match *fields.first()? {
            "R" => "RUNNABLE",
            "S" => "WAITING",
            "D" => "BLOCKED",
            "T" | "t" => "STOPPED",
            other => other,
        };
        let cpu_ms = cpu_time_ns(&fields)? / 1_000_000;
        let place = read("wchan").filter(|place| !place.is_empty() && place != "0").unwrap_or_else(|| "user space".to_owned());
        let place = number.parse().ok().and_then(&stack).unwrap_or_else(|| format!("\tat {place}\n"));
        let text = format!("\"{name}\" Id={number} {state}, {cpu_ms} ms of processor time\n{place}\n");
        Some(ThreadInfo { name, text })
    };
    all.filter_map(thread).take(MOST_THREADS).collect()
}

/// What the inspector of another process understands.
#[derive(Debug)]
pub enum InspectorMessage {
    /// Which logs are there?
    Logs(Reply<Result<Vec<LogFile>>>),
    /// Give a piece of a log, from this offset; none at its end.
    Read {
        /// Which log.
        which: WhichLog,
        /// The offset.
        offset: u64,
        /// Takes the piece.
        reply: Reply<Result<Bytes>>,
    },
    /// Which threads are there?
    Threads(Reply<Vec<ThreadInfo>>),
    /// What does the process use?
    Process(Reply<ProcessFigures>),
    /// Up to which level does it log? Change that first, if one is named.
    LogLevel {
        /// The new one.
        wanted: Option<String>,
        /// Takes the one that it then is.
        reply: Reply<Result<String>>,
    },
}

impl Actor for Inspector {
    type Message = InspectorMessage;

    fn handle(&mut self, message: InspectorMessage, _cx: &mut ActorContext<'_>) {
        match message {
            InspectorMessage::Logs(reply) => reply.send(self.logs()),
            InspectorMessage::Read { which, offset, reply } => reply.send(self.read(&which, offset)),
            InspectorMessage::Threads(reply) => reply.send(self.threads()),
            InspectorMessage::Process(reply) => reply.send(self.process()),
            InspectorMessage::LogLevel { wanted, reply } => reply.send(self.log_level(wanted.as_deref())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_listed_and_read_and_nothing_else_is() {
        let world = World::real();
        let folder = std::env::temp_dir().join(format!("brisk-inspect-test-{}", world.random()));
        let inspector = Inspector::new(Some(folder.join("log")), &world);
        assert_eq!(inspector.logs().expect("no folder, no files"), []);
        fs::create_dir_all(folder.join("log/below")).expect("there is room");
        fs::write(folder.join("log/a.log"), b"0123456789").expect("there is room");
        fs::write(folder.join("secret"), b"x").expect("there is room");
        let files = inspector.logs().expect("it can be read");
        assert_eq!(files.iter().map(|file| (file.name.as_str(), file.size)).collect::<Vec<_>>(), [("a.log", 10)]);
        let read = |name: &str, offset| inspector.read(&WhichLog::Named(name.to_owned()), offset);
        assert_eq!(read("a.log", 4).expect("it is there").0, b"456789");
        assert_eq!(read("a.log", 10).expect("it is there").0, b"");
        for other in ["../secret", "below", "b.log", ""] {
            assert!(read(other, 0).is_err(), "{other}");
        }
        fs::remove_dir_all(&folder).expect("it is there");
    }

    /// Waits until nobody could send.
    #[inline(never)]
    fn waits_for_a_message(receiver: &std::sync::mpsc::Receiver<()>) {
        std::hint::black_box(receiver.recv()).expect_err("nobody sends");
    }

    /// Computes until it is to end.
    #[inline(never)]
    fn computes_without_end(ends: &std::sync::atomic::AtomicBool) {
        while !std::hint::black_box(ends).load(std::sync::atomic::Ordering::Relaxed) {}
    }

    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[test]
    fn threads_are_told_with_their_stacks_and_go_on() {
        let world = World::real();
        let inspector = Inspector::new(None, &world);
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let ends = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let until = Arc::clone(&ends);
        let waiting = world.spawner.spawn("it-waits", Box::new(move || waits_for_a_message(&receiver))).expect("there is a thread");
        let computing = world.spawner.spawn("it-computes", Box::new(move || computes_without_end(&until))).expect("there is a thread");
        for (name, function) in [("it-waits", "waits_for_a_message"), ("it-computes", "computes_without_end")] {
            // It may not have come there yet.
            let there = |thread: &ThreadInfo| thread.name == name && thread.text.contains(function);
            while !inspector.threads().iter().any(there) {
                std::thread::yield_now();
            }
        }
        drop(sender);
        ends.store(true, std::sync::atomic::Ordering::Relaxed);
        waiting.join().expect("it has gone on");
        computing.join().expect("it has gone on");
    }

    #[test]
    fn threads_and_figures_are_those_of_this_process() {
        let world = World::real();
        let inspector = Inspector::new(None, &world);
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let wait = Box::new(move || {
            // It ends when there is nobody who could send.
            let _ = receiver.recv();
        });
        let thread = world.spawner.spawn("inspect-me", wait).expect("there is a thread");
        // It gives itself its name.
        while !inspector.threads().iter().any(|thread| thread.name == "inspect-me") {
            std::thread::yield_now();
        }
        let figures = inspector.process();
        assert!(figures.threads >= 2 && figures.open_files > 2 && figures.resident > 1 << 20 && figures.most_files > 0, "{figures:?}");
        drop(sender);
        thread.join().expect("it ends");
        assert_eq!(fields("1 (a b) c) S 7 1"), Some(vec!["S", "7", "1"]));
    }
}

//! Starts other programs and measures them.
//!
//! Every program started here has a time limit and is killed, by its own id, when it exceeds it. This is the one module of the tool
//! with `unsafe`: the resource usage of a child can only be had from the operating system.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How a program is started: what, where, with which environment, for how long at most.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Program and arguments.
    words: Vec<OsString>,
    /// Environment variables set on top of ours.
    env: Vec<(String, String)>,
    /// The folder it runs in; ours if none.
    dir: Option<PathBuf>,
    /// It is killed after this time.
    limit: Duration,
}

/// What a finished program used and said.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Whether it ended with status 0.
    pub(crate) ok: bool,
    /// How it ended, in words.
    pub(crate) ending: String,
    /// Standard output (empty unless captured).
    pub(crate) stdout: String,
    /// Standard error (empty unless captured).
    pub(crate) stderr: String,
    /// From start to end, seconds.
    pub(crate) wall_s: f64,
    /// User and system time, seconds.
    pub(crate) cpu_s: f64,
    /// Most memory it ever had resident, in megabytes (10^6 bytes).
    pub(crate) peak_rss_mb: f64,
}

/// What becomes of a program's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Goes where ours goes.
    Shown,
    /// Standard output goes where our standard error goes.
    Stderr,
    /// Standard output is kept, standard error goes where ours goes.
    Stdout,
    /// Both are kept.
    Both,
}

impl Program {
    /// A program with its arguments.
    pub(crate) fn new<S: Into<OsString>>(program: S, args: impl IntoIterator<Item = S>) -> Self {
        let words = std::iter::once(program).chain(args).map(Into::into).collect();
        Self { words, env: Vec::new(), dir: None, limit: Duration::from_secs(3600) }
    }

    /// Cargo itself, with these arguments.
    pub(crate) fn cargo<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::new(cargo, args.into_iter().map(Into::into)).dir(crate::repo::root())
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_string(), value.to_string()));
        self
    }

    /// Runs it in this folder.
    pub(crate) fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Kills it after this many seconds (an hour, unless told).
    pub(crate) fn limit_s(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// The line a person would type, relative to the root of the checkout.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.env {
            let _ = write!(line, "{name}={} ", quoted(value));
        }
        let root = format!("{}/", crate::repo::root().display());
        for (at, word) in self.words.iter().enumerate() {
            let word = word.to_string_lossy();
            let word = if at == 0 && word.ends_with("/cargo") { "cargo".into() } else { word.replace(&root, "") };
            line.push_str(if at == 0 { "" } else { " " });
            line.push_str(&quoted(&word));
        }
        line
    }

    /// Runs it to its end with its output shown; anything but status 0 is an error that repeats the command.
    pub(crate) fn run(&self) -> Result<()> {
        self.run_with(Output::Shown)
    }

    /// As [`Program::run`], with nothing on our standard output.
    pub(crate) fn run_aside(&self) -> Result<()> {
        self.run_with(Output::Stderr)
    }

    fn run_with(&self, output: Output) -> Result<()> {
        let done = self.measure(output)?;
        if !done.ok {
            bail!("{}\n  repeat it with: {}", done.ending, self.line());
        }
        Ok(())
    }

    /// Runs it to its end, and returns what it used.
    pub(crate) fn measure(&self, output: Output) -> Result<Finished> {
        let [program, args @ ..] = self.words.as_slice() else { bail!("a program without a name") };
        let mut command = Command::new(program);
        command.args(args).envs(self.env.iter().cloned()).stdin(Stdio::null());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        match output {
            Output::Shown => {}
            Output::Stderr => drop(command.stdout(std::io::stderr())),
            Output::Stdout => drop(command.stdout(Stdio::piped())),
            Output::Both => drop(command.stdout(Stdio::piped()).stderr(Stdio::piped())),
        }
        let started = now();
        let child = command.spawn().with_context(|| format!("cannot start: {}", self.line()))?;
        self.attend(child, started)
    }

    /// Reads the child's output, kills it if it takes too long, and waits for its end.
    fn attend(&self, mut child: Child, started: Instant) -> Result<Finished> {
        let pid = child.id() as libc::pid_t;
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (done, over) = channel::<()>();
        let mut waited = None;
        let late = std::thread::scope(|scope| {
            let limit = self.limit;
            let watch = scope.spawn(move || {
                let late = over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
                if late {
                    kill(pid);
                }
                late
            });
            let errors = scope.spawn(|| err.as_mut().map_or(Ok(0), |e| e.read_to_end(&mut stderr)));
            let read = out.as_mut().map_or(Ok(0), |o| o.read_to_end(&mut stdout));
            waited = Some(read.and_then(|_| wait(pid)));
            let _ = errors.join();
            drop(done);
            watch.join().unwrap_or(false)
        });
        let (status, usage) = waited.expect("set inside the scope above").with_context(|| format!("cannot wait for: {}", self.line()))?;
        let ending = if late { format!("killed after {} s", self.limit.as_secs()) } else { ending(status) };
        Ok(Finished {
            ok: status == 0,
            ending,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            wall_s: started.elapsed().as_secs_f64(),
            cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peak_rss_mb: usage.ru_maxrss as f64 * 1024.0 / 1e6,
        })
    }
}

/// The clock of this tool.
#[expect(clippy::disallowed_methods, reason = "the tool is outside of the engine, and measures it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sends a signal to a process that this tool has started, or that one of those has.
pub(crate) fn signal(process: i32, signal: i32) {
    // SAFETY: `kill` only takes numbers; a process that is gone is an error that nobody needs.
    let _ = unsafe { libc::kill(process, signal) };
}

/// Waits for something outside that cannot wake this tool.
#[expect(clippy::disallowed_methods, reason = "the tool is outside of the engine, and looks at processes")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

fn ending(status: libc::c_int) -> String {
    if libc::WIFSIGNALED(status) {
        format!("ended by signal {}", libc::WTERMSIG(status))
    } else {
        format!("ended with status {}", libc::WEXITSTATUS(status))
    }
}

/// Waits for the end of a child of ours.
fn wait(pid: libc::pid_t) -> std::io::Result<(libc::c_int, libc::rusage)> {
    let mut status = 0;
    // SAFETY: `rusage` is plain data for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to locals that outlive the call; `pid` is a child of ours which nobody else waits for.
        let result = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if result == pid {
            return Ok((status, usage));
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Ends a child of ours that has not been waited for.
fn kill(pid: libc::pid_t) {
    // SAFETY: no memory is involved. The watch ends before the child's id can be given to another process, unless it ends within the
    // instant of its time limit.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_string() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_and_captures() {
        let done = Program::new("sh", ["-c", "echo out; echo err >&2; exit 3"]).measure(Output::Both).unwrap();
        assert!(!done.ok);
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(done.ending, "ended with status 3");
        assert!(done.wall_s > 0.0 && done.peak_rss_mb > 0.0);
    }

    #[test]
    fn counts_processor_time() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(Program::new("sh", ["-c", busy]).measure(Output::Both).unwrap().cpu_s > 0.0);
    }

    #[test]
    fn kills_what_takes_too_long() {
        let done = Program::new("sh", ["-c", "exec cat /dev/zero > /dev/null"]).limit_s(1).measure(Output::Both).unwrap();
        assert!(!done.ok);
        assert_eq!(done.ending, "killed after 1 s");
    }

    #[test]
    fn prints_the_line_a_person_would_type() {
        let program = Program::new("brisk", ["--name", "two words"]).env("A", "1");
        assert_eq!(program.line(), "A=1 brisk --name 'two words'");
        let failed = Program::new("sh", ["-c", "exit 1"]).run().unwrap_err().to_string();
        assert!(failed.contains("repeat it with: sh -c 'exit 1'"), "{failed}");
    }
}

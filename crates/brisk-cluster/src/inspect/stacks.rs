//! Where the threads of this process are: their stacks, taken while they run.
//!
//! A thread is sent a signal whose handler walks its own stack and notes nothing but addresses; names are found afterwards, by whoever asks.
//! The signal is `SIGURG`, which means nothing to a process that has no handler for it, and is not taken from one that has. Threads are
//! signalled only where that disturbs nothing: while they compute, or wait in a system call that is begun again. Others are told without.
//!
//! `unsafe` because only a signal reaches a thread that does not look.

use backtrace::{resolve, trace_unsynchronized};
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Frames of a stack that are told.
const MOST_FRAMES: usize = 96;

/// How long a thread has to note its stack, in hundreds of microseconds.
const PATIENCE: u32 = 2000;

/// Nobody is asked.
const NOBODY: i32 = 0;
/// Somebody has begun to answer.
const ANSWERING: i32 = -1;

/// Where a thread notes its stack: one at a time.
struct Notes {
    /// The thread that is asked.
    wanted: AtomicI32,
    /// Where it was when the signal came: the frames in front of that are the handler's.
    interrupted: AtomicUsize,
    frames: [AtomicUsize; MOST_FRAMES],
    depth: AtomicUsize,
    done: AtomicBool,
}

static NOTES: Notes = Notes {
    wanted: AtomicI32::new(NOBODY),
    interrupted: AtomicUsize::new(0),
    frames: [const { AtomicUsize::new(0) }; MOST_FRAMES],
    depth: AtomicUsize::new(0),
    done: AtomicBool::new(false),
};

/// Held by whoever asks. False once a thread has begun to answer and never ended: then nobody is asked any more.
static ASKING: Mutex<bool> = Mutex::new(true);

/// The stack of a thread of this process as lines for people, each with a tabulator in front; `None` where it cannot be had.
pub(super) fn of_thread(thread: i32) -> Option<String> {
    let mut works = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    if !*works || !is_listening() || !may_be_interrupted(thread) {
        return None;
    }
    let frames = asked(thread, &mut works)?;
    drop(works);
    Some(frames.into_iter().fold(String::new(), |mut text, frame| {
        name(frame, &mut text);
        text
    }))
}

/// Whether the handler is in its place.
fn is_listening() -> bool {
    static LISTENING: OnceLock<bool> = OnceLock::new();
    *LISTENING.get_or_init(|| {
        // What the unwinder sets up when it is used first must not be set up in a handler.
        // SAFETY: nobody else walks a stack by this crate at the same time: `ASKING` is held.
        unsafe { trace_unsynchronized(|_| true) };
        // SAFETY: all bits zero are a valid `sigaction`, which then is the default one; the handler only does what is allowed in one.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGURG, std::ptr::null(), &raw mut before) != 0 || before.sa_sigaction != libc::SIG_DFL {
                return false;
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = note as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            libc::sigaction(libc::SIGURG, &raw const action, std::ptr::null_mut()) == 0
        }
    })
}

/// Whether a thread computes, or waits in a call that goes on after a signal.
fn may_be_interrupted(thread: i32) -> bool {
    let Ok(call) = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")) else { return false };
    let call = call.split_whitespace().next().unwrap_or_default();
    let waits = [libc::SYS_futex, libc::SYS_epoll_pwait, libc::SYS_clock_nanosleep, libc::SYS_nanosleep];
    #[cfg(target_arch = "x86_64")]
    let waits = waits.into_iter().chain([libc::SYS_epoll_wait]);
    call == "running" || call.parse().is_ok_and(|call: libc::c_long| waits.into_iter().any(|wait| wait == call))
}

/// Asks a thread, and waits for its answer.
fn asked(thread: i32, works: &mut bool) -> Option<Vec<usize>> {
    NOTES.done.store(false, Ordering::Relaxed);
    NOTES.wanted.store(thread, Ordering::Release);
    // SAFETY: a call with plain numbers; a thread that is gone is an error.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGURG) };
    let mut waited = 0;
    while sent == 0 && waited < PATIENCE && !NOTES.done.load(Ordering::Acquire) {
        std::thread::park_timeout(Duration::from_micros(100));
        waited += 1;
    }
    if !NOTES.done.load(Ordering::Acquire) {
        // One that has not begun will find that it is not asked any more.
        let withdrawn = NOTES.wanted.compare_exchange(thread, NOBODY, Ordering::AcqRel, Ordering::Acquire);
        *works = withdrawn.is_ok();
        return None;
    }
    NOTES.wanted.store(NOBODY, Ordering::Release);
    let depth = NOTES.depth.load(Ordering::Relaxed);
    let all: Vec<usize> = NOTES.frames[..depth].iter().map(|frame| frame.load(Ordering::Relaxed)).collect();
    let interrupted = NOTES.interrupted.load(Ordering::Relaxed);
    let begin = all.iter().position(|frame| *frame == interrupted).unwrap_or(0);
    Some(all[begin..].to_vec())
}

/// The handler: notes the stack of the thread that it runs on, if that is the one that is asked.
extern "C" fn note(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: calls that are allowed in handlers; the error number belongs to this thread, and is given back as it was.
    let (thread, error) = unsafe { (libc::syscall(libc::SYS_gettid) as i32, *libc::__errno_location()) };
    if NOTES.wanted.compare_exchange(thread, ANSWERING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        NOTES.interrupted.store(interrupted_at(context), Ordering::Relaxed);
        let mut depth = 0;
        // SAFETY: one thread at a time is asked, and whoever asks does not walk its own stack meanwhile.
        unsafe {
            trace_unsynchronized(|frame| {
                NOTES.frames[depth].store(frame.ip() as usize, Ordering::Relaxed);
                depth += 1;
                depth < MOST_FRAMES
            });
        }
        NOTES.depth.store(depth, Ordering::Relaxed);
        NOTES.done.store(true, Ordering::Release);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error };
}

/// The instruction at which a signal has come.
fn interrupted_at(context: *mut libc::c_void) -> usize {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the system gives a handler of three arguments a whole context.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    let at = machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    let at = machine.pc as usize;
    at
}

/// Adds the functions at an address, the innermost first: those that were compiled into one another are several.
fn name(frame: usize, text: &mut String) {
    let begin = text.len();
    resolve(frame as *mut std::ffi::c_void, |symbol| {
        let Some(function) = symbol.name() else { return };
        let _ = write!(text, "\tat {function:#}");
        if let (Some(file), Some(line)) = (symbol.filename().and_then(std::path::Path::file_name), symbol.lineno()) {
            let _ = write!(text, "({}:{line})", file.display());
        }
        text.push('\n');
    });
    if text.len() == begin {
        let _ = writeln!(text, "\tat {frame:#x}");
    }
}

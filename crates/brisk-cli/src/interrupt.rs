//! Notes that somebody has interrupted this process (Ctrl-C), or asked it to end, so that what it has begun elsewhere can be ended first.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a signal has come.
static COME: AtomicBool = AtomicBool::new(false);

/// From now on these signals are noted, and end nothing by themselves. A second one ends the process.
pub(crate) fn watch() {
    extern "C" fn note(signal: libc::c_int) {
        COME.store(true, Ordering::Relaxed);
        // SAFETY: `signal` may be called in a handler, and the default action is no pointer.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let note = note as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler stores into an atomic and calls `signal`, both of which are allowed in a handler.
        unsafe { libc::signal(signal, note as libc::sighandler_t) };
    }
}

/// Whether one has come.
pub(crate) fn has_come() -> bool {
    COME.load(Ordering::Relaxed)
}

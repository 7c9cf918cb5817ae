//! What the operating system is asked for: a limit of memory, and the end of the process.
//!
//! The only place of this crate with `unsafe`: calls into the C library.

use brisk_base::{Error, Result};

/// Limits the memory that this process may have for its data; who wants more gets an error, or is aborted.
///
/// # Errors
/// When the system refuses.
pub fn limit_memory(bytes: u64) -> Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` is a valid `rlimit` for the duration of the call, which only reads it.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) } != 0;
    if failed {
        return Err(Error::user(format!("the system does not let the process limit its memory to {bytes} bytes: {}", last_error())));
    }
    Ok(())
}

fn last_error() -> std::io::Error {
    std::io::Error::last_os_error()
}

/// Ends this process at once: no destructor runs, while other threads may be in the middle of anything.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return; it touches no memory of this process.
    unsafe { libc::_exit(code) }
}

//! Panics of user code: caught, located, and kept from standard error.
//!
//! A hook is chained in front of the process's panic hook, once. Inside a guarded call it records the message, location and (when
//! `RUST_BACKTRACE` asks for one) the backtrace for the report; everywhere else it leaves the panic to the hook that was there before.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// What is known about a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicReport {
    /// What was said.
    pub message: String,
    /// File, line and column, when known.
    pub location: Option<String>,
    /// The stack, when `RUST_BACKTRACE` asks for it.
    pub backtrace: Option<String>,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

thread_local! {
    /// Whether this thread is inside a guarded call.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// The panic that is being unwound on this thread.
    static LAST: RefCell<Option<PanicReport>> = const { RefCell::new(None) };
}

/// Chains the hook, the first time it is called.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if GUARDED.get() {
                LAST.set(Some(describe(info)));
            } else {
                previous(info);
            }
        }));
    });
}

/// Calls `body`; a panic becomes a report.
pub(crate) fn guarded<R>(body: impl FnOnce() -> R) -> Result<R, PanicReport> {
    install_hook();
    let outer = GUARDED.replace(true);
    // The values that `body` borrows are dropped by the caller after a panic, not used again.
    let result = catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    result.map_err(|payload| LAST.take().unwrap_or_else(|| PanicReport { message: text(&*payload), location: None, backtrace: None }))
}

/// The report of a panic seen by the hook.
fn describe(info: &PanicHookInfo<'_>) -> PanicReport {
    let backtrace = Backtrace::capture();
    PanicReport {
        message: text(info.payload()),
        location: info.location().map(ToString::to_string),
        backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
    }
}

/// The message of a panic's payload.
fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a value that is not text)").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_reported_with_its_place() {
        let report = guarded(|| -> () { panic!("no {}", 7) }).unwrap_err();
        assert_eq!(report.message, "no 7");
        let location = report.location.clone().unwrap();
        assert!(location.contains("panic.rs:"), "{location}");
        assert!(report.to_string().ends_with(": no 7"), "{report}");
    }

    #[test]
    fn a_resumed_panic_has_no_place() {
        let report = guarded(|| -> () { std::panic::resume_unwind(Box::new("again")) }).unwrap_err();
        assert_eq!(report, PanicReport { message: "again".into(), location: None, backtrace: None });
        assert_eq!(guarded(|| 5), Ok(5));
    }
}

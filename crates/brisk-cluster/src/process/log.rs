//! What a process writes to its log: one line per event, on standard error.
//!
//! `2026-01-02T03:04:05.678Z INFO  job submitted job=... name=...`

use brisk_base::world::World;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
pub use tracing::Level;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Events up to this level are written (error, warn, info, debug, trace).
const LEVEL_VARIABLE: &str = "BRISK_LOG";

/// Writes the events of this process from now on, up to the level that `BRISK_LOG` names, else up to this one. Nothing happens if somebody
/// takes them already.
pub fn start(world: &World, level: Level) {
    let level = std::env::var(LEVEL_VARIABLE).ok().and_then(|level| level.parse().ok()).unwrap_or(level);
    let _ = tracing::subscriber::set_global_default(Lines { world: world.clone(), level, spans: AtomicU64::new(1) });
}

struct Lines {
    world: World,
    level: Level,
    /// Numbers of spans, which are not shown.
    spans: AtomicU64,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{} {:<5} ", self.world.now(), event.metadata().level());
        event.record(&mut Fields { line: &mut line, only_message: true });
        event.record(&mut Fields { line: &mut line, only_message: false });
        line.push('\n');
        // Where it goes may be closed.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The message first, then the fields.
struct Fields<'a> {
    line: &'a mut String,
    only_message: bool,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let is_message = field.name() == "message";
        let _ = match (is_message, self.only_message) {
            (true, true) => write!(self.line, "{value:?}"),
            (false, false) => write!(self.line, " {}={value:?}", field.name()),
            _ => Ok(()),
        };
    }
}

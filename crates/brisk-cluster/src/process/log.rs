//! What a process writes to its log: one line per event, on standard error.
//!
//! | format | line |
//! |---|---|
//! | text | `2026-01-02T03:04:05.678Z INFO  job submitted job=... name=...` |
//! | JSON | `{"time":"2026-01-02T03:04:05.678Z","level":"INFO","message":"job submitted","job":"...","name":"..."}` |
//!
//! Level and format come from the options of a daemon; `BRISK_LOG` and `BRISK_LOG_FORMAT` count before them, and are how they come to the
//! processes that it starts. The level can be changed while the process runs.

use crate::options::{LOG_FORMAT, LOG_LEVEL, LogFormat, LogLevel};
use brisk_base::options::{Configuration, OptionValue};
use brisk_base::world::World;
use brisk_base::{Error, Result};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub use tracing::Level;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Events up to this level are written (error, warn, info, debug, trace).
const LEVEL_VARIABLE: &str = "BRISK_LOG";
/// How events are written (text, json).
const FORMAT_VARIABLE: &str = "BRISK_LOG_FORMAT";

/// Up to which level events are written.
static LEVEL: Mutex<Level> = Mutex::new(Level::INFO);
/// Whether somebody has chosen it: then processes that are started later have it, too.
static IS_CHOSEN: AtomicBool = AtomicBool::new(false);
/// Whether lines are JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Writes the events of this process from now on, up to the level that `BRISK_LOG` names, else up to this one. Nothing happens if somebody
/// takes them already.
pub fn start(world: &World, level: Level) {
    let chosen = std::env::var(LEVEL_VARIABLE).ok().and_then(|level| level.parse().ok());
    IS_CHOSEN.store(chosen.is_some(), Ordering::Relaxed);
    IS_JSON.store(std::env::var(FORMAT_VARIABLE).is_ok_and(|format| format == "json"), Ordering::Relaxed);
    *LEVEL.lock().unwrap_or_else(PoisonError::into_inner) = chosen.unwrap_or(level);
    let _ = tracing::subscriber::set_global_default(Lines { world: world.clone(), spans: AtomicU64::new(1) });
}

/// Level and format as the options of a daemon say, unless its environment says otherwise.
///
/// # Errors
/// When a value is wrong.
pub fn configure(config: &Configuration) -> Result<()> {
    if let Some(level) = config.get(&LOG_LEVEL)?.filter(|_| !IS_CHOSEN.load(Ordering::Relaxed)) {
        change_level(level);
    }
    if std::env::var_os(FORMAT_VARIABLE).is_none() {
        IS_JSON.store(config.get(&LOG_FORMAT)? == LogFormat::Json, Ordering::Relaxed);
    }
    Ok(())
}

/// The level up to which events are written.
pub fn level() -> Level {
    *LEVEL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes events up to another level from now on.
pub fn change_level(level: LogLevel) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    *LEVEL.lock().unwrap_or_else(PoisonError::into_inner) = level;
    IS_CHOSEN.store(true, Ordering::Relaxed);
    // Whoever logs remembers whether that is of interest.
    tracing::callsite::rebuild_interest_cache();
}

/// The level that somebody names.
///
/// # Errors
/// When there is no such level.
pub fn named_level(name: &str) -> Result<LogLevel> {
    LogLevel::parse(&name.to_lowercase()).ok_or_else(|| Error::user(format!("there is no level '{name}': error, warn, info, debug, trace")))
}

/// What processes that are started by this one have in their environment.
pub(super) fn variables() -> Vec<(&'static str, String)> {
    let level = IS_CHOSEN.load(Ordering::Relaxed).then(|| (LEVEL_VARIABLE, level().to_string()));
    let format = IS_JSON.load(Ordering::Relaxed).then(|| (FORMAT_VARIABLE, "json".to_owned()));
    level.into_iter().chain(format).collect()
}

struct Lines {
    world: World,
    /// Numbers of spans, which are not shown.
    spans: AtomicU64,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(level()))
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let line = line(event, &self.world.now().to_string(), IS_JSON.load(Ordering::Relaxed));
        // Where it goes may be closed.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// An event as a line.
fn line(event: &Event<'_>, now: &str, is_json: bool) -> String {
    let level = event.metadata().level();
    let mut line = if is_json { format!("{{\"time\":\"{now}\",\"level\":\"{level}\"") } else { format!("{now} {level:<5} ") };
    event.record(&mut Fields { line: &mut line, only_message: true, is_json });
    event.record(&mut Fields { line: &mut line, only_message: false, is_json });
    line.push_str(if is_json { "}\n" } else { "\n" });
    line
}

/// The message first, then the fields.
struct Fields<'a> {
    line: &'a mut String,
    only_message: bool,
    is_json: bool,
}

impl Fields<'_> {
    /// Whether a field is to be written now.
    fn is_wanted(&self, field: &Field) -> bool {
        (field.name() == "message") == self.only_message
    }

    fn json(&mut self, field: &Field, value: &str) {
        if self.is_wanted(field) {
            let _ = write!(self.line, ",{}:{value}", quoted(field.name()));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_json {
            return self.json(field, &quoted(&format!("{value:?}")));
        }
        let _ = match (self.is_wanted(field), self.only_message) {
            (true, true) => write!(self.line, "{value:?}"),
            (true, false) => write!(self.line, " {}={value:?}", field.name()),
            (false, _) => Ok(()),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_json { self.json(field, &quoted(value)) } else { self.record_debug(field, &value) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.is_json { self.json(field, &value.to_string()) } else { self.record_debug(field, &value) }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.is_json { self.json(field, &value.to_string()) } else { self.record_debug(field, &value) }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.is_json { self.json(field, &value.to_string()) } else { self.record_debug(field, &value) }
    }
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            c if c < ' ' => write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.write_char(c),
        };
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Keeps the lines of a thread.
    struct Kept {
        lines: Arc<Mutex<Vec<String>>>,
        is_json: bool,
    }

    impl Subscriber for Kept {
        fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _span: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _span: &Id, _values: &Record<'_>) {}

        fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

        fn event(&self, event: &Event<'_>) {
            self.lines.lock().expect("no panic").push(line(event, "now", self.is_json));
        }

        fn enter(&self, _span: &Id) {}

        fn exit(&self, _span: &Id) {}
    }

    #[test]
    fn events_are_lines_for_people_or_json() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        for is_json in [false, true] {
            tracing::subscriber::with_default(Kept { lines: Arc::clone(&lines), is_json }, || {
                tracing::warn!(job = "a\"b\n", attempt = 3, done = true, place = ?Some(1), "it has {} ends", 2);
            });
        }
        let lines = lines.lock().expect("no panic").clone();
        assert_eq!(lines[0], "now WARN  it has 2 ends job=\"a\\\"b\\n\" attempt=3 done=true place=Some(1)\n");
        let json =
            r#"{"time":"now","level":"WARN","message":"it has 2 ends","job":"a\"b\u000a","attempt":3,"done":true,"place":"Some(1)"}"#;
        assert_eq!(lines[1].trim_end(), json);
    }

    #[test]
    fn levels_have_names() {
        assert_eq!(named_level("DEBUG").expect("there is one"), LogLevel::Debug);
        assert!(named_level("loud").expect_err("there is none").to_string().contains("error, warn, info"));
    }
}

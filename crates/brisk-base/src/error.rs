//! The one error type of Brisk.
//!
//! An error has a kind (which decides failover), a message, and the places it passed through on its way up (operator, subtask, file, ...).
//! Like `anyhow::Error` it is made by `?` from any standard error, so that user functions return errors as values without ceremony.

use std::error::Error as StdError;
use std::fmt;

/// What an error means for failover.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ErrorKind {
    /// User code, a user's graph or a user's input is wrong: a retry will meet it again.
    User,
    /// Something outside failed and may work the next time.
    Transient,
    /// Stored or received bytes are damaged.
    Corrupt,
    /// The sender has been replaced: it must stop.
    Fenced,
    /// A defect of Brisk itself.
    Bug,
}

/// An error of Brisk or of a user's function. See the module.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    /// Innermost place first.
    context: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// `std::result::Result` with Brisk's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind. The message says what happened and what to do about it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), context: Vec::new(), source: None }))
    }

    /// The user's doing: see [`ErrorKind::User`].
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// May pass: see [`ErrorKind::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// Damaged bytes: see [`ErrorKind::Corrupt`].
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Our own defect: see [`ErrorKind::Bug`].
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// What this means for failover.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The innermost message, without places.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The places the error passed through, innermost first.
    pub fn places(&self) -> &[String] {
        &self.0.context
    }

    /// The standard error this was made from.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Adds a place ("operator 'window' (2/4)", "file 'x.csv', line 7"). One that was added last is not repeated.
    #[must_use]
    pub fn context(mut self, place: impl Into<String>) -> Self {
        let place = place.into();
        if self.0.context.last() != Some(&place) {
            self.0.context.push(place);
        }
        self
    }

    /// The same error with another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        let mut message = source.to_string();
        let mut cause = source.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self(Box::new(Inner { kind: ErrorKind::User, message, context: Vec::new(), source: Some(Box::new(source)) }))
    }
}

impl fmt::Display for Error {
    /// Outermost place first, the message last: `job 'x': operator 'map' (1/2): cannot parse "a"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in self.0.context.iter().rev() {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}]", self.0.kind)
    }
}

/// Adds places to the errors of a result.
pub trait ResultExt<T> {
    /// Adds a place, made only when there is an error.
    ///
    /// # Errors
    /// The error of `self`, with the place.
    fn context<C: Into<String>>(self, place: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E: Into<Error>> ResultExt<T> for std::result::Result<T, E> {
    fn context<C: Into<String>>(self, place: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| error.into().context(place()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_the_outside_in() {
        let parsed: Result<i32> = "a".parse::<i32>().context(|| "line 7").context(|| "file 'x.csv'");
        let error = parsed.expect_err("'a' is no number");
        assert_eq!(error.to_string(), "file 'x.csv': line 7: invalid digit found in string");
        assert_eq!(error.kind(), ErrorKind::User);
        assert_eq!(error.places(), ["line 7", "file 'x.csv'"]);
        assert_eq!(error.context("file 'x.csv'").places().len(), 2, "the same place once");
    }
}

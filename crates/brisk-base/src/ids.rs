//! Identifiers that cross component borders. Each is its own type, so that they cannot be mixed up.

use std::fmt;

/// Makes a 128-bit id that prints as 32 hex digits, as Flink's do.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:032x})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::Error;
            fn from_str(text: &str) -> crate::Result<Self> {
                match u128::from_str_radix(text, 16) {
                    Ok(id) if text.len() == 32 => Ok(Self(id)),
                    _ => Err(crate::Error::user(format!("'{text}' is not an id: expected 32 hexadecimal digits"))),
                }
            }
        }
    };
}

hex_id! {
    /// One submission of a job.
    JobId
}
hex_id! {
    /// An operator, stable over restarts and program versions: derived from its uid, or from its place in the graph.
    OperatorId
}
hex_id! {
    /// A job vertex: a chain of operators that runs as one task per subtask.
    VertexId
}
hex_id! {
    /// A TaskManager, new each time it starts.
    TaskManagerId
}

/// A checkpoint or savepoint of a job: 1, 2, 3, ... A number is never used twice, also not after a restart of the job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CheckpointId(pub u64);

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One try at running one subtask. Every message to or from a task carries it, so that a replaced task is fenced out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptId {
    /// The job vertex.
    pub vertex: VertexId,
    /// Index of the subtask, from 0.
    pub subtask: u32,
    /// Number of the try, from 0.
    pub attempt: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.vertex, self.subtask, self.attempt)
    }
}

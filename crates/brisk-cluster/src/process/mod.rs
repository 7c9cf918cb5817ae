//! The processes of a cluster, around the components that do not know of them.
//!
//! | process | started by | file |
//! |---|---|---|
//! | JobManager: dispatcher, resource manager, JobMasters, uploaded programs | `brisk jobmanager` | [`job_manager`] |
//! | TaskManager: slots, and a worker for each job that has some | `brisk taskmanager` | [`task_manager`], [`hosts`] |
//! | driver: runs a program's `main`, which builds jobs and waits for them | the JobManager | [`driver`], [`programs`] |
//! | worker: runs the same `main` up to the job at hand, and serves its tasks | a TaskManager | [`worker`] |
//!
//! | what | file |
//! |---|---|
//! | what a process is told by whoever starts it | here |
//! | starting, killing and burying processes | [`child`] |
//! | folders of TaskManagers that are gone | `claim` |
//! | programs that are texts of SQL | [`script`] |
//! | what is noted of programs, for a JobManager that is started again | [`recovery`] |
//! | the messages between these | [`messages`] |
//! | what a process writes to its log | [`log`] |
//!
//! A driver and a worker end when the process that started them does, or its connection: they are not left behind. None of the daemons runs
//! code of users.

pub mod child;
mod claim;
pub mod driver;
pub mod hosts;
pub mod job_manager;
pub mod limits;
pub mod log;
pub mod messages;
pub mod programs;
pub mod recorded;
pub mod recovery;
pub mod script;
pub mod task_manager;
pub mod worker;

use crate::transport::{Actor, ActorContext};
use brisk_base::{Error, Result};

/// Whether the process is a `driver` or a `worker`.
pub const ROLE_VARIABLE: &str = "BRISK_PROCESS_ROLE";
/// Where the process that has started it listens.
pub const ADDRESS_VARIABLE: &str = "BRISK_PROCESS_ADDRESS";
/// What it shows there.
pub const TOKEN_VARIABLE: &str = "BRISK_PROCESS_TOKEN";
/// Bytes of memory that it may take.
pub const MEMORY_VARIABLE: &str = "BRISK_PROCESS_MEMORY";

/// What a process of a program is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProgramRole {
    /// It builds jobs, and waits for them.
    Driver,
    /// It runs tasks of one job.
    Worker,
}

/// What a process of a program has been told by whoever has started it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// What it is.
    pub role: ProgramRole,
    /// Where it reports.
    pub address: String,
    /// What it shows there.
    pub token: u128,
    /// Bytes of memory that it may take.
    pub memory: Option<u64>,
}

impl Origin {
    /// What the environment says; `None` for a program that somebody has started by hand.
    ///
    /// # Errors
    /// When the environment is wrong.
    pub fn of_environment() -> Result<Option<Self>> {
        let variable = |name: &str| std::env::var(name).ok();
        Self::of(variable)
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let Some(role) = variable(ROLE_VARIABLE) else { return Ok(None) };
        let role = match role.as_str() {
            "driver" => ProgramRole::Driver,
            "worker" => ProgramRole::Worker,
            other => return Err(Error::user(format!("the variable {ROLE_VARIABLE} is '{other}': unset it to run the program by hand"))),
        };
        let needed =
            |name: &str| variable(name).ok_or_else(|| Error::user(format!("the variable {name} is missing beside {ROLE_VARIABLE}")));
        let token = needed(TOKEN_VARIABLE)?;
        let token = u128::from_str_radix(&token, 16).map_err(|_| Error::user(format!("the variable {TOKEN_VARIABLE} is no number")))?;
        let memory = variable(MEMORY_VARIABLE).and_then(|bytes| bytes.parse().ok());
        Ok(Some(Self { role, address: needed(ADDRESS_VARIABLE)?, token, memory }))
    }

    /// The variables that say this.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let role = match self.role {
            ProgramRole::Driver => "driver",
            ProgramRole::Worker => "worker",
        };
        let mut all = vec![
            (ROLE_VARIABLE, role.to_owned()),
            (ADDRESS_VARIABLE, self.address.clone()),
            (TOKEN_VARIABLE, format!("{:032x}", self.token)),
        ];
        all.extend(self.memory.map(|bytes| (MEMORY_VARIABLE, bytes.to_string())));
        all
    }
}

/// Does what it is told on the thread of its plane: how others add actors there.
pub(crate) struct Errands;

/// Something to be done.
pub(crate) type Errand = Box<dyn FnOnce(&mut ActorContext<'_>) + Send>;

impl Actor for Errands {
    type Message = Errand;

    fn handle(&mut self, errand: Errand, cx: &mut ActorContext<'_>) {
        errand(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_process_knows_what_it_was_started_for() {
        assert_eq!(Origin::of(|_| None).expect("by hand"), None);
        let origin = Origin { role: ProgramRole::Worker, address: "localhost:1".to_owned(), token: 0xabc, memory: Some(5) };
        let variables: BTreeMap<_, _> = origin.variables().into_iter().collect();
        assert_eq!(Origin::of(|name| variables.get(name).cloned()).expect("it is right"), Some(origin));
        let error = Origin::of(|name| (name == ROLE_VARIABLE).then(|| "driver".to_owned())).expect_err("there is no token").to_string();
        assert!(error.contains(TOKEN_VARIABLE), "{error}");
        Origin::of(|_| Some("what".to_owned())).expect_err("no such role");
    }
}

//! SQL sessions: on the embedded engine, or on the cluster that has started this process.

use crate::embedded::Embedded;
use crate::environment::effective;
use crate::options;
use crate::process::ProgramProcess;
use brisk_base::options::Configuration;
use brisk_base::{Error, Result};
use brisk_cluster::process::script::own_build;
use brisk_core::table::TableConnectors;
use brisk_table::TableSession;
use std::sync::Arc;

/// The name under which a session records which build plans its statements.
const BUILD: &str = "brisk: build";

/// A session with all of Brisk's connectors. Its jobs run in this process, unless it was started by a cluster (`brisk run`,
/// `brisk sql -m`). Options come from where [`EnvironmentExt::get_with`](crate::EnvironmentExt::get_with) takes them. Threads are started
/// with the first job.
///
/// # Errors
/// When an option's value is wrong, or the file of options cannot be read; in a worker, when it is another build than the one that has
/// planned the job.
pub fn sql_session(config: &Configuration) -> Result<TableSession> {
    let mut connectors = TableConnectors::default();
    brisk_connectors::register_tables(&mut connectors);
    let Some(process) = ProgramProcess::current()? else {
        let config = effective(config)?;
        return Ok(TableSession::new(Arc::new(Embedded::new(config.clone())), connectors, config));
    };
    let mut effective = process.base().clone();
    effective.extend(config);
    effective.check(&options::all())?;
    let once = process.once();
    let mut session = TableSession::new(process.executor(), connectors, effective).with_recorded(once);
    // Another build may plan the same statements otherwise, and expressions are not compared.
    let own = own_build()?.to_string();
    let planned_by = session.once(BUILD, |_| Ok(own.clone()))?;
    if planned_by != own {
        return Err(Error::user(format!(
            "the statements were planned by build {planned_by} of Brisk, but this is build {own}: install the same on all machines of the cluster"
        )));
    }
    Ok(session)
}

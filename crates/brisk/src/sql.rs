//! SQL sessions on the embedded engine.

use crate::embedded::Embedded;
use crate::environment::effective;
use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_core::table::TableConnectors;
use brisk_table::TableSession;
use std::sync::Arc;

/// A session whose jobs run in this process, with all of Brisk's connectors. Options come from where
/// [`EnvironmentExt::get_with`](crate::EnvironmentExt::get_with) takes them. Threads are started with the first job.
///
/// # Errors
/// When an option's value is wrong, or the file of options cannot be read.
pub fn sql_session(config: &Configuration) -> Result<TableSession> {
    let config = effective(config)?;
    let mut connectors = TableConnectors::default();
    brisk_connectors::register_tables(&mut connectors);
    Ok(TableSession::new(Arc::new(Embedded::new(config.clone())), connectors, config))
}

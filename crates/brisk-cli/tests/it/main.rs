//! The command as its user sees it: output, errors, exit code; SQL, and jobs of a cluster that really runs.

mod cluster;
mod jobs;
mod sql;
mod sql_cluster;

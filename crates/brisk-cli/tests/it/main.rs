//! The command as its user sees it: output, errors, exit code; SQL, the statements of the book, and jobs of a cluster that really runs.

mod book;
mod clients;
mod cluster;
mod jobs;
mod sql;
mod sql_cluster;

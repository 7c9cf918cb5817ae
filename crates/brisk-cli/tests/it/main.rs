//! The command line against a cluster that really runs.

mod jobs;

//! The facade as a program sees it: jobs that really run, embedded.

mod embedded;
mod files;

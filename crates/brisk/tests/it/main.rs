//! The facade as a program sees it: jobs that really run, embedded.

#[cfg(test)]
mod embedded;
#[cfg(test)]
mod files;
#[cfg(test)]
#[cfg(feature = "sql")]
mod logic;
#[cfg(test)]
#[cfg(feature = "sql")]
mod plans;
#[cfg(all(test, feature = "rest"))]
mod rest;
#[cfg(test)]
mod savepoints;
#[cfg(test)]
mod socket;
#[cfg(test)]
#[cfg(feature = "sql")]
mod sql;

//! Joins, operator by operator.

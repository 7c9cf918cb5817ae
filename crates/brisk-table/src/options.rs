//! Options of SQL jobs.

use std::time::Duration;

brisk_base::option_enum! {
    /// When rows are brought together by the primary key of the table that they are written to.
    pub enum UpsertMaterialize {
        /// Never.
        None = "NONE",
        /// Where the query updates rows that it tells apart by other columns.
        Auto = "AUTO",
        /// Always.
        Force = "FORCE",
    }
}

brisk_base::options! {
    /// Whether operators give a change for each input row, as Flink does with mini-batch off, instead of the net change of a batch. Both
    /// fold to the same table.
    pub ROW_EXACT: bool = "table.exec.row-exact", false;

    /// How long operators keep state that nobody uses: that of groups, joins, Top-N and set operations. It lives on with each write. Results
    /// are no longer exact when rows come for state that is gone. For ever, if it is 0.
    pub STATE_TTL: Duration = "table.exec.state.ttl", Duration::ZERO;

    /// Whether parts that a statement's plan has twice, or that several INSERTs of a statement set share, are computed once.
    pub REUSE_SUB_PLAN: bool = "table.optimizer.reuse-sub-plan-enabled", true;

    /// When rows are brought together by the primary key of the table that they are written to, so that it has one row per key.
    pub UPSERT_MATERIALIZE: UpsertMaterialize = "table.exec.sink.upsert-materialize", UpsertMaterialize::Auto;

    /// Whether an INSERT is waited for before the next statement. Not set: if its sources end; a job that does not end by itself goes on
    /// while later statements are executed.
    pub DML_SYNC: Option<bool> = "table.dml-sync", None;
}

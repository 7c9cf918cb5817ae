//! Options of SQL jobs.

brisk_base::options! {
    /// Whether operators give a change for each input row, as Flink does with mini-batch off, instead of the net change of a batch. Both
    /// fold to the same table.
    pub ROW_EXACT: bool = "table.exec.row-exact", false;

    /// Whether an INSERT is waited for before the next statement. Not set: if its sources end; a job that does not end by itself goes on
    /// while later statements are executed.
    pub DML_SYNC: Option<bool> = "table.dml-sync", None;
}

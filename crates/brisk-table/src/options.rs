//! Options of SQL jobs.

brisk_base::options! {
    /// Whether operators give a change for each input row, as Flink does with mini-batch off, instead of the net change of a batch. Both
    /// fold to the same table.
    pub ROW_EXACT: bool = "table.exec.row-exact", false;
}

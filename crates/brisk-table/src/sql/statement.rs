//! What was read.

use brisk_base::ids::JobId;
use brisk_core::job::StopMode;
use datafusion_sql::sqlparser::ast::{Expr, Ident, Query};
use std::collections::BTreeMap;

/// One statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// `CREATE TABLE`.
    #[doc(hidden)]
    CreateTable(Box<CreateTable>),
    /// `CREATE VIEW`.
    #[doc(hidden)]
    CreateView(CreateView),
    /// `DROP TABLE` or `DROP VIEW`.
    #[doc(hidden)]
    Drop(ObjectKind, String, bool),
    /// `INSERT INTO`.
    #[doc(hidden)]
    Insert(Insert),
    /// Several insertions as one job.
    #[doc(hidden)]
    Insertions(Vec<Insert>),
    /// `SELECT`, `WITH`, `VALUES`.
    Query(Box<Query>),
    /// `EXPLAIN`, with what else is to be shown.
    Explain(Vec<ExplainDetail>, Box<Statement>),
    /// `SET 'key' = 'value'`; without a key, shows all.
    Set(Option<(String, String)>),
    /// `RESET 'key'`; without a key, resets all.
    Reset(Option<String>),
    /// `SHOW ...`.
    #[doc(hidden)]
    Show(Show),
    /// `DESCRIBE table`.
    Describe(String),
    /// `SHOW JOBS`.
    ShowJobs,
    /// `DESCRIBE JOB 'id'`.
    DescribeJob(JobId),
    /// `STOP JOB 'id' [WITH SAVEPOINT] [WITH DRAIN]`.
    StopJob(JobId, StopMode),
}

/// What `EXPLAIN` shows besides the plans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplainDetail {
    /// What plans are chosen by.
    EstimatedCost,
    /// What each operator gives: inserts alone, or updates and deletes, and by which key.
    ChangelogMode,
    /// The job as JSON.
    JsonExecutionPlan,
    /// What to look after, also when there is nothing.
    PlanAdvice,
}

impl ExplainDetail {
    /// All of them, by their words.
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("CHANGELOG_MODE", Self::ChangelogMode),
        ("ESTIMATED_COST", Self::EstimatedCost),
        ("JSON_EXECUTION_PLAN", Self::JsonExecutionPlan),
        ("PLAN_ADVICE", Self::PlanAdvice),
    ];
}

/// What a `SHOW` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// Tables and views.
    Tables,
    /// Views.
    Views,
    /// Functions.
    Functions,
}

/// What a `DROP` drops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectKind {
    /// A table.
    Table,
    /// A view.
    View,
}

/// See [`Statement::CreateTable`].
#[derive(Clone, Debug)]
pub struct CreateTable {
    pub(crate) name: String,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnDefinition>,
    pub(crate) watermark: Option<WatermarkDefinition>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) partitions: Vec<Ident>,
    pub(crate) options: BTreeMap<String, String>,
}

/// A column of a table.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: Ident,
    pub(crate) kind: ColumnKind,
}

/// Where a column comes from.
#[derive(Clone, Debug)]
pub(crate) enum ColumnKind {
    /// From the connector.
    Physical {
        /// Its type.
        data_type: datafusion_sql::sqlparser::ast::DataType,
        /// Whether nulls are allowed.
        nullable: bool,
    },
    /// From other columns.
    Computed(Box<Expr>),
}

/// `WATERMARK FOR column AS expression`.
#[derive(Clone, Debug)]
pub(crate) struct WatermarkDefinition {
    pub(crate) column: Ident,
    pub(crate) expression: Expr,
}

/// See [`Statement::CreateView`].
#[derive(Clone, Debug)]
pub struct CreateView {
    pub(crate) name: String,
    pub(crate) if_not_exists: bool,
    /// Names of the columns, if they are given.
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Box<Query>,
}

/// See [`Statement::Insert`].
#[derive(Clone, Debug)]
pub struct Insert {
    pub(crate) table: Ident,
    /// The columns that are given, in the order of the query; all, if there are none.
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Box<Query>,
}

//! INTERSECT and EXCEPT, as nodes of their own: DataFusion has them as joins, which count duplicates differently.

use arrow_schema::DataType;
use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchemaRef, DataFusionError, JoinType, NullEquality, Result};
use datafusion_expr::logical_plan::Join;
use datafusion_expr::type_coercion::binary::type_union_coercion;
use datafusion_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore, cast};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Which set operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Debug)]
pub(crate) enum SetOperationKind {
    /// Rows that are in both.
    Intersect,
    /// Rows of the left that are not in the right.
    Except,
}

impl SetOperationKind {
    /// How often a row is in the result that is in the inputs so often.
    pub(crate) fn times(self, all: bool, left: i64, right: i64) -> i64 {
        let (left, right) = (left.max(0), right.max(0));
        match (self, all) {
            (Self::Intersect, true) => left.min(right),
            (Self::Intersect, false) => (left > 0 && right > 0).into(),
            (Self::Except, true) => (left - right).max(0),
            (Self::Except, false) => (left > 0 && right == 0).into(),
        }
    }
}

/// The node. Both inputs have columns of the same types.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SetOperation {
    pub(crate) left: LogicalPlan,
    pub(crate) right: LogicalPlan,
    pub(crate) kind: SetOperationKind,
    /// Whether duplicates count.
    pub(crate) all: bool,
}

impl PartialOrd for SetOperation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.left.partial_cmp(&other.left)
    }
}

impl fmt::Display for SetOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.all { "All" } else { "" };
        write!(f, "{:?}{all}", self.kind)
    }
}

impl UserDefinedLogicalNodeCore for SetOperation {
    fn name(&self) -> &str {
        "SetOperation"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.left.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([left, right]) = <[LogicalPlan; 2]>::try_from(inputs) else {
            return Err(DataFusionError::Internal("a set operation has two inputs".to_owned()));
        };
        Ok(Self { left, right, kind: self.kind, all: self.all })
    }

    /// Whole rows are compared.
    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let all = |plan: &LogicalPlan| (0..plan.schema().fields().len()).collect();
        Some(vec![all(&self.left), all(&self.right)])
    }
}

/// Puts the node in the place of what DataFusion's planner makes of set operations: semi and anti joins in which nulls are equal. It must
/// come before all rules, which make such joins of other things, too.
pub(super) fn with_set_operations(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull => set_operation(join),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

/// The type of two columns that are compared. As in Flink, numbers are none of texts.
fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let alike = left == right
        || left.is_null()
        || right.is_null()
        || (left.is_numeric() && right.is_numeric())
        || (left.is_temporal() && right.is_temporal())
        || (left.is_string() && right.is_string());
    if alike { type_union_coercion(left, right) } else { None }
}

fn set_operation(join: Join) -> Result<Transformed<LogicalPlan>> {
    let kind = match join.join_type {
        JoinType::LeftSemi => SetOperationKind::Intersect,
        JoinType::LeftAnti => SetOperationKind::Except,
        _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
    };
    let (left, all) = match &*join.left {
        LogicalPlan::Distinct(distinct) => (distinct.input().as_ref().clone(), false),
        other => (other.clone(), true),
    };
    let right = join.right.as_ref().clone();
    let types = left.schema().fields().iter().zip(right.schema().fields());
    let common = types.enumerate().map(|(column, (left, right))| {
        common_type(left.data_type(), right.data_type()).ok_or_else(|| {
            let [left, right] = [left, right].map(|field| crate::sql::sql_type(field.data_type()));
            DataFusionError::Plan(format!("column {} of {kind:?} is {left} on one side, but {right} on the other: cast it", column + 1))
        })
    });
    let common = common.collect::<Result<Vec<_>>>()?;
    let casted = |plan: LogicalPlan| {
        if plan.schema().fields().iter().zip(&common).all(|(field, wanted)| field.data_type() == wanted) {
            return Ok(plan);
        }
        let columns = plan.schema().columns().into_iter().zip(&common).map(|(column, wanted)| {
            let (qualifier, name) = (column.relation.clone(), column.name.clone());
            cast(Expr::Column(column), wanted.clone()).alias_qualified(qualifier, name)
        });
        let columns: Vec<_> = columns.collect();
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    };
    let node = SetOperation { left: casted(left)?, right: casted(right)?, kind, all };
    Ok(Transformed::yes(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
}

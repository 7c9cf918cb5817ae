//! GROUPING SETS, ROLLUP and CUBE: each row once per set, with nulls in the place of the groups that the set does not have, and the number
//! of the set; then an aggregation by all groups and that number.

use super::aggregate::Arguments;
use super::expression::{named, type_of};
use super::{Flow, GraphBuilder};
use arrow_schema::{DataType, Field};
use brisk_base::{Error, Result};
use datafusion_common::ScalarValue;
use datafusion_expr::logical_plan::Aggregate;
use datafusion_expr::{Expr, GroupingSet, cast, lit};
use std::collections::BTreeMap;
use std::sync::Arc;

impl GraphBuilder<'_> {
    pub(super) fn grouping_sets(&mut self, aggregate: &Aggregate, sets: &GroupingSet, input: &Flow) -> Result<Flow> {
        let groups: Vec<Expr> = sets.distinct_expr().into_iter().cloned().collect();
        let id_type = aggregate.schema.field(groups.len()).data_type().clone();
        let mut arguments = Arguments::new(&input.schema);
        let calls = aggregate.aggr_expr.iter().map(|expr| super::aggregate::call(expr, &mut arguments, input.changes));
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let arguments = arguments.expressions;
        // Arguments come first, so that their indexes stay; then groups, then the number of the set.
        let mut fields = Vec::new();
        let types = arguments.iter().chain(&groups).map(|expr| type_of(expr, &input.schema)).collect::<Result<Vec<_>>>()?;
        for (index, data_type) in types.iter().chain([&id_type]).enumerate() {
            fields.push((None, Arc::new(Field::new(format!("${index}"), data_type.clone(), true))));
        }
        let schema = named(fields)?;
        let mut of_sets = Vec::new();
        for (set, id) in numbered(&sets_of(sets), &groups)? {
            let mut columns = arguments.clone();
            for (group, data_type) in groups.iter().zip(&types[arguments.len()..]) {
                columns.push(if set.contains(group) { group.clone() } else { null(data_type)? });
            }
            columns.push(cast(lit(id), id_type.clone()));
            of_sets.push(self.calc_always(input, None, &columns, &schema)?);
        }
        let expanded = self.united(&of_sets, &schema)?;
        let keys: Vec<u32> = (arguments.len()..=arguments.len() + groups.len()).map(|key| key as u32).collect();
        self.group_aggregate(aggregate, &expanded, &keys, calls)
    }
}

fn null(data_type: &DataType) -> Result<Expr> {
    let null = ScalarValue::try_from(data_type).map_err(|error| Error::user(error.strip_backtrace()))?;
    Ok(lit(null))
}

/// The sets one by one.
fn sets_of(sets: &GroupingSet) -> Vec<Vec<Expr>> {
    match sets {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(groups) => (0..=groups.len()).rev().map(|groups_left| groups[..groups_left].to_vec()).collect(),
        GroupingSet::Cube(groups) => {
            let chosen = |mask: usize| {
                groups.iter().enumerate().filter(|(index, _)| mask >> index & 1 == 0).map(|(_, group)| group.clone()).collect()
            };
            (0..1_usize << groups.len().min(20)).map(chosen).collect()
        }
    }
}

/// Sets with their numbers: a bit for each group that is not in it, the last group's the lowest; above that how often the set came before.
fn numbered(sets: &[Vec<Expr>], groups: &[Expr]) -> Result<Vec<(Vec<Expr>, u64)>> {
    if groups.len() > 20 {
        return Err(Error::user(format!("GROUPING SETS, ROLLUP and CUBE take 20 groups at most, but there are {}", groups.len())));
    }
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let number = |set: &Vec<Expr>| {
        let bit = |(index, group): (usize, &Expr)| u64::from(!set.contains(group)) << (groups.len() - 1 - index);
        let mask: u64 = groups.iter().enumerate().map(bit).sum();
        let before = seen.entry(mask).or_default();
        let id = mask | *before << groups.len();
        *before += 1;
        (set.clone(), id)
    };
    Ok(sets.iter().map(number).collect())
}

//! All functions that a session knows.

use super::adapter::adapt;
use super::aggregate::AggregateKind;
use super::arithmetic::Modulo;
use super::clock::{PARTS, Shift, Shifted};
use super::math::{Extreme, Hex, Shape, Shaped};
use super::string::{CharLength, Concat, CountChar, RegexpExtract, SplitIndex};
use super::temporal::{Extract, ProcessingTime, TimePart};
use super::{ScalarFunction, TableFunction, clock, collections, json, math, text, window};
use brisk_base::{Error, Result};
use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Functions by name. Names are found whatever the case of their letters.
#[derive(Clone, Debug)]
pub struct Functions {
    scalar: BTreeMap<String, Arc<ScalarUDF>>,
    aggregate: BTreeMap<String, Arc<AggregateUDF>>,
    window: BTreeMap<String, Arc<WindowUDF>>,
    table: BTreeMap<String, Arc<dyn TableFunction>>,
}

impl Default for Functions {
    /// Those that Brisk brings along.
    fn default() -> Self {
        let mut functions = Self { scalar: BTreeMap::new(), aggregate: BTreeMap::new(), window: BTreeMap::new(), table: BTreeMap::new() };
        for function in shared() {
            functions.scalar.insert(function.name().to_owned(), function);
        }
        functions.register(RegexpExtract);
        functions.register(SplitIndex);
        functions.register(Concat);
        functions.register(CharLength("char_length"));
        functions.register(CharLength("character_length"));
        functions.register(CountChar);
        functions.register(Modulo);
        functions.register(Extract);
        functions.register(ProcessingTime);
        PARTS.into_iter().for_each(|(name, part)| functions.register(TimePart(name, part)));
        [Shift::Floor, Shift::Ceil, Shift::Add].into_iter().for_each(|shift| functions.register(Shifted(shift)));
        [Shape::Round, Shape::Truncate, Shape::Sign].into_iter().for_each(|shape| functions.register(Shaped(shape)));
        [true, false].into_iter().for_each(|greatest| functions.register(Extreme { greatest }));
        functions.register(Hex);
        for function in [text::all(), math::all(), clock::all(), json::all()].into_iter().flatten() {
            functions.register(function);
        }
        collections::register(&mut functions);
        for kind in AggregateKind::ALL {
            functions.aggregate.insert(kind.name().to_lowercase(), kind.function());
        }
        functions.window.insert(window::ROW_NUMBER.to_owned(), window::row_number());
        functions
    }
}

/// Functions of DataFusion whose results are Flink's.
fn shared() -> Vec<Arc<ScalarUDF>> {
    use datafusion_functions::{core, math, string};
    vec![core::coalesce(), core::nullif(), math::abs(), math::ceil(), math::floor(), string::lower(), string::upper()]
}

impl Functions {
    /// Adds a user's function. It takes the place of one of the same name.
    pub fn register(&mut self, function: impl ScalarFunction) {
        let name = function.name().to_lowercase();
        self.scalar.insert(name, adapt(Arc::new(function)));
    }

    /// Adds a user's function that gives tables. It takes the place of one of the same name.
    pub fn register_table(&mut self, function: impl TableFunction) {
        self.table.insert(function.name().to_lowercase(), Arc::new(function));
    }

    /// Names of all functions, in order.
    pub fn names(&self) -> Vec<String> {
        let kinds = self.scalar.keys().chain(self.aggregate.keys()).chain(self.window.keys());
        let mut names: Vec<_> = kinds.chain(self.table.keys()).cloned().collect();
        names.sort();
        names
    }

    pub(crate) fn scalar(&self, name: &str) -> Option<&Arc<ScalarUDF>> {
        self.scalar.get(&name.to_lowercase())
    }

    pub(crate) fn aggregate(&self, name: &str) -> Option<&Arc<AggregateUDF>> {
        self.aggregate.get(&name.to_lowercase())
    }

    pub(crate) fn window(&self, name: &str) -> Option<&Arc<WindowUDF>> {
        self.window.get(&name.to_lowercase())
    }

    /// The function that gives tables.
    ///
    /// # Errors
    /// When there is none of this name: the one that is written most like it.
    pub(crate) fn table(&self, name: &str) -> Result<&Arc<dyn TableFunction>> {
        self.table.get(&name.to_lowercase()).ok_or_else(|| {
            let nearest = crate::sql::nearest(name, self.table.keys().map(String::as_str));
            let nearest = nearest.map(|near| format!("; did you mean {}?", near.to_uppercase())).unwrap_or_default();
            Error::user(format!("there is no table function named {}{nearest}", name.to_uppercase()))
        })
    }

    /// Names of the scalar, aggregate and window functions.
    pub(crate) fn names_of_kinds(&self) -> [Vec<String>; 3] {
        [self.scalar.keys().cloned().collect(), self.aggregate.keys().cloned().collect(), self.window.keys().cloned().collect()]
    }
}

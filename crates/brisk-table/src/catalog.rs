//! Tables and views of one session, by name.

use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use brisk_core::table::TableDeclaration;
use datafusion_sql::sqlparser::ast::{Expr as SqlExpr, Ident, Query};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sql::{ObjectKind, SqlText};

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// What its connector is told: physical columns and options.
    pub(crate) declaration: TableDeclaration,
    /// All columns, in the order of the statement.
    pub(crate) schema: SchemaRef,
    /// What each column is computed from; `None` for physical ones.
    pub(crate) computed: Vec<Option<SqlExpr>>,
    /// The event-time column and the watermark's expression.
    pub(crate) watermark: Option<(String, SqlExpr)>,
    /// Columns of the primary key.
    pub(crate) primary_key: Vec<String>,
    /// The text that its expressions come from.
    pub(crate) text: SqlText,
}

/// A view.
#[derive(Debug)]
pub(crate) struct View {
    /// New names of the columns, if they are given.
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Box<Query>,
    /// The text that the query comes from.
    pub(crate) text: SqlText,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Table(Arc<Table>),
    View(Arc<View>),
}

impl Object {
    const fn kind(&self) -> ObjectKind {
        match self {
            Self::Table(_) => ObjectKind::Table,
            Self::View(_) => ObjectKind::View,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    objects: BTreeMap<String, Object>,
}

impl Catalog {
    /// Adds an object.
    pub(crate) fn create(&mut self, name: &str, object: Object, if_not_exists: bool) -> Result<()> {
        if self.objects.contains_key(name) {
            if if_not_exists {
                return Ok(());
            }
            return Err(Error::user(format!("there is a table or view named '{name}' already; drop it first, or use IF NOT EXISTS")));
        }
        self.objects.insert(name.to_owned(), object);
        Ok(())
    }

    /// Removes an object of this kind.
    pub(crate) fn drop(&mut self, name: &str, kind: ObjectKind, if_exists: bool) -> Result<()> {
        match self.objects.get(name) {
            Some(object) if object.kind() == kind => {
                self.objects.remove(name);
                Ok(())
            }
            _ if if_exists => Ok(()),
            Some(_) => Err(Error::user(format!(
                "'{name}' is {}",
                if kind == ObjectKind::View { "no view, but a table" } else { "no table, but a view" }
            ))),
            None => Err(self.unknown(name)),
        }
    }

    /// Finds an object.
    pub(crate) fn find(&self, name: &str) -> Result<&Object> {
        self.objects.get(name).ok_or_else(|| self.unknown(name))
    }

    /// Finds a table.
    pub(crate) fn table(&self, name: &str) -> Result<&Arc<Table>> {
        match self.find(name)? {
            Object::Table(table) => Ok(table),
            Object::View(_) => Err(Error::user(format!("'{name}' is a view: it cannot be written to"))),
        }
    }

    /// Names of the views, or of all objects.
    pub(crate) fn names(&self, views_only: bool) -> Vec<String> {
        let shown = self.objects.iter().filter(|(_, object)| !views_only || object.kind() == ObjectKind::View);
        shown.map(|(name, _)| name.clone()).collect()
    }

    fn unknown(&self, name: &str) -> Error {
        let near = crate::sql::nearest(name, self.objects.keys().map(String::as_str));
        let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        Error::user(format!("there is no table or view named '{name}'{near}"))
    }
}

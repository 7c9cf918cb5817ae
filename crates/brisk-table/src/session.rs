//! One session: its tables, views, functions and options, and what its statements do.
//!
//! Nothing here waits for a job: queries and insertions give the job's client.

use crate::catalog::{Catalog, Object, Table, View};
use crate::cell::Cell;
use crate::functions::{Functions, PROCTIME};
use crate::operators::collect::Collected;
use crate::options::DML_SYNC;
use crate::physical::GraphBuilder;
use crate::planner::{Mark, Planner};
use crate::sql::{ColumnKind, CreateTable, CreateView, ExplainDetail, Insert, Script, Show, SqlText, Statement, arrow_type, sql_type};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::is_location;
use brisk_base::options::core_options::PIPELINE_NAME;
use brisk_base::{Error, Result};
use brisk_core::job::{JobClient, JobExecutor, JobOverview, StopMode};
use brisk_core::job_graph::{NodeKind, StreamGraph};
use brisk_core::operator::OperatorSpec;
use brisk_core::table::{TableConnectors, TableDeclaration};
use brisk_core::types::{Decoder, Record};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion_sql::sqlparser::ast::Query;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
pub struct TableSession {
    executor: Arc<dyn JobExecutor>,
    connectors: TableConnectors,
    catalog: Catalog,
    functions: Functions,
    /// Options before any SET.
    defaults: Configuration,
    config: Configuration,
    /// What must not be done or computed again where the same statements are executed once more: by name, encoded.
    recorded: BTreeMap<String, Vec<u8>>,
    /// How many statements have stopped jobs.
    stops: u32,
    /// Where relative paths lead; `None`: the folder of this process.
    folder: Option<PathBuf>,
}

/// What a statement has done.
pub enum StatementResult {
    /// Nothing to show.
    Done,
    /// Rows to show at once.
    Rows {
        /// Names of the columns.
        columns: Vec<String>,
        /// The rows.
        rows: Vec<Vec<Cell>>,
    },
    /// A text to show.
    Text(String),
    /// A job that writes tables.
    Insertion {
        /// The job.
        client: Arc<dyn JobClient>,
        /// Whether whoever executes statements one after another waits for its end before the next: `table.dml-sync`, and if that is not
        /// set, whether it ends by itself.
        awaited: bool,
    },
    /// A job whose results are collected.
    Query(QueryJob),
}

/// A query that runs.
pub struct QueryJob {
    /// Its job.
    pub client: Arc<dyn JobClient>,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// What has been collected. From a query that never ends, rows are to be [taken](Collected::take) as they come.
    pub results: Collected,
    /// Whether it ends by itself.
    pub bounded: bool,
}

/// Takes the table that is written, if there is one, the query and its plan.
type Planned<'p> = dyn FnMut(Option<&str>, &Query, &LogicalPlan) -> Result<()> + 'p;

impl TableSession {
    /// A session whose jobs run on `executor`, with Brisk's functions and its `print` connector besides those given.
    pub fn new(executor: Arc<dyn JobExecutor>, mut connectors: TableConnectors, config: Configuration) -> Self {
        connectors.register("print", crate::operators::print::PrintTable);
        let (catalog, functions, defaults) = (Catalog::default(), Functions::default(), config.clone());
        Self { executor, connectors, catalog, functions, defaults, config, recorded: BTreeMap::new(), stops: 0, folder: None }
    }

    /// The same session, with values that [`once`](Self::once) has recorded in another process.
    #[must_use]
    pub fn with_recorded(mut self, recorded: BTreeMap<String, Vec<u8>>) -> Self {
        self.recorded = recorded;
        self
    }

    /// The same session for statements that come from another folder: relative paths in options lead there.
    #[must_use]
    pub fn in_folder(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    /// The value of an option, with a relative path in the place where it leads. Values with a scheme are no paths.
    fn located(&self, value: String) -> String {
        let is_path = !value.is_empty() && !value.contains("://") && !value.starts_with("file:");
        match &self.folder {
            Some(folder) if is_path && Path::new(&value).is_relative() => folder.join(value).display().to_string(),
            _ => value,
        }
    }

    /// A value that is computed only where jobs are submitted from, and only once per name. Where the same statements are executed
    /// again (in the workers of a job, and when a driver is started once more), the recorded value is returned.
    ///
    /// # Errors
    /// When it cannot be computed, or the name was used with another type.
    pub fn once<T: Record>(&mut self, name: &str, value: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        if let Some(bytes) = self.recorded.get(name) {
            return T::decode(&mut Decoder::new(bytes));
        }
        let value = value(self)?;
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        self.recorded.insert(name.to_owned(), bytes);
        Ok(value)
    }

    /// The functions, for adding one's own.
    pub const fn functions_mut(&mut self) -> &mut Functions {
        &mut self.functions
    }

    /// Executes one statement of a script.
    ///
    /// # Errors
    /// When it is wrong, with the place where that is known; when its job cannot be started.
    pub fn execute(&mut self, script: &Script, index: usize) -> Result<StatementResult> {
        let statement = script.parse(index)?;
        self.run(statement, script.text())
    }

    fn run(&mut self, statement: Statement, text: &SqlText) -> Result<StatementResult> {
        match statement {
            Statement::CreateTable(table) => self.create_table(*table, text),
            Statement::CreateView(view) => self.create_view(view, text),
            Statement::Drop(kind, name, if_exists) => self.catalog.drop(&name, kind, if_exists).map(|()| StatementResult::Done),
            Statement::Insert(insert) => self.insert(&[insert], text),
            Statement::Insertions(insertions) => self.insert(&insertions, text),
            Statement::Query(query) => self.query(&query, text),
            Statement::Explain(details, statement) => self.explain(&details, &statement, text).map(StatementResult::Text),
            Statement::Set(Some((key, value))) => {
                let value = if is_location(&key) { self.located(value) } else { value };
                self.config.set_text(key, value);
                Ok(StatementResult::Done)
            }
            Statement::Set(None) => {
                let rows = self.config.iter().map(|(key, value)| vec![key.into(), value.into()]).collect();
                Ok(StatementResult::Rows { columns: ["key", "value"].map(str::to_owned).to_vec(), rows })
            }
            Statement::Reset(key) => {
                self.reset(key.as_deref());
                Ok(StatementResult::Done)
            }
            Statement::Show(show) => Ok(self.show(show)),
            Statement::Describe(name) => self.describe(&name),
            Statement::ShowJobs | Statement::DescribeJob(_) if self.executor.is_repeating() => Ok(StatementResult::Done),
            Statement::ShowJobs => Ok(shown_jobs(&self.executor.jobs()?)),
            Statement::DescribeJob(job) => {
                let found = self.executor.jobs()?.into_iter().find(|known| known.id == job);
                let found = found.ok_or_else(|| Error::user(format!("there is no job {job}; SHOW JOBS lists those that are known")))?;
                Ok(shown_jobs(&[found]))
            }
            Statement::StopJob(job, mode) => self.stop_job(job, mode),
        }
    }

    /// A job is stopped once, however often the statements are executed.
    fn stop_job(&mut self, job: JobId, mode: StopMode) -> Result<StatementResult> {
        self.stops += 1;
        let savepoint = self.once(&format!("sql: stop {}", self.stops), |session| session.executor.stop_job(job, mode))?;
        Ok(savepoint.map_or(StatementResult::Done, |path| StatementResult::Rows {
            columns: vec!["savepoint path".to_owned()],
            rows: vec![vec![path.as_str().into()]],
        }))
    }

    fn submit(&self, mut graph: StreamGraph) -> Result<Arc<dyn JobClient>> {
        graph.recorded.clone_from(&self.recorded);
        self.executor.submit(graph, &self.config)
    }

    fn reset(&mut self, key: Option<&str>) {
        let kept = self.config.iter().filter(|(known, _)| key.is_some_and(|key| key != *known));
        let mut config = Configuration::new();
        kept.for_each(|(key, value)| {
            config.set_text(key, value);
        });
        for (default, value) in self.defaults.iter() {
            if key.is_none_or(|key| key == default) {
                config.set_text(default, value);
            }
        }
        self.config = config;
    }

    fn show(&self, show: Show) -> StatementResult {
        let (column, names) = match show {
            Show::Tables => ("table name", self.catalog.names(false)),
            Show::Views => ("view name", self.catalog.names(true)),
            Show::Functions => ("function name", self.functions.names()),
        };
        let rows = names.iter().map(|name| vec![name.as_str().into()]).collect();
        StatementResult::Rows { columns: vec![column.to_owned()], rows }
    }

    fn planner(&self) -> Planner<'_> {
        Planner::new(&self.catalog, &self.functions)
    }

    fn describe(&self, name: &str) -> Result<StatementResult> {
        let (schema, keys, table) = match self.catalog.find(name)? {
            Object::Table(table) => (Arc::clone(&table.schema), table.primary_key.clone(), Some(table)),
            Object::View(view) => (self.view_schema(view)?, Vec::new(), None),
        };
        let row = |(index, field): (usize, &Arc<Field>)| {
            let attribute = match (Mark::EventTime.is_on(field), Mark::ProcessingTime.is_on(field)) {
                (true, _) => " *ROWTIME*",
                (_, true) => " *PROCTIME*",
                _ => "",
            };
            let data_type = sql_type(field.data_type()) + attribute;
            let computed = table.and_then(|table| table.computed[index].as_ref()).map(|expression| format!("AS {expression}"));
            let watermark = table.and_then(|table| table.watermark.as_ref()).filter(|(column, _)| column == field.name());
            let watermark = watermark.map(|(_, expression)| expression.to_string());
            let key = keys.contains(field.name()).then(|| format!("PRI({})", keys.join(", ")));
            let text = |text: Option<String>| text.as_deref().into();
            vec![
                field.name().as_str().into(),
                data_type.as_str().into(),
                Cell::Boolean(field.is_nullable()),
                text(key),
                text(computed),
                text(watermark),
            ]
        };
        let rows = schema.fields().iter().enumerate().map(row).collect();
        let columns = ["name", "type", "null", "key", "extras", "watermark"].map(str::to_owned).to_vec();
        Ok(StatementResult::Rows { columns, rows })
    }

    /// The columns of a view, by the names that it gives them.
    fn view_schema(&self, view: &View) -> Result<SchemaRef> {
        let schema = Arc::clone(self.planner().analyzed(&view.query, &view.text)?.schema().inner());
        let names = match &*view.columns {
            [] => shown_names(&schema),
            columns => columns.iter().map(|column| column.value.clone()).collect(),
        };
        let fields = schema.fields().iter().zip(names).map(|(field, name)| field.as_ref().clone().with_name(name));
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    fn create_view(&mut self, view: CreateView, text: &SqlText) -> Result<StatementResult> {
        let object = View { columns: view.columns, query: view.query, text: text.clone() };
        // A view that cannot be planned is refused now.
        let columns = self.planner().analyzed(&object.query, text)?.schema().fields().len();
        if !object.columns.is_empty() && object.columns.len() != columns {
            let named = object.columns.len();
            return Err(Error::user(format!("the view '{}' names {named} columns, but its query has {columns}", view.name)));
        }
        self.catalog.create(&view.name, Object::View(Arc::new(object)), view.if_not_exists)?;
        Ok(StatementResult::Done)
    }

    fn create_table(&mut self, table: CreateTable, text: &SqlText) -> Result<StatementResult> {
        let (name, if_not_exists) = (table.name.clone(), table.if_not_exists);
        let table = self.resolved(table, text)?;
        self.catalog.create(&name, Object::Table(Arc::new(table)), if_not_exists)?;
        Ok(StatementResult::Done)
    }

    /// A table with the types of all its columns.
    fn resolved(&self, table: CreateTable, text: &SqlText) -> Result<Table> {
        let at =
            |name: &datafusion_sql::sqlparser::ast::Ident, what: &str| text.error_at(name.span.start.line, name.span.start.column, what);
        let mut physical = Vec::new();
        for column in &table.columns {
            if let ColumnKind::Physical { data_type, nullable } = &column.kind {
                let data_type =
                    arrow_type(data_type).map_err(|what| at(&column.name, &format!("column '{}': {what}", column.name.value)))?;
                physical.push(Field::new(&column.name.value, data_type, *nullable));
            }
        }
        let physical: SchemaRef = Arc::new(Schema::new(physical));
        let event_time = table.watermark.as_ref().map(|watermark| &watermark.column);
        let mut fields = Vec::new();
        let mut computed = Vec::new();
        for column in &table.columns {
            let name = &column.name.value;
            let field = match &column.kind {
                ColumnKind::Physical { .. } => physical.field_with_name(name).map_err(|error| Error::bug(error.to_string()))?.clone(),
                ColumnKind::Computed(expression) => {
                    let field = Field::new(name, self.type_of(expression, &physical, text)?, true);
                    if is_processing_time(expression) { Mark::ProcessingTime.on(field) } else { field }
                }
            };
            computed.push(match &column.kind {
                ColumnKind::Physical { .. } => None,
                ColumnKind::Computed(expression) => Some((**expression).clone()),
            });
            fields.push(if event_time.is_some_and(|time| time.value == *name) { Mark::EventTime.on(field) } else { field });
        }
        if let Some(time) = event_time {
            match fields.iter().find(|field| *field.name() == time.value) {
                Some(field) if matches!(field.data_type(), DataType::Timestamp(TimeUnit::Millisecond, _)) => {}
                Some(_) => return Err(at(time, &format!("column '{}' is no TIMESTAMP(3): it cannot have a watermark", time.value))),
                None => return Err(at(time, &format!("there is no column '{}' for the watermark", time.value))),
            }
        }
        if let Some(missing) = table.primary_key.iter().find(|key| !fields.iter().any(|field| field.name() == *key)) {
            return Err(Error::user(format!("table '{}': the primary key names the column '{missing}', which is not there", table.name)));
        }
        for (place, column) in table.partitions.iter().enumerate() {
            let name = &column.value;
            if physical.index_of(name).is_err() {
                return Err(at(column, &format!("PARTITIONED BY names '{name}', which is no column that is stored")));
            }
            if table.partitions[..place].iter().any(|other| other.value == *name) {
                return Err(at(column, &format!("PARTITIONED BY names the column '{name}' twice")));
            }
        }
        let mut options = table.options;
        if let Some(path) = options.get_mut("path") {
            *path = self.located(std::mem::take(path));
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let watermark = table.watermark.map(|watermark| (watermark.column.value, watermark.expression));
        if let Some((_, expression)) = &watermark {
            self.type_of(expression, &schema, text)?;
        }
        let declaration = TableDeclaration {
            name: table.name,
            schema: physical,
            options,
            partitions: table.partitions.into_iter().map(|column| column.value).collect(),
        };
        Ok(Table { declaration, schema, computed, watermark, primary_key: table.primary_key, text: text.clone() })
    }

    fn type_of(&self, expression: &datafusion_sql::sqlparser::ast::Expr, schema: &SchemaRef, text: &SqlText) -> Result<DataType> {
        let expression = self.planner().expression(expression.clone(), schema, text)?;
        crate::physical::type_in(&expression, schema)
    }

    fn builder<'a>(&'a self, name: &str, planner: &'a Planner<'a>) -> Result<GraphBuilder<'a>> {
        let name = self.config.get(&PIPELINE_NAME)?.unwrap_or_else(|| name.to_owned());
        GraphBuilder::new(name, planner, &self.connectors, &self.config)
    }

    fn query(&self, query: &Query, text: &SqlText) -> Result<StatementResult> {
        let planner = self.planner();
        let plan = planner.query(query, text)?;
        let mut builder = self.builder("collect", &planner)?;
        let flow = builder.relation(&plan)?;
        let results = if builder.bounded { Collected::default() } else { Collected::taken() };
        builder.add_sink(&flow, "Collect", OperatorSpec::Factory(Arc::new(results.clone())));
        let bounded = builder.bounded;
        let columns = shown_names(plan.schema().inner());
        let client = self.submit(builder.graph)?;
        Ok(StatementResult::Query(QueryJob { client, columns, results, bounded }))
    }

    fn insert(&self, insertions: &[Insert], text: &SqlText) -> Result<StatementResult> {
        let graph = self.insertion_graph(insertions, text)?;
        let ends = !graph.nodes.iter().any(|node| node.kind == NodeKind::Source { bounded: false });
        let awaited = self.config.get(&DML_SYNC)?.unwrap_or(ends);
        Ok(StatementResult::Insertion { client: self.submit(graph)?, awaited })
    }

    fn insertion_graph(&self, insertions: &[Insert], text: &SqlText) -> Result<StreamGraph> {
        let planner = self.planner();
        Ok(self.insertions(insertions, text, &planner, &mut |_, _, _| Ok(()))?.graph)
    }

    /// The graph of some insertions; `planned` gets table, query and plan of each.
    fn insertions<'a>(
        &'a self,
        insertions: &[Insert],
        text: &SqlText,
        planner: &'a Planner<'a>,
        planned: &mut Planned<'_>,
    ) -> Result<GraphBuilder<'a>> {
        let names: Vec<_> = insertions.iter().map(|insert| insert.table.value.as_str()).collect();
        let mut builder = self.builder(&format!("insert-into_{}", names.join("_")), planner)?;
        for insert in insertions {
            let (plan, table) = self.insertion(insert, text, planner)?;
            planned(Some(&table.declaration.name), &insert.query, &plan)?;
            let flow = builder.relation(&plan)?;
            builder.write(&flow, &table)?;
        }
        Ok(builder)
    }

    /// The plan of an insertion with the columns of its table.
    fn insertion(&self, insert: &Insert, text: &SqlText, planner: &Planner<'_>) -> Result<(LogicalPlan, Arc<Table>)> {
        let place = insert.table.span.start;
        let table = Arc::clone(
            self.catalog.table(&insert.table.value).map_err(|error| text.error_at(place.line, place.column, &error.to_string()))?,
        );
        let plan = planner.query(&insert.query, text)?;
        let plan = into_columns(plan, &table, insert).map_err(|what| text.error_at(place.line, place.column, &what))?;
        let plan = planner.optimize(plan).map_err(|error| text.planning_error(&error))?;
        Ok((plan, table))
    }

    fn explain(&self, details: &[ExplainDetail], statement: &Statement, text: &SqlText) -> Result<String> {
        let planner = self.planner();
        let (mut written, mut optimized) = (Vec::new(), Vec::new());
        let mut add = |sink: Option<&str>, query: &Query, plan: &LogicalPlan| -> Result<()> {
            let shown = |plan: &LogicalPlan| match sink {
                Some(table) => format!("Sink({table})\n{}", indented(&plan.display_indent().to_string())),
                None => plan.display_indent().to_string(),
            };
            written.push(shown(&planner.written(query, text)?));
            optimized.push(shown(plan));
            Ok(())
        };
        let builder = match statement {
            Statement::Query(query) => {
                let plan = planner.query(query, text)?;
                add(None, query, &plan)?;
                let mut builder = self.builder("explain", &planner)?;
                let flow = builder.relation(&plan)?;
                builder.add_sink(&flow, "Collect", OperatorSpec::Factory(Arc::new(Collected::default())));
                builder
            }
            Statement::Insert(insert) => self.insertions(std::slice::from_ref(insert), text, &planner, &mut add)?,
            Statement::Insertions(insertions) => self.insertions(insertions, text, &planner, &mut add)?,
            _ => return Err(Error::user("EXPLAIN takes a query, an INSERT or a STATEMENT SET")),
        };
        let is_asked = |detail: ExplainDetail| details.contains(&detail);
        let mut sections = vec![
            ("Abstract Syntax Tree", written.join("\n\n")),
            ("Optimized Logical Plan", optimized.join("\n\n")),
            ("Optimized Execution Plan", builder.operators(is_asked(ExplainDetail::ChangelogMode))),
        ];
        if is_asked(ExplainDetail::EstimatedCost) {
            sections.push(("Estimated Cost", "none: plans are chosen by rules, not by costs".to_owned()));
        }
        let advice = builder.advice();
        if !advice.is_empty() {
            sections.push(("Advice", advice.join("\n")));
        } else if is_asked(ExplainDetail::PlanAdvice) {
            sections.push(("Advice", "none".to_owned()));
        }
        if is_asked(ExplainDetail::JsonExecutionPlan) {
            sections.push(("Physical Execution Plan", builder.json(&self.config)?));
        }
        Ok(sections.iter().map(|(title, section)| format!("== {title} ==\n{section}")).collect::<Vec<_>>().join("\n\n"))
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// As Flink shows jobs.
fn shown_jobs(jobs: &[JobOverview]) -> StatementResult {
    let columns = ["job id", "job name", "status", "start time"].map(str::to_owned).to_vec();
    let row = |job: &JobOverview| {
        vec![
            job.id.to_string().as_str().into(),
            job.name.as_str().into(),
            job.status.to_string().as_str().into(),
            Cell::Timestamp(job.started),
        ]
    };
    StatementResult::Rows { columns, rows: jobs.iter().map(row).collect() }
}

/// Names of the columns of a result; those without a name of their own are called as Flink calls them.
fn shown_names(schema: &SchemaRef) -> Vec<String> {
    let plain = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ');
    let name = |(index, field): (usize, &Arc<Field>)| if plain(field.name()) { field.name().clone() } else { format!("EXPR${index}") };
    schema.fields().iter().enumerate().map(name).collect()
}

/// Whether a computed column is `PROCTIME()`.
fn is_processing_time(expression: &datafusion_sql::sqlparser::ast::Expr) -> bool {
    match expression {
        datafusion_sql::sqlparser::ast::Expr::Function(function) => function.name.to_string().eq_ignore_ascii_case(PROCTIME),
        datafusion_sql::sqlparser::ast::Expr::Nested(inner) => is_processing_time(inner),
        _ => false,
    }
}

/// Whether Flink stores values of one type in columns of another without being asked to.
fn is_stored_as(given: &DataType, column: &DataType) -> bool {
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let parts = |given: &Arc<Field>, column: &Arc<Field>| is_stored_as(given.data_type(), column.data_type());
    let nested = match (given, column) {
        (DataType::List(given), DataType::List(column)) | (DataType::Map(given, _), DataType::Map(column, _)) => parts(given, column),
        (DataType::Struct(given), DataType::Struct(column)) => {
            given.len() == column.len() && given.iter().zip(column).all(|(given, column)| parts(given, column))
        }
        _ => false,
    };
    given == column
        || nested
        || given.is_null()
        || (given.is_numeric() && column.is_numeric())
        || (text(given) && text(column))
        || (given.is_temporal() && column.is_temporal())
}

/// The plan with the physical columns of a table, in their order.
fn into_columns(plan: LogicalPlan, table: &Table, insert: &Insert) -> std::result::Result<LogicalPlan, String> {
    let name = &table.declaration.name;
    let fields = table.declaration.schema.fields();
    let given = plan.schema().columns();
    let targets: Vec<&str> = match &*insert.columns {
        [] => fields.iter().map(|field| field.name().as_str()).collect(),
        columns => columns.iter().map(|column| column.value.as_str()).collect(),
    };
    if targets.len() != given.len() {
        return Err(format!("table '{name}' takes {} columns here, but the query has {}", targets.len(), given.len()));
    }
    if let Some(unknown) = targets.iter().find(|target| !fields.iter().any(|field| field.name() == *target)) {
        return Err(format!("table '{name}' has no column '{unknown}' that can be written"));
    }
    let mut columns = Vec::new();
    for field in fields {
        let expression = match targets.iter().position(|target| target == field.name()) {
            Some(at) => {
                let data_type = plan.schema().field(at).data_type();
                if !is_stored_as(data_type, field.data_type()) {
                    let (given, wanted) = (sql_type(data_type), sql_type(field.data_type()));
                    return Err(format!("table '{name}': column '{}' is {wanted}, but the query gives {given}: cast it", field.name()));
                }
                let column = Expr::Column(given[at].clone());
                if data_type == field.data_type() { column } else { datafusion_expr::cast(column, field.data_type().clone()) }
            }
            None if field.is_nullable() => {
                datafusion_expr::cast(datafusion_expr::lit(datafusion_common::ScalarValue::Null), field.data_type().clone())
            }
            None => return Err(format!("table '{name}': column '{}' is NOT NULL, but the query does not give it", field.name())),
        };
        columns.push(expression.alias(field.name()));
    }
    let projected = LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build);
    projected.map_err(|error| error.strip_backtrace())
}

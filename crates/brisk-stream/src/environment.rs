//! Where a program begins: makes sources, keeps the graph that is being built, and hands it to the executor.

use crate::data_stream::DataStream;
use crate::graph::{self, GraphBuilder, NewNode, Upstream};
use crate::options::CACHED_FILES;
use crate::source::{CollectionSource, SequenceSource};
use brisk_base::options::Configuration;
use brisk_base::options::core_options::{BUFFER_TIMEOUT, MAX_PARALLELISM, OPERATOR_CHAINING_ENABLED, PARALLELISM_DEFAULT, PIPELINE_NAME};
use brisk_base::{Error, Millis, Result, ResultExt};
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::job::{JobClient, JobExecutor, JobResult};
use brisk_core::job_graph::{NodeId, NodeKind, StreamGraph};
use brisk_core::operator::{OperatorSpec, RuntimeContext};
use brisk_core::source::{Boundedness, Source, SourceOperatorFactory};
use brisk_core::types::{Decoder, Record};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The context of a program (Flink's `StreamExecutionEnvironment`). Clones share one graph.
///
/// ```
/// use brisk_base::options::Configuration;
/// use brisk_core::job::NoExecutor;
/// use brisk_stream::StreamEnvironment;
/// use std::sync::Arc;
///
/// let env = StreamEnvironment::new(Arc::new(NoExecutor), Configuration::new());
/// env.from_elements(["to", "be", "or", "not", "to", "be"].map(String::from))
///     .map(|word| (word, 1u64))
///     .key_by_ref(|pair| &pair.0)
///     .sum(|pair| &mut pair.1)
///     .print();
/// assert_eq!(env.stream_graph("word count")?.nodes.len(), 4);
/// # Ok::<(), brisk_base::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamEnvironment {
    /// Runs the graph.
    executor: Arc<dyn JobExecutor>,
    /// The graph being built, the configuration, and the first mistake.
    builder: Arc<Mutex<GraphBuilder>>,
}

impl StreamEnvironment {
    /// An environment whose jobs run on `executor`.
    pub fn new(executor: Arc<dyn JobExecutor>, config: Configuration) -> Self {
        Self { executor, builder: Arc::new(Mutex::new(GraphBuilder::new(config))) }
    }

    /// The same environment, with values that [`once`](Self::once) has recorded in another process of the program.
    #[must_use]
    pub fn with_recorded(self, recorded: BTreeMap<String, Vec<u8>>) -> Self {
        self.builder().once = recorded;
        self
    }

    /// The graph being built. Never held across user code.
    pub(crate) fn builder(&self) -> MutexGuard<'_, GraphBuilder> {
        self.builder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bounded stream of these records, in this order, from one subtask. For more than a few, see
    /// [`from_parallel_collection`](Self::from_parallel_collection).
    pub fn from_elements<T: Record>(&self, elements: impl IntoIterator<Item = T>) -> DataStream<T> {
        self.from_collection(elements.into_iter().collect())
    }

    /// A bounded stream of these records, in this order, from one subtask.
    pub fn from_collection<T: Record>(&self, elements: Vec<T>) -> DataStream<T> {
        let stream = self.from_source(CollectionSource::new(&elements), WatermarkStrategy::no_watermarks(), "Collection Source");
        stream.with_node(|node| {
            node.parallelism = Some(1);
            node.fixed_parallelism = true;
        })
    }

    /// A bounded stream of these records, read by as many subtasks as the source has: each takes one stretch of them.
    pub fn from_parallel_collection<T: Record>(&self, elements: Vec<T>) -> DataStream<T> {
        self.from_source(CollectionSource::new(&elements), WatermarkStrategy::no_watermarks(), "Parallel Collection Source")
    }

    /// A bounded stream of the numbers from `from` to `to`, both included, read in parallel.
    pub fn from_sequence(&self, from: i64, to: i64) -> DataStream<i64> {
        if to < from {
            self.fail(format!("from_sequence({from}, {to}) counts backwards: the end must not be below the start"));
        }
        self.from_source(SequenceSource::new(from, to), WatermarkStrategy::no_watermarks(), "Sequence Source")
    }

    /// A stream from any source.
    pub fn from_source<S: Source>(&self, source: S, strategy: WatermarkStrategy<S::Out>, name: &str) -> DataStream<S::Out> {
        let bounded = source.boundedness() == Boundedness::Bounded;
        let event_time = strategy.emits_watermarks();
        let stream = self.add_node(NewNode {
            name: format!("Source: {name}"),
            kind: NodeKind::Source { bounded },
            spec: OperatorSpec::Factory(Arc::new(SourceOperatorFactory::new(source, strategy))),
            inputs: Vec::new(),
            keyed: false,
        });
        let stream = DataStream::new(self.clone(), vec![Upstream::main(stream)]);
        stream.with_node(|node| node.event_time = event_time)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.builder, &other.builder)
    }

    pub(crate) fn add_node(&self, node: NewNode) -> NodeId {
        self.builder().add(node)
    }

    /// Notes a mistake in the graph: the first one is what [`execute`](Self::execute) returns. For extensions whose methods, like those
    /// of streams, do not return results.
    pub fn fail(&self, message: impl Into<String>) {
        self.builder().fail(message.into());
    }

    /// Number of subtasks of operators that set none (`parallelism.default`).
    pub fn set_parallelism(&self, parallelism: u32) -> &Self {
        if parallelism == 0 {
            self.fail("the environment's parallelism is 0; set it to 1 or more");
        }
        self.with_config(|config| {
            config.set(&PARALLELISM_DEFAULT, parallelism);
        })
    }

    /// Number of key groups of operators that set none (`pipeline.max-parallelism`).
    pub fn set_max_parallelism(&self, max_parallelism: u32) -> &Self {
        self.with_config(|config| {
            config.set(&MAX_PARALLELISM, Some(max_parallelism));
        })
    }

    /// Runs each operator as a task of its own (`pipeline.operator-chaining.enabled`).
    pub fn disable_operator_chaining(&self) -> &Self {
        self.with_config(|config| {
            config.set(&OPERATOR_CHAINING_ENABLED, false);
        })
    }

    /// Upper bound on how long a batch that is not full waits (`execution.buffer-timeout.interval`).
    pub fn set_buffer_timeout(&self, timeout: Millis) -> &Self {
        self.with_config(|config| {
            config.set(&BUFFER_TIMEOUT, timeout.to_duration());
        })
    }

    /// Parameters that functions find in [`RuntimeContext::job_parameters`].
    pub fn set_global_job_parameters<K: Into<String>, V: Into<String>>(&self, parameters: impl IntoIterator<Item = (K, V)>) -> &Self {
        self.builder().job_parameters_mut().extend(parameters.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Changes the configuration of the jobs that this environment executes.
    pub fn with_config(&self, change: impl FnOnce(&mut Configuration)) -> &Self {
        change(&mut self.builder().config);
        self
    }

    /// The configuration as it stands.
    pub fn config(&self) -> Configuration {
        self.builder().config.clone()
    }

    /// Makes a file known by name to all functions; see [`cached_file`].
    pub fn register_cached_file(&self, path: impl AsRef<std::path::Path>, name: &str) -> &Self {
        let path = path.as_ref().to_string_lossy();
        if [&*path, name].iter().any(|text| text.contains([';', ','])) {
            self.fail(format!("the cached file '{name}' at '{path}' has a comma or semicolon in its name or path; rename it"));
        }
        let entry = format!("name:{name},path:{path}");
        self.with_config(|config| {
            let all = match config.text(CACHED_FILES.key()) {
                Some(before) if !before.is_empty() => format!("{before};{entry}"),
                _ => entry,
            };
            config.set_text(CACHED_FILES.key(), all);
        })
    }

    /// A value that is computed only where the job is submitted from, and only once per name: the time, a random seed, what a service
    /// answered. Everywhere else, and later, the recorded value is returned.
    pub fn once<T: Record>(&self, name: &str, value: impl FnOnce() -> T) -> T {
        let recorded = self.builder().once.get(name).cloned();
        match recorded.map(|bytes| T::decode(&mut Decoder::new(&bytes))) {
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.fail(format!("once(\"{name}\") was used with two types; give each value a name of its own"));
                value()
            }
            None => {
                let value = value();
                let mut bytes = Vec::new();
                value.encode(&mut bytes);
                self.builder().once.insert(name.to_owned(), bytes);
                value
            }
        }
    }

    /// The graph of everything added since the last job, with what it reads from.
    ///
    /// # Errors
    /// The first mistake in the graph, with the operator's name and the remedy.
    pub fn stream_graph(&self, name: &str) -> Result<StreamGraph> {
        self.builder().stream_graph(name)
    }

    /// The graph as text, one line per operator.
    ///
    /// # Errors
    /// As [`stream_graph`](Self::stream_graph).
    pub fn explain(&self) -> Result<String> {
        Ok(graph::explain(&self.stream_graph("explain")?))
    }

    /// Runs what was added since the last job, and waits for its end.
    ///
    /// # Errors
    /// The first mistake in the graph, or the job's failure.
    pub fn execute(&self, name: &str) -> Result<JobResult> {
        self.execute_async(name)?.wait()
    }

    /// Starts what was added since the last job. Without a name it is called as `pipeline.name` says.
    ///
    /// # Errors
    /// The first mistake in the graph, or what hinders its start.
    pub fn execute_async(&self, name: &str) -> Result<Arc<dyn JobClient>> {
        let (graph, config) = {
            let mut builder = self.builder();
            let name = match builder.config.get(&PIPELINE_NAME)? {
                Some(configured) if name.is_empty() => configured,
                _ => name.to_owned(),
            };
            let graph = builder.stream_graph(&name)?;
            builder.executed();
            (graph, builder.config.clone())
        };
        let place = format!("job '{}'", graph.name);
        self.executor.submit(graph, &config).context(|| place)
    }
}

/// Where a file is that the program registered with [`StreamEnvironment::register_cached_file`] (Flink's distributed cache).
///
/// # Errors
/// When no file has this name.
pub fn cached_file(cx: &RuntimeContext, name: &str) -> Result<PathBuf> {
    let all = cx.config.get(&CACHED_FILES)?.unwrap_or_default();
    let found = all.split(';').find_map(|entry| entry.strip_prefix("name:")?.split_once(",path:").filter(|(key, _)| *key == name));
    match found {
        Some((_, path)) => Ok(PathBuf::from(path)),
        None => Err(Error::user(format!("no cached file is called '{name}'; register it with register_cached_file before execute"))),
    }
}

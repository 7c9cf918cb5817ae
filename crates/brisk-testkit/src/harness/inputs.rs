//! Harnesses with one and two inputs. Keyed and broadcast pipelines use the same ones: the test keys or broadcasts inside its closure.

use super::engine::Engine;
use super::feed::{Fed, Feed};
use super::output::{Collected, Event};
use super::snapshot::HarnessSnapshot;
use brisk_base::options::Configuration;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::batch::Rows;
use brisk_core::element::StreamStatus;
use brisk_core::function::OutputTag;
use brisk_core::job::NoExecutor;
use brisk_core::job_graph::StreamGraph;
use brisk_core::operator::OperatorSpec;
use brisk_core::types::Record;
use brisk_stream::{DataStream, StreamEnvironment};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What all harnesses have in common: a pipeline that is started at the first feed.
struct Pipeline<O> {
    env: StreamEnvironment,
    stream: DataStream<O>,
    output: Collected<O>,
    /// Side outputs by tag: a `Collected<X>` each.
    sides: BTreeMap<String, Box<dyn Any>>,
    /// What runs in the place of the inputs, by their names.
    inputs: Vec<(String, OperatorSpec)>,
    /// What it goes on from.
    restored: Option<HarnessSnapshot>,
    engine: Option<Engine>,
}

impl<O: Record> Pipeline<O> {
    fn environment() -> StreamEnvironment {
        let env = StreamEnvironment::new(Arc::new(NoExecutor), Configuration::default());
        env.set_parallelism(1);
        env
    }

    fn new(env: StreamEnvironment, stream: DataStream<O>, inputs: Vec<(String, OperatorSpec)>) -> Result<Self> {
        env.stream_graph("harness")?;
        let output = Collected::behind(&stream);
        Ok(Self { env, stream, output, sides: BTreeMap::new(), inputs, restored: None, engine: None })
    }

    fn engine(&mut self) -> Result<&mut Engine> {
        match &mut self.engine {
            Some(engine) => Ok(engine),
            none => {
                let mut graph = self.env.stream_graph("harness")?;
                if let Some(node) = graph.nodes.iter().find(|node| node.parallelism.is_some_and(|n| n > 1)) {
                    return Err(Error::user(format!(
                        "operator '{}' asks for parallelism, but a harness runs one subtask of each operator; simulate the job instead",
                        node.name
                    )));
                }
                replace_inputs(&mut graph, &self.inputs);
                let engine = none.insert(Engine::start(&graph, self.env.config(), self.restored.as_ref())?);
                engine.settle()?;
                Ok(engine)
            }
        }
    }

    fn watch<X: Record>(&mut self, tag: &OutputTag<X>) {
        let collected = Collected::behind(&self.stream.side_output(tag));
        self.sides.insert(tag.id().to_owned(), Box::new(collected));
    }

    fn side<X: Record>(&self, tag: &OutputTag<X>) -> Result<&Collected<X>> {
        self.sides.get(tag.id()).and_then(|side| side.downcast_ref::<Collected<X>>()).ok_or_else(|| {
            Error::user(format!("the harness does not watch the side output '{}'; call with_side_output(&tag) first", tag.id()))
        })
    }
}

fn replace_inputs(graph: &mut StreamGraph, inputs: &[(String, OperatorSpec)]) {
    for node in &mut graph.nodes {
        if let Some((_, spec)) = inputs.iter().find(|(name, _)| node.name.strip_prefix("Source: ") == Some(name.as_str())) {
            node.spec = spec.clone();
        }
    }
}

/// Methods that do not depend on the number of inputs.
macro_rules! outputs {
    () => {
        /// Collects a side output, too. To be called before anything is fed.
        #[must_use]
        pub fn with_side_output<X: Record>(mut self, tag: &OutputTag<X>) -> Self {
            self.pipeline.watch(tag);
            self
        }

        /// Changes the configuration. To be called before anything is fed.
        #[must_use]
        pub fn with_config(self, change: impl FnOnce(&mut Configuration)) -> Self {
            self.pipeline.env.with_config(change);
            self
        }

        /// Goes on from what a harness of the same pipeline left, in its processing time. To be called before anything is fed.
        ///
        /// The operators are told again where event time stood, so [`events`](Self::events) begin with that watermark. What was fed and
        /// not read, and output that was not taken, stay with the harness that left the snapshot.
        ///
        /// ```
        /// use brisk_testkit::OneInputHarness;
        /// # fn main() -> brisk_base::Result<()> {
        /// let sums = || OneInputHarness::of(|numbers| numbers.key_by(|n: &i64| n % 2).reduce(|a, b| a + b));
        /// let mut harness = sums()?;
        /// harness.element(1, 0)?;
        /// let snapshot = harness.snapshot()?;
        /// let mut again = sums()?.restored(&snapshot);
        /// again.element(3, 0)?;
        /// assert_eq!(again.output()?, [4]);
        /// # Ok(())
        /// # }
        /// ```
        #[must_use]
        pub fn restored(mut self, snapshot: &HarnessSnapshot) -> Self {
            self.pipeline.restored = Some(snapshot.clone());
            self
        }

        /// Takes a checkpoint: what [`restored`](Self::restored) goes on from. The harness goes on, too.
        ///
        /// # Errors
        /// When an input has ended; the operator's, and when its state cannot be encoded.
        pub fn snapshot(&mut self) -> Result<HarnessSnapshot> {
            self.pipeline.engine()?.snapshot()
        }

        /// Tells the operators that the last [`snapshot`](Self::snapshot) is part of a complete checkpoint.
        ///
        /// # Errors
        /// The operator's.
        pub fn checkpoint_complete(&mut self) -> Result<()> {
            self.pipeline.engine()?.complete_checkpoint()
        }

        /// Moves processing time; due timers fire.
        ///
        /// # Errors
        /// The operator's.
        pub fn processing_time(&mut self, time: impl Into<Time>) -> Result<()> {
            let time = time.into().0;
            self.pipeline.engine()?.advance_to(time)
        }

        /// Processing time as it stands.
        ///
        /// # Errors
        /// When the pipeline cannot be started.
        pub fn now(&mut self) -> Result<Timestamp> {
            Ok(self.pipeline.engine()?.now())
        }

        /// Takes the records that came out since the last call.
        ///
        /// # Errors
        /// When the pipeline cannot be started.
        pub fn output(&mut self) -> Result<Vec<O>> {
            self.pipeline.engine()?;
            Ok(self.pipeline.output.take_records().into_iter().map(|(value, _)| value).collect())
        }

        /// Takes the records that came out since the last call, with their timestamps.
        ///
        /// # Errors
        /// When the pipeline cannot be started.
        pub fn output_with_timestamps(&mut self) -> Result<Vec<(O, Timestamp)>> {
            self.pipeline.engine()?;
            Ok(self.pipeline.output.take_records())
        }

        /// Takes everything that came out since the last call, watermarks and statuses in their places.
        ///
        /// # Errors
        /// When the pipeline cannot be started.
        pub fn events(&mut self) -> Result<Vec<Event<O>>> {
            self.pipeline.engine()?;
            Ok(self.pipeline.output.take())
        }

        /// Whether no record waits in the output.
        pub fn output_is_empty(&self) -> bool {
            self.pipeline.output.is_empty()
        }

        /// Takes the records that came out of a side output since the last call.
        ///
        /// # Errors
        /// When the side output is not [watched](Self::with_side_output).
        pub fn side_output<X: Record>(&mut self, tag: &OutputTag<X>) -> Result<Vec<X>> {
            self.pipeline.engine()?;
            Ok(self.pipeline.side(tag)?.take_records().into_iter().map(|(value, _)| value).collect())
        }

        /// Entries of keyed state and timers that the operators hold.
        ///
        /// # Errors
        /// When the pipeline cannot be started.
        pub fn state_entries(&mut self) -> Result<u64> {
            Ok(self.pipeline.engine()?.state_entries())
        }

        /// Whether the operators hold neither keyed state nor timers.
        pub fn state_is_empty(&mut self) -> bool {
            self.state_entries().is_ok_and(|entries| entries == 0)
        }

        /// Accumulators as they stand.
        ///
        /// # Errors
        /// When the pipeline cannot be started.
        pub fn accumulators(&mut self) -> Result<BTreeMap<String, AccumulatorValue>> {
            Ok(self.pipeline.engine()?.accumulators())
        }
    };
}

/// A timestamp given as milliseconds, as a [`Timestamp`], or as a span since 0.
#[derive(Clone, Copy, Debug)]
pub struct Time(Timestamp);

impl From<i64> for Time {
    fn from(millis: i64) -> Self {
        Self(Timestamp(millis))
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl From<brisk_base::Millis> for Time {
    fn from(span: brisk_base::Millis) -> Self {
        Self(Timestamp(span.0))
    }
}

/// Methods that feed one input.
macro_rules! feeds {
    ($feed:ident: $record:ident, $element:ident, $elements:ident, $watermark:ident, $status:ident, $end_input:ident) => {
        /// Feeds a record with a timestamp.
        ///
        /// # Errors
        /// The operator's.
        pub fn $element(&mut self, value: $record, timestamp: impl Into<Time>) -> Result<()> {
            self.$elements([(value, timestamp)])
        }

        /// Feeds records with timestamps in one batch.
        ///
        /// # Errors
        /// The operator's.
        pub fn $elements<X: Into<Time>>(&mut self, elements: impl IntoIterator<Item = ($record, X)>) -> Result<()> {
            let mut rows = Rows::default();
            elements.into_iter().for_each(|(value, timestamp)| rows.push(value, timestamp.into().0));
            self.$feed.push(Fed::Rows(rows))?;
            self.pipeline.engine()?.settle()
        }

        /// Feeds a watermark.
        ///
        /// # Errors
        /// The operator's.
        pub fn $watermark(&mut self, watermark: impl Into<Time>) -> Result<()> {
            self.$feed.push(Fed::Watermark(watermark.into().0))?;
            self.pipeline.engine()?.settle()
        }

        /// Makes the input idle or active.
        ///
        /// # Errors
        /// The operator's.
        pub fn $status(&mut self, status: StreamStatus) -> Result<()> {
            self.$feed.push(Fed::Status(status))?;
            self.pipeline.engine()?.settle()
        }

        /// Ends the input: the final watermark, then the end.
        ///
        /// # Errors
        /// The operator's.
        pub fn $end_input(&mut self) -> Result<()> {
            self.$feed.push(Fed::End)?;
            self.pipeline.engine()?.settle()
        }
    };
}

/// A pipeline with one input.
pub struct OneInputHarness<I, O> {
    pipeline: Pipeline<O>,
    feed: Feed<I>,
}

impl<I: Record, O: Record> OneInputHarness<I, O> {
    /// Runs what `build` makes of the input. It is started at the first feed.
    ///
    /// # Errors
    /// When the pipeline is not a right graph.
    pub fn of(build: impl FnOnce(DataStream<I>) -> DataStream<O>) -> Result<Self> {
        let env = Pipeline::<O>::environment();
        let feed = Feed::new();
        let stream = build(Feed::stream(&env, "harness input"));
        let pipeline = Pipeline::new(env, stream, vec![("harness input".to_owned(), feed.spec())])?;
        Ok(Self { pipeline, feed })
    }

    feeds!(feed: I, element, elements, watermark, status, end_input);
    outputs!();
}

/// A pipeline with two inputs.
pub struct TwoInputHarness<A, B, O> {
    pipeline: Pipeline<O>,
    first: Feed<A>,
    second: Feed<B>,
}

impl<A: Record, B: Record, O: Record> TwoInputHarness<A, B, O> {
    /// Runs what `build` makes of the inputs. It is started at the first feed.
    ///
    /// # Errors
    /// When the pipeline is not a right graph.
    pub fn of(build: impl FnOnce(DataStream<A>, DataStream<B>) -> DataStream<O>) -> Result<Self> {
        let env = Pipeline::<O>::environment();
        let (first, second) = (Feed::new(), Feed::new());
        let stream = build(Feed::stream(&env, "harness input 1"), Feed::stream(&env, "harness input 2"));
        let inputs = vec![("harness input 1".to_owned(), first.spec()), ("harness input 2".to_owned(), second.spec())];
        Ok(Self { pipeline: Pipeline::new(env, stream, inputs)?, first, second })
    }

    feeds!(first: A, element1, elements1, watermark1, status1, end_input1);
    feeds!(second: B, element2, elements2, watermark2, status2, end_input2);
    outputs!();
}

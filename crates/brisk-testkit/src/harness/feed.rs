//! The source of a harness: gives what the test feeds.

use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::element::StreamStatus;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, OperatorSpec, Rest, RuntimeContext, SourcePoll};
use brisk_core::source::{Boundedness, Source, SourceReader, SourceSplit, SplitEnumerator};
use brisk_core::types::{Decoder, Record, Schema};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

/// One thing that a test feeds.
pub(crate) enum Fed<T> {
    Rows(Rows<T>),
    Watermark(Timestamp),
    Status(StreamStatus),
    End,
}

/// The queue between a test and the source.
pub(crate) struct Feed<T>(Arc<Mutex<Queue<T>>>);

/// What has been fed and not been read.
struct Queue<T> {
    fed: VecDeque<Fed<T>>,
    ended: bool,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Record> Feed<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Queue { fed: VecDeque::new(), ended: false })))
    }

    /// Queues something; nothing can follow the end.
    pub(crate) fn push(&self, fed: Fed<T>) -> Result<()> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.ended {
            return Err(Error::user("this input has ended; feed before end_input"));
        }
        queue.ended = matches!(fed, Fed::End);
        queue.fed.push_back(fed);
        Ok(())
    }

    /// A stream that stands for what will be fed.
    pub(crate) fn stream(env: &StreamEnvironment, name: &str) -> DataStream<T> {
        env.from_source(Placeholder(PhantomData), WatermarkStrategy::monotonous_timestamps(), name)
    }

    /// What runs in the place of the stream's source.
    pub(crate) fn spec(&self) -> OperatorSpec {
        let feed = self.clone();
        let make = move |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(FeedSource { feed: feed.clone() })) };
        OperatorSpec::Factory(Arc::new(make))
    }
}

struct FeedSource<T> {
    feed: Feed<T>,
}

impl<T: Record> Operator for FeedSource<T> {
    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        let fed = self.feed.0.lock().unwrap_or_else(PoisonError::into_inner).fed.pop_front();
        match fed {
            None => return Ok(SourcePoll::Waiting),
            Some(Fed::Rows(rows)) => cx.emit(MAIN_PORT, Box::new(rows)),
            Some(Fed::Watermark(watermark)) => cx.emit_watermark(watermark),
            Some(Fed::Status(status)) => cx.emit_status(status),
            Some(Fed::End) => {
                cx.emit_watermark(Timestamp::MAX);
                return Ok(SourcePoll::Finished);
            }
        }
        Ok(SourcePoll::More)
    }
}

/// Holds the place of a source while the graph is built; never runs.
struct Placeholder<T>(PhantomData<fn() -> T>);

#[derive(Clone, Debug)]
struct NoSplit;

impl Record for NoSplit {
    fn encode(&self, _out: &mut Vec<u8>) {}
    fn decode(_input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self)
    }
    fn schema() -> Schema {
        <() as Record>::schema()
    }
}

impl SourceSplit for NoSplit {
    fn split_id(&self) -> String {
        String::new()
    }
}

fn never_runs<R>() -> Result<R> {
    Err(Error::bug("the placeholder of a harness's source was run"))
}

impl<T: Record> Source for Placeholder<T> {
    type Out = T;
    type Split = NoSplit;
    type EnumeratorState = ();

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<NoSplit, ()>>> {
        never_runs()
    }

    fn restore_enumerator(&self, (): ()) -> Result<Box<dyn SplitEnumerator<NoSplit, ()>>> {
        never_runs()
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<T, NoSplit>>> {
        never_runs()
    }
}

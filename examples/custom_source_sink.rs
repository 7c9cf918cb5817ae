//! A source and a sink of one's own: pages of a log that readers share, and a table that is updated by key.
//!
//! An enumerator hands out the pages as splits, one at a time, to readers that ask. The sink's writers put what they get into one table.

use brisk::operator::{RuntimeContext, SourcePoll};
use brisk::prelude::*;
use brisk::sink::{Sink, SinkWriter};
use brisk::source::{Boundedness, EnumeratorContext, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit, SplitEnumerator};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

/// A log of `pages` pages with `lines` lines each.
struct LogSource {
    pages: u64,
    lines: u64,
}

/// One page, with the line to be read next.
#[derive(Clone, Debug, Record)]
struct Page {
    number: u64,
    next_line: u64,
}

impl SourceSplit for Page {
    fn split_id(&self) -> String {
        self.number.to_string()
    }
}

impl Source for LogSource {
    type Out = (u64, u64);
    type Split = Page;
    type EnumeratorState = VecDeque<Page>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<Page, VecDeque<Page>>>> {
        Ok(Box::new(Pages((0..self.pages).map(|number| Page { number, next_line: 0 }).collect())))
    }

    // The pages that readers had at the checkpoint are theirs again.
    fn restore_enumerator(&self, pages: VecDeque<Page>) -> Result<Box<dyn SplitEnumerator<Page, VecDeque<Page>>>> {
        Ok(Box::new(Pages(pages)))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<(u64, u64), Page>>> {
        Ok(Box::new(PageReader { lines: self.lines, pages: VecDeque::new(), no_more: false }))
    }
}

/// The pages that nobody reads yet.
struct Pages(VecDeque<Page>);

impl SplitEnumerator<Page, VecDeque<Page>> for Pages {
    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, Page>) -> Result<()> {
        match self.0.pop_front() {
            Some(page) => cx.assign_split(page, subtask),
            None => cx.signal_no_more_splits(subtask),
        }
        Ok(())
    }

    fn add_splits_back(&mut self, pages: Vec<Page>, _subtask: u32) {
        self.0.extend(pages);
    }

    fn snapshot(&mut self) -> Result<VecDeque<Page>> {
        Ok(self.0.clone())
    }
}

/// Reads pages line by line, a batch at each poll.
struct PageReader {
    lines: u64,
    pages: VecDeque<Page>,
    no_more: bool,
}

impl SourceReader<(u64, u64), Page> for PageReader {
    fn poll_next(&mut self, cx: &mut ReaderContext<'_>, out: &mut SourceOutput<(u64, u64)>) -> Result<SourcePoll> {
        let Some(page) = self.pages.front_mut() else {
            return Ok(if self.no_more { SourcePoll::Finished } else { SourcePoll::Waiting });
        };
        while page.next_line < self.lines && !out.is_full() {
            out.collect((page.number, page.next_line));
            page.next_line += 1;
        }
        if page.next_line == self.lines {
            self.pages.pop_front();
            cx.request_split();
        }
        Ok(SourcePoll::More)
    }

    fn add_splits(&mut self, pages: Vec<Page>) -> Result<()> {
        self.pages.extend(pages);
        Ok(())
    }

    fn no_more_splits(&mut self) {
        self.no_more = true;
    }

    fn snapshot(&self) -> Vec<Page> {
        self.pages.iter().cloned().collect()
    }
}

/// Keeps the highest value of each key.
#[derive(Clone, Default)]
struct TableSink(Arc<Mutex<BTreeMap<u64, u64>>>);

impl Sink for TableSink {
    type In = (u64, u64);

    fn create_writer(&self, _cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<(u64, u64)>>> {
        Ok(Box::new(self.clone()))
    }
}

impl SinkWriter<(u64, u64)> for TableSink {
    fn write(&mut self, (key, value): (u64, u64), _timestamp: Timestamp) -> Result<()> {
        let mut table = self.0.lock().expect("no writer panics");
        let highest = table.entry(key).or_default();
        *highest = value.max(*highest);
        Ok(())
    }
}

fn main() -> Result<()> {
    let env = StreamEnvironment::get()?;
    env.set_parallelism(2);
    let table = TableSink::default();
    env.from_source(LogSource { pages: 9, lines: 10_000 }, WatermarkStrategy::no_watermarks(), "Log")
        .map(|(page, _line)| (page, 1u64))
        .key_by(|(page, _)| *page)
        .sum(|pair| &mut pair.1)
        .sink_to(table.clone());
    env.execute("lines per page")?;
    let table = table.0.lock().expect("no writer panics");
    println!("lines per page: {table:?}");
    assert!(table.iter().map(|(page, lines)| (*page, *lines)).eq((0..9).map(|page| (page, 10_000))));
    Ok(())
}

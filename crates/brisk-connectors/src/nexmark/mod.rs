//! The Nexmark generator: persons, auctions and bids of an auction site, as fast as they can be made.
//!
//! * [`NexmarkTable`] serves tables with `'connector' = 'nexmark'`; the columns say by their names what is wanted of an event.
//! * `event` makes events: event n is a function of n alone, so the stream is the same at any parallelism.
//! * `text` holds the words and texts that many events share.
//! * `rows` fills columns with events of one kind; `reader` reads them block by block.

mod event;
mod reader;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod text;

pub use table::NexmarkTable;

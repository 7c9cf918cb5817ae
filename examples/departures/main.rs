//! Every departure from New York City's airports in 2013 as one stream, out of order by its delay: one job with five results.
//!
//! * hourly windows per airport over all flights;
//! * the same windows with a watermark only 60 minutes behind, and the flights that were too late for it as a side output;
//! * sessions per plane, over when it has not departed for 24 hours;
//! * delays by weather: an interval join with the hourly observations of each airport.
//!
//! ```text
//! cargo run --release --example departures [-- OPTIONS]
//!
//!   --input FILE           departures as csv or csv.gz; the data of this repository by default
//!   --weather FILE         observations; by default weather.csv.gz beside the input, if it is there
//!   --output FOLDER        write the results as csv files
//!   --parallelism N        subtasks of each operator; the number of cores by default
//!   --executor core|dedicated|simulator
//!   --seed N               runs in the simulator, from this seed
//! ```
//!
//! Run on the repository's data it checks its results against those of other programs, and fails if they differ.

mod arguments;
mod expected;
mod job;
mod records;
mod tables;
mod weather;

use arguments::Arguments;
use brisk::prelude::*;

#[global_allocator]
static ALLOCATOR: brisk::allocator::MiMalloc = brisk::allocator::MiMalloc;

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let env = arguments.environment()?;
    let results = job::build(&env, &arguments);
    env.execute("departures")?;
    let results = results.take();
    if arguments.is_own_data() {
        expected::check(&results)?;
    }
    match &arguments.output {
        Some(folder) => println!("results written to {}", folder.display()),
        None => println!("{}", tables::of(&results)),
    }
    Ok(())
}

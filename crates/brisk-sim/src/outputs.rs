//! What a simulated job gives to its check: the streams that its builder returns.

pub use crate::gather::Gathered;
use brisk_core::types::Record;
use brisk_stream::{DataStream, DataStreamSink};

/// Streams whose records a simulation gathers: a stream, a tuple of streams, or `()` for a job that is checked by other means.
pub trait Outputs {
    /// What the check sees: a `Vec` per stream.
    type Collected;
    /// What is held while the job runs, and over its restarts.
    type Gathering: Clone + Default;

    /// Adds sinks.
    fn gather(&self, into: &Self::Gathering);

    /// Takes what has arrived.
    fn take(gathering: Self::Gathering) -> Self::Collected;
}

impl<T: Record> Outputs for DataStream<T> {
    type Collected = Vec<T>;
    type Gathering = Gathered<T>;

    fn gather(&self, into: &Gathered<T>) {
        into.behind(self);
    }

    fn take(gathering: Gathered<T>) -> Vec<T> {
        gathering.take()
    }
}

impl Outputs for DataStreamSink {
    type Collected = ();
    type Gathering = ();

    fn gather(&self, (): &()) {}

    fn take((): ()) {}
}

impl Outputs for () {
    type Collected = ();
    type Gathering = ();

    fn gather(&self, (): &()) {}

    fn take((): ()) {}
}

macro_rules! tuple_outputs {
    ($($name:ident . $at:tt),*) => {
        impl<$($name: Outputs),*> Outputs for ($($name,)*) {
            type Collected = ($($name::Collected,)*);
            type Gathering = ($($name::Gathering,)*);

            fn gather(&self, into: &Self::Gathering) {
                $(self.$at.gather(&into.$at);)*
            }

            fn take(gathering: Self::Gathering) -> Self::Collected {
                ($($name::take(gathering.$at),)*)
            }
        }
    };
}

tuple_outputs!(A.0);
tuple_outputs!(A.0, B.1);
tuple_outputs!(A.0, B.1, C.2);
tuple_outputs!(A.0, B.1, C.2, D.3);

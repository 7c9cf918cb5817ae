//! What can be set on the operator that makes a stream, and on a sink.

use super::{DataStream, DataStreamSink};
use crate::StreamEnvironment;
use brisk_base::Millis;
use brisk_core::job_graph::{ChainingStrategy, NodeId, StreamNode};

/// A setting of one operator.
pub(super) fn set(env: &StreamEnvironment, node: NodeId, change: impl FnOnce(&mut StreamNode)) {
    change(env.builder().node_mut(node));
}

fn check_parallelism(env: &StreamEnvironment, node: NodeId, parallelism: u32) {
    let mut builder = env.builder();
    let StreamNode { name, fixed_parallelism, .. } = builder.node(node).clone();
    if parallelism == 0 {
        builder.fail(format!("operator '{name}' has parallelism 0; set it to 1 or more, or leave it out for the job's default"));
    } else if fixed_parallelism && parallelism != 1 {
        builder.fail(format!("operator '{name}' cannot run in parallel, but its parallelism is set to {parallelism}; leave it at 1"));
    }
}

/// The same setters for both kinds of handle; `with_node` of each does the work.
macro_rules! operator_settings {
    ($(#[$scope:meta])* impl<$($parameter:ident),*> $handle:ty) => {
        impl<$($parameter),*> $handle {
            /// The operator's stable id: state is found by it after the program has changed. Unique within a job.
            pub fn uid(self, uid: impl Into<String>) -> Self {
                self.with_node(|node| node.uid = Some(uid.into()))
            }

            /// The operator's name in plans, logs and metrics.
            pub fn name(self, name: impl Into<String>) -> Self {
                self.with_node(|node| node.name = name.into())
            }

            /// A longer text for plans.
            pub fn set_description(self, description: impl Into<String>) -> Self {
                self.with_node(|node| node.description = Some(description.into()))
            }

            /// Number of subtasks; without this, the job's default.
            pub fn set_parallelism(self, parallelism: u32) -> Self {
                if let Some(node) = self.own_node() {
                    check_parallelism(&self.env, node, parallelism);
                }
                self.with_node(|node| node.parallelism = Some(parallelism))
            }

            /// Number of key groups: the highest parallelism that the operator's keyed state can ever be spread to.
            pub fn set_max_parallelism(self, max_parallelism: u32) -> Self {
                self.with_node(|node| node.max_parallelism = Some(max_parallelism))
            }

            /// Begins a new chain: the operator is not chained to what comes before.
            pub fn start_new_chain(self) -> Self {
                self.with_node(|node| node.chaining = ChainingStrategy::Head)
            }

            /// The operator is chained to nothing.
            pub fn disable_chaining(self) -> Self {
                self.with_node(|node| node.chaining = ChainingStrategy::Never)
            }

            /// Operators of different groups never share a slot. Without this, the group of the inputs.
            pub fn slot_sharing_group(self, group: impl Into<String>) -> Self {
                self.with_node(|node| node.slot_sharing_group = Some(group.into()))
            }

            /// Subtasks of one index, of all operators of the group, run in one slot.
            pub fn co_location_group(self, group: impl Into<String>) -> Self {
                self.with_node(|node| node.co_location_group = Some(group.into()))
            }

            /// Upper bound on how long this operator's batches wait while they are not full.
            pub fn set_buffer_timeout(self, timeout: Millis) -> Self {
                self.with_node(|node| node.buffer_timeout = Some(timeout))
            }

            /// Runs the operator's task on a thread of its own, because its functions block or compute for long.
            pub fn blocking(self) -> Self {
                self.with_node(|node| node.dedicated_thread = true)
            }
        }
    };
}

operator_settings!(impl<T> DataStream<T>);
operator_settings!(impl<> DataStreamSink);

impl DataStreamSink {
    /// Changes the sink's node in the graph.
    pub(crate) fn with_node(self, change: impl FnOnce(&mut StreamNode)) -> Self {
        set(&self.env, self.node, change);
        self
    }

    const fn own_node(&self) -> Option<NodeId> {
        Some(self.node)
    }
}

impl<T> DataStream<T> {
    /// Changes the node of the operator that makes this stream.
    pub(crate) fn with_node(self, change: impl FnOnce(&mut StreamNode)) -> Self {
        match self.own_node() {
            Some(node) => set(&self.env, node, change),
            None => self.env.fail(
                "a setting (uid, name, parallelism, ...) was made on a stream that is no operator's output: \
                 a union, a side output, or one with a partitioner; set it on the operator itself",
            ),
        }
        self
    }

    /// The operator whose main output this stream is, as it is.
    pub(crate) fn own_node(&self) -> Option<NodeId> {
        match self.upstreams.as_slice() {
            [only] if only.tag.is_none() && only.partitioner.is_none() => Some(only.from),
            _ => None,
        }
    }
}

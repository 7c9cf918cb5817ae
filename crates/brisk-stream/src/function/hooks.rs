//! The part of Flink's `CheckpointedFunction` that all function traits have in common.

/// In a function trait: the methods that are called at checkpoints, all of them doing nothing unless overridden.
macro_rules! checkpointed_hooks {
    () => {
        /// Called once per subtask, before `open`: takes back what [`snapshot_state`](Self::snapshot_state) stored.
        ///
        /// # Errors
        /// Fails the task.
        fn initialize_state(&mut self, _state: &brisk_core::function::FunctionInitializationContext<'_>) -> brisk_base::Result<()> {
            Ok(())
        }

        /// Called at each checkpoint: stores what the function keeps in its fields.
        ///
        /// # Errors
        /// Fails the checkpoint, and the task.
        fn snapshot_state(&mut self, _state: &mut brisk_core::function::FunctionSnapshotContext<'_>) -> brisk_base::Result<()> {
            Ok(())
        }

        /// A checkpoint is complete: all subtasks of the job have stored their part of it. May be left out for a checkpoint when a later
        /// one is complete.
        ///
        /// # Errors
        /// Fails the task.
        fn checkpoint_complete(&mut self, _checkpoint: brisk_base::ids::CheckpointId) -> brisk_base::Result<()> {
            Ok(())
        }
    };
}

/// In a function made of another one: the methods above call those of the field.
macro_rules! delegate_hooks {
    ($field:tt) => {
        fn initialize_state(&mut self, state: &brisk_core::function::FunctionInitializationContext<'_>) -> brisk_base::Result<()> {
            self.$field.initialize_state(state)
        }

        fn snapshot_state(&mut self, state: &mut brisk_core::function::FunctionSnapshotContext<'_>) -> brisk_base::Result<()> {
            self.$field.snapshot_state(state)
        }

        fn checkpoint_complete(&mut self, checkpoint: brisk_base::ids::CheckpointId) -> brisk_base::Result<()> {
            self.$field.checkpoint_complete(checkpoint)
        }
    };
}

/// In an operator around one function: what it does at checkpoints, where it has no state of its own.
macro_rules! function_checkpoints {
    ($field:tt) => {
        fn snapshot(
            &mut self,
            snapshot: &mut brisk_core::state::OperatorSnapshot,
            cx: &mut brisk_core::operator::SnapshotContext<'_>,
        ) -> brisk_base::Result<()> {
            self.$field.snapshot_state(&mut brisk_core::function::FunctionSnapshotContext::new(snapshot, cx))
        }

        fn checkpoint_complete(
            &mut self,
            checkpoint: brisk_base::ids::CheckpointId,
            _cx: &mut brisk_core::operator::OperatorContext<'_>,
        ) -> brisk_base::Result<()> {
            self.$field.checkpoint_complete(checkpoint)
        }
    };
}

pub(crate) use {checkpointed_hooks, delegate_hooks, function_checkpoints};

//! One window per key, for ever.

use super::{AssignerContext, WindowAssigner};
use crate::window::time_window::GlobalWindow;
use crate::window::trigger::NeverTrigger;
use brisk_base::{Result, Timestamp};

/// All elements of a key are in one window. Useful with a trigger of one's own only: the default one never fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GlobalWindows;

impl GlobalWindows {
    /// The assigner.
    pub const fn create() -> Self {
        Self
    }
}

impl<T: 'static> WindowAssigner<T> for GlobalWindows {
    type Window = GlobalWindow;
    type DefaultTrigger = NeverTrigger;

    fn assign_windows(&mut self, _element: &T, _timestamp: Timestamp, _cx: AssignerContext, windows: &mut Vec<GlobalWindow>) -> Result<()> {
        windows.push(GlobalWindow);
        Ok(())
    }

    fn default_trigger(&self) -> NeverTrigger {
        NeverTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }
}

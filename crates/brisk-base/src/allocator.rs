//! The allocator of shipped programs: [mimalloc](https://github.com/microsoft/mimalloc), set up for tasks that must not pause.
//!
//! A program chooses it with
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: brisk_base::allocator::MiMalloc = brisk_base::allocator::MiMalloc;
//! # fn main() {}
//! ```
//!
//! and the engine's threads call [`settle`] before they work. In a program with another allocator that does nothing.

use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};
pub use mimalloc::MiMalloc;
use std::ffi::c_long;

/// One setting: where mimalloc keeps it, what it is unless someone chose otherwise, and what suits an engine.
struct Setting {
    option: mi_option_t,
    stock: c_long,
    ours: c_long,
}

const SETTINGS: [Setting; 2] = [
    // `purge_delay`, in ms: how long freed memory stays with the process. What one checkpoint frees the next changes need again: after the
    // stock 10 ms, pages went to the system and came back all the time, for a third of the rate of a large hash table.
    Setting { option: 15, stock: 10, ours: 1000 },
    // `generic_collect`: after as many slow allocations a thread walks over all of its pages. With 2 GB of state that takes 60 ms.
    Setting { option: 34, stock: 10_000, ours: 1_000_000 },
];

/// Sets the allocator up, once or repeatedly. What the environment (`MIMALLOC_PURGE_DELAY`, `MIMALLOC_GENERIC_COLLECT`) says, stays.
pub fn settle() {
    for setting in SETTINGS {
        // SAFETY: reads and writes a number in a static table; the function ignores options that it does not know.
        unsafe {
            // Numbers of options may move with mimalloc's version: what does not hold the expected number is left alone.
            if mi_option_get(setting.option) == setting.stock {
                mi_option_set(setting.option, setting.ours);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_options_fit_the_linked_version() {
        settle();
        for setting in SETTINGS {
            // SAFETY: reads a number in a static table.
            let value = unsafe { mi_option_get(setting.option) };
            assert_eq!(value, setting.ours, "option {}", setting.option);
        }
    }
}

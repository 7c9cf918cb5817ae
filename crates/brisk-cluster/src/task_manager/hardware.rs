//! What the machine has, for those who look at a TaskManager. Nothing is decided by it.

use crate::details::Hardware;

/// Cores and memory of this machine.
pub(super) fn hardware() -> Hardware {
    let cpu_cores = std::thread::available_parallelism().map_or(0, |cores| cores.get() as u32);
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    Hardware { cpu_cores, physical_memory: memory.and_then(|text| total(&text)).unwrap_or(0) }
}

/// The bytes of the line `MemTotal:  16318412 kB`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_what_the_system_tells() {
        assert_eq!(total("MemTotal:       16318412 kB\nMemFree:         5 kB\n"), Some(16_318_412 * 1024));
        assert_eq!(total("MemTotal: much\n"), None);
        assert!(hardware().cpu_cores > 0);
    }
}

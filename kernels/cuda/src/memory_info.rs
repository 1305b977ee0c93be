//! How much memory a GPU has left.

use belvedere_kernels::device::MemoryInfo;
use cudarc::driver::result::{self, DriverError};

/// What there is for the context that is current on this thread.
pub(crate) fn memory_info(integrated: bool) -> Result<MemoryInfo, DriverError> {
    let (free, total) = result::mem_get_info()?;
    let meminfo =
        if integrated { std::fs::read_to_string("/proc/meminfo").unwrap_or_default() } else { String::new() };
    Ok(MemoryInfo { free: free_bytes(free, total, &meminfo), total })
}

/// What can be had of `total`. Where the memory is the host's, the driver counts only what nobody has touched: pages that
/// Linux keeps of files are given up when they are asked for, and are most of the memory of a machine that has read a model.
/// `meminfo` is the text of `/proc/meminfo`, empty for a GPU with memory of its own.
fn free_bytes(free: usize, total: usize, meminfo: &str) -> usize {
    let available = meminfo.lines().find_map(|line| {
        let kib: usize =
            line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.trim_end().parse().ok()?;
        kib.checked_mul(1024)
    });
    free.max(available.unwrap_or(0)).min(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: usize = 1 << 30;

    /// A Jetson that has just copied a model.
    const MEMINFO: &str = "MemTotal:        7801060 kB\nMemFree:          412340 kB\nMemAvailable:    5242880 kB\n\
                           Buffers:           98764 kB\nCached:          4912345 kB\nSwapCached:            0 kB\n";

    #[test]
    fn pages_of_files_count_as_free_where_the_memory_is_the_hosts() {
        assert_eq!(free_bytes(GIB / 2, 8 * GIB, MEMINFO), 5 * GIB);
    }

    #[test]
    fn a_gpu_with_memory_of_its_own_is_believed() {
        assert_eq!(free_bytes(GIB / 2, 8 * GIB, ""), GIB / 2);
    }

    #[test]
    fn there_is_never_less_than_the_driver_says_nor_more_than_there_is() {
        assert_eq!(free_bytes(6 * GIB, 8 * GIB, MEMINFO), 6 * GIB);
        assert_eq!(free_bytes(GIB, 4 * GIB, MEMINFO), 4 * GIB);
    }

    #[test]
    fn a_text_that_tells_nothing_changes_nothing() {
        for text in [
            "MemAvailable:\n",
            "MemAvailable: many kB\n",
            "MemAvailable: 5242880 MB\n",
            "MemAvailable: 99999999999999999999 kB\n",
            "XMemAvailable: 5242880 kB\n",
        ] {
            assert_eq!(free_bytes(GIB, 8 * GIB, text), GIB, "{text}");
        }
        assert_eq!(free_bytes(GIB, 8 * GIB, &format!("MemAvailable: {} kB", usize::MAX / 2)), GIB);
    }
}

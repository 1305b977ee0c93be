//! What the system says about this process.

/// The most resident memory that the process has had, in bytes (VmHWM of proc(5)); `None` where there
/// is no /proc.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    peak_in(&status)
}

/// What the system can give without swapping, in bytes (MemAvailable of proc(5)); `None` where there is no /proc.
pub fn available_memory_bytes() -> Option<u64> {
    kib_in(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// The resident memory of the process now, in bytes (VmRSS of proc(5)).
pub fn resident_memory_bytes() -> Option<u64> {
    kib_in(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// How many threads the process has.
pub fn threads() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

/// How many file descriptors the process has open.
pub fn open_descriptors() -> Option<usize> {
    // The folder itself is open while it is read.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// The processor's name as the system has it, with the number of threads that this process may use.
pub fn processor_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or("unknown", |(_, name)| name.trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {threads} thread(s)")
}

fn peak_in(status: &str) -> Option<u64> {
    kib_in(status, "VmHWM:")
}

fn kib_in(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_kib_from_its_line() {
        assert_eq!(peak_in("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(peak_in("Name:\tx\n"), None);
        assert_eq!(peak_in("VmHWM:\tmuch"), None);
    }

    #[test]
    fn this_process_has_a_peak() {
        assert!(peak_memory_bytes().unwrap() > 1 << 20);
        assert!(resident_memory_bytes().unwrap() <= peak_memory_bytes().unwrap());
        assert!(threads().unwrap() >= 1 && open_descriptors().unwrap() >= 3);
    }
}

use std::fs;

use anyhow::{Context, Result};

use crate::Process;

/// What a running process holds, as the system counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VitalSigns {
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

impl VitalSigns {
    /// Of `process` now; an error once it has ended.
    pub fn of(process: &Process) -> Result<Self> {
        let folder = format!("/proc/{}", process.id());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("it has ended")?;
            let number = line.split_whitespace().next().context("a number")?;
            number.parse::<u64>().with_context(|| format!("{name} {line}"))
        };
        Ok(Self {
            resident_bytes: value("VmRSS:")? * 1024,
            threads: value("Threads:")?,
            descriptors: fs::read_dir(format!("{folder}/fd"))?.count() as u64,
        })
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> f64 {
        self.resident_bytes as f64 / f64::from(1 << 20)
    }
}

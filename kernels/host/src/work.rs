//! What a stream can be asked for.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use belvedere_kernels::device::{DeviceSlice, Launch, Pitched};

use crate::HostEvent;
use crate::memory::Memories;
use crate::runner;

/// Work of a test's own; called each time its place in a stream is reached, and again at every replay.
pub(crate) type Closure = Box<dyn FnMut() -> Result<(), String> + Send>;

/// One piece of work. Cheap to clone: a captured graph is replayed piece by piece.
#[derive(Clone)]
pub(crate) enum Work {
    Launch(Arc<Launch>),
    Copy { to: DeviceSlice, from: DeviceSlice },
    CopyRows { to: Pitched, from: Pitched, row_bytes: usize, rows: usize },
    Wait(HostEvent),
    Closure(Arc<Mutex<Closure>>),
}

impl Work {
    /// The memory that is known to be used; a kernel may reach more through addresses in memory.
    pub(crate) fn slices(&self) -> Vec<DeviceSlice> {
        match self {
            Work::Launch(launch) => launch.memory().collect(),
            Work::Copy { to, from } => vec![*to, *from],
            Work::CopyRows { to, from, .. } => vec![to.slice, from.slice],
            Work::Wait(_) | Work::Closure(_) => Vec::new(),
        }
    }

    pub(crate) fn uses(&self, memory: DeviceSlice) -> bool {
        let (start, end) = (memory.address(), memory.address() + memory.bytes() as u64);
        self.slices()
            .iter()
            .any(|slice| slice.address() < end && start < slice.address() + slice.bytes() as u64)
    }

    /// Does it; waiting is done by whoever asks.
    pub(crate) fn run(&self, memories: &Mutex<Memories>) -> Result<(), String> {
        let memories = || memories.lock().unwrap_or_else(PoisonError::into_inner);
        match self {
            Work::Launch(launch) => runner::run(launch, &mut memories()),
            Work::Copy { to, from } => memories().copy(*to, *from),
            Work::CopyRows { to, from, row_bytes, rows } => {
                let mut memories = memories();
                for row in 0..*rows {
                    let part = |of: &Pitched| of.slice.part(row * of.pitch, *row_bytes);
                    let (to, from) = (part(to), part(from));
                    memories.copy(to.map_err(|e| e.to_string())?, from.map_err(|e| e.to_string())?)?;
                }
                Ok(())
            }
            Work::Wait(_) => Ok(()),
            Work::Closure(closure) => {
                let mut closure = closure.lock().unwrap_or_else(PoisonError::into_inner);
                (*closure)()
            }
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Launch(launch) => f.write_str(launch.kernel),
            Work::Copy { to, .. } => write!(f, "a copy of {} bytes", to.bytes()),
            Work::CopyRows { row_bytes, rows, .. } => write!(f, "a copy of {rows} rows of {row_bytes} bytes"),
            Work::Wait(_) => f.write_str("waiting for another stream"),
            Work::Closure(_) => f.write_str("a closure"),
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! What Belvedere asks of a GPU: memory, work in the order of a stream, and sequences of work that are captured once and
//! replayed. Two implementations: CUDA, and the host, on which the same kernels run in tests.
//!
//! Nothing here waits unless its name says so. A kernel, a copy or a replay is only appended to its stream; what it reads
//! must stay untouched until the stream has passed it.

mod launch;
mod slice;

use std::time::Duration;

pub use launch::{Argument, Launch};
pub use slice::{DeviceSlice, SliceError};

/// A failed request to a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{device}: {doing}: {reason}")]
pub struct DeviceError {
    /// Which device, for people.
    pub device: String,
    /// What was asked of it: a kernel's name, a number of bytes.
    pub doing: String,
    /// What it says.
    pub reason: String,
}

/// Memory that a kernel can reach; freed when dropped, which must not happen before the work on it is done.
pub trait Memory {
    /// All of it.
    fn slice(&self) -> DeviceSlice;
}

/// Host memory that stays where it is and that the device reads and writes itself.
pub trait PinnedMemory: Memory {
    /// Copies out `into.len()` bytes from `offset` on, as they are now.
    ///
    /// # Errors
    /// The range is not inside the memory.
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), DeviceError>;

    /// Puts `bytes` at `offset`.
    ///
    /// # Errors
    /// The range is not inside the memory.
    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), DeviceError>;
}

/// Bytes of a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Not taken by anyone.
    pub free: usize,
    /// All there is.
    pub total: usize,
}

/// Rows in memory that begin `pitch` bytes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pitched {
    /// From the first byte of the first row to the last of the last.
    pub slice: DeviceSlice,
    /// From the start of a row to the start of the next, in bytes.
    pub pitch: usize,
}

impl Pitched {
    /// Checks that `rows` rows of `row_bytes` each lie inside, and beside each other.
    ///
    /// # Errors
    /// They do not; it says where the last one would be.
    pub fn holds(&self, row_bytes: usize, rows: usize) -> Result<(), SliceError> {
        let last = rows.saturating_sub(1).saturating_mul(self.pitch);
        if row_bytes > self.pitch && rows > 1 {
            return Err(SliceError { offset: self.pitch, bytes: row_bytes, of: self.pitch });
        }
        self.slice.part(last, row_bytes).map(|_| ())
    }
}

/// A device and what it can be asked for.
pub trait Device {
    /// Device memory.
    type Memory: Memory;
    /// Pinned host memory.
    type Pinned: PinnedMemory;
    /// An order of work.
    type Stream;
    /// A point in a stream.
    type Event;
    /// Work that was captured.
    type Graph;

    /// Name and kind, in one line for people.
    fn description(&self) -> String;

    /// Whether its memory is the host's too, so that it reads pinned memory where it lies.
    fn shares_memory(&self) -> bool;

    /// How much memory there is.
    ///
    /// # Errors
    /// The device does not answer.
    fn memory_info(&self) -> Result<MemoryInfo, DeviceError>;

    /// `bytes` of zeroed memory, aligned to 256 bytes. Waits until it is zeroed.
    ///
    /// # Errors
    /// There is not so much left.
    fn allocate(&self, bytes: usize) -> Result<Self::Memory, DeviceError>;

    /// `bytes` of zeroed pinned memory, aligned to 256 bytes.
    ///
    /// # Errors
    /// There is not so much left.
    fn pinned(&self, bytes: usize) -> Result<Self::Pinned, DeviceError>;

    /// A stream of its own, which waits for no other.
    ///
    /// # Errors
    /// The device refuses.
    fn stream(&self) -> Result<Self::Stream, DeviceError>;

    /// Appends a kernel.
    ///
    /// # Errors
    /// The kernel is unknown, or the launch refused.
    fn launch(&self, stream: &Self::Stream, launch: &Launch) -> Result<(), DeviceError>;

    /// Appends a copy between any two places that kernels can reach: pinned memory too, whose bytes are read when the
    /// copy is made, not now.
    ///
    /// # Errors
    /// The sizes differ, or the copy is refused.
    fn copy(&self, stream: &Self::Stream, to: DeviceSlice, from: DeviceSlice) -> Result<(), DeviceError>;

    /// Appends a copy of `rows` rows of `row_bytes` each.
    ///
    /// # Errors
    /// A row is larger than a pitch, the slices are too small, or the copy is refused.
    fn copy_rows(
        &self,
        stream: &Self::Stream,
        to: Pitched,
        from: Pitched,
        row_bytes: usize,
        rows: usize,
    ) -> Result<(), DeviceError>;

    /// Marks the end of what the stream holds now.
    ///
    /// # Errors
    /// The device refuses.
    fn record(&self, stream: &Self::Stream) -> Result<Self::Event, DeviceError>;

    /// The same mark, with the time at which the stream passes it. Not while the stream is captured.
    ///
    /// # Errors
    /// The device refuses.
    fn record_timed(&self, stream: &Self::Stream) -> Result<Self::Event, DeviceError>;

    /// What passed between two marks with a time, both of one stream and passed by now; `None` where the device takes no
    /// times.
    ///
    /// # Errors
    /// A mark without a time, or one that is not passed yet; something before it failed.
    fn elapsed(&self, from: &Self::Event, to: &Self::Event) -> Result<Option<Duration>, DeviceError>;

    /// Lets what is appended to `stream` from now on wait for `event`, of whatever stream.
    ///
    /// # Errors
    /// The device refuses.
    fn stream_wait(&self, stream: &Self::Stream, event: &Self::Event) -> Result<(), DeviceError>;

    /// Whether the stream has passed the mark.
    ///
    /// # Errors
    /// Something before it failed.
    fn is_past(&self, event: &Self::Event) -> Result<bool, DeviceError>;

    /// Waits until the stream has passed the mark.
    ///
    /// # Errors
    /// Something before it failed.
    fn wait(&self, event: &Self::Event) -> Result<(), DeviceError>;

    /// Begins to keep what is appended to `stream` instead of doing it, until [`end_capture`](Self::end_capture).
    ///
    /// # Errors
    /// The stream is being captured already, or the device refuses.
    fn begin_capture(&self, stream: &Self::Stream) -> Result<(), DeviceError>;

    /// Ends a capture, whether or not what was captured is of use; always called after
    /// [`begin_capture`](Self::begin_capture).
    ///
    /// # Errors
    /// Something that was appended cannot be captured.
    fn end_capture(&self, stream: &Self::Stream) -> Result<Self::Graph, DeviceError>;

    /// Appends all that was captured: the same kernels and copies at the same addresses.
    ///
    /// # Errors
    /// The launch is refused.
    fn replay(&self, stream: &Self::Stream, graph: &Self::Graph) -> Result<(), DeviceError>;
}

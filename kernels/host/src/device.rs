//! The host as a device.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use belvedere_kernels::device::{Device, DeviceError, DeviceSlice, Launch, MemoryInfo, Pitched};

use crate::capture::Capture;
use crate::memory::{HostMemory, HostPinned, Memories};
use crate::order::{Order, Queue};
use crate::random::Random;
use crate::runner;
use crate::shared::Shared;
use crate::work::Work;

/// A device whose kernels are C++ functions on this machine. A clone is the same device.
///
/// Work is done as late as it may be: when something waits for an event or asks whether it has come (which does one piece),
/// or when a stream holds 64 pieces; or, made with [`HostDevice::seeded`], at moments that only the seed decides. It is done
/// by whichever thread calls. A piece that fails ends its stream: events after it are errors, as is everything that waits
/// for them.
#[derive(Debug, Clone)]
pub struct HostDevice(Arc<Shared>);

/// An order of work. What is left is done when it is dropped.
#[derive(Debug)]
pub struct HostStream {
    number: u64,
    owner: Arc<Shared>,
}

/// A point in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEvent {
    pub(crate) stream: u64,
    /// Pieces appended before it.
    pub(crate) mark: u64,
    /// The capture that it belongs to.
    pub(crate) capture: Option<u64>,
}

/// Work that was captured.
#[derive(Debug)]
pub struct HostGraph(Vec<Work>);

impl HostDevice {
    /// Of 16 GiB, which are taken from the machine only as they are allocated.
    #[expect(clippy::new_without_default, reason = "a device is no default of anything")]
    pub fn new() -> HostDevice {
        HostDevice::with(16 << 30, None, false)
    }

    /// As [`HostDevice::new`], one that says its memory is the host's too.
    pub fn sharing_memory() -> HostDevice {
        HostDevice::with(16 << 30, None, true)
    }

    /// As [`HostDevice::new`], with work done at moments that `seed` decides.
    pub fn seeded(seed: u64) -> HostDevice {
        HostDevice::with(16 << 30, Some(Random(seed)), false)
    }

    /// As [`HostDevice::new`], of `total_bytes`.
    pub fn of_bytes(total_bytes: usize) -> HostDevice {
        HostDevice::with(total_bytes, None, false)
    }

    fn with(total: usize, random: Option<Random>, shares_memory: bool) -> HostDevice {
        let order = Order { streams: [].into(), random, next_number: 0 };
        HostDevice(Arc::new(Shared {
            memories: Mutex::new(Memories::new(total)),
            order: Mutex::new(order),
            shares_memory,
            turn: Mutex::new(()),
        }))
    }

    /// Appends work of the caller's own, which is captured and replayed like a kernel. It may use
    /// [`with_bytes`](Self::with_bytes), and nothing else of the device.
    ///
    /// # Errors
    /// The stream has failed.
    pub fn append(
        &self,
        stream: &HostStream,
        work: Box<dyn FnMut() -> Result<(), String> + Send>,
    ) -> Result<(), DeviceError> {
        self.0.append(stream.number, Work::Closure(Arc::new(Mutex::new(work))))
    }

    /// Whether what is appended to `stream` is kept instead of done.
    pub fn is_capturing(&self, stream: &HostStream) -> bool {
        self.0.order().streams.get(&stream.number).is_some_and(|queue| queue.capture.is_some())
    }

    /// Lends the bytes of `slice` as they are now, whatever is queued. Nothing else of the device may be used meanwhile.
    ///
    /// # Errors
    /// The slice does not lie inside one allocation that is alive.
    pub fn with_bytes<R>(
        &self,
        slice: DeviceSlice,
        look: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, DeviceError> {
        self.0.with_bytes(slice, look)
    }

    /// Lends the bytes of several slices at once, as [`with_bytes`](Self::with_bytes) those of one.
    ///
    /// # Errors
    /// A slice does not lie inside one allocation that is alive, or two lie in the same.
    pub fn with_many<R>(
        &self,
        slices: &[DeviceSlice],
        look: impl FnOnce(&mut [&mut [u8]]) -> R,
    ) -> Result<R, DeviceError> {
        let mut memories = self.0.memories();
        let many = memories.many(slices).map_err(|reason| Shared::error("looking at memory", reason));
        Ok(look(&mut many?))
    }
}

impl Device for HostDevice {
    type Memory = HostMemory;
    type Pinned = HostPinned;
    type Stream = HostStream;
    type Event = HostEvent;
    type Graph = HostGraph;

    fn description(&self) -> String {
        "host (kernels as C++, for tests)".into()
    }

    fn shares_memory(&self) -> bool {
        self.0.shares_memory
    }

    fn memory_info(&self) -> Result<MemoryInfo, DeviceError> {
        Ok(self.0.memories().info())
    }

    fn allocate(&self, bytes: usize) -> Result<HostMemory, DeviceError> {
        self.0.allocate(bytes, false)
    }

    fn pinned(&self, bytes: usize) -> Result<HostPinned, DeviceError> {
        self.0.allocate(bytes, true).map(HostPinned)
    }

    fn stream(&self) -> Result<HostStream, DeviceError> {
        let mut order = self.0.order();
        let number = order.number();
        order.streams.insert(number, Queue::default());
        Ok(HostStream { number, owner: self.0.clone() })
    }

    fn launch(&self, stream: &HostStream, launch: &Launch) -> Result<(), DeviceError> {
        if !runner::knows(launch.kernel) {
            return Err(Shared::error(launch.kernel, "there is no such kernel"));
        }
        // As CUDA has it: x of a grid below 2^31, y and z below 2^16.
        let [x, y, z] = launch.grid;
        let threads: u64 = launch.block.iter().map(|side| u64::from(*side)).product();
        if x == 0
            || y == 0
            || z == 0
            || x >= 1 << 31
            || y >= 1 << 16
            || z >= 1 << 16
            || !(1..=1024).contains(&threads)
        {
            let reason = format!("no grid of {:?} blocks of {:?} threads", launch.grid, launch.block);
            return Err(Shared::error(launch.kernel, reason));
        }
        self.0.append(stream.number, Work::Launch(Arc::new(launch.clone())))
    }

    fn copy(&self, stream: &HostStream, to: DeviceSlice, from: DeviceSlice) -> Result<(), DeviceError> {
        if to.bytes() != from.bytes() {
            let doing = format!("copying {} bytes to {}", from.bytes(), to.bytes());
            return Err(Shared::error(doing, "the sizes differ"));
        }
        self.0.append(stream.number, Work::Copy { to, from })
    }

    fn copy_rows(
        &self,
        stream: &HostStream,
        to: Pitched,
        from: Pitched,
        row_bytes: usize,
        rows: usize,
    ) -> Result<(), DeviceError> {
        let work = Work::CopyRows { to, from, row_bytes, rows };
        for side in [to, from] {
            let fits = side.holds(row_bytes, rows);
            fits.map_err(|reason| Shared::error(work.to_string(), reason.to_string()))?;
        }
        self.0.append(stream.number, work)
    }

    fn record(&self, stream: &HostStream) -> Result<HostEvent, DeviceError> {
        self.0.stir();
        let order = self.0.order();
        let Some(queue) = order.streams.get(&stream.number) else {
            return Err(Shared::error("recording an event", "the stream is another device's"));
        };
        let capture = queue.capture.as_ref().map(|capture| capture.number);
        Ok(HostEvent { stream: stream.number, mark: queue.appended, capture })
    }

    fn record_timed(&self, stream: &HostStream) -> Result<HostEvent, DeviceError> {
        if self.is_capturing(stream) {
            return Err(Shared::error("recording an event with a time", "the stream is captured"));
        }
        self.record(stream)
    }

    /// `None`: work is done when somebody asks for it, which says nothing of how long it takes.
    fn elapsed(&self, from: &HostEvent, to: &HostEvent) -> Result<Option<Duration>, DeviceError> {
        let order = self.0.order();
        match from.stream == to.stream && order.is_past(from)? && order.is_past(to)? {
            true => Ok(None),
            false => Err(Shared::error("asking for the time between two events", "not yet past")),
        }
    }

    fn stream_wait(&self, stream: &HostStream, event: &HostEvent) -> Result<(), DeviceError> {
        let doing = "letting a stream wait";
        let mut order = self.0.order();
        let mut capture = order.streams.get_mut(&stream.number).and_then(|queue| queue.capture.as_mut());
        match (&mut capture, event.capture) {
            (Some(capture), Some(number)) if capture.number == number => Ok(()),
            (Some(capture), _) => {
                let why = capture.spoil("a captured stream is to wait for an event from outside");
                Err(Shared::error(doing, why))
            }
            (None, Some(_)) => {
                drop(order);
                self.0.may_ask(event, doing)
            }
            (None, None) => {
                drop(order);
                self.0.append(stream.number, Work::Wait(*event))
            }
        }
    }

    fn is_past(&self, event: &HostEvent) -> Result<bool, DeviceError> {
        self.0.may_ask(event, "asking for an event")?;
        self.0.stir();
        if !self.0.order().is_past(event)? {
            self.0.advance(event.stream);
        }
        self.0.order().is_past(event)
    }

    fn wait(&self, event: &HostEvent) -> Result<(), DeviceError> {
        self.0.may_ask(event, "waiting for an event")?;
        while !self.0.order().is_past(event)? {
            // Nothing left to do here: another thread is doing it.
            if !self.0.advance(event.stream) {
                thread::yield_now();
            }
        }
        Ok(())
    }

    fn begin_capture(&self, stream: &HostStream) -> Result<(), DeviceError> {
        let mut order = self.0.order();
        let number = order.number();
        let Some(queue) = order.streams.get_mut(&stream.number) else {
            return Err(Shared::error("beginning a capture", "the stream is another device's"));
        };
        if let Some(capture) = &mut queue.capture {
            return Err(Shared::error("beginning a capture", capture.spoil("another is begun")));
        }
        let thread = thread::current().id();
        queue.capture = Some(Capture { number, thread, work: Vec::new(), spoiled: None });
        Ok(())
    }

    fn end_capture(&self, stream: &HostStream) -> Result<HostGraph, DeviceError> {
        let doing = "ending a capture";
        let mut order = self.0.order();
        let queue = order.streams.get_mut(&stream.number);
        let Some(capture) = queue.and_then(|queue| queue.capture.take()) else {
            return Err(Shared::error(doing, "none was begun"));
        };
        if capture.thread != thread::current().id() {
            return Err(Shared::error(doing, "another thread began it"));
        }
        match capture.spoiled {
            Some(why) => Err(Shared::error(doing, format!("it is of no use: {why}"))),
            None => Ok(HostGraph(capture.work)),
        }
    }

    fn replay(&self, stream: &HostStream, graph: &HostGraph) -> Result<(), DeviceError> {
        let mut order = self.0.order();
        let capture = order.streams.get_mut(&stream.number).and_then(|queue| queue.capture.as_mut());
        if let Some(capture) = capture {
            return Err(Shared::error("replaying", capture.spoil("a graph is replayed")));
        }
        drop(order);
        graph.0.iter().try_for_each(|work| self.0.append(stream.number, work.clone()))
    }
}

impl Drop for HostStream {
    fn drop(&mut self) {
        // Not while a test fails: its own work may panic again, which would end the process.
        while !thread::panicking() && self.owner.advance(self.number) {}
        self.owner.order().streams.remove(&self.number);
    }
}

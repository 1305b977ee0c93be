//! Whatever runs a kernel.

use belvedere_kernels::device::{Device, DeviceError, DeviceSlice, Launch, Memory, PinnedMemory};

/// Runs launches one at a time on memory that it is given. Mistakes are words.
pub trait Machine {
    /// Memory that holds exactly `bytes`, until [`Machine::clear`].
    ///
    /// # Errors
    /// There is none.
    fn put(&mut self, bytes: &[u8]) -> Result<DeviceSlice, String>;

    /// As [`Machine::put`], of the kind that host and device both reach.
    ///
    /// # Errors
    /// There is none.
    fn put_pinned(&mut self, bytes: &[u8]) -> Result<DeviceSlice, String> {
        self.put(bytes)
    }

    /// Runs a kernel and waits for it.
    ///
    /// # Errors
    /// It fails.
    fn run(&mut self, launch: &Launch) -> Result<(), String>;

    /// What memory holds now.
    ///
    /// # Errors
    /// It was never put there.
    fn get(&mut self, slice: DeviceSlice) -> Result<Vec<u8>, String>;

    /// Forgets all memory.
    fn clear(&mut self);
}

/// A [`Device`] as a machine.
#[derive(Debug)]
pub struct OnDevice<D: Device> {
    device: D,
    stream: D::Stream,
    memory: Vec<D::Memory>,
    pinned: Vec<D::Pinned>,
}

impl<D: Device> OnDevice<D> {
    /// With a stream of its own.
    ///
    /// # Errors
    /// The device gives none.
    pub fn new(device: D) -> Result<Self, DeviceError> {
        let stream = device.stream()?;
        Ok(OnDevice { device, stream, memory: Vec::new(), pinned: Vec::new() })
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.device.wait(&self.device.record(&self.stream)?)
    }

    fn upload(&mut self, bytes: &[u8]) -> Result<DeviceSlice, DeviceError> {
        let memory = self.device.allocate(bytes.len())?;
        let slice = memory.slice();
        let mut staging = self.device.pinned(bytes.len())?;
        staging.write(0, bytes)?;
        self.device.copy(&self.stream, slice, staging.slice())?;
        self.wait()?;
        self.memory.push(memory);
        Ok(slice)
    }

    fn download(&self, slice: DeviceSlice) -> Result<Vec<u8>, DeviceError> {
        let staging = self.device.pinned(slice.bytes())?;
        self.device.copy(&self.stream, staging.slice(), slice)?;
        self.wait()?;
        let mut bytes = vec![0; slice.bytes()];
        staging.read(0, &mut bytes)?;
        Ok(bytes)
    }
}

impl<D: Device> Machine for OnDevice<D> {
    fn put(&mut self, bytes: &[u8]) -> Result<DeviceSlice, String> {
        self.upload(bytes).map_err(|error| error.to_string())
    }

    fn put_pinned(&mut self, bytes: &[u8]) -> Result<DeviceSlice, String> {
        let mut pinned = self.device.pinned(bytes.len()).map_err(|error| error.to_string())?;
        pinned.write(0, bytes).map_err(|error| error.to_string())?;
        self.pinned.push(pinned);
        Ok(self.pinned.last().map_or(DeviceSlice::new(0, 0), Memory::slice))
    }

    fn run(&mut self, launch: &Launch) -> Result<(), String> {
        self.device.launch(&self.stream, launch).map_err(|error| error.to_string())?;
        self.wait().map_err(|error| error.to_string())
    }

    fn get(&mut self, slice: DeviceSlice) -> Result<Vec<u8>, String> {
        self.download(slice).map_err(|error| error.to_string())
    }

    fn clear(&mut self) {
        self.memory.clear();
        self.pinned.clear();
    }
}

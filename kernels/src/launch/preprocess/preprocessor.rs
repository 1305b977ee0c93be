//! Preprocessing on any device, with the memory that it takes.

use super::frames::{FrameSource, PictureShape};
use super::kernels::Preprocess;
use super::tables::ResizeTables;
use crate::KernelError;
use crate::device::{Device, DeviceSlice, Memory, PinnedMemory};
use crate::image_view::ImageView;
use crate::launch::CacheElement;
use crate::preprocess::PreprocessSpec;

/// Where the kernels read pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelsIn {
    /// In device memory, into which they are copied from pinned memory first.
    DeviceMemory,
    /// In pinned memory: for a GPU that shares its memory with the host, so that nothing is copied.
    PinnedMemory,
}

/// Sizes of pictures whose filters are kept. Cameras rarely have so many.
const KEPT_TABLES: usize = 16;

/// [`PreprocessPlan`](crate::PreprocessPlan) on a device: pictures from the host's memory to the model's input, any number
/// at a time. It keeps the filters for the sizes it has met, and memory for the largest batch.
#[derive(Debug)]
pub struct DevicePreprocessor<D: Device> {
    spec: PreprocessSpec,
    element: CacheElement,
    pixels_in: PixelsIn,
    levels: D::Memory,
    /// Of the sizes last met, the latest last.
    tables: Vec<(ResizeTables, D::Memory)>,
    /// Pixels, and before them the kernels' table.
    staging: Option<D::Pinned>,
    /// The same in device memory.
    uploaded: Option<D::Memory>,
    between: Option<D::Memory>,
    /// Of the last batch.
    finished: Option<D::Event>,
}

impl<D: Device> DevicePreprocessor<D> {
    /// For what `spec` says; results are made of `element`.
    ///
    /// # Errors
    /// [`KernelError::TargetSize`] and [`KernelError::Normalisation`] for a specification that makes no sense;
    /// [`KernelError::Device`].
    pub fn new(
        device: &D,
        spec: PreprocessSpec,
        element: CacheElement,
        pixels_in: PixelsIn,
    ) -> Result<Self, KernelError> {
        let stream = device.stream()?;
        let levels = upload(device, &stream, &Preprocess::levels(&spec)?)?;
        Ok(DevicePreprocessor {
            spec,
            element,
            pixels_in,
            levels,
            tables: Vec::new(),
            staging: None,
            uploaded: None,
            between: None,
            finished: None,
        })
    }

    /// Bytes of `[pictures, 3, height, width]`.
    pub fn pixel_values_bytes(&self, pictures: usize) -> usize {
        pictures * 3 * self.spec.width as usize * self.spec.height as usize * self.element.bytes()
    }

    /// Bytes of device memory and of pinned memory that are held now.
    pub fn held_bytes(&self) -> (usize, usize) {
        let device = self.tables.iter().map(|(_, memory)| memory);
        let device = device.chain(&self.uploaded).chain(&self.between).chain([&self.levels]);
        let pinned = self.staging.as_ref().map_or(0, |pinned| pinned.slice().bytes());
        (device.map(|memory| memory.slice().bytes()).sum(), pinned)
    }

    /// Appends the preprocessing of `pictures` to `stream`; `pixel_values` gets `[pictures, 3, height, width]`. The pictures
    /// are read before it returns. It waits for the last batch, and where it meets a new size or needs more memory.
    ///
    /// # Errors
    /// [`KernelError::Slice`]: `pixel_values` is too small. [`KernelError::Count`]: no picture, or one that is too large.
    /// [`KernelError::Device`].
    pub fn enqueue(
        &mut self,
        device: &D,
        stream: &D::Stream,
        pictures: &[ImageView<'_>],
        pixel_values: DeviceSlice,
    ) -> Result<(), KernelError> {
        if let Some(finished) = self.finished.take() {
            device.wait(&finished)?;
        }
        let target = (self.spec.width, self.spec.height);
        self.meet(device, stream, pictures)?;
        let shapes: Vec<PictureShape> = pictures.iter().map(PictureShape::of).collect();

        let table_bytes = Preprocess::table_bytes(pictures.len());
        let (places, staged) = placed(table_bytes, shapes.iter().map(PictureShape::bytes));
        let between =
            shapes.iter().map(|shape| self.tables_for(shape).map_or(0, |(t, _)| t.between_bytes(target)));
        let (between_places, between_bytes) = placed(0, between);
        let staging = enough(&mut self.staging, staged, |bytes| device.pinned(bytes))?.slice();
        let between = enough(&mut self.between, between_bytes, |bytes| device.allocate(bytes))?.slice();
        let reached = match self.pixels_in {
            PixelsIn::PinnedMemory => staging,
            PixelsIn::DeviceMemory => {
                enough(&mut self.uploaded, staged, |bytes| device.allocate(bytes))?.slice()
            }
        };

        let mut frames = Vec::with_capacity(shapes.len());
        for ((shape, pixels), buffer) in shapes.iter().zip(&places).zip(&between_places) {
            let Some((tables, memory)) = self.tables_for(shape) else { continue };
            frames.push(FrameSource {
                shape: *shape,
                pixels: reached.part(*pixels, shape.bytes())?,
                tables,
                table_memory: memory.slice(),
                between: between.part(*buffer, tables.between_bytes(target))?,
            });
        }
        let table = Preprocess::table(target, &frames)?;
        let preprocess = Preprocess {
            target,
            levels: self.levels.slice(),
            frames: &frames,
            table: reached.part(0, table_bytes)?,
            element: self.element,
            pixel_values,
        };
        let launches = preprocess.launches()?;

        if let Some(staging) = &mut self.staging {
            staging.write(0, &table)?;
            for ((picture, shape), place) in pictures.iter().zip(&shapes).zip(&places) {
                shape.write(picture, |offset, bytes| staging.write(place + offset, bytes))?;
            }
        }
        if self.pixels_in == PixelsIn::DeviceMemory {
            device.copy(stream, reached.part(0, staged)?, staging.part(0, staged)?)?;
        }
        for launch in &launches {
            device.launch(stream, launch)?;
        }
        self.finished = Some(device.record(stream)?);
        Ok(())
    }

    /// Makes the filters of sizes not yet met, and forgets those met longest ago. Nothing is queued that uses them.
    fn meet(
        &mut self,
        device: &D,
        stream: &D::Stream,
        pictures: &[ImageView<'_>],
    ) -> Result<(), KernelError> {
        for picture in pictures {
            let source = (picture.width(), picture.height());
            let known = self.tables.iter().position(|(tables, _)| tables.source == source);
            let entry = match known {
                Some(index) => self.tables.remove(index),
                None => {
                    let tables = ResizeTables::new(source, (self.spec.width, self.spec.height));
                    let memory = upload(device, stream, &tables.bytes)?;
                    (tables, memory)
                }
            };
            self.tables.push(entry);
        }
        let forgotten = self.tables.len().saturating_sub(KEPT_TABLES.max(pictures.len()));
        self.tables.drain(..forgotten);
        Ok(())
    }

    fn tables_for(&self, shape: &PictureShape) -> Option<&(ResizeTables, D::Memory)> {
        self.tables.iter().find(|(tables, _)| tables.source == (shape.width, shape.height))
    }
}

impl<D: Device> DevicePreprocessor<D> {
    /// Waits until the last batch is made, so that the memory can be let go.
    ///
    /// # Errors
    /// Something before it failed.
    pub fn wait(&mut self, device: &D) -> Result<(), KernelError> {
        match self.finished.take() {
            Some(finished) => Ok(device.wait(&finished)?),
            None => Ok(()),
        }
    }
}

/// Offsets of parts behind `first` bytes, each at a multiple of 256, and where the last ends.
fn placed(first: usize, parts: impl Iterator<Item = usize>) -> (Vec<usize>, usize) {
    let mut end = first;
    let mut place = |bytes: usize| {
        let offset = end.next_multiple_of(256);
        end = offset + bytes;
        offset
    };
    let offsets = parts.map(&mut place).collect();
    (offsets, end)
}

/// `memory` if it has `bytes`; or else new memory in its place.
fn enough<M: Memory>(
    memory: &mut Option<M>,
    bytes: usize,
    allocate: impl FnOnce(usize) -> Result<M, crate::device::DeviceError>,
) -> Result<&M, KernelError> {
    match memory.take() {
        Some(enough) if enough.slice().bytes() >= bytes => Ok(memory.insert(enough)),
        too_small => {
            drop(too_small);
            Ok(memory.insert(allocate(bytes)?))
        }
    }
}

/// Device memory that holds `bytes`.
fn upload<D: Device>(device: &D, stream: &D::Stream, bytes: &[u8]) -> Result<D::Memory, KernelError> {
    let memory = device.allocate(bytes.len())?;
    let mut staging = device.pinned(bytes.len())?;
    staging.write(0, bytes)?;
    device.copy(stream, memory.slice(), staging.slice())?;
    device.wait(&device.record(stream)?)?;
    Ok(memory)
}

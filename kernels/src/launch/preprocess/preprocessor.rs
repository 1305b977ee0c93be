//! Preprocessing on any device, out of a ring of pinned memory.

use std::time::{Duration, Instant};

use super::filters::Filters;
use super::frame_room::{ALIGNMENT_BYTES, FrameMemory, FrameRoom, LEVELS_BYTES, PixelsIn, table_bytes};
use super::frames::{FrameSource, PictureShape};
use super::kernels::Preprocess;
use super::staging_ring::StagingRing;
use crate::KernelError;
use crate::device::{Device, DeviceSlice};
use crate::image_view::ImageView;
use crate::launch::CacheElement;
use crate::preprocess::PreprocessSpec;

/// [`PreprocessPlan`](crate::PreprocessPlan) on a device: pictures from the host's memory to the model's input, any number
/// at a time, of any sizes and layouts that there is room for.
///
/// The host copies planes into a ring of pinned memory, and does nothing else to them. All work is put into one stream; its
/// order alone keeps one batch's pictures from the next one's.
pub struct DevicePreprocessor<D: Device> {
    room: FrameRoom,
    element: CacheElement,
    memory: FrameMemory,
    filters: Filters,
    /// Whose levels the device has, as soon as the stream gets there.
    levels_of: Option<PreprocessSpec>,
    ring: StagingRing<D>,
}

/// Where the time of a batch goes.
#[derive(Debug)]
pub struct PreprocessTimes<E> {
    /// What the host took to copy the pictures, and to make filters for sizes not met before.
    pub copying: Duration,
    /// Marks before and behind the device's work, a pair for each part of the batch.
    spans: Vec<(E, E)>,
}

impl<E> PreprocessTimes<E> {
    /// What the device took, once all of it is past; `None` where the device takes no times.
    ///
    /// # Errors
    /// The device's.
    pub fn on_device<D: Device<Event = E>>(&self, device: &D) -> Result<Option<Duration>, KernelError> {
        let mut sum = Duration::ZERO;
        for (from, to) in &self.spans {
            match device.elapsed(from, to)? {
                Some(span) => sum += span,
                None => return Ok(None),
            }
        }
        Ok(Some(sum))
    }
}

impl<D: Device> DevicePreprocessor<D> {
    /// Results are made of `element`. `memory` is used in one stream only, and must outlive what is put into it; so must
    /// this.
    ///
    /// # Errors
    /// [`KernelError::Device`]: there is too little pinned memory.
    pub fn new(
        device: &D,
        room: FrameRoom,
        element: CacheElement,
        memory: FrameMemory,
    ) -> Result<Self, KernelError> {
        let ring = StagingRing::new(device, room.slot_bytes())?;
        Ok(DevicePreprocessor { room, element, memory, filters: Filters::default(), levels_of: None, ring })
    }

    /// What there is room for.
    pub fn room(&self) -> &FrameRoom {
        &self.room
    }

    /// Appends the preprocessing of `pictures` to `stream`, always the same one; `pixel_values` gets
    /// `[pictures, 3, height, width]`. The pictures have been read when it returns. It waits only where all of the ring is
    /// still to be read.
    ///
    /// # Errors
    /// [`KernelError::TargetSize`] and [`KernelError::Normalisation`] for a specification that makes no sense.
    /// [`KernelError::Slice`] and [`KernelError::Plan`]: a picture that there is no room for, or `pixel_values` that are too
    /// small. [`KernelError::Device`].
    pub fn enqueue(
        &mut self,
        device: &D,
        stream: &D::Stream,
        spec: &PreprocessSpec,
        pictures: &[ImageView<'_>],
        pixel_values: DeviceSlice,
    ) -> Result<PreprocessTimes<D::Event>, KernelError> {
        spec.check()?;
        if let Some(too_large) = pictures.iter().find(|picture| !self.room.holds(picture)) {
            let (needed, got) = (Some(PictureShape::of(too_large).bytes()), self.room.pixels_bytes());
            let at = self.memory.pixels.address();
            return Err(KernelError::Slice { kernel: "preprocess", argument: "pixels", needed, got, at });
        }
        let mut times = PreprocessTimes { copying: Duration::ZERO, spans: Vec::new() };
        let bytes = 3 * spec.width as usize * spec.height as usize * self.element.bytes();
        let shapes: Vec<PictureShape> = pictures.iter().map(PictureShape::of).collect();
        let mut done = 0;
        while let (Some(left), Some(shapes)) = (pictures.get(done..), shapes.get(done..))
            && !left.is_empty()
        {
            let count = self.room.together(shapes).clamp(1, left.len());
            let (pictures, shapes) = (&left[..count], &shapes[..count]);
            let result = pixel_values.part(done * bytes, count * bytes)?;
            self.ring.advance(device)?;
            let made = self.enqueue_part(device, stream, spec, pictures, shapes, result, &mut times);
            if made.is_err() {
                self.filters.forget();
                self.levels_of = None;
            }
            // After an error too: some of the work may be in the stream.
            let marked = self.ring.mark(device, stream);
            made.and(marked)?;
            done += count;
        }
        Ok(times)
    }

    /// Waits until all that was appended has read the pinned memory, so that this can be dropped.
    ///
    /// # Errors
    /// Something before it failed.
    pub fn wait(&mut self, device: &D) -> Result<(), KernelError> {
        self.ring.wait(device)
    }

    /// Pictures that there is room for together, through the ring's current slot.
    #[expect(clippy::too_many_arguments, reason = "what enqueue is called with, in part")]
    fn enqueue_part(
        &mut self,
        device: &D,
        stream: &D::Stream,
        spec: &PreprocessSpec,
        pictures: &[ImageView<'_>],
        shapes: &[PictureShape],
        pixel_values: DeviceSlice,
        times: &mut PreprocessTimes<D::Event>,
    ) -> Result<(), KernelError> {
        let clock = Instant::now();
        let target = (spec.width, spec.height);
        let filter_bytes = self.room.filter_bytes();
        // Copies out of the slot: from where, and to where.
        let mut copies: Vec<(usize, DeviceSlice)> = Vec::new();
        let levels = self.memory.filters.part(0, LEVELS_BYTES)?;
        if self.levels_of.as_ref() != Some(spec) {
            self.ring.write(0, &Preprocess::levels(spec)?)?;
            copies.push((0, levels));
            self.levels_of = Some(spec.clone());
        }
        let mut end = LEVELS_BYTES;
        for shape in shapes {
            if let Some(new) = self.filters.meet((shape.width, shape.height), target) {
                let bytes = &new.tables.bytes;
                self.ring.write(end, bytes)?;
                let place = LEVELS_BYTES + new.place * filter_bytes;
                copies.push((end, self.memory.filters.part(place, bytes.len())?));
                end += filter_bytes;
            }
        }

        let begin = self.room.news_bytes();
        let (places, frames_bytes) = placed(table_bytes(), shapes.iter().map(PictureShape::bytes));
        let mut frames = Vec::with_capacity(shapes.len());
        let mut between_end = 0;
        for (shape, place) in shapes.iter().zip(&places) {
            // Met above, as the newest of more than there are here.
            let Some(kept) = self.filters.of((shape.width, shape.height)) else { continue };
            let between_bytes = kept.tables.between_bytes(target);
            let table = LEVELS_BYTES + kept.place * filter_bytes;
            frames.push(FrameSource {
                shape: *shape,
                pixels: match self.room.pixels_in {
                    PixelsIn::DeviceMemory => self.memory.pixels.part(*place, shape.bytes())?,
                    PixelsIn::PinnedMemory => self.ring.part(begin + place, shape.bytes())?,
                },
                tables: &kept.tables,
                table_memory: self.memory.filters.part(table, kept.tables.bytes.len())?,
                between: self.memory.between.part(between_end, between_bytes)?,
            });
            between_end = (between_end + between_bytes).next_multiple_of(ALIGNMENT_BYTES);
        }
        let table = Preprocess::table(target, &frames)?;
        let preprocess = Preprocess {
            target,
            levels,
            frames: &frames,
            table: self.memory.pixels.part(0, table.len())?,
            element: self.element,
            pixel_values,
        };
        let launches = preprocess.launches()?;
        self.ring.write(begin, &table)?;
        for ((picture, shape), place) in pictures.iter().zip(shapes).zip(&places) {
            shape.write(picture, |offset, bytes| self.ring.write(begin + place + offset, bytes))?;
        }
        // Kernels read the table again and again, and pixels once or a few times.
        let uploaded_bytes = match self.room.pixels_in {
            PixelsIn::DeviceMemory => frames_bytes,
            PixelsIn::PinnedMemory => table.len(),
        };
        copies.push((begin, self.memory.pixels.part(0, uploaded_bytes)?));
        times.copying += clock.elapsed();

        let before = device.record_timed(stream)?;
        for (from, to) in copies {
            device.copy(stream, to, self.ring.part(from, to.bytes())?)?;
        }
        for launch in &launches {
            device.launch(stream, launch)?;
        }
        times.spans.push((before, device.record_timed(stream)?));
        Ok(())
    }
}

/// Offsets of parts behind `first` bytes, and where the last ends.
fn placed(first: usize, parts: impl Iterator<Item = usize>) -> (Vec<usize>, usize) {
    let mut end = first;
    let mut place = |bytes: usize| {
        let offset = end.next_multiple_of(ALIGNMENT_BYTES);
        end = offset + bytes;
        offset
    };
    let offsets = parts.map(&mut place).collect();
    (offsets, end)
}

//! Preprocessing with its memory, on a whole device.

use belvedere_kernels::device::{Device, Memory, PinnedMemory};
use belvedere_kernels::launch::{CacheElement, DevicePreprocessor, FrameMemory, FrameRoom, PixelsIn};
use belvedere_kernels::{ImageView, KernelError};

use super::preprocess::{Picture, equal, expected, random_spec};
use crate::random::Random;

/// The longest side of a picture.
const MOST_PX: u32 = 100;

/// Runs one preprocessor over batches of random pictures, whose sizes come back, and compares every number with what the
/// CPU's preprocessing gives. Nothing is waited for before several batches are in the stream, more than its ring has slots.
///
/// # Errors
/// What differs, or what the device says.
pub fn preprocessor<D: Device>(device: &D, seed: u64) -> Result<(), String> {
    run(device, seed).map_err(|error| error.to_string())?
}

fn run<D: Device>(device: &D, seed: u64) -> Result<Result<(), String>, KernelError> {
    let mut random = Random(seed);
    let element = random.one_of(&[CacheElement::F16, CacheElement::F32]);
    let pixels_in = random.one_of(&[PixelsIn::DeviceMemory, PixelsIn::PinnedMemory]);
    let mut spec = random_spec(&mut random, 40);
    // RGB, which the room is not planned for, takes twice as much as NV12.
    let (largest, target) = ((2 * MOST_PX, MOST_PX), (spec.width, spec.height));
    let room = FrameRoom { largest, target, pixels_in };
    let (filters, pixels, between) = (
        device.allocate(room.filters_bytes())?,
        device.allocate(room.pixels_bytes())?,
        device.allocate(room.between_bytes())?,
    );
    let memory = FrameMemory { filters: filters.slice(), pixels: pixels.slice(), between: between.slice() };
    let mut preprocessor = DevicePreprocessor::new(device, room, element, memory)?;
    let stream = device.stream()?;
    let mut batches = Vec::new();
    for batch in 0..6 {
        if random.below(4) == 0 {
            spec.mean[random.below(3)] += 0.25;
        }
        let most_px = random.one_of(&[3, MOST_PX as usize]);
        let pictures: Vec<Picture> =
            (0..1 + random.below(6)).map(|_| Picture::random(&mut random, most_px, most_px)).collect();
        let views: Vec<ImageView<'_>> = pictures.iter().map(Picture::view).collect::<Result<_, _>>()?;
        let expected = expected(&spec, &pictures, element)?;
        let (result, looked_at) = (device.allocate(expected.len())?, device.pinned(expected.len())?);
        let times = preprocessor.enqueue(device, &stream, &spec, &views, result.slice())?;
        device.copy(&stream, looked_at.slice(), result.slice())?;
        batches.push((batch, expected, result, looked_at, times));
        // All memory of a result is one's own: only the preprocessor's is used again.
        if random.below(8) > 0 {
            continue;
        }
        device.wait(&device.record(&stream)?)?;
    }
    device.wait(&device.record(&stream)?)?;
    preprocessor.wait(device)?;
    for (batch, expected, _, looked_at, times) in batches {
        times.on_device(device)?;
        let mut got = vec![0; expected.len()];
        looked_at.read(0, &mut got)?;
        let what = format!("seed {seed}, batch {batch}, {pixels_in:?}");
        let same = equal(&what, &got, &expected, element);
        if same.is_err() {
            return Ok(same);
        }
    }
    Ok(Ok(()))
}

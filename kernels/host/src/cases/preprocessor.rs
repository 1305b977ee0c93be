//! Preprocessing with its memory, on a whole device.

use belvedere_kernels::device::{Device, Memory, PinnedMemory};
use belvedere_kernels::launch::{CacheElement, DevicePreprocessor, PixelsIn};
use belvedere_kernels::{ImageView, KernelError};

use super::preprocess::{Picture, equal, expected, random_spec};
use crate::random::Random;

/// Runs one preprocessor over batches of random pictures, whose sizes come back, and compares every number with what the
/// CPU's preprocessing gives.
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
    let spec = random_spec(&mut random, 40);
    let mut preprocessor = DevicePreprocessor::new(device, spec.clone(), element, pixels_in)?;
    let stream = device.stream()?;
    for batch in 0..6 {
        let most_px = random.one_of(&[3, 100]);
        let pictures: Vec<Picture> =
            (0..1 + random.below(3)).map(|_| Picture::random(&mut random, most_px, most_px)).collect();
        let views: Vec<ImageView<'_>> = pictures.iter().map(Picture::view).collect::<Result<_, _>>()?;
        let bytes = preprocessor.pixel_values_bytes(pictures.len());
        let (result, looked_at) = (device.allocate(bytes)?, device.pinned(bytes)?);
        preprocessor.enqueue(device, &stream, &views, result.slice())?;
        device.copy(&stream, looked_at.slice(), result.slice())?;
        device.wait(&device.record(&stream)?)?;
        let mut got = vec![0; bytes];
        looked_at.read(0, &mut got)?;
        let what = format!("seed {seed}, batch {batch}, {pixels_in:?}");
        let same = equal(&what, &got, &expected(&spec, &pictures, element)?, element);
        if same.is_err() {
            return Ok(same);
        }
    }
    Ok(Ok(()))
}

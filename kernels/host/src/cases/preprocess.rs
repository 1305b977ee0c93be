//! `preprocess_first` and `preprocess_second`.

use belvedere_kernels::launch::{CacheElement, FrameSource, PictureShape, Preprocess, ResizeTables};
use belvedere_kernels::{
    Colorimetry, ImageView, KernelError, Plane, PreprocessPlan, PreprocessSpec, YuvMatrix, YuvRange,
};

use super::{Machine, bytes_of, half};
use crate::random::Random;

fn words(error: KernelError) -> String {
    error.to_string()
}

/// A picture that owns planes of exactly the bytes that it needs.
pub(crate) struct Picture {
    format: usize,
    width: u32,
    height: u32,
    strides: [usize; 3],
    planes: [Vec<u8>; 3],
    colorimetry: Colorimetry,
}

impl Picture {
    pub(crate) fn random(random: &mut Random, most_width: usize, most_height: usize) -> Picture {
        let format = random.below(3);
        let (width, height) = (1 + random.below(most_width), 1 + random.below(most_height));
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let rows = match format {
            0 => [(width, height), (2 * half_width, half_height), (0, 0)],
            1 => [(width, height), (half_width, half_height), (half_width, half_height)],
            _ => [(3 * width, height), (0, 0), (0, 0)],
        };
        let padding = random.one_of(&[0, 1, 4, 40, 300]);
        let strides = rows.map(|(row, _)| row + padding);
        let planes = [0, 1, 2].map(|plane| {
            let (row, rows) = rows[plane];
            let bytes = if rows == 0 { 0 } else { strides[plane] * (rows - 1) + row };
            // Half of them at the ends of the range, where sums are clamped.
            let byte = |random: &mut Random| random.below(256) as u8;
            (0..bytes)
                .map(|_| if random.below(2) == 0 { byte(random) } else { byte(random) / 128 * 255 })
                .collect()
        });
        let colorimetry = Colorimetry {
            matrix: random.one_of(&[YuvMatrix::Bt601, YuvMatrix::Bt709]),
            range: random.one_of(&[YuvRange::Limited, YuvRange::Full]),
        };
        Picture { format, width: width as u32, height: height as u32, strides, planes, colorimetry }
    }

    pub(crate) fn view(&self) -> Result<ImageView<'_>, KernelError> {
        let plane = |i: usize| Plane { bytes: &self.planes[i], stride: self.strides[i] };
        let (width, height) = (self.width, self.height);
        match self.format {
            0 => ImageView::nv12(width, height, plane(0), plane(1), self.colorimetry),
            1 => ImageView::i420(width, height, plane(0), plane(1), plane(2), self.colorimetry),
            _ => ImageView::rgb8(width, height, plane(0)),
        }
    }
}

/// A specification with other numbers than ImageNet's.
pub(crate) fn random_spec(random: &mut Random, most_px: usize) -> PreprocessSpec {
    let mut spec =
        PreprocessSpec::imagenet(1 + random.below(most_px) as u32, 1 + random.below(most_px) as u32);
    spec.mean[random.below(3)] += random.below(100) as f32 / 100.0;
    spec.std[random.below(3)] += random.below(100) as f32 / 100.0;
    spec
}

/// What the CPU makes of the pictures, one after another, as bytes of `element`.
pub(crate) fn expected(
    spec: &PreprocessSpec,
    pictures: &[Picture],
    element: CacheElement,
) -> Result<Vec<u8>, KernelError> {
    let mut plan = PreprocessPlan::new(spec.clone())?;
    let mut bytes = Vec::new();
    for picture in pictures {
        let values = plan.run(&picture.view()?)?.data;
        bytes.extend(match element {
            CacheElement::F32 => bytes_of(values, f32::to_ne_bytes),
            CacheElement::F16 => bytes_of(values, |value| half(value).to_ne_bytes()),
        });
    }
    Ok(bytes)
}

/// Preprocesses batches of random pictures, and compares every number with what the CPU's preprocessing gives. They are to be
/// equal: the sums are integers, and the numbers of a level come out of a table.
///
/// # Errors
/// What differs, or what the machine says.
pub fn preprocess(machine: &mut dyn Machine, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let element = random.one_of(&[CacheElement::F16, CacheElement::F32]);
    // A few that need several blocks or chunks of columns, or many taps.
    let (most_width, most_height, most_px) = random.one_of(&[
        (60, 60, 40),
        (90, 200, 50),
        (300, 40, 400),
        (6000, 6, 30),
        (5, 3000, 20),
        (1, 1, 9),
    ]);
    let spec = random_spec(&mut random, most_px);
    let pictures: Vec<Picture> =
        (0..1 + random.below(3)).map(|_| Picture::random(&mut random, most_width, most_height)).collect();
    let target = (spec.width, spec.height);
    let sizes: Vec<_> =
        pictures.iter().map(|picture| (picture.format, picture.width, picture.height)).collect();
    let what = format!("seed {seed}: {sizes:?} to {target:?}, {element:?}");

    let tables: Vec<ResizeTables> =
        pictures.iter().map(|picture| ResizeTables::new((picture.width, picture.height), target)).collect();
    let mut frames = Vec::new();
    for (picture, tables) in pictures.iter().zip(&tables) {
        let view = picture.view().map_err(words)?;
        let shape = PictureShape::of(&view);
        let pixels = machine.put(&shape.packed(&view))?;
        let table_memory = machine.put(&tables.bytes)?;
        let between = machine.put(&vec![0xa5; tables.between_bytes(target)])?;
        frames.push(FrameSource { shape, pixels, tables, table_memory, between });
    }
    let expected = expected(&spec, &pictures, element).map_err(words)?;
    let preprocess = Preprocess {
        target,
        levels: machine.put(&Preprocess::levels(&spec).map_err(words)?)?,
        frames: &frames,
        table: machine.put(&Preprocess::table(target, &frames).map_err(words)?)?,
        element,
        pixel_values: machine.put(&vec![0xa5; expected.len()])?,
    };
    for launch in preprocess.launches().map_err(words)? {
        machine.run(&launch)?;
    }
    equal(&what, &machine.get(preprocess.pixel_values)?, &expected, element)?;
    machine.clear();
    Ok(())
}

/// Says which number is the first to differ.
pub(crate) fn equal(what: &str, got: &[u8], expected: &[u8], element: CacheElement) -> Result<(), String> {
    let differ = got.chunks(element.bytes()).zip(expected.chunks(element.bytes()));
    match differ.enumerate().find(|(_, (got, expected))| got != expected) {
        _ if got.len() != expected.len() => {
            Err(format!("{what}: {} bytes, expected {}", got.len(), expected.len()))
        }
        Some((at, (got, expected))) => {
            Err(format!("{what}: number {at}: {got:02x?}, expected {expected:02x?}"))
        }
        None => Ok(()),
    }
}

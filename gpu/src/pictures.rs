//! Pictures that need no files.

use belvedere_kernels::{ImageView, PixelValues, Plane, PreprocessPlan, PreprocessSpec};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

/// `count` drawn pictures, prepared: areas of one colour each before a gradient.
pub(crate) fn drawn(count: u32, spec: &PreprocessSpec) -> anyhow::Result<Vec<PixelValues>> {
    let mut plan = PreprocessPlan::new(spec.clone())?;
    let prepare = |number| {
        let bytes = draw(number);
        let plane = Plane { bytes: &bytes, stride: 3 * WIDTH as usize };
        Ok(plan.run(&ImageView::rgb8(WIDTH, HEIGHT, plane)?)?)
    };
    (0..count).map(prepare).collect()
}

fn draw(number: u32) -> Vec<u8> {
    let mut pixels: Vec<u8> = (0..WIDTH * HEIGHT)
        .flat_map(|at| [(at % WIDTH * 255 / WIDTH) as u8, (at / WIDTH * 255 / HEIGHT) as u8, 128])
        .collect();
    for thing in 0..=number % 4 {
        let value = hashed(97 * number + thing);
        let colour = [value as u8, (value >> 8) as u8, (value >> 4) as u8];
        let (left, top) = (value % 400, (value >> 6) % 300);
        let (width, height) = (60 + value % 150, 60 + (value >> 9) % 100);
        for y in top..(top + height).min(HEIGHT) {
            for x in left..(left + width).min(WIDTH) {
                let at = 3 * (y * WIDTH + x) as usize;
                pixels[at..at + 3].copy_from_slice(&colour);
            }
        }
    }
    pixels
}

fn hashed(number: u32) -> u32 {
    number.wrapping_add(1).wrapping_mul(2_654_435_761) >> 12
}

/// The picture that PyTorch is given too: a hash of the place of each value, between -2 and 2.
pub(crate) fn hashed_values(width: usize, height: usize) -> Vec<f32> {
    let value = |place: u32| ((place.wrapping_mul(2_654_435_761) >> 16) % 4096) as f32 / 1024.0 - 2.0;
    (0..(3 * width * height) as u32).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_drawn_pictures_are_alike() {
        let pictures: Vec<_> = (0..8).map(draw).collect();
        for (place, picture) in pictures.iter().enumerate() {
            assert!(pictures[..place].iter().all(|other| other != picture));
        }
    }
}

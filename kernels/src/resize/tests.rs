//! Every SIMD level against a plain implementation of the written definition, on random pictures.

use fearless_simd::Level;

use super::BicubicResize;
use crate::{Colorimetry, ImageView, Plane, RgbImage, YuvMatrix, YuvRange};

/// A linear congruential generator (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn upto(&mut self, most: u32) -> u32 {
        1 + self.next() % most
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        // Half of them at the ends of the range, where sums are clamped.
        (0..len)
            .map(|_| match self.next() {
                word if word & 1 == 0 => (word >> 8) as u8,
                word => (word >> 8) as u8 / 128 * 255,
            })
            .collect()
    }
}

fn levels() -> Vec<Level> {
    let best = Level::new();
    let mut levels = vec![Level::baseline(), best];
    #[cfg(target_arch = "x86_64")]
    {
        levels.extend(best.as_sse4_2().map(Level::Sse4_2));
        levels.extend(best.as_avx2().map(Level::Avx2));
    }
    levels
}

/// One pass, along rows of `length` samples that lie `step` apart; as the florence2 reference describes Pillow.
fn plain_pass(samples: &[u8], length: usize, target: usize) -> Vec<u8> {
    let cubic = |x: f64| match x.abs() {
        x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        x if x < 2.0 => ((x - 5.0) * x + 8.0) * x * -0.5 + 2.0,
        _ => 0.0,
    };
    if length == target {
        return samples.to_vec();
    }
    let scale = length as f64 / target as f64;
    let stretch = if scale > 1.0 { scale } else { 1.0 };
    let mut out = Vec::new();
    for line in samples.chunks(length) {
        for i in 0..target {
            let centre = (i as f64 + 0.5) * scale;
            let low = ((centre - 2.0 * stretch + 0.5).trunc() as i64).max(0);
            let high = ((centre + 2.0 * stretch + 0.5).trunc() as i64).min(length as i64);
            let weights: Vec<f64> = (low..high).map(|j| cubic((j as f64 - centre + 0.5) / stretch)).collect();
            let total: f64 = weights.iter().sum();
            let sum: i64 = (low..high)
                .zip(&weights)
                .map(|(j, weight)| (weight / total * 4194304.0).round() as i64 * i64::from(line[j as usize]))
                .sum();
            out.push(((sum + 2097152) >> 22).clamp(0, 255) as u8);
        }
    }
    out
}

fn transposed(samples: &[u8], width: usize) -> Vec<u8> {
    (0..width).flat_map(|x| samples.iter().skip(x).step_by(width).copied()).collect()
}

fn plain_resize(source: &RgbImage, width: u32, height: u32) -> Vec<u8> {
    let (w, h) = (source.width as usize, source.height as usize);
    let (tw, th) = (width as usize, height as usize);
    let vertical = |plane: &[u8], width| transposed(&plain_pass(&transposed(plane, width), h, th), th);
    let planes: Vec<Vec<u8>> = (0..3)
        .map(|channel| {
            let plane: Vec<u8> = source.pixels.iter().skip(channel).step_by(3).copied().collect();
            let (lost_width, lost_height) = (w as i64 - tw as i64, h as i64 - th as i64);
            if lost_height > 0 && lost_height > 2 * lost_width {
                plain_pass(&vertical(&plane, w), w, tw)
            } else {
                vertical(&plain_pass(&plane, w, tw), tw)
            }
        })
        .collect();
    (0..tw * th).flat_map(|i| [planes[0][i], planes[1][i], planes[2][i]]).collect()
}

/// The definition in `colorimetry.rs`, one pixel at a time in 64 bits.
fn plain_pixel(colorimetry: Colorimetry, y: u8, u: u8, v: u8) -> [u8; 3] {
    let (kr, kb) = match colorimetry.matrix {
        YuvMatrix::Bt601 => (0.299, 0.114),
        YuvMatrix::Bt709 => (0.2126, 0.0722),
    };
    let (luma, chroma, offset) = match colorimetry.range {
        YuvRange::Limited => (255.0 / 219.0, 255.0 / 224.0, 16),
        YuvRange::Full => (1.0, 1.0, 0),
    };
    let gain = |real: f64| (real * 65536.0).round() as i64;
    let kg = 1.0 - kr - kb;
    let l = gain(luma) * (i64::from(y) - offset) + 32768;
    let (u, v) = (i64::from(u) - 128, i64::from(v) - 128);
    let (red, blue) = (2.0 * (1.0 - kr) * chroma, 2.0 * (1.0 - kb) * chroma);
    [l + gain(red) * v, l - gain(blue * kb / kg) * u - gain(red * kr / kg) * v, l + gain(blue) * u]
        .map(|sum| (sum >> 16).clamp(0, 255) as u8)
}

#[test]
fn every_simd_level_resizes_as_the_plain_definition() {
    let mut random = Random(1);
    for round in 0..150 {
        let wide = if round % 10 == 0 { 700 } else { 90 };
        let (width, height) = (random.upto(wide), random.upto(90));
        let (target_width, target_height) = (random.upto(100), random.upto(60));
        let pixels = random.bytes((width * height * 3) as usize);
        let source = RgbImage { width, height, pixels };
        let expected = plain_resize(&source, target_width, target_height);
        for level in levels() {
            let mut resize = BicubicResize::new(target_width, target_height).unwrap();
            resize.level = level;
            let resized = resize.run(&source.view().unwrap());
            assert!(
                resized.pixels == expected,
                "{width}x{height} -> {target_width}x{target_height} differs at {level:?}"
            );
        }
    }
}

#[test]
fn every_layout_stride_and_colorimetry_converts_as_the_plain_definition() {
    let mut random = Random(2);
    for round in 0..200 {
        let (width, height) = (random.upto(150), random.upto(40));
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let colorimetry = Colorimetry {
            matrix: if round & 1 == 0 { YuvMatrix::Bt601 } else { YuvMatrix::Bt709 },
            range: if round & 2 == 0 { YuvRange::Limited } else { YuvRange::Full },
        };
        let [ys, us, vs, uvs] = [w, cw, cw, 2 * cw].map(|row| row + random.next() as usize % 20);
        let (y, u, v) = (random.bytes(ys * h), random.bytes(us * ch), random.bytes(vs * ch));
        let mut uv = random.bytes(uvs * ch);
        for row in 0..ch {
            for x in 0..cw {
                uv[row * uvs + 2 * x] = u[row * us + x];
                uv[row * uvs + 2 * x + 1] = v[row * vs + x];
            }
        }
        let expected: Vec<u8> = (0..w * h)
            .map(|i| (i % w, i / w))
            .flat_map(|(x, row)| {
                let (u, v) = (u[row / 2 * us + x / 2], v[row / 2 * vs + x / 2]);
                plain_pixel(colorimetry, y[row * ys + x], u, v)
            })
            .collect();
        let plane = |bytes, stride| Plane { bytes, stride };
        let nv12 = ImageView::nv12(width, height, plane(&y, ys), plane(&uv, uvs), colorimetry).unwrap();
        let i420 =
            ImageView::i420(width, height, plane(&y, ys), plane(&u, us), plane(&v, vs), colorimetry).unwrap();
        for view in [nv12, i420] {
            assert!(view.to_rgb().pixels == expected, "{width}x{height} {:?}", view.format());
            for level in levels() {
                let mut same_size = BicubicResize::new(width, height).unwrap();
                same_size.level = level;
                assert!(same_size.run(&view).pixels == expected, "{width}x{height} at {level:?}");
            }
        }
    }
}

//! The picture of an alert: the frame that made it, as JPEG.

use belvedere_kernels::{ImageView, RgbImage};
use belvedere_models::Region;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageBuffer, ImageEncoder, Rgb, imageops};

use crate::annotate;

/// How snapshots look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotStyle {
    /// Whether what was found is drawn into the picture, with label and score. Default: it is.
    pub boxes: bool,
    /// JPEG's quality, from 1 to 100. Default 85.
    pub quality: u8,
    /// A picture that is larger is made smaller until its longer side is this, in pixels; 0 keeps its size.
    /// Default 1280.
    pub longest_side_px: u32,
}

impl Default for SnapshotStyle {
    fn default() -> SnapshotStyle {
        SnapshotStyle { boxes: true, quality: 85, longest_side_px: 1280 }
    }
}

/// A picture that is no snapshot.
#[derive(Debug, thiserror::Error)]
#[error("a picture of {width} x {height} cannot be written as JPEG: {reason}")]
pub struct SnapshotError {
    width: u32,
    height: u32,
    #[source]
    reason: image::ImageError,
}

impl SnapshotStyle {
    /// `picture` as JPEG with `regions`, which are in its pixels.
    ///
    /// # Errors
    /// JPEG has no pictures of more than 65535 pixels a side.
    pub fn encode(&self, picture: &ImageView<'_>, regions: &[Region]) -> Result<Vec<u8>, SnapshotError> {
        let (mut picture, shrunk) = self.shrink(picture.to_rgb());
        if self.boxes {
            // Drawn when the size is final: lines and letters stay as thick as they are meant.
            let regions: Vec<Region> = regions.iter().map(|region| scaled(region, shrunk)).collect();
            annotate::draw(&mut picture, &regions);
        }
        let RgbImage { width, height, pixels } = &picture;
        let mut jpeg = Vec::with_capacity(pixels.len() / 8);
        JpegEncoder::new_with_quality(&mut jpeg, self.quality)
            .write_image(pixels, *width, *height, ExtendedColorType::Rgb8)
            .map_err(|reason| SnapshotError { width: *width, height: *height, reason })?;
        Ok(jpeg)
    }

    /// The picture no larger than is wanted, and by what its size was multiplied.
    fn shrink(&self, picture: RgbImage) -> (RgbImage, [f32; 2]) {
        let (width, height, limit) = (picture.width, picture.height, self.longest_side_px);
        if limit == 0 || width.max(height) <= limit {
            return (picture, [1.0; 2]);
        }
        let side = |px: u32| {
            let scaled = u64::from(px) * u64::from(limit) / u64::from(width.max(height));
            u32::try_from(scaled).unwrap_or(limit).max(1)
        };
        let (to_width, to_height) = (side(width), side(height));
        let Some(large) = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, picture.pixels) else {
            // Cannot be: an RgbImage has three bytes a pixel.
            return (RgbImage { width: 0, height: 0, pixels: Vec::new() }, [1.0; 2]);
        };
        let small = imageops::thumbnail(&large, to_width, to_height);
        let scale = [to_width as f32 / width as f32, to_height as f32 / height as f32];
        (RgbImage { width: to_width, height: to_height, pixels: small.into_raw() }, scale)
    }
}

fn scaled(region: &Region, [x, y]: [f32; 2]) -> Region {
    let mut region = region.clone();
    if let belvedere_models::Shape::Box([x1, y1, x2, y2]) = &mut region.shape {
        (*x1, *y1, *x2, *y2) = (*x1 * x, *y1 * y, *x2 * x, *y2 * y);
    }
    region
}

#[cfg(test)]
mod tests {
    use belvedere_kernels::RgbImage;
    use belvedere_models::{Region, Shape};

    use super::SnapshotStyle;

    /// Something to look at in every part of the picture.
    fn picture(width: u32, height: u32) -> RgbImage {
        let pixels = (0..width * height).flat_map(|index| {
            let (x, y) = (index % width, index / width);
            [(x * 255 / width) as u8, (y * 255 / height) as u8, ((x / 8 + y / 8) % 2 * 200) as u8]
        });
        RgbImage { width, height, pixels: pixels.collect() }
    }

    fn person(box_px: [f32; 4]) -> Region {
        Region { label: "a person".to_owned(), score: Some(0.93), shape: Shape::Box(box_px) }
    }

    fn decoded(style: SnapshotStyle, picture: &RgbImage, regions: &[Region]) -> image::RgbImage {
        let jpeg = style.encode(&picture.view().unwrap(), regions).unwrap();
        assert_eq!(image::guess_format(&jpeg).unwrap(), image::ImageFormat::Jpeg);
        image::load_from_memory(&jpeg).unwrap().into_rgb8()
    }

    /// The mean difference of a part of a picture.
    fn difference(one: &image::RgbImage, other: &image::RgbImage, [x1, y1, x2, y2]: [u32; 4]) -> f64 {
        let part = (x1..x2).flat_map(|x| (y1..y2).map(move |y| (x, y)));
        let of_pixel = |(x, y)| -> u64 {
            let (one, other) = (one.get_pixel(x, y).0, other.get_pixel(x, y).0);
            one.iter().zip(other).map(|(one, other)| u64::from(one.abs_diff(other))).sum()
        };
        part.map(of_pixel).sum::<u64>() as f64 / f64::from((x2 - x1) * (y2 - y1))
    }

    #[test]
    fn a_small_picture_keeps_its_size_and_a_large_one_gets_the_wanted_side() {
        for ((width, height), limit, expected) in [
            ((320, 240), 1280, (320, 240)),
            ((2000, 1000), 1280, (1280, 640)),
            ((1000, 2000), 100, (50, 100)),
            ((2000, 1000), 0, (2000, 1000)),
            ((5000, 1), 100, (100, 1)),
            ((1, 1), 1, (1, 1)),
        ] {
            let style = SnapshotStyle { longest_side_px: limit, ..SnapshotStyle::default() };
            assert_eq!(decoded(style, &picture(width, height), &[]).dimensions(), expected);
        }
    }

    #[test]
    fn the_box_is_drawn_where_it_is_in_the_smaller_picture_and_a_clean_one_has_none() {
        let picture = picture(800, 400);
        let clean = SnapshotStyle { boxes: false, longest_side_px: 400, ..SnapshotStyle::default() };
        let drawn = SnapshotStyle { boxes: true, ..clean };
        let regions = [person([400.0, 200.0, 700.0, 380.0])];
        let without = decoded(clean, &picture, &regions);
        let with = decoded(drawn, &picture, &regions);
        assert_eq!(without, decoded(clean, &picture, &[]));
        // The left edge, its label's place, the inside, and what is far away.
        assert!(difference(&with, &without, [199, 120, 202, 180]) > 40.0);
        assert!(difference(&with, &without, [200, 84, 260, 98]) > 40.0);
        assert!(difference(&with, &without, [230, 130, 330, 170]) < 3.0);
        assert!(difference(&with, &without, [0, 0, 150, 60]) < 3.0);
    }

    #[test]
    fn a_higher_quality_takes_more_bytes_and_is_nearer_to_the_picture() {
        let picture = picture(320, 240);
        let size = |quality| {
            let style = SnapshotStyle { quality, ..SnapshotStyle::default() };
            style.encode(&picture.view().unwrap(), &[]).unwrap().len()
        };
        assert!(size(20) < size(85) && size(85) < size(100));
    }

    #[test]
    fn boxes_that_are_no_numbers_are_no_panic() {
        let regions = [person([f32::NAN, -1e30, f32::INFINITY, 5.0])];
        decoded(
            SnapshotStyle { longest_side_px: 10, ..SnapshotStyle::default() },
            &picture(32, 24),
            &regions,
        );
    }
}

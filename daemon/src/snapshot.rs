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

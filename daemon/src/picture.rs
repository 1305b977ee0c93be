//! Still images from files.

use std::path::{Path, PathBuf};

use belvedere_kernels::RgbImage;
use image::{DynamicImage, ImageDecoder, ImageReader};

/// An image file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct PictureError {
    path: PathBuf,
    reason: String,
}

/// Reads an image file, upright as its EXIF orientation says. What the file's name ends in does not
/// matter; an alpha channel is left out.
///
/// # Errors
/// The file cannot be read, is no image of a known kind, or is cut off.
pub fn read(path: &Path) -> Result<RgbImage, PictureError> {
    let wrong = |reason: String| PictureError { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length == 0 {
        return Err(wrong("the file is empty".to_owned()));
    }
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|error| wrong(error.to_string()))?;
    if reader.format().is_none() {
        return Err(wrong("no image that is known here (JPEG, PNG, WebP, BMP)".to_owned()));
    }
    let decoded = reader.into_decoder().and_then(|mut decoder| {
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image.into_rgb8())
    });
    let image = decoded.map_err(|error| wrong(format!("cannot be decoded: {error}")))?;
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 {
        return Err(wrong("the image has no pixels".to_owned()));
    }
    Ok(RgbImage { width, height, pixels: image.into_raw() })
}

/// Writes `picture` as PNG.
///
/// # Errors
/// The file cannot be written.
pub fn write_png(path: &Path, picture: &RgbImage) -> Result<(), PictureError> {
    let RgbImage { width, height, pixels } = picture;
    image::save_buffer_with_format(
        path,
        pixels,
        *width,
        *height,
        image::ExtendedColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .map_err(|error| PictureError { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use belvedere_kernels::RgbImage;

    use super::{read, write_png};

    fn gradient(width: u32, height: u32) -> RgbImage {
        let pixels = (0..width * height * 3).map(|index| (index % 251) as u8).collect();
        RgbImage { width, height, pixels }
    }

    #[test]
    fn the_smallest_and_a_very_wide_image_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        for (width, height) in [(1, 1), (20_000, 3), (3, 2)] {
            let path = dir.path().join("image.png");
            let written = gradient(width, height);
            write_png(&path, &written).unwrap();
            let found = read(&path).unwrap();
            assert_eq!((found.width, found.height), (width, height));
            assert_eq!(found.pixels, written.pixels);
        }
    }

    #[test]
    fn an_empty_file_a_cut_off_file_and_a_text_are_errors_that_name_them() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole.png");
        write_png(&whole, &gradient(64, 64)).unwrap();
        let whole = std::fs::read(&whole).unwrap();
        for (name, content) in [
            ("empty.png", &b""[..]),
            ("cut-off.png", &whole[..whole.len() / 2]),
            ("only-a-header.png", &whole[..12]),
            ("text.jpg", &b"this is no image"[..]),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(read(&dir.path().join("absent.png")).unwrap_err().to_string().contains("absent.png"));
    }

    #[test]
    fn a_misleading_ending_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let png = dir.path().join("image.png");
        write_png(&png, &gradient(4, 4)).unwrap();
        let jpg = dir.path().join("image.jpg");
        std::fs::rename(&png, &jpg).unwrap();
        assert_eq!(read(&jpg).unwrap().width, 4);
    }
}

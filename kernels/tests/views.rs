//! What a picture's planes must hold, and what is said when they do not.

use belvedere_kernels::{
    Colorimetry, ImageView, KernelError, PixelFormat, Plane, RgbImage, YuvMatrix, YuvRange,
};

const BT709: Colorimetry = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };
static BYTES: [u8; 4096] = [128; 4096];

fn plane(len: usize, stride: usize) -> Plane<'static> {
    Plane { bytes: &BYTES[..len], stride }
}

#[track_caller]
fn assert_error(view: Result<ImageView<'_>, KernelError>, message: &str) {
    assert_eq!(view.err().map(|error| error.to_string()).as_deref(), Some(message));
}

#[test]
fn a_picture_without_pixels_is_an_error() {
    let message = "the picture is 0x4 pixels: both sides must be at least 1";
    assert_error(ImageView::rgb8(0, 4, plane(0, 0)), message);
    assert_error(ImageView::nv12(0, 4, plane(9, 9), plane(9, 9), BT709), message);
    let message = "the picture is 4x0 pixels: both sides must be at least 1";
    assert_error(ImageView::i420(4, 0, plane(9, 9), plane(9, 9), plane(9, 9), BT709), message);
}

#[test]
fn the_last_row_needs_no_padding() {
    assert!(ImageView::rgb8(3, 2, plane(16 + 9, 16)).is_ok());
    assert!(ImageView::nv12(5, 3, plane(2 * 8 + 5, 8), plane(8 + 6, 8), BT709).is_ok());
    assert!(ImageView::i420(5, 3, plane(2 * 8 + 5, 8), plane(4 + 3, 4), plane(9 + 3, 9), BT709).is_ok());
}

#[test]
fn a_plane_one_byte_short_is_an_error_that_names_it() {
    assert_error(
        ImageView::rgb8(3, 2, plane(24, 16)),
        "the RGB plane of a 3x2 picture is 24 bytes, needs 25 at a stride of 16",
    );
    assert_error(
        ImageView::nv12(5, 3, plane(20, 8), plane(14, 8), BT709),
        "the Y plane of a 5x3 picture is 20 bytes, needs 21 at a stride of 8",
    );
    assert_error(
        ImageView::nv12(5, 3, plane(21, 8), plane(13, 8), BT709),
        "the UV plane of a 5x3 picture is 13 bytes, needs 14 at a stride of 8",
    );
    assert_error(
        ImageView::i420(5, 3, plane(21, 8), plane(6, 4), plane(7, 4), BT709),
        "the U plane of a 5x3 picture is 6 bytes, needs 7 at a stride of 4",
    );
    assert_error(
        ImageView::i420(5, 3, plane(21, 8), plane(7, 4), plane(0, 4), BT709),
        "the V plane of a 5x3 picture is 0 bytes, needs 7 at a stride of 4",
    );
}

#[test]
fn a_stride_shorter_than_a_row_is_an_error() {
    assert_error(
        ImageView::nv12(5, 3, plane(21, 8), plane(4096, 5), BT709),
        "the UV plane of a 5x3 picture has a stride of 5 bytes, a row needs 6",
    );
}

#[test]
fn a_plane_beyond_all_addresses_is_an_error_and_not_an_overflow() {
    assert_error(
        ImageView::rgb8(1, 3, plane(4096, usize::MAX)),
        &format!(
            "the RGB plane of a 1x3 picture at a stride of {} bytes is too large to address",
            usize::MAX
        ),
    );
}

#[test]
fn an_image_whose_fields_disagree_is_an_error() {
    let image = RgbImage { width: 2, height: 2, pixels: vec![0; 11] };
    assert_error(image.view(), "the RGB plane of a 2x2 picture is 11 bytes, needs 12 at a stride of 6");
}

#[test]
fn padding_is_never_read() {
    let mut padded = [255; 8 * 4];
    for row in padded.chunks_exact_mut(8) {
        row[..6].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
    }
    let view = ImageView::rgb8(2, 4, Plane { bytes: &padded[..8 * 3 + 6], stride: 8 }).unwrap();
    assert_eq!(view.format(), PixelFormat::Rgb8);
    assert_eq!(view.to_rgb(), RgbImage { width: 2, height: 4, pixels: [1, 2, 3, 4, 5, 6].repeat(4) });
}

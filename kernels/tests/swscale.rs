//! The YUV conversion against FFmpeg's: `swscale/make_goldens.py` made the files and says how.

mod scrambled;

use belvedere_kernels::{Colorimetry, ImageView, Plane, YuvMatrix, YuvRange};
use scrambled::scrambled;

const WIDTH: usize = 32;
const HEIGHT: usize = 24;
const LUMA: usize = WIDTH * HEIGHT;

/// Planes Y, U and V.
fn picture() -> [Vec<u8>; 3] {
    let byte = |i: usize| {
        let range = if i < LUMA { 220 } else { 225 };
        (16 + (scrambled(i as u32 + 1) >> 8) % range) as u8
    };
    [
        (0..LUMA).map(byte).collect(),
        (LUMA..LUMA * 5 / 4).map(byte).collect(),
        (LUMA * 5 / 4..LUMA * 3 / 2).map(byte).collect(),
    ]
}

#[track_caller]
fn assert_within_a_level(what: &str, ours: &[u8], theirs: &[u8]) {
    assert_eq!(ours.len(), theirs.len());
    let largest = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).fold(0, u8::max);
    let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
    assert!(largest <= 1, "{what}: {largest} levels apart");
    assert!(differing * 100 <= ours.len(), "{what}: {differing} of {} differ", ours.len());
}

#[test]
fn yuv_becomes_the_rgb_of_swscale_within_a_level() {
    let [y, u, v] = picture();
    let uv: Vec<u8> = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
    let plane = |bytes, stride| Plane { bytes, stride };
    let goldens: [(YuvMatrix, YuvRange, &[u8]); 4] = [
        (YuvMatrix::Bt601, YuvRange::Limited, include_bytes!("swscale/bt601_limited.rgb")),
        (YuvMatrix::Bt601, YuvRange::Full, include_bytes!("swscale/bt601_full.rgb")),
        (YuvMatrix::Bt709, YuvRange::Limited, include_bytes!("swscale/bt709_limited.rgb")),
        (YuvMatrix::Bt709, YuvRange::Full, include_bytes!("swscale/bt709_full.rgb")),
    ];
    for (matrix, range, golden) in goldens {
        let colorimetry = Colorimetry { matrix, range };
        let (width, height) = (WIDTH as u32, HEIGHT as u32);
        let i420 = ImageView::i420(
            width,
            height,
            plane(&y, WIDTH),
            plane(&u, WIDTH / 2),
            plane(&v, WIDTH / 2),
            colorimetry,
        );
        let nv12 = ImageView::nv12(width, height, plane(&y, WIDTH), plane(&uv, WIDTH), colorimetry);
        assert_within_a_level(&format!("I420 {colorimetry:?}"), &i420.unwrap().to_rgb().pixels, golden);
        assert_within_a_level(&format!("NV12 {colorimetry:?}"), &nv12.unwrap().to_rgb().pixels, golden);
    }
}

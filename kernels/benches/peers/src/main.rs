//! Times the resize beside fast_image_resize, and the whole of preprocessing, in one run on one thread.
//!
//! `cargo run --release --manifest-path kernels/benches/peers/Cargo.toml` prints milliseconds: the least and the
//! median of many alternating runs.

use std::time::Instant;

use belvedere_kernels::{
    BicubicResize, Colorimetry, ImageView, PixelValues, Plane, PreprocessPlan, PreprocessSpec, RgbImage,
    YuvMatrix, YuvRange,
};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

const ROUNDS: usize = 150;
const BT709: Colorimetry = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };

fn main() {
    for (width, height) in [(1920, 1080), (3840, 2160), (640, 480)] {
        compare(width, height, 768);
    }
    compare(1920, 1080, 384);
    compare(1080, 1920, 768);
}

fn compare(width: u32, height: u32, side: u32) {
    let (w, h) = (width as usize, height as usize);
    let bytes: Vec<u8> =
        (0..w * h * 3).map(|i| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let rgb = ImageView::rgb8(width, height, Plane { bytes: &bytes, stride: w * 3 }).unwrap();
    let (y, uv) = (Plane { bytes: &bytes[..w * h], stride: w }, Plane { bytes: &bytes[w * h..], stride: w });
    let nv12 = ImageView::nv12(width, height, y, uv, BT709).unwrap();

    let source = TypedImageRef::<U8x3>::from_buffer(width, height, &bytes).unwrap();
    let mut target = TypedImage::<U8x3>::new(side, side);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    let mut resizer = Resizer::new();
    let mut resize = BicubicResize::new(side, side).unwrap();
    let mut resized = RgbImage { width: 0, height: 0, pixels: Vec::new() };
    let mut plan = PreprocessPlan::new(PreprocessSpec::imagenet(side, side)).unwrap();
    let mut values = PixelValues { width: 0, height: 0, data: Vec::new() };

    let mut times = [const { Vec::new() }; 5];
    for _ in 0..ROUNDS {
        let mut time = |case: usize, work: &mut dyn FnMut()| {
            let start = Instant::now();
            work();
            times[case].push(start.elapsed().as_secs_f64() * 1e3);
        };
        time(0, &mut || resizer.resize_typed(&source, &mut target, &options).unwrap());
        time(1, &mut || resize.run_into(&rgb, &mut resized));
        time(2, &mut || plan.run_into(&rgb, &mut values).unwrap());
        time(3, &mut || plan.run_into(&nv12, &mut values).unwrap());
        time(4, &mut || drop(std::hint::black_box(nv12.to_rgb())));
    }
    println!("{width}x{height} -> {side}x{side}           least   median");
    let names = [
        "fast_image_resize RGB -> RGB",
        "belvedere         RGB -> RGB",
        "belvedere         RGB -> PixelValues",
        "belvedere        NV12 -> PixelValues",
        "belvedere        NV12 -> RGB, full size",
    ];
    for (name, times) in names.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("  {name:40} {:6.2}   {:6.2}", times[0], times[times.len() / 2]);
    }
}

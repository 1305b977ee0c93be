//! The whole of preprocessing, seen from outside.

use belvedere_kernels::{
    BicubicResize, Colorimetry, ImageView, KernelError, PixelValues, Plane, PreprocessPlan, PreprocessSpec,
    YuvMatrix, YuvRange,
};

const BT601: Colorimetry = Colorimetry { matrix: YuvMatrix::Bt601, range: YuvRange::Limited };

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

/// What transformers makes of each level: `levels/make_goldens.py`.
fn reference_levels() -> Vec<f32> {
    include_bytes!("levels/levels.f32")
        .as_chunks::<4>()
        .0
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect()
}

#[test]
fn normalised_levels_are_those_of_transformers_bit_for_bit() {
    let grey: Vec<u8> = (0..=255).flat_map(|level| [level; 3]).collect();
    let view = ImageView::rgb8(256, 1, Plane { bytes: &grey, stride: 768 }).unwrap();
    let values = PreprocessPlan::new(PreprocessSpec::imagenet(256, 1)).unwrap().run(&view).unwrap();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&values.data), bits(&reference_levels()));
}

#[test]
fn pixel_values_are_the_resized_picture_plane_by_plane() {
    let pixels = bytes(90 * 70 * 3);
    let view = ImageView::rgb8(90, 70, Plane { bytes: &pixels, stride: 270 }).unwrap();
    let levels = reference_levels();
    let resized = BicubicResize::new(50, 33).unwrap().run(&view);
    let values = PreprocessPlan::new(PreprocessSpec::imagenet(50, 33)).unwrap().run(&view).unwrap();
    assert_eq!((values.width, values.height, values.data.len()), (50, 33, 3 * 50 * 33));
    for (i, value) in values.data.iter().enumerate() {
        let (channel, pixel) = (i / (50 * 33), i % (50 * 33));
        assert_eq!(*value, levels[channel * 256 + usize::from(resized.pixels[pixel * 3 + channel])]);
    }
}

#[test]
fn a_plan_follows_sources_that_change_size_and_format() {
    let spec = PreprocessSpec::imagenet(64, 48);
    let mut plan = PreprocessPlan::new(spec.clone()).unwrap();
    let mut reused = PixelValues { width: 1, height: 1, data: vec![7.0; 9] };
    let pixels = bytes(200 * 120 * 3);
    let plane = |stride| Plane { bytes: &pixels, stride };
    let views = [
        ImageView::rgb8(200, 120, plane(600)).unwrap(),
        ImageView::nv12(31, 119, plane(32), plane(40), BT601).unwrap(),
        ImageView::i420(200, 120, plane(200), plane(100), plane(111), BT601).unwrap(),
        ImageView::rgb8(1, 1, plane(3)).unwrap(),
        ImageView::rgb8(200, 120, plane(600)).unwrap(),
    ];
    for view in &views {
        let fresh = PreprocessPlan::new(spec.clone()).unwrap().run(view).unwrap();
        assert_eq!(plan.run(view).unwrap(), fresh);
        plan.run_into(view, &mut reused).unwrap();
        assert_eq!(reused, fresh);
    }
}

#[test]
fn a_yuv_picture_gives_what_its_rgb_gives() {
    let pixels = bytes(4096 * 3);
    let plane = |stride| Plane { bytes: &pixels, stride };
    for (width, height) in [(1, 1), (1, 7), (7, 1), (2, 2), (33, 35), (64, 48), (65, 20), (3, 90)] {
        let stride = width as usize + 5;
        for view in [
            ImageView::nv12(width, height, plane(stride), plane(stride + 1), BT601).unwrap(),
            ImageView::i420(width, height, plane(stride), plane(stride), plane(stride + 3), BT601).unwrap(),
        ] {
            let mut plan = PreprocessPlan::new(PreprocessSpec::imagenet(24, 40)).unwrap();
            let rgb = view.to_rgb();
            let expected = plan.run(&rgb.view().unwrap()).unwrap();
            assert_eq!(plan.run(&view).unwrap(), expected, "{width}x{height} {:?}", view.format());
        }
    }
}

#[test]
fn extreme_pictures_are_resized() {
    let pixels = bytes(20000 * 3 * 3);
    for (width, height) in [(1, 1), (20000, 3), (3, 20000), (60000, 1), (1, 60000)] {
        let view =
            ImageView::rgb8(width, height, Plane { bytes: &pixels, stride: width as usize * 3 }).unwrap();
        let values = PreprocessPlan::new(PreprocessSpec::imagenet(768, 768)).unwrap().run(&view).unwrap();
        assert_eq!(values.data.len(), 3 * 768 * 768);
        assert!(values.data.iter().all(|value| (-2.2..2.7).contains(value)));
    }
}

#[test]
fn a_target_without_pixels_or_too_large_is_an_error() {
    let max = PreprocessSpec::MAX_SIDE_PX;
    for (width, height) in [(0, 768), (768, 0), (max + 1, 768), (768, u32::MAX)] {
        let error = KernelError::TargetSize { width, height, max };
        assert_eq!(PreprocessPlan::new(PreprocessSpec::imagenet(width, height)).unwrap_err(), error);
        assert_eq!(BicubicResize::new(width, height).unwrap_err(), error);
    }
}

#[test]
fn normalisation_that_gives_no_numbers_is_an_error_that_names_the_field() {
    let imagenet = || PreprocessSpec::imagenet(8, 8);
    let cases = [
        ("rescale", PreprocessSpec { rescale: f64::NAN, ..imagenet() }),
        ("mean[1]", PreprocessSpec { mean: [0.0, f32::INFINITY, 0.0], ..imagenet() }),
        ("std[2]", PreprocessSpec { std: [1.0, 1.0, 0.0], ..imagenet() }),
        ("std[0]", PreprocessSpec { std: [-1.0, 1.0, 1.0], ..imagenet() }),
    ];
    for (name, spec) in cases {
        match PreprocessPlan::new(spec).unwrap_err() {
            KernelError::Normalisation { field, .. } => assert_eq!(field, name),
            other => panic!("{name}: {other}"),
        }
    }
}

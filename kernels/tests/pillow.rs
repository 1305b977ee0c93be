//! The resize against Pillow itself: `pillow/make_goldens.py` made the digests and says how.

mod scrambled;

use belvedere_kernels::{BicubicResize, ImageView, Plane};
use scrambled::scrambled;
use sha2::{Digest, Sha256};

fn picture(kind: &str, width: u32, height: u32) -> Vec<u8> {
    match kind {
        "noise" => (1..=width * height * 3).map(|index| (scrambled(index) >> 24) as u8).collect(),
        "blocks" => (0..width * height * 3)
            .map(|i| {
                let (y, x, channel) = (i / 3 / width, i / 3 % width, i % 3);
                (scrambled(((y / 5) * 65536 + x / 5) * 3 + channel + 1) & 1) as u8 * 255
            })
            .collect(),
        other => panic!("the goldens have an unknown kind of picture, {other}"),
    }
}

#[test]
fn every_resize_is_pillows_bit_for_bit() {
    let mut differing = Vec::new();
    let mut checked = 0;
    for line in include_str!("pillow/goldens.tsv").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let sizes: Vec<u32> = fields[1..5].iter().map(|size| size.parse().unwrap()).collect();
        let bytes = picture(fields[0], sizes[0], sizes[1]);
        let stride = sizes[0] as usize * 3;
        let view = ImageView::rgb8(sizes[0], sizes[1], Plane { bytes: &bytes, stride }).unwrap();
        let resized = BicubicResize::new(sizes[2], sizes[3]).unwrap().run(&view);
        assert_eq!((resized.width, resized.height), (sizes[2], sizes[3]));
        let digest = Sha256::digest(&resized.pixels);
        if digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() != fields[5] {
            differing.push(line);
        }
        checked += 1;
    }
    assert!(differing.is_empty(), "{} of {checked} differ:\n{}", differing.len(), differing.join("\n"));
    assert_eq!(checked, 60, "goldens.tsv is not whole");
}

//! Pictures that need no decoder: edges, gradients and colours, which is what a vision tower can get wrong.

use belvedere_kernels::RgbImage;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

/// Four of them, always the same.
pub(super) fn pictures() -> Vec<RgbImage> {
    (0..4).map(picture).collect()
}

/// A disc before stripes before a gradient; which are where depends on the number.
fn picture(number: u32) -> RgbImage {
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    let (centre_x, centre_y, radius) = (120 + 130 * number, 100 + 50 * number, 40 + 20 * number);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (dx, dy) = (x.abs_diff(centre_x), y.abs_diff(centre_y));
            let pixel = if dx * dx + dy * dy < radius * radius {
                [200, 40 * number as u8, 30]
            } else if y > HEIGHT / 2 && (x / (8 << number)).is_multiple_of(2) {
                [20, 60, 160]
            } else {
                [(x * 255 / WIDTH) as u8, (y * 255 / HEIGHT) as u8, 128]
            };
            pixels.extend(pixel);
        }
    }
    RgbImage { width: WIDTH, height: HEIGHT, pixels }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_are_alike_and_each_is_whole() {
        let pictures = super::pictures();
        for (place, picture) in pictures.iter().enumerate() {
            assert!(picture.view().is_ok());
            assert!(pictures[..place].iter().all(|other| other.pixels != picture.pixels));
        }
    }
}

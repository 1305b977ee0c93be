//! A box in fractions of a picture.

/// A box within the picture, in fractions of its sides: finite, with an area above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureBox {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl PictureBox {
    /// A box x1, y1, x2, y2 in pixels of a picture of `width` by `height`, whichever corners they are.
    ///
    /// What is outside the picture is cut off. `None` where nothing is left, where the box has no area
    /// and where a number is not finite.
    pub fn from_pixels(corners_px: [f32; 4], width: u32, height: u32) -> Option<PictureBox> {
        if width == 0 || height == 0 || corners_px.iter().any(|px| !px.is_finite()) {
            return None;
        }
        let [x1, y1, x2, y2] = corners_px.map(f64::from);
        let within = |px: f64, side: u32| (px / f64::from(side)).clamp(0.0, 1.0);
        let made = PictureBox {
            left: within(x1.min(x2), width),
            top: within(y1.min(y2), height),
            right: within(x1.max(x2), width),
            bottom: within(y1.max(y2), height),
        };
        (made.area() > 0.0).then_some(made)
    }

    /// As a fraction of the picture's area.
    pub fn area(&self) -> f64 {
        (self.right - self.left) * self.height()
    }

    /// As a fraction of the picture's height.
    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// x, y.
    pub fn centre(&self) -> [f64; 2] {
        [f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom)]
    }

    /// x, y of the middle of the lower edge: where what stands on the ground stands.
    pub fn bottom_centre(&self) -> [f64; 2] {
        [f64::midpoint(self.left, self.right), self.bottom]
    }
}

#[cfg(test)]
mod tests {
    use super::PictureBox;

    #[test]
    fn a_box_is_in_fractions_whichever_corners_it_is_given_by() {
        let made = PictureBox::from_pixels([160.0, 240.0, 320.0, 480.0], 640, 480).unwrap();
        assert_eq!([made.left, made.top, made.right, made.bottom], [0.25, 0.5, 0.5, 1.0]);
        assert_eq!(PictureBox::from_pixels([320.0, 480.0, 160.0, 240.0], 640, 480), Some(made));
        assert_eq!((made.area(), made.height()), (0.125, 0.5));
        assert_eq!((made.centre(), made.bottom_centre()), ([0.375, 0.75], [0.375, 1.0]));
    }

    #[test]
    fn what_is_outside_the_picture_is_cut_off() {
        let made = PictureBox::from_pixels([-100.0, -1e30, 50.0, 50.0], 100, 100).unwrap();
        assert_eq!([made.left, made.top, made.right, made.bottom], [0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn a_box_that_covers_nothing_of_the_picture_is_none() {
        for corners in [
            [200.0, 10.0, 300.0, 20.0],
            [10.0, 10.0, 10.0, 20.0],
            [f32::NAN, 0.0, 50.0, 50.0],
            [0.0, 0.0, f32::INFINITY, 50.0],
        ] {
            assert_eq!(PictureBox::from_pixels(corners, 100, 100), None, "{corners:?}");
        }
        assert_eq!(PictureBox::from_pixels([0.0, 0.0, 1.0, 1.0], 0, 100), None);
    }
}

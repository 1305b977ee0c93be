/// A box in pixels with what is said to be in it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledBox {
    /// What it is; boxes with different labels never match.
    pub label: String,
    /// x1, y1, x2, y2.
    pub corners_px: [f64; 4],
}

impl LabelledBox {
    /// A box with its label.
    pub fn new(label: impl Into<String>, corners_px: [f64; 4]) -> Self {
        Self { label: label.into(), corners_px }
    }

    /// Intersection over union, whatever the labels; 0 where both are empty.
    pub fn iou(&self, other: &Self) -> f64 {
        let common = self.common_px(other);
        let union = self.area_px() + other.area_px() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }

    /// The share of this box that lies inside `other`; 0 where this one is empty.
    pub fn share_inside(&self, other: &Self) -> f64 {
        let area = self.area_px();
        if area > 0.0 { self.common_px(other) / area } else { 0.0 }
    }

    fn common_px(&self, other: &Self) -> f64 {
        let ([a1, b1, a2, b2], [c1, d1, c2, d2]) = (self.corners_px, other.corners_px);
        area_px([a1.max(c1), b1.max(d1), a2.min(c2), b2.min(d2)])
    }

    fn area_px(&self) -> f64 {
        area_px(self.corners_px)
    }
}

fn area_px([x1, y1, x2, y2]: [f64; 4]) -> f64 {
    (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::LabelledBox;

    fn square(x: f64, y: f64, side: f64) -> LabelledBox {
        LabelledBox::new("", [x, y, x + side, y + side])
    }

    #[test]
    fn half_of_each_box_in_common_is_an_iou_of_a_third() {
        let (left, right) = (LabelledBox::new("", [0.0, 0.0, 2.0, 1.0]), square(1.0, 0.0, 1.0));
        assert_eq!(left.iou(&right), 0.5);
        let shifted = LabelledBox::new("", [1.0, 0.0, 3.0, 1.0]);
        assert!((left.iou(&shifted) - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn boxes_that_touch_or_are_empty_or_turned_around_have_nothing_in_common() {
        assert_eq!(square(0.0, 0.0, 1.0).iou(&square(1.0, 0.0, 1.0)), 0.0);
        assert_eq!(square(0.0, 0.0, 0.0).iou(&square(0.0, 0.0, 0.0)), 0.0);
        assert_eq!(LabelledBox::new("", [2.0, 2.0, 0.0, 0.0]).iou(&square(0.0, 0.0, 2.0)), 0.0);
    }

    #[test]
    fn a_small_box_lies_inside_a_large_one_and_not_the_other_way_round() {
        assert_eq!(square(1.0, 1.0, 1.0).share_inside(&square(0.0, 0.0, 2.0)), 1.0);
        assert_eq!(square(0.0, 0.0, 2.0).share_inside(&square(1.0, 1.0, 1.0)), 0.25);
        assert_eq!(square(0.0, 0.0, 0.0).share_inside(&square(0.0, 0.0, 2.0)), 0.0);
    }
}

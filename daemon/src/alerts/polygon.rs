//! The outline of a zone.

use super::{AlertError, PictureBox};

/// A polygon in fractions of the picture that does not meet itself; convex or not, either way round.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    points: Vec<[f64; 2]>,
    area: f64,
}

/// Points nearer than this to an edge are on it: a ten-thousandth of a pixel's width of the largest
/// pictures, and far above what rounding does to a fraction.
const ON_EDGE: f64 = 1e-9;

impl Polygon {
    /// The most points a polygon has. Checking that it does not meet itself takes their square.
    pub const MAX_POINTS: usize = 200;

    /// Checks and keeps the corners, x and y in fractions of the picture's width and height.
    ///
    /// # Errors
    /// [`AlertError::PointCount`], [`AlertError::PointOutside`], [`AlertError::RepeatedPoint`], and
    /// [`AlertError::EdgesMeet`] for an outline that crosses or touches itself or lies on a line.
    pub fn new(points: Vec<[f64; 2]>) -> Result<Polygon, AlertError> {
        let count = points.len();
        if !(3..=Polygon::MAX_POINTS).contains(&count) {
            return Err(AlertError::PointCount { points: count, max: Polygon::MAX_POINTS });
        }
        for (index, &[x, y]) in points.iter().enumerate() {
            if !((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)) {
                return Err(AlertError::PointOutside { index, x, y });
            }
        }
        for (first, (here, next)) in edges(&points).enumerate() {
            if distance(here, next) <= ON_EDGE {
                return Err(AlertError::RepeatedPoint { first, second: (first + 1) % count });
            }
        }
        for (first, one) in edges(&points).enumerate() {
            for (second, other) in edges(&points).enumerate().skip(first + 1) {
                let meet = if second == first + 1 {
                    folds_back(one.0, one.1, other.1)
                } else if first == 0 && second == count - 1 {
                    folds_back(other.0, other.1, one.1)
                } else {
                    touch(one, other)
                };
                if meet {
                    return Err(AlertError::EdgesMeet { first, second });
                }
            }
        }
        let area = twice_signed_area(&points).abs() / 2.0;
        Ok(Polygon { points, area })
    }

    /// The corners.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// As a fraction of the picture's area.
    pub fn area(&self) -> f64 {
        self.area
    }

    /// Whether a point is inside; the edges are.
    pub fn contains(&self, point: [f64; 2]) -> bool {
        let [x, y] = point;
        let mut inside = false;
        for (from, to) in edges(&self.points) {
            if distance_to_edge(point, from, to) <= ON_EDGE {
                return true;
            }
            // A ray to the right crosses this edge. An edge holds its upper end and not its lower one,
            // so that a ray through a corner crosses once where the outline goes on, else not or twice.
            if (from[1] > y) != (to[1] > y)
                && x < from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0])
            {
                inside = !inside;
            }
        }
        inside
    }

    /// How much of `region` is inside, from 0 to 1 of its area.
    ///
    /// Sutherland and Hodgman's clipping ("Reentrant polygon clipping", 1974), of the polygon by the
    /// box. It asks a convex clipping shape only, which the box is. Where it joins the parts of a
    /// concave polygon it joins them along an edge of the box there and back, which has no area.
    pub fn share_of(&self, region: &PictureBox) -> f64 {
        let kept = clip(&self.points, 0, region.left, Side::Above);
        let kept = clip(&kept, 0, region.right, Side::Below);
        let kept = clip(&kept, 1, region.top, Side::Above);
        let kept = clip(&kept, 1, region.bottom, Side::Below);
        (twice_signed_area(&kept).abs() / 2.0 / region.area()).min(1.0)
    }
}

#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
}

/// The part of `points` whose coordinate `axis` is on one side of `bound`.
fn clip(points: &[[f64; 2]], axis: usize, bound: f64, side: Side) -> Vec<[f64; 2]> {
    let kept = |point: [f64; 2]| match side {
        Side::Above => point[axis] >= bound,
        Side::Below => point[axis] <= bound,
    };
    let mut clipped = Vec::with_capacity(points.len() + 4);
    for (from, to) in edges(points) {
        if kept(from) {
            clipped.push(from);
        }
        if kept(from) != kept(to) {
            let part = (bound - from[axis]) / (to[axis] - from[axis]);
            let mut crossing = [0, 1].map(|other: usize| from[other] + part * (to[other] - from[other]));
            crossing[axis] = bound;
            clipped.push(crossing);
        }
    }
    clipped
}

/// Each point with the next, the last with the first.
fn edges(points: &[[f64; 2]]) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
    points.iter().copied().zip(points.iter().copied().cycle().skip(1))
}

fn twice_signed_area(points: &[[f64; 2]]) -> f64 {
    edges(points).map(|(from, to)| from[0] * to[1] - to[0] * from[1]).sum()
}

fn distance(one: [f64; 2], other: [f64; 2]) -> f64 {
    (one[0] - other[0]).hypot(one[1] - other[1])
}

fn distance_to_edge(point: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length_squared = along[0] * along[0] + along[1] * along[1];
    let part = ((point[0] - from[0]) * along[0] + (point[1] - from[1]) * along[1]) / length_squared;
    let part = part.clamp(0.0, 1.0);
    distance(point, [from[0] + part * along[0], from[1] + part * along[1]])
}

/// Whether the way `from`, `corner`, `to` returns along itself.
fn folds_back(from: [f64; 2], corner: [f64; 2], to: [f64; 2]) -> bool {
    distance_to_edge(to, from, corner) <= ON_EDGE || distance_to_edge(from, corner, to) <= ON_EDGE
}

/// Whether two edges without a common corner have a point in common.
fn touch((a, b): ([f64; 2], [f64; 2]), (c, d): ([f64; 2], [f64; 2])) -> bool {
    let turn = |from: [f64; 2], to: [f64; 2], point: [f64; 2]| {
        (to[0] - from[0]) * (point[1] - from[1]) - (to[1] - from[1]) * (point[0] - from[0])
    };
    let crosses =
        (turn(a, b, c) > 0.0) != (turn(a, b, d) > 0.0) && (turn(c, d, a) > 0.0) != (turn(c, d, b) > 0.0);
    crosses
        || [(a, c, d), (b, c, d), (c, a, b), (d, a, b)]
            .iter()
            .any(|&(point, from, to)| distance_to_edge(point, from, to) <= ON_EDGE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Polygon;
    use crate::alerts::{AlertError, PictureBox};

    fn polygon(points: &[[f64; 2]]) -> Polygon {
        Polygon::new(points.to_vec()).unwrap()
    }

    /// A "U", open at the top.
    fn cup() -> Polygon {
        polygon(&[
            [0.1, 0.1],
            [0.3, 0.1],
            [0.3, 0.7],
            [0.7, 0.7],
            [0.7, 0.1],
            [0.9, 0.1],
            [0.9, 0.9],
            [0.1, 0.9],
        ])
    }

    fn region(left: f32, top: f32, right: f32, bottom: f32) -> PictureBox {
        PictureBox::from_pixels([left, top, right, bottom].map(|part| part * 1000.0), 1000, 1000).unwrap()
    }

    #[test]
    fn outlines_that_are_no_polygon_are_refused_with_the_place() {
        let refused = |points: &[[f64; 2]]| Polygon::new(points.to_vec()).unwrap_err();
        assert_eq!(refused(&[[0.0, 0.0], [1.0, 1.0]]), AlertError::PointCount { points: 2, max: 200 });
        assert_eq!(
            refused(&[[0.0, 0.0], [1.0, 0.0], [1.2, 1.0]]),
            AlertError::PointOutside { index: 2, x: 1.2, y: 1.0 }
        );
        assert!(matches!(
            refused(&[[0.0, 0.0], [f64::NAN, 0.0], [1.0, 1.0]]),
            AlertError::PointOutside { index: 1, .. }
        ));
        assert_eq!(
            refused(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]),
            AlertError::RepeatedPoint { first: 3, second: 0 }
        );
        let bow_tie = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]];
        assert_eq!(refused(&bow_tie), AlertError::EdgesMeet { first: 0, second: 2 });
        let line = [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]];
        assert!(matches!(refused(&line), AlertError::EdgesMeet { .. }));
        let spike = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.5, 1.0]];
        assert_eq!(refused(&spike), AlertError::EdgesMeet { first: 0, second: 1 });
        let touching = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.0], [0.0, 1.0]];
        assert!(matches!(refused(&touching), AlertError::EdgesMeet { first: 0, .. }));
    }

    #[test]
    fn edges_and_corners_are_inside() {
        let slanted = polygon(&[[0.1, 0.2], [0.9, 0.3], [0.4, 0.95]]);
        for point in [[0.1, 0.2], [0.9, 0.3], [0.4, 0.95], [0.5, 0.25], [0.65, 0.625], [0.25, 0.575]] {
            assert!(slanted.contains(point), "{point:?}");
        }
        for point in [[0.5, 0.249], [0.66, 0.63], [0.0, 0.2], [0.1, 0.3], [0.95, 0.3]] {
            assert!(!slanted.contains(point), "{point:?}");
        }
    }

    #[test]
    fn the_hollow_of_a_concave_polygon_is_outside() {
        let cup = cup();
        for point in [[0.5, 0.5], [0.5, 0.1], [0.0, 0.1], [0.5, 0.69]] {
            assert!(!cup.contains(point), "{point:?}");
        }
        // The ray of the second runs along an edge, that of the third through corners.
        for point in [[0.2, 0.5], [0.2, 0.7], [0.2, 0.1], [0.8, 0.3], [0.5, 0.8]] {
            assert!(cup.contains(point), "{point:?}");
        }
    }

    #[test]
    fn the_share_of_a_box_is_right_for_concave_polygons() {
        let cup = cup();
        let close = |share: f64, expected: f64| assert!((share - expected).abs() < 1e-6, "{share}");
        // Two arms of 0.2 by 0.1 each, of a box of 1 by 0.1.
        close(cup.share_of(&region(0.0, 0.2, 1.0, 0.3)), 0.4);
        close(cup.share_of(&region(0.0, 0.0, 1.0, 1.0)), cup.area());
        close(cup.share_of(&region(0.35, 0.2, 0.65, 0.6)), 0.0);
        close(cup.share_of(&region(0.15, 0.2, 0.25, 0.6)), 1.0);
        close(cup.area(), 0.64 - 0.4 * 0.6);
    }

    #[test]
    fn the_way_round_does_not_matter() {
        let cup = cup();
        let other = polygon(&cup.points().iter().rev().copied().collect::<Vec<_>>());
        let half_out = region(0.0, 0.0, 0.5, 0.8);
        assert!((cup.share_of(&half_out) - other.share_of(&half_out)).abs() < 1e-12);
        assert!(other.contains([0.2, 0.5]) && !other.contains([0.5, 0.5]));
    }

    proptest! {
        #[test]
        fn the_share_agrees_with_counting_points(
            // A star around the middle: never meets itself, seldom convex.
            radii in prop::collection::vec(0.05f64..0.5, 3..12),
            corners in [0u16..1000, 0u16..1000, 0u16..1000, 0u16..1000],
        ) {
            let count = radii.len() as f64;
            let star = Polygon::new(radii.iter().enumerate().map(|(index, radius)| {
                let angle = std::f64::consts::TAU * index as f64 / count;
                [0.5 + radius * angle.cos(), 0.5 + radius * angle.sin()]
            }).collect());
            let region = PictureBox::from_pixels(corners.map(f32::from), 1000, 1000);
            if let (Ok(star), Some(region)) = (star, region) {
                const GRID: usize = 60;
                let inside = (0..GRID * GRID).filter(|cell| {
                    let part = |index: usize| (index as f64 + 0.5) / GRID as f64;
                    star.contains([
                        region.left + (region.right - region.left) * part(cell % GRID),
                        region.top + (region.bottom - region.top) * part(cell / GRID),
                    ])
                }).count();
                let counted = inside as f64 / (GRID * GRID) as f64;
                let share = star.share_of(&region);
                prop_assert!((share - counted).abs() < 0.05, "{share} but {counted} by counting");
            }
        }
    }
}

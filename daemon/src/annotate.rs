//! Draws regions into a picture.

use belvedere_kernels::RgbImage;
use belvedere_models::{Region, Shape};
use font8x8::UnicodeFonts;

/// Colours that are told apart on most pictures, taken in turn.
const COLOURS: [[u8; 3]; 8] = [
    [230, 60, 50],
    [40, 140, 240],
    [50, 180, 80],
    [250, 180, 20],
    [170, 80, 210],
    [20, 190, 190],
    [240, 110, 170],
    [150, 120, 60],
];

/// A glyph's width and height, before scaling.
pub(crate) const GLYPH_PX: u32 = 8;
/// A label longer than this many characters is cut off.
const MAX_LABEL: usize = 60;

/// Draws every region's outline with its label and score. Coordinates outside the picture are clipped.
pub fn draw(picture: &mut RgbImage, regions: &[Region]) {
    let pen_px = (picture.width.max(picture.height) / 400).clamp(1, 8);
    for (region, colour) in regions.iter().zip(COLOURS.iter().cycle()) {
        let mut canvas = Canvas { picture, colour: *colour, pen_px };
        let outlines = outlines(&region.shape);
        for outline in &outlines {
            canvas.outline(outline);
        }
        if let Some(&(x, y)) = outlines.first().and_then(|outline| outline.first()) {
            canvas.label(x, y, &label(region));
        }
    }
}

fn label(region: &Region) -> String {
    let mut label: String = region.label.chars().take(MAX_LABEL).collect();
    if let Some(score) = region.score {
        if !label.is_empty() {
            label.push(' ');
        }
        label.push_str(&format!("{score:.2}"));
    }
    label
}

/// Closed outlines of points.
fn outlines(shape: &Shape) -> Vec<Vec<(f32, f32)>> {
    let points = |numbers: &[f32]| numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    match shape {
        Shape::Box([x1, y1, x2, y2]) => vec![vec![(*x1, *y1), (*x2, *y1), (*x2, *y2), (*x1, *y2)]],
        Shape::Quad(corners) => vec![points(corners)],
        Shape::Polygons(polygons) => polygons.iter().map(|polygon| points(polygon)).collect(),
    }
}

struct Canvas<'a> {
    picture: &'a mut RgbImage,
    colour: [u8; 3],
    pen_px: u32,
}

impl Canvas<'_> {
    fn outline(&mut self, points: &[(f32, f32)]) {
        let next = points.iter().cycle().skip(1);
        for (&from, &to) in points.iter().zip(next) {
            self.line(from, to);
        }
    }

    fn line(&mut self, from: (f32, f32), to: (f32, f32)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        // NaN becomes 0 steps: one dot, clipped.
        let steps = dx.abs().max(dy.abs()).ceil() as u32;
        for step in 0..=steps.min(100_000) {
            let part = if steps == 0 { 0.0 } else { step as f32 / steps as f32 };
            self.dot(from.0 + dx * part, from.1 + dy * part);
        }
    }

    fn dot(&mut self, x: f32, y: f32) {
        let half = (self.pen_px / 2) as i64;
        let pen = i64::from(self.pen_px);
        self.fill(pixel(x) - half, pixel(y) - half, pen, pen, self.colour);
    }

    fn fill(&mut self, x: i64, y: i64, width: i64, height: i64, colour: [u8; 3]) {
        let (right, bottom) = (i64::from(self.picture.width), i64::from(self.picture.height));
        for y in y.max(0)..(y + height).min(bottom) {
            for x in x.max(0)..(x + width).min(right) {
                let at = ((y * right + x) * 3) as usize;
                if let Some(pixel) = self.picture.pixels.get_mut(at..at + 3) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }

    /// White text on the region's colour, its lower left corner at (x, y), moved into the picture.
    fn label(&mut self, x: f32, y: f32, text: &str) {
        if text.is_empty() {
            return;
        }
        let scale = i64::from(self.pen_px.div_ceil(2) + 1);
        let glyph = i64::from(GLYPH_PX) * scale;
        let (width, height) = (glyph * text.chars().count() as i64, glyph + 2 * scale);
        let left = pixel(x).min(i64::from(self.picture.width) - width).max(0);
        let top = (pixel(y) - height).max(0);
        self.fill(left, top, width, height, self.colour);
        for (index, character) in text.chars().enumerate() {
            let left = left + index as i64 * glyph;
            for (row, bits) in glyph_rows(character).into_iter().enumerate() {
                for column in (0..8).filter(|column| bits & (1 << column) != 0) {
                    let (x, y) = (left + column * scale, top + (row as i64 + 1) * scale);
                    self.fill(x, y, scale, scale, [255; 3]);
                }
            }
        }
    }
}

/// A coordinate as a whole pixel, kept where sums cannot overflow; NaN becomes 0.
fn pixel(coordinate: f32) -> i64 {
    coordinate.clamp(-1e6, 1e6) as i64
}

/// A character's eight rows from the top, the lowest bit on the left.
pub(crate) fn glyph_rows(character: char) -> [u8; 8] {
    font8x8::BASIC_FONTS
        .get(character)
        .or_else(|| font8x8::LATIN_FONTS.get(character))
        .or_else(|| font8x8::BASIC_FONTS.get('?'))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use belvedere_kernels::RgbImage;
    use belvedere_models::{Region, Shape};

    use super::{COLOURS, draw};

    fn black(width: u32, height: u32) -> RgbImage {
        RgbImage { width, height, pixels: vec![0; (width * height * 3) as usize] }
    }

    fn colour_at(picture: &RgbImage, x: u32, y: u32) -> [u8; 3] {
        let at = ((y * picture.width + x) * 3) as usize;
        picture.pixels[at..at + 3].try_into().unwrap()
    }

    fn region(shape: Shape) -> Region {
        Region { label: String::new(), score: None, shape }
    }

    #[test]
    fn a_box_is_drawn_along_its_edges_and_not_inside() {
        let mut picture = black(40, 40);
        draw(&mut picture, &[region(Shape::Box([5.0, 10.0, 30.0, 35.0]))]);
        for (x, y) in [(5, 10), (30, 10), (30, 35), (5, 35), (17, 10), (5, 20)] {
            assert_eq!(colour_at(&picture, x, y), COLOURS[0], "({x}, {y})");
        }
        assert_eq!(colour_at(&picture, 17, 20), [0; 3]);
    }

    #[test]
    fn a_label_is_written_in_white_on_the_colour_of_its_region() {
        let mut picture = black(200, 100);
        let shape = Shape::Quad([50.0, 50.0, 90.0, 50.0, 90.0, 80.0, 50.0, 80.0]);
        draw(&mut picture, &[Region { label: "car".to_owned(), score: Some(0.5), shape }]);
        let written = picture.pixels.chunks(3).filter(|pixel| *pixel == [255; 3]).count();
        assert!(written > 50, "{written} white pixels");
    }

    #[test]
    fn what_lies_outside_is_clipped_without_a_panic() {
        let wild = [-1e9, f32::NAN, f32::INFINITY, 7.0];
        for (width, height) in [(1, 1), (20_000, 3)] {
            let mut picture = black(width, height);
            let polygon = vec![-5.0, -5.0, 1e6, 2.0, 3.0];
            let mut named = region(Shape::Box(wild));
            named.label = "a label that is far wider than the picture, naïve 漢".to_owned();
            draw(&mut picture, &[region(Shape::Polygons(vec![polygon, Vec::new()])), named]);
        }
    }
}

//! A white sheet to draw on.

use belvedere_kernels::RgbImage;

use crate::annotate::{GLYPH_PX, glyph_rows};

/// A colour as red, green, blue.
pub(super) type Colour = [u8; 3];

/// Coordinates are pixels from the upper left corner; what lies outside is clipped.
pub(super) struct Canvas {
    picture: RgbImage,
}

/// Which point of a text is at the place that is given.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Middle,
    Right,
}

impl Canvas {
    pub(super) fn white(width: u32, height: u32) -> Canvas {
        let pixels = vec![255; width as usize * height as usize * 3];
        Canvas { picture: RgbImage { width, height, pixels } }
    }

    pub(super) fn into_picture(self) -> RgbImage {
        self.picture
    }

    pub(super) fn fill(&mut self, x: i32, y: i32, width: i32, height: i32, colour: Colour) {
        let (right, bottom) = (self.picture.width as i32, self.picture.height as i32);
        for y in y.max(0)..y.saturating_add(height).min(bottom) {
            for x in x.max(0)..x.saturating_add(width).min(right) {
                let at = (y as usize * right as usize + x as usize) * 3;
                if let Some(pixel) = self.picture.pixels.get_mut(at..at + 3) {
                    pixel.copy_from_slice(&colour);
                }
            }
        }
    }

    /// A line of `pen_px` width.
    pub(super) fn line(&mut self, from: (i32, i32), to: (i32, i32), pen_px: i32, colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = dx.abs().max(dy.abs()).max(1);
        for step in 0..=steps {
            let (x, y) = (from.0 + dx * step / steps, from.1 + dy * step / steps);
            self.fill(x - pen_px / 2, y - pen_px / 2, pen_px, pen_px, colour);
        }
    }

    /// A line of dots between two points that are above or beside each other, or elsewhere.
    pub(super) fn dots(&mut self, from: (i32, i32), to: (i32, i32), colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let steps = (dx.abs().max(dy.abs()) / 8).max(1);
        for step in 0..=steps {
            self.fill(from.0 + dx * step / steps - 1, from.1 + dy * step / steps - 1, 2, 2, colour);
        }
    }

    /// One line of text, `y` its upper edge. A character is 8 by 8 pixels times `scale`; those that the font has
    /// not are question marks.
    pub(super) fn text(&mut self, (x, y): (i32, i32), align: Align, scale: i32, text: &str, colour: Colour) {
        let glyph = GLYPH_PX as i32 * scale;
        let width = glyph.saturating_mul(text.chars().count() as i32);
        let left = match align {
            Align::Left => x,
            Align::Middle => x - width / 2,
            Align::Right => x - width,
        };
        for (index, character) in text.chars().enumerate() {
            let left = left.saturating_add(glyph.saturating_mul(index as i32));
            for (row, bits) in glyph_rows(character).into_iter().enumerate() {
                for column in (0..8).filter(|column| bits & (1 << column) != 0) {
                    self.fill(left + column * scale, y + row as i32 * scale, scale, scale, colour);
                }
            }
        }
    }
}

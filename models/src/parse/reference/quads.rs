//! `parse_ocr` of the original.

use super::super::output::{Region, Shape};
use super::chunks;
use crate::tasks::PictureSize;

/// Matches of `(.+?)` and eight locations. Only `<s>` is removed before, so the first label begins with the decoder's
/// start token: `</s>`.
pub(super) fn read(text: &str, picture: PictureSize) -> Vec<Region> {
    let text = text.replace("<s>", "");
    let mut regions = Vec::new();
    for line in text.split('\n') {
        let mut rest = line;
        while let Some((label, corners, after)) = first_quad(rest) {
            let [x1, y1, x2, y2, x3, y3, x4, y4] = corners;
            let (x, y) = (|bin| picture.x_px(bin), |bin| picture.y_px(bin));
            regions.push(Region {
                label: label.to_owned(),
                score: None,
                shape: Shape::Quad([x(x1), y(y1), x(x2), y(y2), x(x3), y(y3), x(x4), y(y4)]),
            });
            rest = after;
        }
    }
    regions
}

/// The first eight locations that have at least a character before them, that text, and what follows.
fn first_quad(line: &str) -> Option<(&str, [u16; 8], &str)> {
    let candidates = line.match_indices('<').filter(|(at, _)| *at > 0);
    candidates.into_iter().find_map(|(at, _)| {
        let (label, run) = line.split_at(at);
        let locations: Vec<(u16, usize)> = chunks::locations(run).take(8).collect();
        let quad: [(u16, usize); 8] = locations.try_into().ok()?;
        Some((label, quad.map(|(bin, _)| bin), &run[quad[7].1..]))
    })
}

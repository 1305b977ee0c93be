//! The memory that preprocessing takes, known before any of it is taken.

use super::frames::PictureShape;
use super::kernels::Preprocess;
use super::tables::{ResizeTables, between_bytes};
use crate::device::DeviceSlice;
use crate::image_view::ImageView;

/// Where the kernels read pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelsIn {
    /// In device memory, into which they are copied from pinned memory first.
    DeviceMemory,
    /// In pinned memory: for a GPU that shares its memory with the host, so that nothing is copied.
    PinnedMemory,
}

/// What pictures there is to be room for. Everything has its size from the first picture to the last: a picture that is too
/// large is refused, and of smaller ones several are taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRoom {
    /// Width and height in pixels of the largest picture, as NV12 or I420; upright or on its side.
    pub largest: (u32, u32),
    /// The model's input size.
    pub target: (u32, u32),
    /// Where the kernels read pixels.
    pub pixels_in: PixelsIn,
}

/// Device memory for a [`FrameRoom`], each piece at a multiple of 256 bytes.
#[derive(Debug, Clone, Copy)]
pub struct FrameMemory {
    /// [`FrameRoom::filters_bytes`].
    pub filters: DeviceSlice,
    /// [`FrameRoom::pixels_bytes`].
    pub pixels: DeviceSlice,
    /// [`FrameRoom::between_bytes`].
    pub between: DeviceSlice,
}

/// Parts of a piece of memory begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: usize = 256;
/// f32 `[3, 256]`.
pub(super) const LEVELS_BYTES: usize = 3 * 256 * 4;
/// Bytes that a row may be longer than its pixels without being moved together.
const ROW_SLACK_BYTES: usize = 16 + 128;

impl FrameRoom {
    /// Parts of the pinned memory that can be on their way to the device, and in use there, at the same time.
    pub const SLOTS: usize = 2;
    /// Pictures that are taken at once, where they fit.
    pub const AT_ONCE: usize = 4;
    /// Sizes of pictures whose filters are kept. Cameras rarely have so many.
    pub const SIZES: usize = 8;

    /// Bytes of device memory for filters and levels.
    pub fn filters_bytes(&self) -> usize {
        LEVELS_BYTES + Self::SIZES * self.filter_bytes()
    }

    /// Bytes of device memory for pictures and the table that tells of them.
    pub fn pixels_bytes(&self) -> usize {
        match self.pixels_in {
            PixelsIn::DeviceMemory => self.frames_bytes(),
            PixelsIn::PinnedMemory => table_bytes(),
        }
    }

    /// Bytes of device memory between the two passes: for twice the largest picture, which is as much as four of half its
    /// sides take.
    pub fn between_bytes(&self) -> usize {
        let (width, height) = self.largest;
        let of_largest =
            between_bytes((width, height), self.target).max(between_bytes((height, width), self.target));
        // Each has a row of words more where its side is no multiple of four.
        let row_bytes = 3 * 4 * self.target.0.max(self.target.1) as usize;
        2 * of_largest + Self::AT_ONCE * (row_bytes + ALIGNMENT_BYTES)
    }

    /// Bytes of pinned memory.
    pub fn pinned_bytes(&self) -> usize {
        Self::SLOTS * self.slot_bytes()
    }

    /// Whether there is room for `picture`.
    pub fn holds(&self, picture: &ImageView<'_>) -> bool {
        let source = (picture.width(), picture.height());
        source.0.max(source.1) <= self.longest_px()
            && table_bytes() + PictureShape::of(picture).bytes() <= self.frames_bytes()
            && between_bytes(source, self.target) <= self.between_bytes()
    }

    /// How many of the first of `shapes` there is room for together.
    pub(super) fn together(&self, shapes: &[PictureShape]) -> usize {
        let (mut pixels, mut between) = (table_bytes(), 0_usize);
        let fits = |shape: &&PictureShape| {
            let source = (shape.width, shape.height);
            pixels = pixels.next_multiple_of(ALIGNMENT_BYTES) + shape.bytes();
            between = between.next_multiple_of(ALIGNMENT_BYTES) + between_bytes(source, self.target);
            pixels <= self.frames_bytes() && between <= self.between_bytes()
        };
        shapes.iter().take(Self::AT_ONCE).take_while(fits).count()
    }

    /// Bytes of the filters of one size.
    pub(super) fn filter_bytes(&self) -> usize {
        ResizeTables::most_bytes(self.longest_px(), self.target).next_multiple_of(ALIGNMENT_BYTES)
    }

    /// Bytes of a slot in front of the table and the pictures: new filters and levels.
    pub(super) fn news_bytes(&self) -> usize {
        LEVELS_BYTES + Self::AT_ONCE * self.filter_bytes()
    }

    /// Bytes of a slot.
    pub(super) fn slot_bytes(&self) -> usize {
        self.news_bytes() + self.frames_bytes()
    }

    /// Bytes of table and pictures.
    fn frames_bytes(&self) -> usize {
        let (width, height) = (self.largest.0 as usize, self.largest.1 as usize);
        // Chroma of I420 has as many rows in all as luma, half as long.
        let rows = height.next_multiple_of(2) * (width + width.div_ceil(2) + 2 * ROW_SLACK_BYTES);
        let on_its_side = width.next_multiple_of(2) * (height + height.div_ceil(2) + 2 * ROW_SLACK_BYTES);
        (table_bytes() + rows.max(on_its_side) + Self::AT_ONCE * ALIGNMENT_BYTES)
            .next_multiple_of(ALIGNMENT_BYTES)
    }

    fn longest_px(&self) -> u32 {
        self.largest.0.max(self.largest.1)
    }
}

/// Bytes in front of the pictures.
pub(super) fn table_bytes() -> usize {
    Preprocess::table_bytes(FrameRoom::AT_ONCE).next_multiple_of(ALIGNMENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_view::Plane;
    use crate::{Colorimetry, YuvMatrix, YuvRange};

    const COLORIMETRY: Colorimetry = Colorimetry { matrix: YuvMatrix::Bt709, range: YuvRange::Limited };

    fn room(largest: (u32, u32), target: (u32, u32)) -> FrameRoom {
        FrameRoom { largest, target, pixels_in: PixelsIn::DeviceMemory }
    }

    fn nv12(bytes: &[u8], (width, height): (u32, u32)) -> ImageView<'_> {
        let plane = Plane { bytes, stride: width.next_multiple_of(2) as usize };
        ImageView::nv12(width, height, plane, plane, COLORIMETRY).unwrap()
    }

    #[test]
    fn filters_of_no_size_are_larger_than_their_room() {
        for target in [(1, 1), (7, 33), (64, 48), (768, 768)] {
            for longest in [1, 5, 63, 64, 65, 500, 1081] {
                let most = ResizeTables::most_bytes(longest, target);
                for side in (1..=longest).step_by(7).chain(longest.saturating_sub(9).max(1)..=longest) {
                    let needed = ResizeTables::new((side, longest), target).bytes.len();
                    assert!(needed <= most, "{side}x{longest} to {target:?}: {needed}, room for {most}");
                }
            }
        }
    }

    #[test]
    fn the_largest_picture_fits_either_way_round_and_four_of_half_its_sides_together() {
        let bytes = vec![0; 2048 * 2048];
        for largest in [(1920, 1080), (1081, 401), (700, 1999)] {
            let room = room(largest, (768, 768));
            assert!(room.holds(&nv12(&bytes, largest)) && room.holds(&nv12(&bytes, (largest.1, largest.0))));
            let half = PictureShape::of(&nv12(&bytes, (largest.0 / 2, largest.1 / 2)));
            assert_eq!(room.together(&[half; 6]), 4, "{largest:?}");
            let whole = PictureShape::of(&nv12(&bytes, largest));
            assert_eq!(room.together(&[whole; 2]), 1);
        }
    }

    #[test]
    fn a_picture_that_is_too_large_is_not_held() {
        let bytes = vec![0; 4_000_000];
        let room = room((320, 200), (64, 64));
        for (width, height) in [(400, 240), (321, 1), (1, 321)] {
            assert!(!room.holds(&nv12(&bytes, (width, height))), "{width}x{height}");
        }
        let rgb = ImageView::rgb8(320, 200, Plane { bytes: &bytes, stride: 960 }).unwrap();
        assert!(!room.holds(&rgb), "twice the bytes");
    }
}

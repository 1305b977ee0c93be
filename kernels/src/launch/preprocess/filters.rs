//! The filters of the sizes that pictures have had lately.

use super::frame_room::FrameRoom;
use super::tables::ResizeTables;

/// Filters and where in device memory they lie. All that reads or writes that memory is in one stream, so a place can be
/// given to another size at any time.
#[derive(Debug, Default)]
pub(super) struct Filters {
    target: (u32, u32),
    /// The size met last stands last.
    kept: Vec<Kept>,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) tables: ResizeTables,
    /// Which of [`FrameRoom::SIZES`] places.
    pub(super) place: usize,
}

impl Filters {
    /// A picture of this size comes; returns its filters if the device does not have them.
    pub(super) fn meet(&mut self, source: (u32, u32), target: (u32, u32)) -> Option<&Kept> {
        if self.target != target {
            self.forget();
            self.target = target;
        }
        if let Some(known) = self.kept.iter().position(|kept| kept.tables.source == source) {
            let kept = self.kept.remove(known);
            self.kept.push(kept);
            return None;
        }
        let place =
            if self.kept.len() < FrameRoom::SIZES { self.kept.len() } else { self.kept.remove(0).place };
        self.kept.push(Kept { tables: ResizeTables::new(source, target), place });
        self.kept.last()
    }

    /// The filters of a size that was met.
    pub(super) fn of(&self, source: (u32, u32)) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.tables.source == source)
    }

    /// The device may have none of them.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_met_longest_ago_gives_its_place_to_a_new_one() {
        let mut filters = Filters::default();
        let mut meet = |side| filters.meet((side, 4), (4, 4)).map(|kept| kept.place);
        let sizes = FrameRoom::SIZES as u32;
        let places: Vec<_> = (1..=sizes).map(&mut meet).collect();
        assert_eq!(places, (0..FrameRoom::SIZES).map(Some).collect::<Vec<_>>());
        assert_eq!(meet(1), None, "known");
        assert_eq!(meet(sizes + 1), Some(1), "in the place of size 2");
        assert_eq!((meet(1), meet(2)), (None, Some(2)));
        assert!(filters.meet((1, 4), (5, 4)).is_some(), "for another input size of the model");
    }
}

//! What a prompt asks about, beside its task.

use std::fmt;

use super::picture::PictureSize;
use crate::error::ModelError;
use crate::tokens::LOCATION_BINS;

/// The input of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskInput {
    /// Nothing but the picture.
    Nothing,
    /// A phrase or a caption.
    Text(String),
    /// Several phrases asked about at once, joined by `<and>` (what open-vocabulary detection was trained with).
    Phrases(Vec<String>),
    /// A box in the picture.
    Region(LocationBox),
}

/// A box in location bins: the form in which a prompt names a region. Displays as four location tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationBox {
    bins: [u16; 4],
}

impl LocationBox {
    /// How a region is written in a prompt.
    pub const FORM: &'static str = "<loc_x1><loc_y1><loc_x2><loc_y2>";

    /// The bins of a box given by its corners x1, y1, x2, y2 in pixels of the picture (spec section 7.1).
    ///
    /// # Errors
    /// [`ModelError::RegionOutsidePicture`] unless 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height.
    pub fn from_pixels(corners_px: [f32; 4], picture: PictureSize) -> Result<Self, ModelError> {
        let [x1, y1, x2, y2] = corners_px;
        // Comparisons with NaN are false, so it is refused too.
        let inside = 0.0 <= x1
            && x1 < x2
            && f64::from(x2) <= f64::from(picture.width)
            && 0.0 <= y1
            && y1 < y2
            && f64::from(y2) <= f64::from(picture.height);
        if !inside {
            return Err(ModelError::RegionOutsidePicture { corners_px, picture });
        }
        Ok(Self { bins: [picture.x_bin(x1), picture.y_bin(y1), picture.x_bin(x2), picture.y_bin(y2)] })
    }

    /// A box from location bins, turned the right way round if it is inverted; bins above 999 are taken as 999.
    pub fn from_bins([x1, y1, x2, y2]: [u16; 4]) -> Self {
        let bins = [x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)];
        Self { bins: bins.map(|bin| bin.min(LOCATION_BINS - 1)) }
    }

    /// A box from its four location tokens written out, with nothing between or around them.
    ///
    /// # Errors
    /// [`ModelError::RegionText`] if `text` is anything else.
    pub fn from_tokens(text: &str) -> Result<Self, ModelError> {
        let error = || ModelError::RegionText { text: crate::tokens::beginning(text) };
        let mut bins = [0; 4];
        let mut rest = text;
        for bin in &mut bins {
            let (number, after) =
                rest.strip_prefix("<loc_").and_then(|rest| rest.split_once('>')).ok_or_else(error)?;
            let known = |bin: &u16| *bin < LOCATION_BINS && bin.to_string() == number;
            *bin = number.parse().ok().filter(known).ok_or_else(error)?;
            rest = after;
        }
        if rest.is_empty() { Ok(Self { bins }) } else { Err(error()) }
    }

    /// The bins x1, y1, x2, y2, each below 1000.
    pub fn bins(self) -> [u16; 4] {
        self.bins
    }
}

impl fmt::Display for LocationBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bins.iter().try_for_each(|bin| write!(f, "<loc_{bin}>"))
    }
}

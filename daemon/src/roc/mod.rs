//! How well a score tells pictures with a phrase from pictures without it. Pure arithmetic.
//!
//! - [`RocCurve`]: the scores of both groups, its points, its area, and what becomes of both at a threshold.
//! - [`Share`]: so many of so many, with the interval that so few allow to state.
//! - [`Threshold`]: where to put `min_score` so that few absent pictures alarm.

mod curve;
mod interval;
mod share;
mod threshold;

pub use curve::{Rates, RocCurve, RocError, RocPoint};
pub use interval::Interval;
pub use share::Share;
pub use threshold::Threshold;

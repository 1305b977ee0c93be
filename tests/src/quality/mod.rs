//! How good the bundled model is: answers of the built binary beside the truth of made-up scenes and of the film.

mod captions;
mod film;
mod film_truth;
mod floors;
mod infer;
mod labelled_box;
mod matching;
mod measure;
mod phase;
mod phrases;
mod reference_tokens;
mod scenes;
mod still_pictures;
mod table;

pub use captions::named;
pub use film::{FilmRun, measure_film};
pub use film_truth::{FilmObject, FilmTruth};
pub use floors::Floors;
pub use infer::{Answer, Infer, Precision, Question};
pub use labelled_box::LabelledBox;
pub use matching::{Tally, match_boxes};
pub use measure::{Measure, Measured};
pub use phase::{Phase, Seen, find_phase};
pub use phrases::Phrase;
pub use reference_tokens::{Difference, ReferenceTokens};
pub use scenes::{Object, PhraseQuestion, RegionQuestion, Scene, Scenes};
pub use still_pictures::{Answers, ask, measure_pictures};
pub use table::Table;

//! Florence-2 from [`PixelValues`](belvedere_kernels) to results: checkpoint, graphs, engines, decoding, text.

pub mod checkpoint;
pub mod decode;
mod encoded_pictures;
pub mod engine;
mod error;
pub mod evidence;
mod florence;
pub mod graph;
pub mod machine;
pub mod parse;
mod submissions;
pub mod synthetic;
pub mod tasks;
pub mod tokens;

pub use checkpoint::Checkpoint;
pub use decode::{EarlyStopping, Generation, GenerationOptions, StageTimes};
pub use encoded_pictures::EncodedPictures;
pub use engine::{CancelToken, Engine, ImageFeatures};
pub use error::{ModelError, TokenizersCause};
pub use evidence::{Evidence, FoundPhrase, FoundRegion, PhraseForm, ScoreWeights, WatchedPhrase};
pub use florence::{Device, Florence, LoadOptions, Precision};
pub use parse::{Answer, ParseMode, Region, Shape, TaskOutput};
pub use submissions::{Answered, Submission};
pub use tasks::{InputKind, LocationBox, PictureSize, Prompt, PromptStyle, Task, TaskInput};
pub use tokens::Tokenizer;

//! A model that is asked one question after the other.

use std::path::{Path, PathBuf};

use belvedere_kernels::RgbImage;
use belvedere_models::{Answer, CancelToken, Generation, ImageFeatures, ParseMode, PictureSize, TaskOutput};

use super::super::CommandError;
use super::question::Question;
use crate::analyst::{AnalysisError, Analyst};
use crate::messages::TimingMs;
use crate::picture;

/// A loaded model with the image that it was asked about last: consecutive questions about one image share its
/// reading and its encoding.
pub(super) struct Interview {
    analyst: Analyst,
    mode: ParseMode,
    image: Option<EncodedImage>,
}

struct EncodedImage {
    path: PathBuf,
    picture: RgbImage,
    features: ImageFeatures,
    /// Of preprocessing and of the vision tower.
    timing: TimingMs,
}

/// The answer to one question.
pub(super) struct Answered {
    /// Of the image.
    pub(super) width: u32,
    /// Of the image.
    pub(super) height: u32,
    pub(super) output: TaskOutput,
    /// The whole sequence.
    pub(super) token_ids: Vec<u32>,
    /// The image's part is the same in all answers about it.
    pub(super) timing: TimingMs,
}

impl Interview {
    /// With a loaded model; answers are read in `mode`.
    pub(super) fn new(analyst: Analyst, mode: ParseMode) -> Interview {
        Interview { analyst, mode, image: None }
    }

    /// Answers one question by itself: no other one changes the answer.
    ///
    /// # Errors
    /// The image's, the question's and the model's.
    pub(super) fn answer(&mut self, question: &Question) -> Result<Answered, CommandError> {
        let image = match self.image.take().filter(|image| image.path == question.image) {
            Some(image) => image,
            None => encode(&mut self.analyst, &question.image)?,
        };
        let image = self.image.insert(image);
        let (width, height) = (image.picture.width, image.picture.height);
        let size = PictureSize::new(width, height);
        let prompt = [question.asked.prompt(&self.analyst, size)?];
        let generated = self.analyst.generate(&image.features, &prompt, &CancelToken::new())?;
        let ([prompt], Some(generation)) = (&prompt, generated.into_iter().next()) else {
            return Err(CommandError::Missed(format!("{}: no answer", question.image.display())));
        };
        let Generation { token_ids, log_probs, timing: times } = generation;
        let answer = Answer { token_ids: &token_ids, log_probs: &log_probs };
        let output = self.analyst.parse(prompt, answer, size, self.mode)?;
        let timing = TimingMs {
            encoder: times.encoder_ms,
            decode: times.prefill_ms + times.decode_ms,
            ..image.timing
        };
        Ok(Answered { width, height, output, token_ids, timing })
    }

    /// The picture that was asked about last, upright.
    pub(super) fn into_picture(self) -> Option<RgbImage> {
        self.image.map(|image| image.picture)
    }
}

fn encode(analyst: &mut Analyst, path: &Path) -> Result<EncodedImage, CommandError> {
    let picture = picture::read(path)?;
    let view = picture.view().map_err(AnalysisError::from)?;
    let (features, timing) = analyst.encode(&view, &CancelToken::new())?;
    Ok(EncodedImage { path: path.to_owned(), picture, features, timing })
}

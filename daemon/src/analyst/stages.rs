//! The stages one by one.

use belvedere_kernels::ImageView;
use belvedere_models::{
    Answer, CancelToken, EncodedPictures, Generation, GenerationOptions, ImageFeatures, ModelError,
    ParseMode, PictureSize, Prompt, TaskOutput,
};

use super::{AnalysisError, Analyst};
use crate::messages::TimingMs;

impl Analyst {
    /// The stages from a picture to its features, with their times: colour, size and normalisation, where the engine does
    /// that or here, and the vision tower.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn encode(
        &mut self,
        picture: &ImageView<'_>,
        cancel: &CancelToken,
    ) -> Result<(ImageFeatures, TimingMs), AnalysisError> {
        let EncodedPictures { features, preprocess_ms: preprocess, vision_ms: vision } =
            self.encode_all(std::slice::from_ref(picture), cancel)?;
        let features = features.into_iter().next().ok_or(ModelError::Cancelled)?;
        Ok((features, TimingMs { preprocess, vision, ..TimingMs::default() }))
    }

    /// The same for several pictures, together where the engine can; the pictures are of no use to it afterwards.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn encode_all(
        &mut self,
        pictures: &[ImageView<'_>],
        cancel: &CancelToken,
    ) -> Result<EncodedPictures, AnalysisError> {
        Ok(self.florence.encode_views(pictures, &mut self.plan, cancel)?)
    }

    /// What the vision tower is given for a picture, `[3, height, width]`, for comparisons: as the engine prepares it where it
    /// does, or else as the CPU does.
    ///
    /// # Errors
    /// The engine's.
    pub fn pixel_values(&mut self, picture: &ImageView<'_>) -> Result<Vec<f32>, AnalysisError> {
        if let Some(encoder) = self.florence.engine().view_encoder()
            && encoder.takes(picture, self.plan.spec())
        {
            return Ok(encoder.pixel_values(picture, self.plan.spec())?);
        }
        Ok(self.plan.run(picture)?.data)
    }

    /// The text stages, prompt by prompt.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn generate(
        &mut self,
        features: &ImageFeatures,
        prompts: &[Prompt],
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>, AnalysisError> {
        let token_ids: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
        Ok(self.florence.generate(features, &token_ids, &self.options, cancel)?)
    }

    /// The same with a search and a limit of the caller's.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn generate_with(
        &mut self,
        features: &ImageFeatures,
        prompts: &[Prompt],
        beams: usize,
        max_new_tokens: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>, AnalysisError> {
        let token_ids: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
        let options = GenerationOptions { beams, max_new_tokens, ..self.options.clone() };
        Ok(self.florence.generate(features, &token_ids, &options, cancel)?)
    }

    /// How probable the model holds `answers`, one to each prompt, token by token after the first.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn score(
        &mut self,
        features: &ImageFeatures,
        prompts: &[Prompt],
        answers: &[Vec<u32>],
        cancel: &CancelToken,
    ) -> Result<Vec<Vec<f32>>, AnalysisError> {
        let token_ids: Vec<&[u32]> = prompts.iter().map(Prompt::token_ids).collect();
        let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
        Ok(self.florence.score(features, &token_ids, &answers, 1, cancel)?)
    }

    /// What the model would have to generate to say `text`, in which locations are written out.
    ///
    /// # Errors
    /// The tokenizer refuses it.
    pub fn sequence(&self, text: &str) -> Result<Vec<u32>, AnalysisError> {
        let start = self.prompter.tokenizer().vocabulary().eos;
        Ok([vec![start], self.prompter.tokenizer().encode(text)?].concat())
    }

    /// The values of what the vision tower made of a picture, for comparisons.
    ///
    /// # Errors
    /// The engine's.
    pub fn read_features(&mut self, features: &ImageFeatures) -> Result<Vec<f32>, AnalysisError> {
        Ok(self.florence.engine().read_features(features)?)
    }

    /// The stage after the model.
    ///
    /// # Errors
    /// The tokenizer cannot decode.
    pub fn parse(
        &self,
        prompt: &Prompt,
        answer: Answer<'_>,
        picture: PictureSize,
        mode: ParseMode,
    ) -> Result<TaskOutput, AnalysisError> {
        Ok(prompt.parse(self.prompter.tokenizer(), answer, picture, mode)?)
    }
}

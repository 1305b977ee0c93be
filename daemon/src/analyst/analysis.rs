//! Everything that is asked about one picture, and what is read out of the answers.

use std::time::Instant;

use belvedere_kernels::ImageView;
use belvedere_models::evidence::{Asked, Look};
use belvedere_models::{
    Answer, Answered, CancelToken, FoundPhrase, Generation, ImageFeatures, ModelError, ParseMode, PhraseForm,
    PictureSize, Prompt, Region, Submission, Task, TaskOutput, WatchedPhrase,
};

use super::{AnalysisError, Analyst};
use crate::messages::TimingMs;

/// What was found in one picture, prompt by prompt.
#[derive(Debug)]
pub struct Analysis {
    /// In the order of the prompts.
    pub answers: Vec<Found>,
    /// In the order of the phrases.
    pub phrases: Vec<FoundPhrase>,
    /// Where the time went; shared by all answers.
    pub timing: TimingMs,
}

/// The answer to one prompt.
#[derive(Debug)]
pub struct Found {
    /// Text and regions, in pixels of the picture.
    pub output: TaskOutput,
    /// The whole sequence.
    pub token_ids: Vec<u32>,
}

/// What was asked about one picture and is not read yet.
#[derive(Debug)]
pub struct Inquiry {
    /// What the vision tower made of it.
    pub features: ImageFeatures,
    size: PictureSize,
    /// The questions for phrases, each with the places of those that it asks for.
    about_phrases: Vec<(Prompt, Vec<usize>)>,
    timing: TimingMs,
}

impl Inquiry {
    /// The tokens of all questions, those for phrases last.
    fn questions<'a>(&'a self, prompts: &'a [Prompt]) -> Vec<&'a [u32]> {
        let about_phrases = self.about_phrases.iter().map(|(prompt, _)| prompt);
        prompts.iter().chain(about_phrases).map(Prompt::token_ids).collect()
    }

    /// How many sequences the answers to `prompts` and to the questions for phrases are.
    pub fn sequences(&self, prompts: &[Prompt]) -> usize {
        prompts.len() + self.about_phrases.len()
    }
}

impl Analyst {
    /// Asks `prompts` about one picture and looks for `phrases` in it: it is encoded once, everything is decoded as
    /// one batch.
    ///
    /// # Errors
    /// The model's, and cancellation.
    pub fn analyse(
        &mut self,
        picture: &ImageView<'_>,
        prompts: &[Prompt],
        phrases: &[&WatchedPhrase],
        mode: ParseMode,
        cancel: &CancelToken,
    ) -> Result<Analysis, AnalysisError> {
        let (features, timing) = self.encode(picture, cancel)?;
        let size = PictureSize::new(picture.width(), picture.height());
        let about_phrases = self.questions(phrases, self.form)?;
        let inquiry = Inquiry { features, size, about_phrases, timing };
        let questions = inquiry.questions(prompts);
        let generated = self.florence.generate(&inquiry.features, &questions, &self.options, cancel)?;
        self.conclude(&inquiry, generated, prompts, phrases, mode, cancel)
    }

    /// The same without waiting for the answers, about a picture that was encoded: they come by [`turn`](Self::turn) and
    /// are for [`conclude`](Self::conclude). `timing` is what encoding took.
    ///
    /// # Errors
    /// The model's.
    pub fn submit(
        &mut self,
        features: ImageFeatures,
        size: PictureSize,
        prompts: &[Prompt],
        phrases: &[&WatchedPhrase],
        timing: TimingMs,
    ) -> Result<(Submission, Inquiry), AnalysisError> {
        let about_phrases = self.questions(phrases, self.form)?;
        let inquiry = Inquiry { features, size, about_phrases, timing };
        let questions = inquiry.questions(prompts);
        let submission = self.florence.submit(&inquiry.features, &questions, &self.options)?;
        Ok((submission, inquiry))
    }

    /// Goes on with everything submitted until there are answers.
    ///
    /// # Errors
    /// Cancellation, and a failure of the engine, which loses it all.
    pub fn turn(&mut self, cancel: &CancelToken) -> Result<Vec<Answered>, AnalysisError> {
        Ok(self.florence.turn(cancel)?)
    }

    /// Gives up what was submitted.
    pub fn withdraw(&mut self, submission: Submission) {
        self.florence.withdraw(submission);
    }

    /// How many prompts are answered at the same time; 1 where the engine answers one picture's after another's.
    pub fn slots(&mut self) -> usize {
        self.florence.slots().unwrap_or(1)
    }

    /// Reads the answers to an inquiry about `prompts` and `phrases`, and examines the evidence.
    ///
    /// # Errors
    /// The model's, and cancellation.
    pub fn conclude(
        &mut self,
        inquiry: &Inquiry,
        mut generated: Vec<Generation>,
        prompts: &[Prompt],
        phrases: &[&WatchedPhrase],
        mode: ParseMode,
        cancel: &CancelToken,
    ) -> Result<Analysis, AnalysisError> {
        let Inquiry { features, size, about_phrases, timing } = inquiry;
        let (size, mut timing) = (*size, *timing);
        let said_of_phrases = generated.split_off(prompts.len().min(generated.len()));
        // The whole batch shares one.
        if let Some(Generation { timing: times, .. }) = generated.first().or(said_of_phrases.first()) {
            timing.encoder = times.encoder_ms;
            timing.decode = times.prefill_ms + times.decode_ms;
        }
        let mut answers = Vec::with_capacity(prompts.len());
        for (prompt, Generation { token_ids, log_probs, .. }) in prompts.iter().zip(generated) {
            let answer = Answer { token_ids: &token_ids, log_probs: &log_probs };
            let output = prompt.parse(self.prompter.tokenizer(), answer, size, mode)?;
            answers.push(Found { output, token_ids });
        }
        let asked = about_phrases.iter().zip(&said_of_phrases);
        let asked: Vec<Asked<'_>> =
            asked.map(|((prompt, phrases), answer)| Asked { prompt, phrases, answer }).collect();
        let is_detection = |prompt: &&Prompt| prompt.task() == Some(Task::ObjectDetection);
        let detected = prompts.iter().position(|prompt| is_detection(&prompt));
        let detected: &[Region] =
            detected.and_then(|at| answers.get(at)).map_or(&[], |found| found.output.regions.as_slice());
        let clock = Instant::now();
        let look = Look { features, picture: size, phrases, asked: &asked, detected };
        let phrases = self.examine(look, cancel)?;
        if !phrases.is_empty() {
            timing.evidence = ms_since(clock);
        }
        Ok(Analysis { answers, phrases, timing })
    }

    /// The questions for `phrases`, each with the places of the phrases that it asks for.
    ///
    /// # Errors
    /// A phrase is too long for the model.
    pub fn questions(
        &self,
        phrases: &[&WatchedPhrase],
        form: PhraseForm,
    ) -> Result<Vec<(Prompt, Vec<usize>)>, AnalysisError> {
        Ok(form.questions(self.prompter.tokenizer(), phrases)?)
    }

    /// The stage after the answers about phrases: their evidence and scores.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn examine(
        &mut self,
        look: Look<'_>,
        cancel: &CancelToken,
    ) -> Result<Vec<FoundPhrase>, AnalysisError> {
        Ok(self.examiner.examine(&mut self.florence, self.prompter.tokenizer(), look, cancel)?)
    }

    /// One more question about `picture`, of which `encoded` is what the vision tower makes; it is encoded where that is not
    /// there, and kept there. Where the question is that for a `phrase`, what was found of it comes with its scores.
    ///
    /// # Errors
    /// The model's, and cancellation.
    pub fn ask_again(
        &mut self,
        prompt: &Prompt,
        phrase: Option<&WatchedPhrase>,
        picture: &ImageView<'_>,
        encoded: &mut Option<ImageFeatures>,
        cancel: &CancelToken,
    ) -> Result<(Found, Option<FoundPhrase>, TimingMs), AnalysisError> {
        let mut timing = TimingMs::default();
        let features = match encoded {
            Some(features) => features.clone(),
            None => {
                let (features, times) = self.encode(picture, cancel)?;
                timing = times;
                encoded.insert(features).clone()
            }
        };
        let generated = self.generate(&features, std::slice::from_ref(prompt), cancel)?;
        let generation = generated.into_iter().next().ok_or(ModelError::Cancelled)?;
        timing.encoder = generation.timing.encoder_ms;
        timing.decode = generation.timing.prefill_ms + generation.timing.decode_ms;
        let size = PictureSize::new(picture.width(), picture.height());
        let mut found = None;
        if let Some(phrase) = phrase {
            let clock = Instant::now();
            let (phrases, asked) = ([phrase], [Asked { prompt, phrases: &[0], answer: &generation }]);
            let look =
                Look { features: &features, picture: size, phrases: &phrases, asked: &asked, detected: &[] };
            let is_watched = self.examiner.has_kept(prompt);
            let examined = self.examine(look, cancel);
            // Anybody may ask for any phrase: what is kept for those of alerts is not to grow by it.
            if !is_watched {
                self.examiner.forget(prompt);
            }
            found = examined?.pop();
            timing.evidence = ms_since(clock);
        }
        let Generation { token_ids, log_probs, .. } = generation;
        let answer = Answer { token_ids: &token_ids, log_probs: &log_probs };
        let output = self.parse(prompt, answer, size, ParseMode::Default)?;
        Ok((Found { output, token_ids }, found, timing))
    }
}

fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}

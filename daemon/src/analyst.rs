//! The model with all that it takes to ask it something: pictures in, answers out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use belvedere_kernels::{ImageView, KernelError, PreprocessPlan, PreprocessSpec, RgbImage};
use belvedere_models::{
    Answer, Answered, CancelToken, Checkpoint, EncodedPictures, Florence, FoundPhrase, Generation,
    GenerationOptions, ImageFeatures, LoadOptions, ModelError, ParseMode, PhraseForm, PictureSize, Prompt,
    Region, ScoreWeights, Submission, Task, TaskInput, TaskOutput, Tokenizer, WatchedPhrase,
};

use belvedere_models::engine::DeviceMemory;
use belvedere_models::engine::tensorrt::OnBuild;
use belvedere_models::evidence::{Asked, Examiner, Look};

use crate::bundled;
use crate::config::ModelSettings;
use crate::doctor;
use crate::folders;
use crate::messages::TimingMs;
use crate::prompter::Prompter;

/// The start, the forced first token, a free one, the end.
const WARM_UP_TOKENS: usize = 4;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The picture cannot be brought to the model's size.
    #[error(transparent)]
    Picture(#[from] KernelError),
    /// The checkpoint, the engine or the prompt is at fault, or the call was cancelled.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device that was asked for is not to be had, with what `doctor` says to do about it.
    #[error("{error}{}", .advice.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Unavailable {
        /// What the engine says.
        error: Box<ModelError>,
        /// Lines for people.
        advice: Vec<String>,
    },
    /// The bundled checkpoint cannot be unpacked.
    #[error("the bundled model cannot be written to {}: {reason}", dir.display())]
    Bundled {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl AnalysisError {
    /// Whether a device or a library that is needed is missing on this machine.
    pub fn is_unavailable(&self) -> bool {
        match self {
            AnalysisError::Unavailable { .. } => true,
            AnalysisError::Model(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// Whether the call was told to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, AnalysisError::Model(ModelError::Cancelled))
    }
}

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

/// The answer to one prompt.
#[derive(Debug)]
pub struct Found {
    /// Text and regions, in pixels of the picture.
    pub output: TaskOutput,
    /// The whole sequence.
    pub token_ids: Vec<u32>,
}

/// What loading is told by, and whom it tells.
#[derive(Debug, Clone, Default)]
pub struct Loading {
    /// Is told how far building engines has come.
    pub on_build: OnBuild,
    /// Ends it.
    pub cancel: CancelToken,
    /// Builds the model's engines anew, those that are there too.
    pub rebuild_engines: bool,
    /// Whether little memory and an early start count for more than speed, with the bundled model.
    pub spares_memory: bool,
}

/// A loaded model. Owned by one thread.
pub struct Analyst {
    florence: Florence,
    prompter: Prompter,
    plan: PreprocessPlan,
    options: GenerationOptions,
    is_bundled: bool,
    form: PhraseForm,
    examiner: Examiner,
}

impl Analyst {
    /// Loads the model of `settings`, the bundled one where none is named.
    ///
    /// # Errors
    /// The checkpoint or the engine; see [`AnalysisError::is_unavailable`].
    pub fn load(settings: &ModelSettings) -> Result<Analyst, AnalysisError> {
        Analyst::load_with(settings, Loading::default())
    }

    /// The same, where it can take long.
    ///
    /// # Errors
    /// As for [`load`](Self::load), and cancellation.
    pub fn load_with(settings: &ModelSettings, loading: Loading) -> Result<Analyst, AnalysisError> {
        let dir = match &settings.path {
            Some(dir) => dir.clone(),
            None => bundled::checkpoint()?,
        };
        let checkpoint = Checkpoint::open(&dir)?;
        let tokenizer = tokenizer(&dir, &checkpoint)?;
        let spec = checkpoint.preprocess_spec().clone();
        let options = LoadOptions {
            width: spec.width,
            height: spec.height,
            device: settings.device,
            precision: settings.precision,
            threads: settings.threads,
            scratch: folders::cache().map(|folder| folder.join("loading")),
            engines: folders::engines(),
            rebuild_engines: loading.rebuild_engines,
            // With the small bundled model OpenVINO takes as much memory as all else together, and half of the start.
            openvino: (settings.path.is_none() && loading.spares_memory).then_some(false),
            on_build: loading.on_build,
            cancel: loading.cancel,
            ..LoadOptions::default()
        };
        let image_tokens = checkpoint.config().image_tokens(spec.width, spec.height)?;
        let florence =
            Florence::load(&checkpoint, &options).map_err(|error| match error.is_unavailable() {
                true => AnalysisError::Unavailable {
                    error: Box::new(error),
                    advice: doctor::advice(settings.device),
                },
                false => error.into(),
            })?;
        let max_prompt_tokens = checkpoint.config().text.max_positions.saturating_sub(image_tokens);
        Analyst::over(florence, Prompter::new(tokenizer, max_prompt_tokens), spec, settings)
    }

    /// A model that is loaded, with the rest of `settings` around it.
    ///
    /// # Errors
    /// No picture could be brought to the size of `spec`.
    pub(crate) fn over(
        florence: Florence,
        prompter: Prompter,
        spec: PreprocessSpec,
        settings: &ModelSettings,
    ) -> Result<Analyst, AnalysisError> {
        let weights = if settings.path.is_none() { ScoreWeights::BUNDLED } else { ScoreWeights::UNFITTED };
        Ok(Analyst {
            florence,
            prompter,
            examiner: Examiner::new(weights, spec.width as usize, spec.height as usize),
            plan: PreprocessPlan::new(spec)?,
            options: GenerationOptions {
                beams: settings.beams,
                max_new_tokens: settings.max_new_tokens,
                ..GenerationOptions::default()
            },
            is_bundled: settings.path.is_none(),
            form: settings.phrases,
        })
    }

    /// Runs every stage once on a blank picture, so that the first frame finds all memory taken and every graph run.
    ///
    /// # Errors
    /// The model's, which no picture would be spared; cancellation.
    pub fn warm_up(&mut self, cancel: &CancelToken) -> Result<(), AnalysisError> {
        let blank = RgbImage { width: 64, height: 64, pixels: vec![127; 64 * 64 * 3] };
        let (features, _) = self.encode(&blank.view()?, cancel)?;
        let prompt = self.prompt(Task::Caption, TaskInput::Nothing)?;
        let options = GenerationOptions { max_new_tokens: WARM_UP_TOKENS, ..self.options.clone() };
        self.florence.generate(&features, &[prompt.token_ids()], &options, cancel)?;
        Ok(())
    }

    /// What runs where and how, in one line.
    pub fn description(&self) -> String {
        self.florence.device_description()
    }

    /// Whether no model was named, and this is the bundled one.
    pub fn is_bundled(&self) -> bool {
        self.is_bundled
    }

    /// Lets every answer from now on have exactly `tokens` tokens after the start token, whatever the model would
    /// say: for measurements. A decoder with fewer positions still ends there.
    pub fn answer_with_exactly(&mut self, tokens: usize) {
        self.options.min_new_tokens = tokens;
        self.options.max_new_tokens = tokens;
    }

    /// Lets every region of a phrase be asked back, not only where there is doubt: for measurements.
    pub fn check_every_region(&mut self) {
        self.examiner.check_every_region();
    }

    /// Makes prompts for this model, wherever they are wanted.
    pub fn prompter(&self) -> &Prompter {
        &self.prompter
    }

    /// A prompt for `task`.
    ///
    /// # Errors
    /// The input is not what the task takes, or too long for the model.
    pub fn prompt(&self, task: Task, input: TaskInput) -> Result<Prompt, AnalysisError> {
        self.prompter.prompt(task, input)
    }

    /// A prompt of a fine-tune's own.
    ///
    /// # Errors
    /// It is too long for the model, or holds what is no text.
    pub fn free_prompt(&self, text: &str) -> Result<Prompt, AnalysisError> {
        self.prompter.free_prompt(text)
    }

    /// A phrase to look for in pictures.
    ///
    /// # Errors
    /// It is too long for the model.
    pub fn watched_phrase(&self, text: &str) -> Result<WatchedPhrase, AnalysisError> {
        self.prompter.watched_phrase(text)
    }

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

    /// The memory of the device that runs the model, where it has its own.
    pub fn device_memory(&mut self) -> Option<DeviceMemory> {
        self.florence.device_memory()
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

    /// What the model would have to generate to say `text`, in which locations are written out.
    ///
    /// # Errors
    /// The tokenizer refuses it.
    pub fn sequence(&self, text: &str) -> Result<Vec<u32>, AnalysisError> {
        let start = self.prompter.tokenizer().vocabulary().eos;
        Ok([vec![start], self.prompter.tokenizer().encode(text)?].concat())
    }

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

/// The tokenizer of a checkpoint's folder.
///
/// # Errors
/// It is missing, or does not fit the checkpoint.
pub fn tokenizer(dir: &Path, checkpoint: &Checkpoint) -> Result<Tokenizer, AnalysisError> {
    Ok(Tokenizer::open(&dir.join("tokenizer.json"), checkpoint.config().text.vocabulary)?)
}

fn ms_since(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1e3
}

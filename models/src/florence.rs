use std::time::Instant;

use belvedere_kernels::{ImageView, PreprocessPlan};

use crate::ModelError;
use crate::checkpoint::Checkpoint;
use crate::decode::{DecoderConfig, Generation, GenerationOptions, generate, log_probs_of, portions};
use crate::encoded_pictures::EncodedPictures;
use crate::engine::ort::{OrtEngine, OrtOptions};
use crate::engine::tensorrt::{GpuMachine, LARGEST_FRAME_PX, OnBuild};
use crate::engine::{
    BatchLimits, CancelToken, DeviceMemory, Engine, How, ImageFeatures, KeptPrompt, Pixels, Source,
};
use crate::submissions::{Answered, Submission, Submissions};

/// Where to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best there is: what was chosen stands in [`Florence::device_description`].
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// TensorRT; an error where there is none.
    TensorRt,
}

/// How exactly to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32 throughout: the reference's tokens.
    Exact,
    /// Reduced where the machine is good at it: nearly the same results, sooner.
    #[default]
    Fast,
}

/// How to load a model.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Width of the pictures in pixels.
    pub width: u32,
    /// Height of the pictures in pixels.
    pub height: u32,
    /// Width and height in pixels of the largest frame, as NV12, for which a GPU's engine plans memory to prepare it there;
    /// larger ones are prepared by the CPU.
    pub largest_frame_px: (u32, u32),
    /// Where to run.
    pub device: Device,
    /// How exactly.
    pub precision: Precision,
    /// CPU threads; `None` for as many as the process may use.
    pub threads: Option<usize>,
    /// The ONNX Runtime library file; `None` to search for it.
    pub runtime_library: Option<std::path::PathBuf>,
    /// `Some(false)` leaves OpenVINO out even where it is there; `Some(true)` fails where it is not.
    pub openvino: Option<bool>,
    /// A folder of the caller's own in which weights lie, in the engine's layout, while they are loaded: on a disk, with
    /// room for the model in f32. `None` for a new folder in the system's temporary one.
    pub scratch: Option<std::path::PathBuf>,
    /// The folder of engines built before, for devices whose engines are built; `None` builds without keeping them.
    pub engines: Option<std::path::PathBuf>,
    /// Builds this model's engines anew, whatever that folder holds.
    pub rebuild_engines: bool,
    /// Is told how far building has come.
    pub on_build: OnBuild,
    /// Ends building, and loading at its next step.
    pub cancel: CancelToken,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            width: 768,
            height: 768,
            largest_frame_px: LARGEST_FRAME_PX,
            device: Device::default(),
            precision: Precision::default(),
            threads: None,
            runtime_library: None,
            openvino: None,
            scratch: None,
            engines: None,
            rebuild_engines: false,
            on_build: OnBuild::default(),
            cancel: CancelToken::default(),
        }
    }
}

/// A loaded Florence-2: pictures and prompts in, token sequences out.
pub struct Florence {
    engine: Box<dyn Engine>,
    decoder: DecoderConfig,
    submissions: Submissions,
}

impl Florence {
    /// Loads a checkpoint for one picture size.
    ///
    /// # Errors
    /// No engine for the device, a size the model cannot take, weights that cannot be read.
    pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Self, ModelError> {
        let config = checkpoint.config();
        if let Some(engine) = Self::on_gpu(checkpoint, options)? {
            return Ok(Self::with_engine(engine, DecoderConfig::new(config)));
        }
        let engine = OrtEngine::load(
            config,
            checkpoint,
            &OrtOptions {
                width: options.width,
                height: options.height,
                precision: options.precision,
                threads: options.threads,
                openvino: options.openvino,
                library: options.runtime_library.as_deref(),
                scratch: options.scratch.as_deref(),
                cancel: options.cancel.clone(),
            },
        )?;
        Ok(Self::with_engine(Box::new(engine), DecoderConfig::new(config)))
    }

    /// The engine on a GPU, where one is asked for or there is one. `auto` is content with the CPU, whatever the GPU says.
    fn on_gpu(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Option<Box<dyn Engine>>, ModelError> {
        let loaded = || GpuMachine::find()?.load(checkpoint, options);
        match options.device {
            Device::Cpu => Ok(None),
            Device::TensorRt => loaded().map(Some),
            Device::Auto => match loaded() {
                Err(ModelError::Cancelled) => Err(ModelError::Cancelled),
                Err(error) if error.is_unavailable() => {
                    tracing::debug!(%error, "no GPU for the model");
                    Ok(None)
                }
                Err(error) => {
                    tracing::warn!(%error, "the GPU that is there cannot be used; the CPU is");
                    Ok(None)
                }
                Ok(engine) => Ok(Some(engine)),
            },
        }
    }

    /// Puts the decode loop on an engine; what `load` does once it has one.
    pub fn with_engine(engine: Box<dyn Engine>, decoder: DecoderConfig) -> Self {
        Self { engine, decoder, submissions: Submissions::default() }
    }

    /// What runs where and how, in one line for people.
    pub fn device_description(&self) -> String {
        self.engine.description()
    }

    /// The engine itself, for work below the decode loop: scoring given tokens, measuring a step.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// The memory of the engine's device, where it has its own; at most a second old.
    pub fn device_memory(&mut self) -> Option<DeviceMemory> {
        self.engine.device_memory()
    }

    /// Runs the vision tower on preprocessed pixels, once for any number of prompts. Returns the features and the
    /// time taken in ms.
    ///
    /// # Errors
    /// Pixels of another size than the model was loaded for, an engine failure, cancellation.
    pub fn encode_image(
        &mut self,
        pixels: Pixels<'_>,
        cancel: &CancelToken,
    ) -> Result<(ImageFeatures, f64), ModelError> {
        let clock = Instant::now();
        let features = self.engine.encode_image(pixels, cancel)?;
        Ok((features, clock.elapsed().as_secs_f64() * 1e3))
    }

    /// Runs the vision tower on pictures of several cameras, together where the engine can. Returns their features in
    /// order, and the time taken for all of them in ms.
    ///
    /// # Errors
    /// As for [`encode_image`](Self::encode_image).
    pub fn encode_images(
        &mut self,
        pictures: &[Pixels<'_>],
        cancel: &CancelToken,
    ) -> Result<(Vec<ImageFeatures>, f64), ModelError> {
        let clock = Instant::now();
        let features = self.engine.encode_images(pictures, cancel)?;
        Ok((features, clock.elapsed().as_secs_f64() * 1e3))
    }

    /// Runs the vision tower on pictures of any sizes as their decoders give them, together where the engine can. An engine
    /// that prepares pictures itself does so, with the numbers of `plan`; for another one, and for pictures that it does not
    /// take, `plan` is run here. The pictures are of no use to it once it returns.
    ///
    /// # Errors
    /// A plan for another size than the model was loaded for, an engine failure, cancellation.
    pub fn encode_views(
        &mut self,
        pictures: &[ImageView<'_>],
        plan: &mut PreprocessPlan,
        cancel: &CancelToken,
    ) -> Result<EncodedPictures, ModelError> {
        EncodedPictures::of(self.engine.as_mut(), pictures, plan, cancel)
    }

    /// Asks prompts about one picture without waiting for the answers, which [`turn`](Self::turn) gives.
    ///
    /// # Errors
    /// Options out of range, a prompt that is too long. An engine that answers one picture at a time says so only with
    /// the answers.
    pub fn submit<P: AsRef<[u32]>>(
        &mut self,
        features: &ImageFeatures,
        prompts: &[P],
        options: &GenerationOptions,
    ) -> Result<Submission, ModelError> {
        let prompts: Vec<&[u32]> = prompts.iter().map(AsRef::as_ref).collect();
        self.submissions.submit(self.engine.as_mut(), features, &prompts, options)
    }

    /// Goes on with what was submitted, and returns what has been answered since the last call: nothing, or some
    /// submissions, each with all of its answers. Sequences about different pictures are decoded together where the
    /// engine can; elsewhere a turn answers the oldest submission. Returns at once where nothing is in flight.
    ///
    /// What is in flight also goes on while [`generate`](Self::generate) and the others wait for their own.
    ///
    /// # Errors
    /// Cancellation, after which everything is still in flight; a failure of the engine, which loses it all.
    pub fn turn(&mut self, cancel: &CancelToken) -> Result<Vec<Answered>, ModelError> {
        self.submissions.turn(self.engine.as_mut(), &self.decoder, cancel)
    }

    /// Gives up a submission. Its answers will not come.
    pub fn withdraw(&mut self, submission: Submission) {
        self.submissions.withdraw(self.engine.as_mut(), submission);
    }

    /// Submissions whose answers have not been taken.
    pub fn in_flight(&self) -> usize {
        self.submissions.len()
    }

    /// How many prompts the engine answers at the same time; `None` where it answers one picture's at a time.
    pub fn slots(&mut self) -> Option<usize> {
        self.engine.in_flight().map(|in_flight| in_flight.slots())
    }

    /// Answers prompts about one picture together, in their order: many of them in several batches, where the engine decodes
    /// by batches.
    ///
    /// # Errors
    /// Options out of range, a prompt that is too long, an engine failure, logits that are not finite, cancellation.
    pub fn generate<P: AsRef<[u32]>>(
        &mut self,
        features: &ImageFeatures,
        prompts: &[P],
        options: &GenerationOptions,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>, ModelError> {
        let prompts: Vec<&[u32]> = prompts.iter().map(AsRef::as_ref).collect();
        if let Some(in_flight) = self.engine.in_flight() {
            let how = How::Generate(options);
            let joining = prompts.iter().map(|prompt| (Source::Prompt { features, prompt }, how));
            return self.submissions.together(in_flight, joining, cancel);
        }
        generate(self.engine.as_mut(), features, &prompts, &self.decoder, options, cancel)
    }

    /// Encodes a prompt about one picture and keeps it: for [`score_kept`](Self::score_kept), any number of times.
    ///
    /// # Errors
    /// A prompt that is too long, an engine failure, cancellation.
    pub fn keep_prompt(
        &mut self,
        features: &ImageFeatures,
        prompt: &[u32],
        cancel: &CancelToken,
    ) -> Result<KeptPrompt, ModelError> {
        self.engine.keep(features, prompt, cancel)
    }

    /// How probable the model holds given answers: `answers[i]` to `prompts[i]`. It takes a pass of the decoder for
    /// every few of them, or as many steps as the longest answer has tokens where sequences join a running batch. Answers are
    /// whole sequences, as in [`Generation::token_ids`]; entry t of a result is the log-probability of token t + 1,
    /// unlike [`Generation::log_probs`] without any bans.
    ///
    /// # Errors
    /// Prompts of another model, an answer that is too long, an engine failure, logits that are not finite.
    pub fn score_kept(
        &mut self,
        prompts: &[&KeptPrompt],
        answers: &[&[u32]],
        cancel: &CancelToken,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        cancel.check()?;
        same_number(prompts.len(), answers.len(), 1)?;
        if let Some(in_flight) = self.engine.in_flight() {
            let joining =
                prompts.iter().zip(answers).map(|(kept, answer)| (Source::Kept(kept), How::Follow(answer)));
            return Ok(log_probs(self.submissions.together(in_flight, joining, cancel)?));
        }
        let (precision, vocabulary) = (self.engine.precision(), self.decoder.vocabulary);
        let mut scored = Vec::with_capacity(answers.len());
        for portion in portions::of_answers(answers, 1, vocabulary) {
            cancel.check()?;
            let prompts = prompts.get(portion.clone()).unwrap_or_default();
            let answers = answers.get(portion).unwrap_or_default();
            let mut batch = self.engine.resume(prompts, limits(1, answers))?;
            scored.extend(log_probs_of(batch.force(answers, 1)?, answers, vocabulary, precision)?);
        }
        Ok(scored)
    }

    /// How probable the model holds given answers about one picture, whose prompts are encoded a few together: `answers_each`
    /// answers to each prompt, those to the first prompt first. See [`score_kept`](Self::score_kept).
    ///
    /// # Errors
    /// As for [`generate`](Self::generate), and an answer that is too long.
    pub fn score(
        &mut self,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        answers: &[&[u32]],
        answers_each: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        same_number(prompts.len(), answers.len(), answers_each)?;
        if let Some(in_flight) = self.engine.in_flight() {
            let joining = answers.iter().enumerate().filter_map(|(place, answer)| {
                let prompt = prompts.get(place / answers_each)?;
                Some((Source::Prompt { features, prompt }, How::Follow(answer)))
            });
            return Ok(log_probs(self.submissions.together(in_flight, joining, cancel)?));
        }
        let (precision, vocabulary) = (self.engine.precision(), self.decoder.vocabulary);
        let mut scored = Vec::with_capacity(answers.len());
        for portion in portions::of_answers(answers, answers_each, vocabulary) {
            cancel.check()?;
            let rows = portion.start * answers_each..portion.end * answers_each;
            let prompts = prompts.get(portion).unwrap_or_default();
            let answers = answers.get(rows).unwrap_or_default();
            let mut batch = self.engine.start(features, prompts, limits(answers_each, answers), cancel)?;
            cancel.check()?;
            scored.extend(log_probs_of(batch.force(answers, answers_each)?, answers, vocabulary, precision)?);
        }
        Ok(scored)
    }

    /// Greedy, with what the checkpoint itself asks for.
    pub fn default_options(&self) -> GenerationOptions {
        GenerationOptions { early_stopping: self.decoder.early_stopping, ..GenerationOptions::default() }
    }

    /// What every answer begins with: the start token, and the forced one where there is one.
    pub fn answer_prefix(&self) -> Vec<u32> {
        std::iter::once(self.decoder.decoder_start).chain(self.decoder.forced_bos).collect()
    }
}

fn log_probs(generations: Vec<Generation>) -> Vec<Vec<f32>> {
    generations.into_iter().map(|generation| generation.log_probs).collect()
}

fn same_number(prompts: usize, answers: usize, answers_each: usize) -> Result<(), ModelError> {
    if answers_each > 0 && prompts.checked_mul(answers_each) == Some(answers) {
        return Ok(());
    }
    let reason = format!("{answers} answers to {prompts} prompts, {answers_each} each");
    Err(ModelError::Request { what: "answers", reason })
}

fn limits(rows: usize, answers: &[&[u32]]) -> BatchLimits {
    let longest = answers.iter().map(|answer| answer.len()).max().unwrap_or(0);
    BatchLimits { beams: rows, max_length: longest + 1 }
}

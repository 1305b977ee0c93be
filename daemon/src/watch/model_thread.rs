//! The one thread that owns the model: takes frames, as many as the engine has room for, asks, and puts the answers in the
//! outbox.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use belvedere_kernels::PixelValues;
use belvedere_models::{
    Answered, CancelToken, Generation, ParseMode, PictureSize, Prompt, Submission, Task, TaskInput,
    WatchedPhrase,
};
use belvedere_pipelines::{Frame, Scheduler};
use tokio::sync::watch;

use super::WatchError;
use super::alerting::Alerting;
use super::asking::{Answering, AskedFrame};
use super::flight::Flight;
use super::progress::CameraProgress;
use crate::analyst::{AnalysisError, Analyst, Inquiry};
use crate::config::CameraSettings;
use crate::messages::{ResultMessage, TimingMs, to_json};
use crate::mqtt::{Outbox, topics};

/// One question of a camera.
struct Asked {
    task: Task,
    /// The phrase or the caption, where the task takes one.
    input: Option<String>,
    topic: String,
}

/// What is asked of each frame of a camera. Prompts are made once.
pub(super) struct Questions {
    prompts: Vec<Prompt>,
    /// What each prompt asks and where its answer goes.
    answers: Vec<Asked>,
    /// What the frame is searched for, in the order of the camera's alerts.
    phrases: Vec<WatchedPhrase>,
    progress: Arc<CameraProgress>,
}

impl Questions {
    pub(super) fn new(
        analyst: &Analyst,
        root: &str,
        camera: &CameraSettings,
        progress: Arc<CameraProgress>,
    ) -> Result<Questions, WatchError> {
        let mut questions =
            Questions { prompts: Vec::new(), answers: Vec::new(), phrases: Vec::new(), progress };
        for asked in &camera.tasks {
            let task = asked.task;
            let input = asked.text.clone().map_or(TaskInput::Nothing, TaskInput::Text);
            let prompt = analyst.prompt(task, input).map_err(|reason| WatchError::Question {
                camera: camera.name.clone(),
                task: task.name(),
                reason: Box::new(reason),
            })?;
            questions.prompts.push(prompt);
            questions.answers.push(Asked {
                task,
                input: asked.text.clone(),
                topic: topics::result(root, &camera.name, task.name()),
            });
        }
        for alert in &camera.alerts {
            let phrase =
                analyst.watched_phrase(alert.phrase.as_str()).map_err(|reason| WatchError::Phrase {
                    camera: camera.name.clone(),
                    phrase: alert.phrase.to_string(),
                    reason: Box::new(reason),
                })?;
            questions.phrases.push(phrase);
        }
        Ok(questions)
    }

    /// The phrases of these alerts.
    fn phrases(&self, wanted: &[usize]) -> Vec<&WatchedPhrase> {
        wanted.iter().filter_map(|place| self.phrases.get(*place)).collect()
    }
}

/// A handle to the thread.
pub(super) struct ModelThread {
    /// Holds the reason once the thread has ended; its sender is gone then too.
    ended: watch::Receiver<Option<String>>,
}

impl ModelThread {
    /// Starts it. It ends when `scheduler` is shut down.
    pub(super) fn spawn(
        analyst: Analyst,
        scheduler: Scheduler,
        questions: BTreeMap<String, Questions>,
        alerting: Arc<Alerting>,
        outbox: Arc<Outbox>,
        answering: Answering,
        cancel: CancelToken,
    ) -> io::Result<ModelThread> {
        let (sender, ended) = watch::channel(None);
        let flight = Flight::default();
        let mut work = Work { analyst, questions, alerting, outbox, answering, cancel, flight };
        thread::Builder::new().name("model".to_owned()).spawn(move || {
            while work.admit(&scheduler) {
                work.turn();
            }
            let _ = sender.send(Some("there are no more frames".to_owned()));
        })?;
        Ok(ModelThread { ended })
    }

    /// Waits until the thread has ended; the reason.
    pub(super) async fn ended(&mut self) -> String {
        let reason = self.ended.wait_for(Option::is_some).await.map(|reason| reason.clone());
        reason.ok().flatten().unwrap_or_else(|| "it panicked".to_owned())
    }
}

struct Work {
    analyst: Analyst,
    questions: BTreeMap<String, Questions>,
    alerting: Arc<Alerting>,
    outbox: Arc<Outbox>,
    answering: Answering,
    cancel: CancelToken,
    flight: Flight<Submission, Flying>,
}

/// A frame that was taken and has something to be asked of it.
struct Taken {
    frame: Frame,
    /// The alerts whose phrases it is searched for.
    wanted: Vec<usize>,
    preprocess_ms: f64,
}

/// A frame whose answers are not there yet.
struct Flying {
    taken: Taken,
    inquiry: Inquiry,
}

impl Work {
    /// Takes frames while the engine has room for their sequences, and waits for one where nothing is in flight. False at
    /// the end.
    ///
    /// An engine that answers one picture after another has room for one frame, whatever is asked of it.
    fn admit(&mut self, scheduler: &Scheduler) -> bool {
        let mut next = if self.flight.is_empty() {
            match scheduler.next() {
                None => return false,
                next => next,
            }
        } else {
            None
        };
        let slots = self.analyst.slots();
        let mut sequences = self.flight.sequences();
        let (mut frames, mut pixels) = (Vec::new(), Vec::new());
        loop {
            let room = || if sequences < slots { scheduler.try_next() } else { None };
            let Some(frame) = next.take().or_else(room) else { break };
            if let Some((taken, values)) = self.take(frame) {
                let questions = self.questions.get(taken.frame.camera.as_str());
                sequences += taken.wanted.len() + questions.map_or(0, |questions| questions.prompts.len());
                frames.push(taken);
                pixels.push(values);
            }
        }
        self.submit(frames, &pixels);
        true
    }

    /// The frame as the model takes it; nothing where there is nothing to ask, or it cannot be read.
    fn take(&mut self, frame: Frame) -> Option<(Taken, PixelValues)> {
        let Some(questions) = self.questions.get(frame.camera.as_str()) else {
            // Cannot be: a slot is made for a camera with questions.
            tracing::error!(camera = %frame.camera, "a frame of a camera that nobody asks about");
            return None;
        };
        tracing::debug!(camera = %frame.camera, frame_id = frame.id, "frame taken");
        let picture = match frame.view() {
            Ok(picture) => picture,
            Err(error) => {
                tracing::warn!(%error, "frame cannot be read");
                questions.progress.failed();
                return None;
            }
        };
        let wanted = self.alerting.wanted(&frame);
        if questions.prompts.is_empty() && wanted.is_empty() {
            questions.progress.unwanted();
            let asked = AskedFrame { frame: &frame, picture: &picture, features: None };
            self.answering.answer(&mut self.analyst, asked, &self.cancel);
            return None;
        }
        let clock = Instant::now();
        match self.analyst.preprocess(&picture) {
            Ok(pixels) => {
                let preprocess_ms = clock.elapsed().as_secs_f64() * 1e3;
                Some((Taken { frame, wanted, preprocess_ms }, pixels))
            }
            Err(error) => {
                self.lost(&frame, &error);
                None
            }
        }
    }

    /// Encodes frames together and asks what there is to ask of each.
    fn submit(&mut self, frames: Vec<Taken>, pixels: &[PixelValues]) {
        if frames.is_empty() {
            return;
        }
        let (features, vision) = match self.analyst.encode_all(pixels, &self.cancel) {
            Ok(encoded) => encoded,
            Err(error) => {
                frames.iter().for_each(|taken| self.lost(&taken.frame, &error));
                return;
            }
        };
        for (taken, features) in frames.into_iter().zip(features) {
            let frame = &taken.frame;
            let Some(questions) = self.questions.get(frame.camera.as_str()) else { continue };
            let phrases = questions.phrases(&taken.wanted);
            let size = PictureSize::new(frame.width_px(), frame.height_px());
            let timing = TimingMs { preprocess: taken.preprocess_ms, vision, ..TimingMs::default() };
            match self.analyst.submit(features, size, &questions.prompts, &phrases, timing) {
                Ok((submission, inquiry)) => {
                    let (camera, sequences) =
                        (frame.camera.to_string(), inquiry.sequences(&questions.prompts));
                    self.flight.add(&camera, submission, sequences, Flying { taken, inquiry });
                }
                Err(error) => self.lost(frame, &error),
            }
        }
    }

    /// Lets what is in flight go on, and finishes the frames whose turn it is.
    fn turn(&mut self) {
        if self.flight.is_empty() {
            return;
        }
        match self.analyst.turn(&self.cancel) {
            Ok(answered) => {
                for Answered { submission, result } in answered {
                    self.flight.answered(submission, result);
                }
                while let Some((flying, said)) = self.flight.take_ready() {
                    match said {
                        Ok(generated) => self.finish(flying, generated),
                        Err(error) => self.lost(&flying.taken.frame, &error.into()),
                    }
                }
            }
            Err(error) => {
                for (flying, submission) in self.flight.give_up() {
                    self.analyst.withdraw(submission);
                    self.lost(&flying.taken.frame, &error);
                }
            }
        }
    }

    fn finish(&mut self, flying: Flying, generated: Vec<Generation>) {
        let Flying { taken: Taken { frame, wanted, .. }, inquiry } = flying;
        let Some(questions) = self.questions.get(frame.camera.as_str()) else { return };
        let picture = match frame.view() {
            Ok(picture) => picture,
            // Cannot be: it could be read before.
            Err(error) => {
                tracing::warn!(%error, "frame cannot be read");
                questions.progress.failed();
                return;
            }
        };
        let (prompts, phrases) = (&questions.prompts, questions.phrases(&wanted));
        let mode = ParseMode::Default;
        let concluded = self.analyst.conclude(&inquiry, generated, prompts, &phrases, mode, &self.cancel);
        let analysis = match concluded {
            Ok(analysis) => analysis,
            Err(error) => {
                self.lost(&frame, &error);
                return;
            }
        };
        let age = frame.received.elapsed();
        self.alerting.analysed(&frame, &picture, &wanted, &analysis.phrases);
        for (found, asked) in analysis.answers.iter().zip(&questions.answers) {
            let message = ResultMessage {
                camera: frame.camera.as_str(),
                frame_id: frame.id,
                captured_at: frame.captured_at,
                age_ms: age.as_millis() as u64,
                width: frame.width_px(),
                height: frame.height_px(),
                task: asked.task,
                input: asked.input.as_deref(),
                text: &found.output.text,
                regions: &found.output.regions,
                timing_ms: analysis.timing,
            };
            self.outbox.push_result(asked.topic.clone(), to_json(&message));
        }
        questions.progress.analysed(age, analysis.answers.len());
        let asked = AskedFrame { frame: &frame, picture: &picture, features: Some(inquiry.features) };
        self.answering.answer(&mut self.analyst, asked, &self.cancel);
    }

    /// The frame has no answers: the end of the daemon cut it off, or the model failed on it.
    fn lost(&self, frame: &Frame, error: &AnalysisError) {
        let progress = self.questions.get(frame.camera.as_str()).map(|questions| &questions.progress);
        if error.is_cancelled() {
            progress.inspect(|progress| progress.cancelled());
        } else {
            tracing::error!(camera = %frame.camera, frame_id = frame.id, %error, "frame not analysed");
            progress.inspect(|progress| progress.failed());
        }
    }
}

//! The one thread that owns the model: takes the next frame, asks, and puts the answers in the outbox.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;

use belvedere_models::{CancelToken, ParseMode, Prompt, Task, TaskInput, WatchedPhrase};
use belvedere_pipelines::{Frame, Scheduler};
use tokio::sync::watch;

use super::WatchError;
use super::alerting::Alerting;
use super::asking::{Answering, AskedFrame};
use super::progress::CameraProgress;
use crate::analyst::{AnalysisError, Analyst};
use crate::config::CameraSettings;
use crate::messages::{ResultMessage, to_json};
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
        let mut work = Work { analyst, questions, alerting, outbox, answering, cancel };
        thread::Builder::new().name("model".to_owned()).spawn(move || {
            while let Some(frame) = scheduler.next() {
                work.analyse(&frame);
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
}

impl Work {
    fn analyse(&mut self, frame: &Frame) {
        let Some(questions) = self.questions.get(frame.camera.as_str()) else {
            // Cannot be: a slot is made for a camera with questions.
            tracing::error!(camera = %frame.camera, "a frame of a camera that nobody asks about");
            return;
        };
        tracing::debug!(camera = %frame.camera, frame_id = frame.id, "frame taken");
        let picture = match frame.view() {
            Ok(picture) => picture,
            Err(error) => {
                tracing::warn!(%error, "frame cannot be read");
                questions.progress.failed();
                return;
            }
        };
        let wanted = self.alerting.wanted(frame);
        if questions.prompts.is_empty() && wanted.is_empty() {
            questions.progress.unwanted();
            let asked = AskedFrame { frame, picture: &picture, is_encoded: false };
            self.answering.answer(&mut self.analyst, asked, &self.cancel);
            return;
        }
        let phrases: Vec<&WatchedPhrase> =
            wanted.iter().filter_map(|place| questions.phrases.get(*place)).collect();
        let (prompts, mode) = (&questions.prompts, ParseMode::Default);
        let analysis = match self.analyst.analyse(&picture, prompts, &phrases, mode, &self.cancel) {
            Ok(analysis) => analysis,
            Err(error) if error.is_cancelled() => {
                questions.progress.cancelled();
                return;
            }
            Err(error) => {
                report(frame, &error);
                questions.progress.failed();
                return;
            }
        };
        let age = frame.received.elapsed();
        self.alerting.analysed(frame, &picture, &wanted, &analysis.phrases);
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
        let asked = AskedFrame { frame, picture: &picture, is_encoded: true };
        self.answering.answer(&mut self.analyst, asked, &self.cancel);
    }
}

fn report(frame: &Frame, error: &AnalysisError) {
    tracing::error!(camera = %frame.camera, frame_id = frame.id, %error, "frame not analysed");
}

//! The one thread that owns the model: takes the next frame, asks, and puts the answers in the outbox.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use belvedere_models::{CancelToken, FoundPhrase, ParseMode, Prompt, Task, TaskInput, WatchedPhrase};
use belvedere_pipelines::{Frame, Scheduler};
use tokio::sync::watch;

use super::WatchError;
use super::alerting::Alerting;
use super::asking::{Answering, AskedFrame};
use super::progress::CameraProgress;
use crate::alerts::Slug;
use crate::analyst::{Analysis, AnalysisError, Analyst};
use crate::config::CameraSettings;
use crate::live::{Live, Sight, SightPhrase, SightRegion, SightResult};
use crate::messages::{ResultMessage, to_json};
use crate::mqtt::{Outbox, topics};

/// Without a frame the thread takes a turn so often, and says so: that it waits is no sign that it hangs.
const IDLE_TURN: Duration = Duration::from_secs(1);

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
    /// The same for whoever looks: nothing was found yet.
    looked_for: Vec<SightPhrase>,
    progress: Arc<CameraProgress>,
}

impl Questions {
    pub(super) fn new(
        analyst: &Analyst,
        root: &str,
        camera: &CameraSettings,
        progress: Arc<CameraProgress>,
    ) -> Result<Questions, WatchError> {
        let mut questions = Questions {
            prompts: Vec::new(),
            answers: Vec::new(),
            phrases: Vec::new(),
            looked_for: Vec::new(),
            progress,
        };
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
            questions.looked_for.push(SightPhrase {
                phrase: alert.phrase.to_string(),
                slug: Slug::of(&alert.phrase).to_string(),
                min_score: alert.rule.min_score.get(),
                regions: Vec::new(),
            });
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
        let live = answering.live();
        let mut work = Work { analyst, questions, alerting, outbox, answering, live, cancel };
        thread::Builder::new().name("model".to_owned()).spawn(move || {
            loop {
                work.live.turned();
                match scheduler.next_until(Instant::now() + IDLE_TURN) {
                    Some(frame) => work.take(frame),
                    None if scheduler.is_shut_down() => break,
                    None => {}
                }
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
    live: Arc<Live>,
    cancel: CancelToken,
}

impl Work {
    /// Analyses a frame; then it is for those who look.
    fn take(&mut self, frame: Frame) {
        let analysis = self.analyse(&frame);
        let camera = self.live.camera(frame.camera.as_str());
        if camera.is_some_and(|camera| camera.wants_picture(frame.id)) {
            let sight = self.sight(&frame, analysis.as_ref());
            self.live.show(frame, sight);
        }
    }

    /// What was found, by the places of the phrases that were looked for.
    fn sight(&self, frame: &Frame, analysed: Option<&Analysed>) -> Sight {
        let questions = self.questions.get(frame.camera.as_str());
        let results = analysed.into_iter().zip(questions).flat_map(|(analysed, questions)| {
            analysed.analysis.answers.iter().zip(&questions.answers).map(|(found, asked)| SightResult {
                task: asked.task,
                input: asked.input.clone(),
                text: found.output.text.clone(),
                regions: found.output.regions.clone(),
            })
        });
        let phrases = analysed.into_iter().zip(questions).flat_map(|(analysed, questions)| {
            analysed.wanted.iter().zip(&analysed.analysis.phrases).filter_map(|(place, found)| {
                Some(SightPhrase { regions: seen(found), ..questions.looked_for.get(*place)?.clone() })
            })
        });
        Sight {
            camera: frame.camera.to_string(),
            frame_id: frame.id,
            captured_at: frame.captured_at,
            age_ms: analysed.map_or(frame.received.elapsed(), |analysed| analysed.age).as_millis() as u64,
            width: frame.width_px(),
            height: frame.height_px(),
            results: results.collect(),
            phrases: phrases.collect(),
        }
    }

    fn analyse(&mut self, frame: &Frame) -> Option<Analysed> {
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
        let wanted = self.alerting.wanted(frame);
        if questions.prompts.is_empty() && wanted.is_empty() {
            questions.progress.unwanted();
            let asked = AskedFrame { frame, picture: &picture, is_encoded: false };
            self.answering.answer(&mut self.analyst, asked, &self.cancel);
            return None;
        }
        let phrases: Vec<&WatchedPhrase> =
            wanted.iter().filter_map(|place| questions.phrases.get(*place)).collect();
        let (prompts, mode) = (&questions.prompts, ParseMode::Default);
        let analysis = match self.analyst.analyse(&picture, prompts, &phrases, mode, &self.cancel) {
            Ok(analysis) => analysis,
            Err(error) if error.is_cancelled() => {
                questions.progress.cancelled();
                return None;
            }
            Err(error) => {
                report(frame, &error);
                questions.progress.failed();
                return None;
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
        self.live.stages().observe(frame.camera.as_str(), analysis.timing, age);
        if let Some(camera) = self.live.camera(frame.camera.as_str()) {
            let texts = analysis.answers.iter().zip(&questions.answers);
            let texts =
                texts.map(|(found, asked)| (asked.task, asked.input.as_deref(), found.output.text.as_str()));
            camera.analysed(frame.id, age, texts);
        }
        let asked = AskedFrame { frame, picture: &picture, is_encoded: true };
        self.answering.answer(&mut self.analyst, asked, &self.cancel);
        Some(Analysed { analysis, wanted, age })
    }
}

/// What is known of a frame after its turn.
struct Analysed {
    analysis: Analysis,
    /// The places of the phrases that it was searched for.
    wanted: Vec<usize>,
    age: Duration,
}

fn seen(found: &FoundPhrase) -> Vec<SightRegion> {
    found.regions.iter().map(|region| SightRegion { score: region.score, box_px: region.box_px }).collect()
}

fn report(frame: &Frame, error: &AnalysisError) {
    tracing::error!(camera = %frame.camera, frame_id = frame.id, %error, "frame not analysed");
}

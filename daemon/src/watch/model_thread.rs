//! The one thread that owns the model: takes the next frame, asks, and puts the answers in the outbox.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use belvedere_models::{CancelToken, FoundPhrase, ParseMode, WatchedPhrase};
use belvedere_pipelines::{Frame, Scheduler};
use tokio::sync::watch;

use super::alerting::Alerting;
use super::asking::{Answering, AskedFrame};
use super::questions::Questions;
use crate::alerts::Phrase;
use crate::analyst::{Analysis, AnalysisError, Analyst};
use crate::live::{Live, Sight, SightPhrase, SightRegion, SightResult};
use crate::messages::{ResultMessage, to_json};
use crate::mqtt::Outbox;
use crate::watchdog::Watchdog;

/// Without a frame, the thread turns so often all the same.
const IDLE_TURN: Duration = Duration::from_secs(1);

/// What the thread is to do otherwise from the next frame on.
pub(super) enum Change {
    /// A camera is asked this.
    Ask(String, Questions),
    /// A camera has gone.
    Forget(String),
    /// Another model answers, with the questions made for it: those of all cameras.
    Model(Box<Analyst>, BTreeMap<String, Questions>),
}

/// Who is told what the model finds.
pub(super) struct Hearers {
    pub(super) alerting: Arc<Alerting>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) live: Arc<Live>,
}

/// A handle to the thread.
pub(super) struct ModelThread {
    /// Holds the reason once the thread has ended; its sender is gone then too.
    ended: watch::Receiver<Option<String>>,
    changes: mpsc::Sender<Change>,
}

impl ModelThread {
    /// Starts it; nothing is asked of any camera yet. It ends when `scheduler` is shut down, and feeds `watchdog` as
    /// long as it turns.
    pub(super) fn spawn(
        analyst: Analyst,
        scheduler: Scheduler,
        mut watchdog: Watchdog,
        hearers: Hearers,
        answering: Answering,
        cancel: CancelToken,
    ) -> io::Result<ModelThread> {
        let (sender, ended) = watch::channel(None);
        let (changes, to_do) = mpsc::channel();
        let mut work = Work { analyst, questions: BTreeMap::new(), hearers, answering, cancel };
        thread::Builder::new().name("model".to_owned()).spawn(move || {
            while !scheduler.is_shut_down() {
                // A frame that is hung on to, or a model that hangs, keeps the watchdog hungry.
                watchdog.feed(Instant::now());
                work.hearers.live.turned();
                let frame = scheduler.next_until(Instant::now() + watchdog.hunger().min(IDLE_TURN));
                // Whatever was said before the frame came.
                to_do.try_iter().for_each(|change| work.change(change));
                if let Some(frame) = frame {
                    work.take(frame);
                }
            }
            let _ = sender.send(Some("there are no more frames".to_owned()));
        })?;
        Ok(ModelThread { ended, changes })
    }

    /// Lets the thread know of a change before it takes up its next frame.
    pub(super) fn change(&self, change: Change) {
        // A thread that has ended asks nobody anything; whoever waits for its end is told of that.
        let _ = self.changes.send(change);
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
    hearers: Hearers,
    answering: Answering,
    cancel: CancelToken,
}

/// What is known of a frame after its turn.
struct Analysed {
    analysis: Analysis,
    /// The phrases that it was searched for.
    wanted: Vec<Phrase>,
    age: Duration,
}

impl Work {
    fn change(&mut self, change: Change) {
        match change {
            Change::Ask(camera, questions) => {
                self.questions.insert(camera, questions);
            }
            Change::Forget(camera) => {
                self.questions.remove(&camera);
            }
            Change::Model(analyst, questions) => {
                self.analyst = *analyst;
                self.questions = questions;
            }
        }
    }

    /// Analyses a frame; then it is for those who look.
    fn take(&mut self, frame: Frame) {
        let analysed = self.analyse(&frame);
        let camera = self.hearers.live.camera(frame.camera.as_str());
        if camera.is_some_and(|camera| camera.wants_picture(frame.id)) {
            let sight = self.sight(&frame, analysed.as_ref());
            self.hearers.live.show(frame, sight);
        }
    }

    /// What was found, as it is shown.
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
            analysed.wanted.iter().zip(&analysed.analysis.phrases).filter_map(|(phrase, found)| {
                Some(SightPhrase { regions: seen(found), ..questions.phrases.get(phrase)?.shown.clone() })
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
            // Its camera has gone since.
            tracing::debug!(camera = %frame.camera, frame_id = frame.id, "a frame that nobody asks about");
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
        let wanted = self.hearers.alerting.wanted(frame).into_iter();
        let (wanted, phrases): (Vec<Phrase>, Vec<&WatchedPhrase>) = wanted
            .filter_map(|phrase| Some((phrase.clone(), &questions.phrases.get(&phrase)?.watched)))
            .unzip();
        if questions.prompts.is_empty() && wanted.is_empty() {
            questions.progress.unwanted();
            let asked = AskedFrame { frame, picture: &picture, is_encoded: false };
            self.answering.answer(&mut self.analyst, asked, &self.cancel);
            return None;
        }
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
        self.hearers.alerting.analysed(frame, &picture, &wanted, &analysis.phrases);
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
            self.hearers.outbox.push_result(asked.topic.clone(), to_json(&message));
        }
        questions.progress.analysed(age, analysis.answers.len());
        self.hearers.live.stages().observe(frame.camera.as_str(), analysis.timing, age);
        if let Some(camera) = self.hearers.live.camera(frame.camera.as_str()) {
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

fn seen(found: &FoundPhrase) -> Vec<SightRegion> {
    found.regions.iter().map(|region| SightRegion { score: region.score, box_px: region.box_px }).collect()
}

fn report(frame: &Frame, error: &AnalysisError) {
    tracing::error!(camera = %frame.camera, frame_id = frame.id, %error, "frame not analysed");
}

#[cfg(test)]
mod tests;

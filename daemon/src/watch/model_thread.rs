//! The one thread that owns the model: takes the next frame, asks, and puts the answers in the outbox.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use belvedere_kernels::ImageView;
use belvedere_models::{
    Answered, CancelToken, EncodedPictures, FoundPhrase, Generation, ModelError, ParseMode, PictureSize,
    Submission, WatchedPhrase,
};
use belvedere_pipelines::{Frame, Scheduler};
use tokio::sync::watch;

use super::alerting::Alerting;
use super::asking::{Answering, AskedFrame};
use super::failures_in_a_row::FailuresInARow;
use super::flight::Flight;
use super::questions::Questions;
use crate::alerts::Phrase;
use crate::analyst::{Analysis, AnalysisError, Analyst, Inquiry};
use crate::live::{Live, Sight, SightPhrase, SightRegion, SightResult};
use crate::messages::{ResultMessage, TimingMs, to_json};
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
    /// Holds the reason once the thread has ended, and the model is gone; its sender is gone then too.
    ended: watch::Receiver<Option<String>>,
    changes: mpsc::Sender<Change>,
}

impl ModelThread {
    /// Starts it; nothing is asked of any camera yet. It ends when `scheduler` is shut down, or when the model fails
    /// again and again, and feeds `watchdog` as long as it turns.
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
        let questions = BTreeMap::new();
        let (flight, failures) = (Flight::default(), FailuresInARow::default());
        let mut work = Work { analyst, questions, hearers, answering, cancel, flight, failures };
        thread::Builder::new().name("model".to_owned()).spawn(move || {
            let reason = loop {
                if scheduler.is_shut_down() {
                    break "there are no more frames".to_owned();
                }
                if let Some(verdict) = work.failures.verdict() {
                    break verdict;
                }
                // A frame that is hung on to, or a model that hangs, keeps the watchdog hungry.
                watchdog.feed(Instant::now());
                work.hearers.live.turned();
                work.hearers.live.set_failures_in_a_row(work.failures.count());
                work.hearers.live.set_device_memory(work.analyst.device_memory());
                let first = match work.flight.is_empty() {
                    true => scheduler.next_until(Instant::now() + watchdog.hunger().min(IDLE_TURN)),
                    false => None,
                };
                // Whatever was said before the frame came.
                to_do.try_iter().for_each(|change| work.change(change));
                work.admit(first, &scheduler);
                work.turn();
            };
            work.give_up(&ModelError::Cancelled.into());
            // The model first: whoever hears of the end may end the process, and nothing is to be in the middle of its
            // destruction then.
            drop(work);
            let _ = sender.send(Some(reason));
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
    questions: BTreeMap<String, Arc<Questions>>,
    hearers: Hearers,
    answering: Answering,
    cancel: CancelToken,
    flight: Flight<Submission, Flying>,
    failures: FailuresInARow,
}

/// A frame that was taken and has something to be asked of it.
struct Taken {
    frame: Frame,
    /// What is asked, also if the camera is asked something else meanwhile.
    questions: Arc<Questions>,
    /// The phrases that it is searched for, each one of the questions'.
    wanted: Vec<Phrase>,
}

impl Taken {
    fn phrases(&self) -> Vec<&WatchedPhrase> {
        let sought = self.wanted.iter().filter_map(|phrase| self.questions.phrases.get(phrase));
        sought.map(|sought| &sought.watched).collect()
    }
}

/// A frame whose answers are not there yet.
struct Flying {
    taken: Taken,
    inquiry: Inquiry,
}

impl Work {
    fn change(&mut self, change: Change) {
        match change {
            Change::Ask(camera, questions) => {
                self.questions.insert(camera, Arc::new(questions));
            }
            Change::Forget(camera) => {
                self.questions.remove(&camera);
            }
            Change::Model(analyst, questions) => {
                // What the old model was asked, it answers.
                while !self.flight.is_empty() {
                    self.turn();
                }
                self.analyst = *analyst;
                self.failures = FailuresInARow::default();
                self.questions =
                    questions.into_iter().map(|(camera, asked)| (camera, Arc::new(asked))).collect();
            }
        }
    }

    /// Takes up `first`, and more frames while the engine has room for their sequences.
    ///
    /// An engine that answers one picture after another has room for one frame, whatever is asked of it.
    fn admit(&mut self, first: Option<Frame>, scheduler: &Scheduler) {
        let mut next = first;
        let slots = self.analyst.slots();
        let mut sequences = self.flight.sequences();
        let mut frames = Vec::new();
        loop {
            let room = || if sequences < slots { scheduler.try_next() } else { None };
            let Some(frame) = next.take().or_else(room) else { break };
            if let Some(taken) = self.take(frame) {
                sequences += taken.wanted.len() + taken.questions.prompts.len();
                frames.push(taken);
            }
        }
        self.submit(frames);
    }

    /// The frame and what is asked about it; nothing where there is nothing to ask, or it cannot be read.
    fn take(&mut self, frame: Frame) -> Option<Taken> {
        let Some(questions) = self.questions.get(frame.camera.as_str()).map(Arc::clone) else {
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
        let mut wanted = self.hearers.alerting.wanted(&frame);
        wanted.retain(|phrase| questions.phrases.contains_key(phrase));
        if questions.prompts.is_empty() && wanted.is_empty() {
            questions.progress.unwanted();
            let asked = AskedFrame { frame: &frame, picture: &picture, features: None };
            self.answering.answer(&mut self.analyst, asked, &self.cancel);
            self.show(frame, |_| ());
            return None;
        }
        Some(Taken { frame, questions, wanted })
    }

    /// Encodes frames together and asks what there is to ask of each.
    fn submit(&mut self, frames: Vec<Taken>) {
        if frames.is_empty() {
            return;
        }
        let pictures: Result<Vec<ImageView<'_>>, _> = frames.iter().map(|taken| taken.frame.view()).collect();
        let pictures = match pictures {
            Ok(pictures) => pictures,
            // Cannot be: each could be read when it was taken.
            Err(error) => {
                tracing::warn!(%error, "frame cannot be read");
                frames.iter().for_each(|taken| taken.questions.progress.failed());
                return;
            }
        };
        let (features, preprocess, vision) = match self.analyst.encode_all(&pictures, &self.cancel) {
            Ok(EncodedPictures { features, preprocess_ms, vision_ms }) => {
                (features, preprocess_ms, vision_ms)
            }
            Err(error) => {
                self.failures.failed(&error, Instant::now());
                frames.into_iter().for_each(|taken| self.lost(taken, &error));
                return;
            }
        };
        for (taken, features) in frames.into_iter().zip(features) {
            let prompts = &taken.questions.prompts;
            let size = PictureSize::new(taken.frame.width_px(), taken.frame.height_px());
            let timing = TimingMs { preprocess, vision, ..TimingMs::default() };
            match self.analyst.submit(features, size, prompts, &taken.phrases(), timing) {
                Ok((submission, inquiry)) => {
                    let (camera, sequences) = (taken.frame.camera.to_string(), inquiry.sequences(prompts));
                    self.flight.add(&camera, submission, sequences, Flying { taken, inquiry });
                }
                Err(error) => {
                    self.failures.failed(&error, Instant::now());
                    self.lost(taken, &error);
                }
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
                        Err(error) => {
                            let error = error.into();
                            self.failures.failed(&error, Instant::now());
                            self.lost(flying.taken, &error);
                        }
                    }
                }
            }
            Err(error) => {
                self.failures.failed(&error, Instant::now());
                self.give_up(&error);
            }
        }
    }

    /// Gives up everything in flight.
    fn give_up(&mut self, why: &AnalysisError) {
        for (flying, submission) in self.flight.give_up() {
            self.analyst.withdraw(submission);
            self.lost(flying.taken, why);
        }
    }

    fn finish(&mut self, flying: Flying, generated: Vec<Generation>) {
        let Flying { taken, inquiry } = flying;
        let Taken { frame, questions, wanted, .. } = &taken;
        let picture = match frame.view() {
            Ok(picture) => picture,
            // Cannot be: it could be read before.
            Err(error) => {
                tracing::warn!(%error, "frame cannot be read");
                questions.progress.failed();
                return;
            }
        };
        let (prompts, phrases, mode) = (&questions.prompts, taken.phrases(), ParseMode::Default);
        let concluded = self.analyst.conclude(&inquiry, generated, prompts, &phrases, mode, &self.cancel);
        let analysis = match concluded {
            Ok(analysis) => analysis,
            Err(error) => {
                self.failures.failed(&error, Instant::now());
                self.lost(taken, &error);
                return;
            }
        };
        self.failures.answered();
        let age = frame.received.elapsed();
        self.hearers.alerting.analysed(frame, &picture, wanted, &analysis.phrases);
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
            let texts = texts.map(|(found, asked)| (asked.task, found.output.text.as_str()));
            camera.analysed(frame.id, age, texts);
        }
        let asked = AskedFrame { frame, picture: &picture, features: Some(inquiry.features) };
        self.answering.answer(&mut self.analyst, asked, &self.cancel);
        let Taken { frame, questions, wanted, .. } = taken;
        self.show(frame, |sight| fill(sight, &questions, &wanted, &analysis, age));
    }

    /// The frame has no answers: the end of the daemon cut it off, or the model failed on it.
    fn lost(&self, taken: Taken, error: &AnalysisError) {
        let Taken { frame, questions, .. } = taken;
        if error.is_cancelled() {
            questions.progress.cancelled();
        } else {
            tracing::error!(camera = %frame.camera, frame_id = frame.id, %error, "frame not analysed");
            questions.progress.failed();
        }
        self.show(frame, |_| ());
    }

    /// A frame whose turn is over is for those who look, with what `fill` adds to it.
    fn show(&self, frame: Frame, fill: impl FnOnce(&mut Sight)) {
        let camera = self.hearers.live.camera(frame.camera.as_str());
        if !camera.is_some_and(|camera| camera.wants_picture(frame.id)) {
            return;
        }
        let mut sight = Sight {
            camera: frame.camera.to_string(),
            frame_id: frame.id,
            captured_at: frame.captured_at,
            age_ms: frame.received.elapsed().as_millis() as u64,
            width: frame.width_px(),
            height: frame.height_px(),
            results: Vec::new(),
            phrases: Vec::new(),
        };
        fill(&mut sight);
        self.hearers.live.show(frame, sight);
    }
}

/// Adds what was found, as it is shown.
fn fill(sight: &mut Sight, questions: &Questions, wanted: &[Phrase], analysis: &Analysis, age: Duration) {
    sight.age_ms = age.as_millis() as u64;
    let results = analysis.answers.iter().zip(&questions.answers).map(|(found, asked)| SightResult {
        task: asked.task,
        input: asked.input.clone(),
        text: found.output.text.clone(),
        regions: found.output.regions.clone(),
    });
    sight.results = results.collect();
    let phrases = wanted.iter().zip(&analysis.phrases).filter_map(|(phrase, found)| {
        Some(SightPhrase { regions: seen(found), ..questions.phrases.get(phrase)?.shown.clone() })
    });
    sight.phrases = phrases.collect();
}

fn seen(found: &FoundPhrase) -> Vec<SightRegion> {
    found.regions.iter().map(|region| SightRegion { score: region.score, box_px: region.box_px }).collect()
}

#[cfg(test)]
mod tests;

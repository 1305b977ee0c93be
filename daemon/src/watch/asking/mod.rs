//! Questions from others: `ROOT/CAMERA/ask` in, `ROOT/CAMERA/answer` out.
//!
//! Whatever comes is untrusted. A question is read strictly, waits in a short queue for the next frame of its camera,
//! and is answered by the model thread after that frame's own results, with the picture encoded only once. What
//! questions cost is bounded: in number by a pace for each camera and for all, in time by a share of the model
//! thread's. A question has exactly one answer, or a refusal; a flood of wrong ones is not answered.

pub(crate) mod pace;
mod question;
mod refusal;
mod waiting;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use belvedere_kernels::ImageView;
use belvedere_models::{
    CancelToken, FoundPhrase, FoundRegion, LocationBox, ModelError, PictureSize, Prompt, Task, TaskInput,
};
use belvedere_pipelines::Frame;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::alerts::MessageRegion;
use crate::analyst::{AnalysisError, Analyst, Found};
use crate::live::{Live, PageQuestion};
use crate::messages::{ResultMessage, TimingMs, to_json};
use crate::mqtt::{Inbox, IncomingMessage, MqttCounters, Outbox, topics};

use super::camera_state::{CameraState, CameraStates};
use pace::Share;
use question::Question;
use refusal::Refusal;
use waiting::{Pending, Reply, Waiting};

/// Of the model thread's time, so much is for questions at most.
const SHARE: f64 = 0.25;
/// After a quiet time, so much of it may be spent at once.
const SHARE_SAVED: Duration = Duration::from_secs(1);
/// An answer may take so long; then it is cut off.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A question waits so long for its frame, and for as long as two frames of its camera are apart.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// So often questions are looked for that have waited too long.
const TICK: Duration = Duration::from_millis(500);
/// A longer payload is no question, in bytes.
pub(super) const MAX_PAYLOAD_BYTES: usize = 16 << 10;

/// Questions of all cameras, shared by the task that hears them and the model thread.
pub(super) struct Asking {
    root: String,
    outbox: Arc<Outbox>,
    counters: Arc<MqttCounters>,
    cameras: BTreeMap<String, AskedCamera>,
    live: Arc<Live>,
    waiting: Mutex<Waiting>,
}

/// A camera that can be asked.
pub(super) struct AskedCamera {
    /// Frames analysed per second.
    pub(super) fps: f64,
}

/// The payload of `ROOT/CAMERA/answer`.
#[derive(Serialize)]
struct AnswerMessage<'a> {
    id: &'a str,
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    box_px: Option<[f32; 4]>,
    #[serde(flatten)]
    result: ResultMessage<'a>,
    /// What alerts would make of the answer, for questions for a phrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    phrase: Option<PhraseMessage>,
}

/// What was found of a phrase, with scores as in alerts.
#[derive(Serialize)]
struct PhraseMessage {
    /// Of the best region; 0 where there is none.
    score: f32,
    regions: Vec<MessageRegion>,
}

impl PhraseMessage {
    fn new(phrase: &str, found: &FoundPhrase) -> PhraseMessage {
        let region = |region: &FoundRegion| {
            MessageRegion::new(phrase, region.score, region.box_px, Some(&region.evidence))
        };
        let regions: Vec<MessageRegion> = found.regions.iter().map(region).collect();
        PhraseMessage { score: regions.first().map_or(0.0, |best| best.score), regions }
    }
}

/// The payload of `ROOT/CAMERA/answer` where there is none.
#[derive(Serialize)]
struct RefusalMessage<'a> {
    id: Option<&'a str>,
    camera: &'a str,
    error: &'static str,
    reason: String,
}

/// Whether `payload` is a question.
#[cfg(fuzzing)]
pub(super) fn is_question(payload: &[u8]) -> bool {
    Question::read(payload).is_ok()
}

impl Asking {
    /// Nothing is asked yet; answers go to `outbox`, under `root`.
    pub(super) fn new(
        root: &str,
        outbox: Arc<Outbox>,
        counters: Arc<MqttCounters>,
        cameras: BTreeMap<String, AskedCamera>,
        live: Arc<Live>,
    ) -> Asking {
        let waiting = Mutex::new(Waiting::new());
        Asking { root: root.to_owned(), outbox, counters, cameras, live, waiting }
    }

    /// Hears questions from `inbox` and those `of_page`, for ever.
    pub(super) async fn hear(
        self: Arc<Asking>,
        inbox: Arc<Inbox>,
        mut of_page: mpsc::Receiver<PageQuestion>,
        states: CameraStates,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = inbox.next() => self.ask(&message, &states),
                Some(question) = of_page.recv() => self.ask_of_page(question, &states),
                _ = ticks.tick() => self.refuse_overdue(&states),
            }
        }
    }

    fn ask(&self, message: &IncomingMessage, states: &CameraStates) {
        // Kept from before: whoever asked it has long gone, and it would be asked again at each connection.
        if message.is_retained {
            return;
        }
        let Some(camera) = topics::camera_in(&message.topic, &self.root, topics::ask) else {
            return;
        };
        self.read(camera, &message.payload, Reply::Topic, states);
    }

    fn ask_of_page(&self, PageQuestion { camera, payload, reply }: PageQuestion, states: &CameraStates) {
        self.read(&camera, &payload, Reply::Page(reply), states);
    }

    fn read(&self, camera: &str, payload: &[u8], reply: Reply, states: &CameraStates) {
        match Question::read(payload) {
            Ok(question) => self.put(camera, question, reply, states),
            Err(no_question) => self.refuse(camera, no_question.id.as_deref(), reply, &no_question.why),
        }
    }

    fn put(&self, camera: &str, question: Question, reply: Reply, states: &CameraStates) {
        let why_not = match (self.cameras.get(camera), states.of(camera)) {
            (None, _) => Refusal::UnknownCamera,
            (_, CameraState::Disabled) => Refusal::Disabled,
            (_, CameraState::Offline) => Refusal::Offline,
            (Some(asked), CameraState::Online) => {
                let now = Instant::now();
                let frames_apart = Duration::try_from_secs_f64(2.0 / asked.fps).unwrap_or(WAIT_LIMIT);
                let until = now + WAIT_LIMIT + frames_apart;
                let put = self.lock().put(Pending { camera: camera.to_owned(), question, reply, until }, now);
                if let Err(refused) = put {
                    let (Pending { question, reply, .. }, why) = *refused;
                    self.refuse(camera, Some(&question.id), reply, &why);
                }
                return;
            }
        };
        self.refuse(camera, Some(&question.id), reply, &why_not);
    }

    fn refuse_overdue(&self, states: &CameraStates) {
        let overdue = self.lock().take_overdue(Instant::now());
        for Pending { camera, question, reply, .. } in overdue {
            let why = match states.of(&camera) {
                CameraState::Disabled => Refusal::Disabled,
                CameraState::Offline => Refusal::Offline,
                CameraState::Online => Refusal::NoFrame,
            };
            self.refuse(&camera, Some(&question.id), reply, &why);
        }
    }

    fn refuse(&self, camera: &str, id: Option<&str>, reply: Reply, why: &Refusal) {
        tracing::debug!(camera, reason = %why, "question refused");
        let message = RefusalMessage { id, camera, error: why.word(), reason: why.to_string() };
        if let Reply::Page(page) = reply {
            // Whoever asked may have left.
            let _ = page.send(to_json(&message));
            return;
        }
        // A topic that could be anybody's is not answered on.
        let is_name = belvedere_pipelines::CameraName::new(camera).is_ok();
        if !is_name || !self.lock().may_refuse(Instant::now()) {
            self.counters.incoming_dropped();
            return;
        }
        self.outbox.push_result(topics::answer(&self.root, camera), to_json(&message));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic elsewhere ends the process; the queue is whole between two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers questions on the model thread.
pub(super) struct Answering {
    asking: Arc<Asking>,
    share: Share,
    /// Cuts off what takes too long.
    runtime: Handle,
}

/// The frame that questions are answered about.
pub(super) struct AskedFrame<'a> {
    pub(super) frame: &'a Frame,
    pub(super) picture: &'a ImageView<'a>,
    /// It is the last one that was analysed: what the vision tower made of it is still there.
    pub(super) is_encoded: bool,
}

impl Answering {
    /// Must be called within a tokio runtime.
    pub(super) fn new(asking: Arc<Asking>) -> Answering {
        let share = Share::new(SHARE, SHARE_SAVED, Instant::now());
        Answering { asking, share, runtime: Handle::current() }
    }

    /// What is so now, for whoever looks.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.asking.live)
    }

    /// Answers what was asked of the frame's camera, as far as there is time for it.
    pub(super) fn answer(&mut self, analyst: &mut Analyst, asked: AskedFrame<'_>, cancel: &CancelToken) {
        let AskedFrame { frame, picture, mut is_encoded } = asked;
        let camera = frame.camera.as_str();
        loop {
            let begun = Instant::now();
            if cancel.is_cancelled() || !self.share.has_any(begun) {
                return;
            }
            let Some(Pending { question, reply, .. }) = self.asking.lock().take(camera) else {
                return;
            };
            let answered = self.ask(analyst, &question, picture, is_encoded, cancel);
            self.share.spend(begun.elapsed());
            match answered {
                Ok((found, phrase, timing_ms)) => {
                    is_encoded = true;
                    let message = AnswerMessage {
                        id: &question.id,
                        box_px: question.box_px,
                        result: ResultMessage {
                            camera,
                            frame_id: frame.id,
                            captured_at: frame.captured_at,
                            age_ms: frame.received.elapsed().as_millis() as u64,
                            width: frame.width_px(),
                            height: frame.height_px(),
                            task: question.task,
                            input: question.text.as_deref(),
                            text: &found.output.text,
                            regions: &found.output.regions,
                            timing_ms,
                        },
                        phrase: phrase.map(|found| {
                            PhraseMessage::new(question.text.as_deref().unwrap_or_default(), &found)
                        }),
                    };
                    match reply {
                        Reply::Topic => {
                            let topic = topics::answer(&self.asking.root, camera);
                            self.asking.outbox.push_result(topic, to_json(&message));
                        }
                        Reply::Page(page) => {
                            if let Some(camera) = self.asking.live.camera(camera) {
                                camera.keep_picture(frame.id);
                            }
                            let _ = page.send(to_json(&message));
                        }
                    }
                }
                Err(_) if cancel.is_cancelled() => return,
                Err(why) => self.asking.refuse(camera, Some(&question.id), reply, &why),
            }
        }
    }

    fn ask(
        &self,
        analyst: &mut Analyst,
        question: &Question,
        picture: &ImageView<'_>,
        is_encoded: bool,
        cancel: &CancelToken,
    ) -> Result<(Found, Option<FoundPhrase>, TimingMs), Refusal> {
        let size = PictureSize::new(picture.width(), picture.height());
        let prompt = prompt(analyst, question, size)?;
        let phrase = match (question.task, &question.text) {
            (Task::OpenVocabularyDetection, Some(text)) => {
                Some(analyst.watched_phrase(text).map_err(Refusal::invalid)?)
            }
            _ => None,
        };
        let limited = CancelToken::new();
        let passed_on = limited.clone();
        let _guard = cancel.on_cancel(move || passed_on.cancel());
        let timer = self.runtime.spawn({
            let limited = limited.clone();
            async move {
                tokio::time::sleep(ANSWER_LIMIT).await;
                limited.cancel();
            }
        });
        let answered = analyst.ask_again(&prompt, phrase.as_ref(), picture, is_encoded, &limited);
        timer.abort();
        answered.map_err(|error| match error.is_cancelled() {
            true => Refusal::TookTooLong,
            false => Refusal::failed(error),
        })
    }
}

fn prompt(analyst: &Analyst, question: &Question, size: PictureSize) -> Result<Prompt, Refusal> {
    let input = match (&question.text, question.box_px) {
        (Some(text), _) => TaskInput::Text(text.clone()),
        (None, Some(corners_px)) => {
            TaskInput::Region(LocationBox::from_pixels(corners_px, size).map_err(Refusal::invalid)?)
        }
        (None, None) => TaskInput::Nothing,
    };
    let task: Task = question.task;
    analyst.prompt(task, input).map_err(|error| match error {
        AnalysisError::Model(ModelError::PromptTooLong { .. }) => Refusal::TextTooLong,
        error => Refusal::invalid(error),
    })
}

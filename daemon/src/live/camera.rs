//! One camera, as it is now.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use belvedere_models::Task;
use belvedere_pipelines::CameraCounters;
use serde::Serialize;
use tokio::sync::watch;

use super::looking::Lookers;
use super::{History, HistoryValues, LivePicture, Looking, lock};
use crate::alerts::{EventType, Slug};
use crate::config::CameraSettings;
use crate::messages::rfc3339_ms;
use crate::watch::CameraProgress;

/// So many pictures are kept of frames about which a question was answered.
const KEPT_PICTURES: usize = 4;
/// A longer caption is cut off, in characters.
const MAX_CAPTION_CHARS: usize = 2000;
/// Tasks whose text describes the picture, the best last.
const CAPTIONS: [Task; 3] = [Task::Caption, Task::DetailedCaption, Task::MoreDetailedCaption];

/// What the configuration says of a camera; without secrets.
#[derive(Debug, Clone, Serialize)]
pub struct CameraFacts {
    /// Its name.
    pub name: String,
    /// Where its frames come from, without credentials.
    pub source: String,
    /// Frames analysed per second at most.
    pub fps_limit: f64,
    /// What is asked of each frame.
    pub tasks: Vec<TaskFact>,
    /// What it is watched for.
    pub alerts: Vec<AlertFact>,
    /// Named parts of its picture.
    pub zones: Vec<ZoneFact>,
}

/// A task that is asked of each frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskFact {
    /// The task.
    pub task: Task,
    /// What it is asked about; null where it takes none.
    pub text: Option<String>,
}

/// A phrase that is watched for.
#[derive(Debug, Clone, Serialize)]
pub struct AlertFact {
    /// The phrase.
    pub phrase: String,
    /// Its name in topics and metrics.
    pub slug: String,
    /// What counts.
    pub min_score: f64,
}

/// A named part of a picture.
#[derive(Debug, Clone, Serialize)]
pub struct ZoneFact {
    /// Its name.
    pub name: String,
    /// Its corners, as fractions of the picture's width and height.
    pub polygon: Vec<[f64; 2]>,
}

impl CameraFacts {
    /// What `settings` say.
    pub fn new(settings: &CameraSettings) -> CameraFacts {
        let task =
            |asked: &crate::config::CameraTask| TaskFact { task: asked.task, text: asked.text.clone() };
        let alert = |alert: &crate::config::CameraAlert| AlertFact {
            phrase: alert.phrase.to_string(),
            slug: Slug::of(&alert.phrase).to_string(),
            min_score: alert.rule.min_score.get(),
        };
        let zone = |zone: &crate::alerts::Zone| ZoneFact {
            name: zone.name.to_string(),
            polygon: zone.polygon.points().to_vec(),
        };
        CameraFacts {
            name: settings.name.clone(),
            source: settings.source.url.to_string(),
            fps_limit: settings.source.fps,
            tasks: settings.tasks.iter().map(task).collect(),
            alerts: settings.alerts.iter().map(alert).collect(),
            zones: settings.zones.iter().map(zone).collect(),
        }
    }
}

/// What became of one phrase of a camera since the daemon began.
#[derive(Debug)]
pub struct LiveAlert {
    slug: String,
    told: AtomicU64,
    is_on: AtomicBool,
}

impl LiveAlert {
    fn new(fact: &AlertFact) -> LiveAlert {
        LiveAlert { slug: fact.slug.clone(), told: AtomicU64::new(0), is_on: AtomicBool::new(false) }
    }

    /// Its name in topics and metrics.
    pub fn slug(&self) -> &str {
        &self.slug
    }

    /// Alerts so far.
    pub fn told(&self) -> u64 {
        self.told.load(Relaxed)
    }

    /// Whether one is open.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }
}

/// A camera at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CameraNow {
    /// Its name.
    pub name: String,
    /// `online`, `offline` or `disabled`.
    pub state: &'static str,
    /// Why it is offline, for people; null where it is not, or nothing is known yet.
    pub reason: Option<String>,
    /// Since when it has been in this state.
    pub since: String,
    /// Frames analysed per second, over the last few seconds.
    pub fps: f64,
    /// How old the last analysed frame was when its results were published; null before the first.
    pub age_ms: Option<u64>,
    /// The number of the last analysed frame; null before the first.
    pub frame_id: Option<u64>,
    /// What the last frame showed, where a task asks for it.
    pub caption: Option<String>,
    /// The slugs of the phrases that are true.
    pub alerts_on: Vec<String>,
}

/// One camera: written by its own task and the model thread, read by anyone.
#[derive(Debug)]
pub struct LiveCamera {
    facts: CameraFacts,
    alerts: Vec<Arc<LiveAlert>>,
    began: Instant,
    changed: watch::Sender<u64>,
    lookers: Arc<Lookers>,
    /// The frame whose picture is wanted whether somebody looks or not; 0 for none.
    wanted_frame: Arc<AtomicU64>,
    /// Whether its stream has been opened, or could not be, since the daemon began.
    was_tried: Arc<AtomicBool>,
    now: Arc<Mutex<Now>>,
    pictures: Arc<Mutex<Pictures>>,
    numbers: OnceLock<(Arc<CameraCounters>, Arc<CameraProgress>)>,
}

#[derive(Debug)]
struct Now {
    state: &'static str,
    reason: Option<String>,
    since: SystemTime,
    last: Option<(u64, Duration)>,
    captions: BTreeMap<usize, String>,
    history: History,
}

#[derive(Debug, Default)]
struct Pictures {
    newest: Option<Arc<LivePicture>>,
    kept: VecDeque<Arc<LivePicture>>,
}

impl LiveCamera {
    pub(super) fn new(
        facts: CameraFacts,
        is_enabled: bool,
        began: Instant,
        changed: watch::Sender<u64>,
    ) -> LiveCamera {
        LiveCamera {
            alerts: facts.alerts.iter().map(|fact| Arc::new(LiveAlert::new(fact))).collect(),
            facts,
            began,
            changed,
            lookers: Arc::new(Lookers::new(began)),
            wanted_frame: Arc::default(),
            was_tried: Arc::default(),
            now: Arc::new(Mutex::new(Now {
                state: if is_enabled { "offline" } else { "disabled" },
                reason: None,
                since: SystemTime::now(),
                last: None,
                captions: BTreeMap::new(),
                history: History::default(),
            })),
            pictures: Arc::default(),
            numbers: OnceLock::new(),
        }
    }

    /// The same camera where the configuration says `facts` of it.
    pub(super) fn with(&self, facts: CameraFacts) -> LiveCamera {
        let known = |fact: &AlertFact| self.alerts.iter().find(|alert| alert.slug == fact.slug).cloned();
        let alert = |fact: &AlertFact| known(fact).unwrap_or_else(|| Arc::new(LiveAlert::new(fact)));
        if facts.tasks != self.facts.tasks {
            // Perhaps nothing is asked any more whose answer would take their place.
            lock(&self.now).captions.clear();
        }
        LiveCamera {
            alerts: facts.alerts.iter().map(alert).collect(),
            facts,
            began: self.began,
            changed: self.changed.clone(),
            lookers: Arc::clone(&self.lookers),
            wanted_frame: Arc::clone(&self.wanted_frame),
            was_tried: Arc::clone(&self.was_tried),
            now: Arc::clone(&self.now),
            pictures: Arc::clone(&self.pictures),
            numbers: self.numbers.clone(),
        }
    }

    /// What the configuration says.
    pub fn facts(&self) -> &CameraFacts {
        &self.facts
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Its phrases.
    pub fn alerts(&self) -> &[Arc<LiveAlert>] {
        &self.alerts
    }

    /// Where its numbers are counted.
    pub fn numbers(&self) -> Option<&(Arc<CameraCounters>, Arc<CameraProgress>)> {
        self.numbers.get()
    }

    /// Says where its numbers are counted; once.
    pub fn set_numbers(&self, counters: Arc<CameraCounters>, progress: Arc<CameraProgress>) {
        let _ = self.numbers.set((counters, progress));
    }

    /// It is `online`, `offline` or `disabled` from now on, for a reason that holds no secret.
    pub fn set_state(&self, state: &'static str, reason: Option<String>) {
        if state != "offline" || reason.is_some() {
            self.was_tried.store(true, Relaxed);
        }
        let mut now = lock(&self.now);
        if now.state == state && now.reason == reason {
            return;
        }
        if now.state != state {
            now.since = SystemTime::now();
        }
        if state != "online" {
            // What it showed is not what there is.
            now.captions.clear();
        }
        (now.state, now.reason) = (state, reason);
        drop(now);
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Whether its stream has been opened or could not be, or it is switched off.
    pub fn was_tried(&self) -> bool {
        self.was_tried.load(Relaxed)
    }

    /// A frame was analysed, and its results are published.
    pub fn analysed<'a>(&self, frame_id: u64, age: Duration, texts: impl Iterator<Item = (Task, &'a str)>) {
        let mut now = lock(&self.now);
        now.last = Some((frame_id, age));
        now.history.analysed(self.began.elapsed(), age);
        now.captions.clear();
        for (task, text) in texts {
            // A frame that was asked before the configuration changed may say more than is asked now.
            let is_asked = self.facts.tasks.iter().any(|asked| asked.task == task);
            if let Some(place) = CAPTIONS.iter().position(|caption| is_asked && *caption == task) {
                now.captions.insert(place, text.chars().take(MAX_CAPTION_CHARS).collect());
            }
        }
    }

    /// Everything about it now.
    pub fn now(&self) -> CameraNow {
        let mut now = lock(&self.now);
        let on = self.alerts.iter().filter(|alert| alert.is_on());
        CameraNow {
            name: self.facts.name.clone(),
            state: now.state,
            reason: now.reason.clone(),
            since: rfc3339_ms(now.since),
            fps: now.history.fps(self.began.elapsed()),
            age_ms: now.last.map(|(_, age)| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            frame_id: now.last.map(|(frame_id, _)| frame_id),
            caption: now.captions.last_key_value().map(|(_, text)| text.clone()),
            alerts_on: on.map(|alert| alert.slug.clone()).collect(),
        }
    }

    /// `online`, `offline` or `disabled`.
    pub fn state(&self) -> &'static str {
        lock(&self.now).state
    }

    /// The last minutes.
    pub fn history(&self) -> HistoryValues {
        lock(&self.now).history.values(self.began.elapsed())
    }

    pub(super) fn alert(&self, slug: &Slug, event_type: EventType) {
        let Some(alert) = self.alerts.iter().find(|alert| alert.slug == slug.as_str()) else {
            return;
        };
        if event_type == EventType::New {
            alert.told.fetch_add(1, Relaxed);
        }
        alert.is_on.store(event_type != EventType::End, Relaxed);
    }

    /// Somebody looks at it for as long as what is returned lives.
    pub fn look(&self) -> Looking {
        if !self.lookers.any() {
            // Made when somebody looked last, however long ago that was.
            lock(&self.pictures).newest = None;
        }
        self.lookers.look()
    }

    /// How many look at it.
    pub fn lookers(&self) -> usize {
        self.lookers.count()
    }

    /// Whether a picture of the frame is wanted: somebody looks, or asked about it.
    pub fn wants_picture(&self, frame_id: u64) -> bool {
        self.lookers.any() || self.keeps_picture(frame_id)
    }

    /// The picture of the frame is wanted, because a question is answered about it, and is kept for a while.
    pub fn keep_picture(&self, frame_id: u64) {
        self.wanted_frame.store(frame_id, Relaxed);
    }

    /// Whether the frame is the one that [`LiveCamera::keep_picture`] named last.
    pub(super) fn keeps_picture(&self, frame_id: u64) -> bool {
        self.wanted_frame.load(Relaxed) == frame_id
    }

    pub(super) fn pictured(&self, picture: Arc<LivePicture>, is_kept: bool) {
        let mut pictures = lock(&self.pictures);
        if is_kept {
            pictures.kept.push_back(Arc::clone(&picture));
            if pictures.kept.len() > KEPT_PICTURES {
                pictures.kept.pop_front();
            }
        }
        // A kept one may be made after a newer one.
        let is_newer =
            pictures.newest.as_ref().is_none_or(|newest| !is_kept || newest.frame_id < picture.frame_id);
        if is_newer {
            pictures.newest = Some(picture);
        }
    }

    /// The newest picture that was made since somebody began to look; as old as frames are apart.
    pub fn picture(&self) -> Option<Arc<LivePicture>> {
        lock(&self.pictures).newest.clone()
    }

    /// The picture of a frame about which a question was answered not long ago.
    pub fn kept_picture(&self, frame_id: u64) -> Option<Arc<LivePicture>> {
        lock(&self.pictures).kept.iter().find(|picture| picture.frame_id == frame_id).cloned()
    }
}

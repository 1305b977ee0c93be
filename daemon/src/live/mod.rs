//! What is so now and over the last minutes, for whoever looks: the page, its API and the metrics.
//!
//! The parts of the daemon write here as things happen, which costs each of them a short lock and never a wait.
//! Nothing in here is kept on disk, and everything is bounded.
//!
//! - [`LiveCamera`]: a camera's state, newest answers and [`History`].
//! - [`AlertLog`]: the newest alerts with their snapshots.
//! - [`LivePicture`]: a frame as JPEG with what was found in it ([`Sight`]). Made by a thread of its own, and only while
//!   somebody looks.
//! - [`Phase`]: where in its life the daemon is.

mod alert_log;
mod camera;
#[cfg(test)]
pub(crate) mod fixture;
mod history;
mod looking;
mod phase;
mod picture_thread;
mod question;
mod sight;

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use belvedere_models::engine::DeviceMemory;
use belvedere_pipelines::Frame;
use tokio::sync::{mpsc, watch};

pub use alert_log::{AlertItem, AlertLog};
pub use camera::{CameraFacts, CameraNow, LiveAlert, LiveCamera};
pub use history::{History, HistoryValues};
pub use looking::Looking;
pub use phase::Phase;
pub use picture_thread::LivePicture;
pub use question::PageQuestion;
pub use sight::{Sight, SightPhrase, SightRegion, SightResult};

use crate::alerts::{AlertMessage, Subject};
use crate::config::CameraSettings;
use crate::metrics::{MetricSources, StageTimes};
use picture_thread::PictureThread;

/// So many questions of the page wait for whoever takes them.
const MAX_QUESTIONS: usize = 16;

/// What is so now. Shared by all who write and all who read.
#[derive(Debug)]
pub struct Live {
    began: Instant,
    began_at: SystemTime,
    /// In the order of the configuration.
    cameras: RwLock<Vec<Arc<LiveCamera>>>,
    /// Grows when cameras come, change, move or go.
    revision: AtomicU64,
    alerts: Mutex<AlertLog>,
    phase: Mutex<Phase>,
    notice: Mutex<Option<String>>,
    device: Mutex<Option<Arc<str>>>,
    changed: watch::Sender<u64>,
    pictured: watch::Sender<u64>,
    pictures: PictureThread,
    turns: AtomicU64,
    last_turn_ms: AtomicU64,
    failures_in_a_row: AtomicU32,
    stages: StageTimes,
    device_memory: Mutex<Option<DeviceMemory>>,
    sources: OnceLock<MetricSources>,
    questions: mpsc::Sender<PageQuestion>,
}

impl Live {
    /// Nothing has happened yet. What the page asks comes out of the receiver.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new() -> io::Result<(Arc<Live>, mpsc::Receiver<PageQuestion>)> {
        let (questions, asked) = mpsc::channel(MAX_QUESTIONS);
        let pictured = watch::Sender::new(0);
        let live = Live {
            began: Instant::now(),
            began_at: SystemTime::now(),
            cameras: RwLock::default(),
            revision: AtomicU64::new(0),
            alerts: Mutex::default(),
            phase: Mutex::new(Phase::Starting { detail: "loading the model".to_owned() }),
            notice: Mutex::default(),
            device: Mutex::default(),
            changed: watch::Sender::new(0),
            pictures: PictureThread::spawn(pictured.clone())?,
            pictured,
            turns: AtomicU64::new(0),
            last_turn_ms: AtomicU64::new(0),
            failures_in_a_row: AtomicU32::new(0),
            stages: StageTimes::new(),
            device_memory: Mutex::default(),
            sources: OnceLock::new(),
            questions,
        };
        Ok((Arc::new(live), asked))
    }

    /// When the daemon began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// When that was by the clock of that moment, which may have been set since.
    pub fn began_at(&self) -> SystemTime {
        self.began_at
    }

    /// A camera is to be shown from now on, in the place of one of the same name.
    pub fn add_camera(&self, settings: &CameraSettings, is_enabled: bool) -> Arc<LiveCamera> {
        let camera =
            LiveCamera::new(CameraFacts::new(settings), is_enabled, self.began, self.changed.clone());
        let camera = Arc::new(camera);
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        match cameras.iter_mut().find(|known| known.name() == settings.name) {
            Some(known) => *known = Arc::clone(&camera),
            None => cameras.push(Arc::clone(&camera)),
        }
        drop(cameras);
        self.revision.fetch_add(1, Relaxed);
        self.change();
        camera
    }

    /// The configuration says something else of a camera: what is known of it stays.
    pub fn change_camera(&self, settings: &CameraSettings) {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cameras.iter_mut().find(|known| known.name() == settings.name) {
            *known = Arc::new(known.with(CameraFacts::new(settings)));
        }
        drop(cameras);
        self.revision.fetch_add(1, Relaxed);
        self.change();
    }

    /// The cameras stand in the order of `settings` from now on.
    pub fn arrange_cameras(&self, settings: &[CameraSettings]) {
        let place = |camera: &Arc<LiveCamera>| {
            settings.iter().position(|settings| settings.name == camera.name()).unwrap_or(usize::MAX)
        };
        self.cameras.write().unwrap_or_else(PoisonError::into_inner).sort_by_key(place);
        self.revision.fetch_add(1, Relaxed);
        self.change();
    }

    /// A camera is not there any more.
    pub fn remove_camera(&self, name: &str) {
        let mut cameras = self.cameras.write().unwrap_or_else(PoisonError::into_inner);
        cameras.retain(|camera| camera.name() != name);
        drop(cameras);
        self.stages.forget(name);
        self.revision.fetch_add(1, Relaxed);
        self.change();
    }

    /// The camera `name`.
    pub fn camera(&self, name: &str) -> Option<Arc<LiveCamera>> {
        let cameras = self.cameras.read().unwrap_or_else(PoisonError::into_inner);
        cameras.iter().find(|camera| camera.name() == name).cloned()
    }

    /// All cameras, in the order of the configuration.
    pub fn cameras(&self) -> Vec<Arc<LiveCamera>> {
        self.cameras.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cameras that are switched on and have neither given a frame nor said why they do not.
    pub fn untried(&self) -> Vec<String> {
        let cameras = self.cameras();
        let untried = cameras.iter().filter(|camera| camera.state() != "disabled" && !camera.was_tried());
        untried.map(|camera| camera.name().to_owned()).collect()
    }

    /// Grows whenever what [`CameraFacts`] say may be different.
    pub fn revision(&self) -> u64 {
        self.revision.load(Relaxed)
    }

    /// Where in its life the daemon is.
    pub fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }

    /// Says where in its life the daemon is.
    pub fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
        self.change();
    }

    /// What the operator should know, such as why a new configuration was not taken; holds no secret.
    pub fn notice(&self) -> Option<String> {
        lock(&self.notice).clone()
    }

    /// Sets or takes away [`Live::notice`].
    pub fn set_notice(&self, notice: Option<String>) {
        *lock(&self.notice) = notice;
        self.change();
    }

    /// What runs the model, once it is loaded.
    pub fn device(&self) -> Option<Arc<str>> {
        lock(&self.device).clone()
    }

    /// The model is loaded, on `device`.
    pub fn set_device(&self, device: &str) {
        *lock(&self.device) = Some(device.into());
        self.change();
    }

    /// The model thread took its turn, with a frame or without.
    pub fn turned(&self) {
        self.turns.fetch_add(1, Relaxed);
        self.last_turn_ms.store(self.now_ms(), Relaxed);
    }

    /// Turns of the model thread so far, and how long ago the last one began.
    pub fn turns(&self) -> (u64, Duration) {
        let since = self.now_ms().saturating_sub(self.last_turn_ms.load(Relaxed));
        (self.turns.load(Relaxed), Duration::from_millis(since))
    }

    /// How often the model has failed since its last answer.
    pub fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row.load(Relaxed)
    }

    /// Sets [`Live::failures_in_a_row`].
    pub fn set_failures_in_a_row(&self, failures: u32) {
        self.failures_in_a_row.store(failures, Relaxed);
    }

    /// The memory of the device that runs the model, as it was at the model thread's last turn; nothing where the device
    /// has none of its own.
    pub fn device_memory(&self) -> Option<DeviceMemory> {
        *lock(&self.device_memory)
    }

    /// Sets [`Live::device_memory`].
    pub fn set_device_memory(&self, memory: Option<DeviceMemory>) {
        *lock(&self.device_memory) = memory;
    }

    /// The times of the stages, for whoever measures them.
    pub fn stages(&self) -> &StageTimes {
        &self.stages
    }

    /// Where numbers come from that are only read when somebody asks for them.
    pub fn sources(&self) -> Option<&MetricSources> {
        self.sources.get()
    }

    /// Sets [`Live::sources`]; once.
    pub fn set_sources(&self, sources: MetricSources) {
        let _ = self.sources.set(sources);
    }

    /// An alert began, changed or ended, perhaps with a new snapshot.
    pub fn alert(&self, subject: &Subject, message: &AlertMessage, snapshot: Option<&[u8]>) {
        if let Some(camera) = self.camera(&subject.camera) {
            camera.alert(&subject.slug, message.event_type);
        }
        lock(&self.alerts).tell(subject, message, snapshot);
        self.change();
    }

    /// Reads the newest alerts.
    pub fn alerts<T>(&self, read: impl FnOnce(&AlertLog) -> T) -> T {
        read(&lock(&self.alerts))
    }

    /// Changes whenever there is something that a page shows at once.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Changes with each new picture of any camera.
    pub fn pictured(&self) -> watch::Receiver<u64> {
        self.pictured.subscribe()
    }

    /// Hands a frame that is done with to the thread that makes pictures of frames. Never waits: while that thread is
    /// busy, a newer frame of a camera replaces the older one.
    pub fn show(&self, frame: Frame, sight: Sight) {
        if let Some(camera) = self.camera(frame.camera.as_str()) {
            let is_kept = camera.keeps_picture(frame.id);
            self.pictures.put(camera, frame, sight, is_kept);
        }
    }

    /// A question of the page's for whoever takes them; given back where too many wait or nobody takes any.
    ///
    /// # Errors
    /// The question.
    pub fn ask(&self, question: PageQuestion) -> Result<(), PageQuestion> {
        self.questions.try_send(question).map_err(|refused| refused.into_inner())
    }

    fn change(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the process; what is behind these locks is whole between two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use belvedere_models::Task;

    use super::*;

    #[test]
    fn what_is_known_of_a_camera_outlives_a_change_of_its_configuration_and_old_handles_reach_it() {
        let live = Live::new().unwrap().0;
        let phrases = ["a dog".to_owned(), "a cat".to_owned()];
        let old = live.add_camera(&fixture::camera("porch", &phrases[..1]), true);
        old.set_state("online", None);
        let revision = live.revision();
        live.change_camera(&fixture::camera("porch", &phrases));
        assert!(live.revision() > revision);
        let new = live.camera("porch").unwrap();
        let slugs: Vec<&str> = new.alerts().iter().map(|alert| alert.slug()).collect();
        assert_eq!((new.state(), slugs), ("online", vec!["a_dog", "a_cat"]));
        old.analysed(7, Duration::ZERO, [(Task::Caption, "a street")].into_iter());
        assert_eq!((new.now().frame_id, new.now().caption.as_deref()), (Some(7), Some("a street")));
    }

    #[test]
    fn what_an_old_handle_says_after_a_change_of_the_configuration_is_known() {
        let live = Live::new().unwrap().0;
        let old = live.add_camera(&fixture::camera("porch", &[]), true);
        live.change_camera(&fixture::camera("porch", &["a dog".to_owned()]));
        let new = live.camera("porch").unwrap();
        assert!(!new.was_tried() && !new.wants_picture(7));
        old.set_state("offline", Some("no route".to_owned()));
        old.keep_picture(7);
        assert!(new.was_tried() && new.wants_picture(7));
    }

    #[test]
    fn a_caption_is_shown_for_as_long_as_it_is_asked_for() {
        let live = Live::new().unwrap().0;
        let settings = fixture::camera("porch", &[]);
        let old = live.add_camera(&settings, true);
        let caption = || live.camera("porch").unwrap().now().caption;
        old.analysed(1, Duration::ZERO, [(Task::Caption, "a street")].into_iter());
        assert_eq!(caption().as_deref(), Some("a street"));
        old.analysed(2, Duration::ZERO, [(Task::ObjectDetection, "car")].into_iter());
        assert_eq!(caption(), None, "a frame that says none");
        old.analysed(3, Duration::ZERO, [(Task::Caption, "a dog")].into_iter());
        live.change_camera(&crate::config::CameraSettings { tasks: Vec::new(), ..settings });
        assert_eq!(caption(), None, "nothing is asked any more");
        let new = live.camera("porch").unwrap();
        new.analysed(4, Duration::ZERO, [(Task::Caption, "a cat")].into_iter());
        assert_eq!(caption(), None, "it was asked before");
    }

    #[test]
    fn whoever_begins_to_look_is_not_shown_what_others_saw_before() {
        let live = Live::new().unwrap().0;
        let porch = live.add_camera(&fixture::camera("porch", &[]), true);
        let picture = |frame_id| {
            let (sight, jpeg) = (bytes::Bytes::new(), bytes::Bytes::new());
            Arc::new(LivePicture { frame_id, sight, jpeg })
        };
        porch.pictured(picture(7), true);
        let looking = porch.look();
        assert!(porch.picture().is_none(), "it may be of yesterday");
        porch.pictured(picture(8), false);
        let another = porch.look();
        assert_eq!(porch.picture().unwrap().frame_id, 8, "somebody looks already");
        drop((looking, another));
    }

    #[test]
    fn cameras_stand_in_the_order_of_the_configuration_that_was_taken_up() {
        let live = Live::new().unwrap().0;
        let cameras = ["attic", "porch", "yard"].map(|name| fixture::camera(name, &[]));
        for place in [1, 2, 0] {
            live.add_camera(&cameras[place], true);
        }
        live.arrange_cameras(&cameras);
        let names: Vec<String> = live.cameras().iter().map(|camera| camera.name().to_owned()).collect();
        assert_eq!(names, ["attic", "porch", "yard"]);
    }
}

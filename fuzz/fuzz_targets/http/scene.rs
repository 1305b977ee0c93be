//! What is asked about: a daemon at one moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, SystemTime};

use belvedere::alerts::{AlertMessage, Phrase, Subject};
use belvedere::config::{self, HttpSettings, Secret};
use belvedere::live::{Live, PageQuestion, Sight, SightPhrase, SightRegion, SightResult};
use belvedere::metrics::MetricSources;
use belvedere::mqtt::{MqttCounters, Outbox};
use belvedere_kernels::RgbImage;
use belvedere_models::Task;
use belvedere_pipelines::{CameraName, Frame};
use tokio::sync::{mpsc, watch};

/// What opens everything.
pub const TOKEN: &str = "a-token-that-nobody-guesses";
/// The signature of a login with it that ends in the year 2100: `belvedere_session=4102444800.` and this.
pub const SIGNATURE: &str = "99b0143aeadb424f15ba271c88e8e5184bd74265086051bdb31a0d5f5a4b0430";
/// Is shown to nobody.
pub const PASSWORD: &str = "the-cameras-password";
/// Is shown to whoever has the token: a phrase, its slug, a zone, a caption, a notice, a snapshot, an address.
pub const PROTECTED: [&str; 7] = [
    "a fox at the hens",
    "a_fox_at_the_hens",
    "henhouse",
    "three hens asleep",
    "line 7 is odd",
    "snapshot of a fox",
    "192.0.2.10",
];
/// An answer to a question.
pub const ANSWER: &str = r#"{"id":"page","camera":"porch","frame_id":7,"captured_at":"2026-01-01T12:00:00.000Z",
    "age_ms":1,"width":64,"height":48,"task":"caption","text":"three hens asleep","regions":[],
    "timing_ms":{"vision":1.5}}"#;
/// Another one.
pub const REFUSAL: &str =
    r#"{"id":"page","camera":"porch","error":"too-many","reason":"too many questions"}"#;

const CONFIGURATION: &str = r#"
    mqtt.url = "mqtt://192.0.2.1"
    [[camera]]
    name = "porch"
    url = "rtsp://viewer:the-cameras-password@192.0.2.10/stream1"
    tasks = ["detailed-caption", "object-detection"]
    zone = [{ name = "henhouse", polygon = [[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]] }]
    alert = [{ phrase = "a fox at the hens", zones = ["henhouse"] }]
    [[camera]]
    name = "yard"
    url = "test://"
    tasks = ["caption"]
    [[camera]]
    name = "attic"
    url = "test://"
    tasks = ["caption"]
    enabled = false
"#;
const EVENT: &str = r#"{"event_type":"new","id":"1","camera":"porch","phrase":"a fox at the hens","score":0.5,
    "top_score":0.9,"frame_id":7,"captured_at":"2026-01-01T12:00:00.000Z","width":64,"height":48,"regions":[],
    "zones":[],"zones_entered":["henhouse"],"started_at":"2026-01-01T12:00:00.000Z",
    "last_seen_at":"2026-01-01T12:00:00.000Z","ended_at":null,"snapshot":null}"#;

/// The same for all inputs: what is asked changes nothing in it.
pub struct Scene {
    pub live: Arc<Live>,
    pub questions: mpsc::Receiver<PageQuestion>,
}

impl Scene {
    pub fn set() -> MutexGuard<'static, Scene> {
        static SCENE: OnceLock<Mutex<Scene>> = OnceLock::new();
        let scene = SCENE.get_or_init(|| Mutex::new(Scene::paint()));
        let mut scene = scene.lock().expect("a panic ends the process");
        // Those of whoever went away.
        while scene.questions.try_recv().is_ok() {}
        scene
    }

    pub fn settings(&self, has_token: bool) -> HttpSettings {
        HttpSettings {
            listen: "127.0.0.1:8750".parse().expect("an address"),
            token: has_token.then(|| Secret::new(TOKEN)),
            hosts: vec!["nvr.example".to_owned()],
        }
    }

    fn paint() -> Scene {
        let (live, questions) = Live::new().expect("a thread");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("belvedere.toml");
        std::fs::write(&file, CONFIGURATION).expect("room");
        let settings = config::load_with(&file, HashMap::new()).expect("a configuration");
        for camera in &settings.cameras {
            live.add_camera(camera, camera.enabled);
        }
        let camera = |name| live.camera(name).expect("a camera");
        let porch = camera("porch");
        porch.set_state("online", None);
        porch.analysed(
            7,
            Duration::from_millis(40),
            [(Task::DetailedCaption, "three hens asleep")].into_iter(),
        );
        camera("yard").set_state("offline", Some("no route".to_owned()));
        live.set_device("CPU");
        live.set_notice(Some("line 7 is odd".to_owned()));
        let subject = Subject::new("porch", Phrase::new("a fox at the hens").expect("a phrase"));
        let event: AlertMessage = serde_json::from_str(EVENT).expect("an event");
        live.alert(&subject, &event, Some(b"snapshot of a fox"));

        // One picture is the newest, and kept.
        porch.keep_picture(7);
        let picture = RgbImage { width: 64, height: 48, pixels: vec![90; 64 * 48 * 3] };
        live.show(Frame::from_rgb(CameraName::new("porch").expect("a name"), 7, picture), sight());
        while porch.kept_picture(7).is_none() {
            std::thread::yield_now();
        }

        let counters = Arc::new(MqttCounters::default());
        let outbox = Arc::new(Outbox::in_memory(Arc::clone(&counters)).expect("a thread"));
        let connected = watch::Sender::new(true).subscribe();
        live.set_sources(MetricSources::new(outbox, counters, connected, |_| Default::default()));
        Scene { live, questions }
    }
}

fn sight() -> Sight {
    Sight {
        camera: "porch".to_owned(),
        frame_id: 7,
        captured_at: SystemTime::now(),
        age_ms: 40,
        width: 64,
        height: 48,
        results: vec![SightResult {
            task: Task::DetailedCaption,
            input: None,
            text: "three hens asleep".to_owned(),
            regions: Vec::new(),
        }],
        phrases: vec![SightPhrase {
            phrase: "a fox at the hens".to_owned(),
            slug: "a_fox_at_the_hens".to_owned(),
            min_score: 0.4,
            regions: vec![SightRegion { score: 0.9, box_px: [1.0, 2.0, 30.5, 40.0] }],
        }],
    }
}

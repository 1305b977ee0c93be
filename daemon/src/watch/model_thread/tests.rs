use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use belvedere_kernels::{PreprocessSpec, RgbImage};
use belvedere_models::decode::{DecoderConfig, EarlyStopping};
use belvedere_models::engine::{BatchLimits, DecodeBatch, DeviceMemory, Engine, KeptPrompt, Pixels};
use belvedere_models::{Device, Florence, ImageFeatures, ModelError, PhraseForm, Precision, Task, Tokenizer};
use belvedere_pipelines::{CameraName, SourceSpec, SourceUrl};

use super::*;
use crate::config::{CameraSettings, CameraTask, ModelSettings};
use crate::mqtt::MqttCounters;
use crate::prompter::Prompter;
use crate::systemd::Systemd;
use crate::watch::asking::Asking;
use crate::watch::failures_in_a_row::MOST;

/// The watchdog bites after so long.
const PATIENCE: Duration = Duration::from_millis(400);
const WITHIN: Duration = Duration::from_secs(20);

const MEMORY: DeviceMemory = DeviceMemory {
    total_bytes: 8 << 30,
    free_bytes: 3 << 30,
    planned_bytes: 1 << 30,
    pictures_bytes: 0,
    prompts_bytes: 0,
};

/// An engine that says when it is given a picture and hangs until it is told to go on.
struct HangingEngine {
    begun: Sender<()>,
    go_on: Receiver<()>,
}

impl HangingEngine {
    fn failure() -> ModelError {
        ModelError::Engine { engine: "hanging", doing: "anything".to_owned(), reason: "never".to_owned() }
    }
}

impl Engine for HangingEngine {
    fn description(&self) -> String {
        "hanging".to_owned()
    }

    fn precision(&self) -> &'static str {
        "exact"
    }

    fn device_memory(&mut self) -> Option<DeviceMemory> {
        Some(MEMORY)
    }

    fn encode_image(&mut self, _: Pixels<'_>, _: &CancelToken) -> Result<ImageFeatures, ModelError> {
        let _ = self.begun.send(());
        let _ = self.go_on.recv();
        Err(HangingEngine::failure())
    }

    fn start<'e>(
        &'e mut self,
        _: &ImageFeatures,
        _: &[&[u32]],
        _: BatchLimits,
        _: &CancelToken,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        Err(HangingEngine::failure())
    }

    fn keep(&mut self, _: &ImageFeatures, _: &[u32], _: &CancelToken) -> Result<KeptPrompt, ModelError> {
        Err(HangingEngine::failure())
    }

    fn resume<'e>(
        &'e mut self,
        _: &[&KeptPrompt],
        _: BatchLimits,
    ) -> Result<Box<dyn DecodeBatch + 'e>, ModelError> {
        Err(HangingEngine::failure())
    }
}

/// The thread with a model that hangs on each picture until it is told to go on.
struct Test {
    thread: ModelThread,
    scheduler: Scheduler,
    live: Arc<Live>,
    prompter: Prompter,
    begun: Receiver<()>,
    go_on: Sender<()>,
    listener: UnixDatagram,
    progress: Arc<crate::watch::CameraProgress>,
    _folder: tempfile::TempDir,
}

impl Test {
    fn new() -> Test {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let listener = UnixDatagram::bind(&socket).unwrap();
        let systemd = Systemd::at(socket.as_os_str()).unwrap();
        let (begun, has_begun) = channel();
        let (go_on, may_go_on) = channel();
        let (analyst, prompter) = analyst(HangingEngine { begun, go_on: may_go_on });
        let outbox = Arc::new(Outbox::in_memory(Arc::default()).unwrap());
        let live = Live::new().unwrap().0;
        let alerting = Arc::new(Alerting::new(&[], "root", Arc::clone(&outbox), Arc::clone(&live)));
        let counters = Arc::new(MqttCounters::default());
        let asking = Arc::new(Asking::new("root", Arc::clone(&outbox), counters, Arc::clone(&live)));
        let scheduler = Scheduler::new();
        let thread = ModelThread::spawn(
            analyst,
            scheduler.clone(),
            Watchdog::new(systemd, Some(PATIENCE)),
            Hearers { alerting, outbox, live: Arc::clone(&live) },
            Answering::new(asking),
            CancelToken::new(),
        );
        let thread = thread.unwrap();
        let progress = Arc::default();
        let test = Test {
            thread,
            scheduler,
            live,
            prompter,
            begun: has_begun,
            go_on,
            listener,
            progress,
            _folder: folder,
        };
        test.ask("porch");
        test
    }

    /// Each frame of `camera` is asked something from now on.
    fn ask(&self, camera: &str) {
        let settings = CameraSettings { name: camera.to_owned(), ..porch() };
        let questions =
            Questions::new(&self.prompter, "root", &settings, Arc::clone(&self.progress)).unwrap();
        self.thread.change(Change::Ask(camera.to_owned(), questions));
    }

    fn show(&self, frame_id: u64) {
        self.show_of("porch", frame_id);
    }

    fn show_of(&self, camera: &str, frame_id: u64) {
        let name = CameraName::new(camera).unwrap();
        let picture = RgbImage { width: 32, height: 32, pixels: vec![90; 32 * 32 * 3] };
        self.scheduler.slot(&name).put(Frame::from_rgb(name, frame_id, picture));
    }

    /// What the service manager hears next, if that is within `time`.
    fn hears(&self, time: Duration) -> Option<String> {
        self.listener.set_read_timeout(Some(time)).unwrap();
        let mut buffer = [0; 100];
        let length = self.listener.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    async fn end(mut self) {
        self.scheduler.shut_down();
        drop(self.go_on);
        tokio::time::timeout(WITHIN, self.thread.ended()).await.unwrap();
    }
}

fn analyst(engine: HangingEngine) -> (Analyst, Prompter) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/testdata/tokenizer/tokenizer.json");
    let prompter = Prompter::new(Tokenizer::open(Path::new(path), 51_328).unwrap(), 400);
    let decoder = DecoderConfig {
        vocabulary: 51_328,
        decoder_start: 2,
        eos: 2,
        forced_bos: None,
        forced_eos: None,
        no_repeat_ngram: 0,
        early_stopping: EarlyStopping::AtOnce,
        max_positions: 64,
    };
    let settings = ModelSettings {
        path: None,
        device: Device::Cpu,
        precision: Precision::Exact,
        threads: None,
        beams: 1,
        phrases: PhraseForm::default(),
        max_new_tokens: 8,
    };
    let florence = Florence::with_engine(Box::new(engine), decoder);
    let analyst =
        Analyst::over(florence, prompter.clone(), PreprocessSpec::imagenet(32, 32), &settings).unwrap();
    (analyst, prompter)
}

fn porch() -> CameraSettings {
    let url = SourceUrl::parse("test://ball").unwrap();
    CameraSettings {
        name: "porch".to_owned(),
        enabled: true,
        source: SourceSpec::new(CameraName::new("porch").unwrap(), url),
        tasks: vec![CameraTask { task: Task::Caption, text: None }],
        alerts: Vec::new(),
        zones: Vec::new().into(),
    }
}

#[tokio::test]
async fn the_watchdog_is_fed_by_a_thread_that_turns_idle_or_not_and_starved_by_one_that_hangs() {
    let test = Test::new();
    // There is nothing to do.
    for _ in 0..3 {
        assert_eq!(test.hears(WITHIN).as_deref(), Some("WATCHDOG=1\n"));
    }
    test.show(1);
    test.begun.recv_timeout(WITHIN).unwrap();
    // The last meal may be on its way still.
    while test.hears(Duration::from_millis(1)).is_some() {}
    assert_eq!(test.hears(PATIENCE * 2), None, "a thread that hangs");
    test.go_on.send(()).unwrap();
    assert_eq!(test.hears(WITHIN).as_deref(), Some("WATCHDOG=1\n"));
    test.end().await;
}

#[tokio::test]
async fn the_memory_of_the_device_is_known_after_an_idle_turn_too() {
    let test = Test::new();
    // The second turn has begun.
    for _ in 0..2 {
        assert!(test.hears(WITHIN).is_some());
    }
    assert_eq!(test.live.device_memory(), Some(MEMORY));
    test.end().await;
}

#[tokio::test]
async fn frames_become_pictures_only_while_somebody_looks_at_their_camera() {
    let test = Test::new();
    let attic = test.live.add_camera(&CameraSettings { name: "attic".to_owned(), ..porch() }, true);
    let porch = test.live.add_camera(&porch(), true);
    test.ask("attic");
    let mut pictured = test.live.pictured();
    let _looking = porch.look();
    for (frame_id, camera) in [(1, "attic"), (2, "porch")] {
        test.show_of(camera, frame_id);
        test.begun.recv_timeout(WITHIN).unwrap();
        test.go_on.send(()).unwrap();
    }
    // The attic's would have been made before: it came first, and comes first by name.
    while porch.picture().is_none() {
        tokio::time::timeout(WITHIN, pictured.changed()).await.expect("a picture").unwrap();
    }
    assert_eq!(porch.picture().unwrap().frame_id, 2);
    assert!(attic.picture().is_none(), "nobody looks at it");
    test.end().await;
}

#[tokio::test]
async fn a_camera_that_is_forgotten_is_asked_nothing_and_the_thread_goes_on() {
    let test = Test::new();
    test.thread.change(Change::Forget("porch".to_owned()));
    test.show(1);
    let slot = test.scheduler.slot(&CameraName::new("porch").unwrap());
    while slot.counters().values().taken == 0 {
        assert!(test.hears(WITHIN).is_some());
    }
    assert!(test.hears(WITHIN).is_some());
    assert!(test.begun.try_recv().is_err(), "it was asked");
    assert_eq!(test.progress.values().failed, 0);
    test.end().await;
}

#[tokio::test]
async fn a_model_that_fails_for_good_ends_the_thread_with_the_reason_and_is_gone_by_then() {
    let mut test = Test::new();
    for frame_id in 1..=u64::from(MOST) {
        test.show(frame_id);
        test.begun.recv_timeout(WITHIN).unwrap();
        test.go_on.send(()).unwrap();
    }
    let reason = tokio::time::timeout(WITHIN, test.thread.ended()).await.unwrap();
    assert!(reason.contains(&HangingEngine::failure().to_string()), "{reason}");
    assert_eq!(test.begun.try_recv(), Err(TryRecvError::Disconnected), "the model is still there");
    assert_eq!(test.progress.values().failed, u64::from(MOST));
    assert_eq!(test.live.failures_in_a_row(), MOST - 1, "known before the end");
}

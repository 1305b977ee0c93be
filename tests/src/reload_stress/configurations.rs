use std::{fmt::Write as _, path::Path};

/// Whether a configuration can be taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It can.
    Right,
    /// It cannot.
    Wrong,
}

/// Analysed frames per second of the steady cameras.
pub(super) const STEADY_FPS: f64 = 2.0;
/// What they are asked.
pub(super) const TASK: &str = "object-detection";

const GUESTS: [&str; 5] = ["attic", "barn", "cellar", "drive", "entry"];
const TASKS: [&str; 3] = ["caption", "object-detection", "ocr"];
const PHRASES: [&str; 4] = ["a red car", "a dog", "A dog on a ladder", "somebody"];

/// Configurations by chance: with the steady cameras in all of them, the same in all, and others that come, change and go.
pub struct Configurations {
    head: String,
    steady: String,
    stream: String,
    random: fastrand::Rng,
    beams: u32,
    keep_alive_s: u32,
}

impl Configurations {
    /// For a broker, a checkpoint and an RTSP server.
    pub fn new(broker: &str, checkpoint: &Path, stream: &str, steady: [&str; 2], seed: u64) -> Self {
        let camera = |name: &str, url: &str| {
            format!(
                "\n[[camera]]\nname = {name:?}\nurl = {url:?}\nfps = {STEADY_FPS:.1}\ntasks = [{TASK:?}]\n\
                 [[camera.alert]]\nphrase = \"a dog\"\n"
            )
        };
        Self {
            head: format!(
                "[model]\npath = {checkpoint:?}\nprecision = \"exact\"\nmax_new_tokens = 8\nthreads = 1\nbeams = BEAMS\n\
                 \n[mqtt]\nurl = {broker:?}\nstats_interval = \"500ms\"\nkeep_alive = \"KEEP_ALIVEs\"\n"
            ),
            steady: [camera(steady[0], stream), camera(steady[1], "test://snow")].concat(),
            stream: stream.to_owned(),
            random: fastrand::Rng::with_seed(seed),
            beams: 1,
            keep_alive_s: 30,
        }
    }

    /// That of the beginning, and of every look. Model and link stay as they were changed last.
    pub fn base(&self) -> String {
        let head = self.head.replace("BEAMS", &self.beams.to_string());
        head.replace("KEEP_ALIVE", &self.keep_alive_s.to_string()) + &self.steady
    }

    /// The next one: one of three is wrong.
    pub fn another(&mut self) -> (Kind, String) {
        let is_wrong = self.random.u8(..3) == 0;
        if !is_wrong && self.random.u8(..50) == 0 {
            self.beams = 3 - self.beams;
        }
        if !is_wrong && self.random.u8(..25) == 0 {
            self.keep_alive_s = 50 - self.keep_alive_s;
        }
        let mut text = self.base();
        for guest in GUESTS {
            if self.random.bool() {
                self.guest(&mut text, guest);
            }
        }
        if !is_wrong {
            return (Kind::Right, text);
        }
        (Kind::Wrong, self.spoil(text))
    }

    fn guest(&mut self, text: &mut String, name: &str) {
        // Some of them are nowhere.
        let urls =
            ["test://ball", "test://bars", "test://ff8800", self.stream.as_str(), "rtsp://127.0.0.1:9/none"];
        let url = urls[self.random.usize(..urls.len())];
        let fps = self.random.u8(1..6);
        let enabled = self.random.u8(..8) > 0;
        let task = TASKS[self.random.usize(..TASKS.len())];
        let _ = write!(
            text,
            "\n[[camera]]\nname = {name:?}\nurl = {url:?}\nfps = {fps}\nenabled = {enabled}\ntasks = [{task:?}]\n"
        );
        for phrase in PHRASES {
            if self.random.u8(..3) == 0 {
                let score = f64::from(self.random.u8(1..10)) / 10.0;
                let _ = write!(text, "[[camera.alert]]\nphrase = {phrase:?}\nmin_score = {score}\n");
            }
        }
    }

    /// Makes a mistake, of those that people make.
    fn spoil(&mut self, text: String) -> String {
        match self.random.u8(..7) {
            0 => text.replacen("tasks", "task", 1),
            1 => text.replacen("fps = ", "fps = -", 1),
            2 => {
                text + "\n[[camera]]\nname = \"steady-test\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n"
            }
            3 => text + "\n[[camera]\n",
            4 => text.replacen(
                "url = \"test://snow\"",
                "url = \"test://snow\"\ncredentials_file = \"/nowhere/at/all\"",
                1,
            ),
            5 => {
                text + "\n[[camera]]\nname = \"w\"\nurl = \"test://ball\"\n[[camera.alert]]\nphrase = \"x\"\nzones = [\"lawn\"]\n"
            }
            // The half of a file that is being written.
            _ => {
                let half = text.find("tasks = [").unwrap_or_default();
                text[..half + "tasks = [".len()].to_owned()
            }
        }
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use belvedere_models::{Device, Precision, Task};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{DEFAULT_PATH, ModelSettings};
use crate::hub::ModelName;

/// Watches camera streams with Florence-2 and says what it sees over MQTT.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 69 a device or library that is needed is missing,
/// 78 wrong configuration.
#[derive(Debug, Parser)]
#[command(name = "belvedere", version, max_term_width = 100)]
pub struct Cli {
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug or trace, or per part such as `info,belvedere=debug`.
    #[arg(long, env = "BELVEDERE_LOG", default_value = "info", global = true, value_name = "LEVEL")]
    pub log_level: String,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: in colours on a terminal, plain otherwise; under systemd with the fields that its journal has.
    Text,
    /// For machines: a JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the cameras of a configuration until SIGTERM or Ctrl-C.
    Run(ConfigFile),
    /// Validate a configuration: every mistake at once, with its file, line and key.
    Check(ConfigFile),
    /// See it work: a test camera, a broker and a small model, all in this process.
    Demo(Demo),
    /// Ask about still images.
    Infer(Box<Infer>),
    /// Fetch a checkpoint, inspect one, or write its graphs.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Open a stream and say what comes, or what is wrong with it.
    Probe(Probe),
    /// Measure every stage on this machine.
    Bench(Bench),
    /// Fit the score that a phrase's alert needs to pictures of one's own.
    Calibrate(Box<Calibrate>),
    /// Say what this machine has, what will run the model, and what to do about what is missing.
    Doctor(Doctor),
    /// Compare a device with the CPU, stage by stage, and measure it: a report to paste into an issue.
    Selftest(Selftest),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The configuration; `conf.d/*.toml` beside it is read after it, then variables such as
    /// BELVEDERE__MQTT__URL.
    #[arg(long, default_value = DEFAULT_PATH, value_name = "FILE")]
    pub config: PathBuf,
}

/// Which model, and where it runs.
#[derive(Debug, Args)]
pub struct ModelChoice {
    /// The checkpoint's folder: config.json, tokenizer.json and safetensors as the hub ships them
    /// [default: the bundled model, which knows made-up street scenes only].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Where to run it: auto, cpu or tensorrt.
    #[arg(long, default_value = "auto", value_parser = parse_device, value_name = "DEVICE")]
    pub device: Device,

    /// fast (reduced where the machine is good at it) or exact (FP32, the reference's tokens).
    #[arg(long, default_value = "fast", value_parser = parse_precision, value_name = "PRECISION")]
    pub precision: Precision,

    /// CPU threads [default: as many as there are].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

impl ModelChoice {
    /// `fast` or `exact`.
    pub fn precision_name(&self) -> &'static str {
        match self.precision {
            Precision::Fast => "fast",
            Precision::Exact => "exact",
        }
    }

    /// As the configuration has it; greedy, answers of any length.
    pub fn settings(&self) -> ModelSettings {
        ModelSettings {
            path: self.model.clone(),
            device: self.device,
            precision: self.precision,
            threads: self.threads.map(usize::from),
            beams: 1,
            max_new_tokens: 1024,
            phrases: belvedere_models::PhraseForm::default(),
        }
    }
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `belvedere infer`
#[derive(Debug, Args)]
pub struct Infer {
    /// The images: JPEG, PNG, WebP or BMP.
    #[arg(required_unless_present = "questions", value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Ask the questions of a file instead; - is standard input.
    ///
    /// Each line is a JSON object: {"image": "a.jpg", "task": "caption"}, with "text" or "region":
    /// [x1, y1, x2, y2] in pixels where the task takes one, or "prompt" instead of a task. Each is
    /// answered as soon as it is read, with a JSON line that repeats it ("input" is its text). The image
    /// is read and encoded once for all questions about it that follow one another.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["images", "task", "text", "region", "prompt", "annotate"]
    )]
    pub questions: Option<PathBuf>,

    /// Which model, and where it runs.
    #[command(flatten)]
    pub model: ModelChoice,

    /// What to ask: caption, detailed-caption, more-detailed-caption, object-detection,
    /// dense-region-caption, region-proposal, phrase-grounding, open-vocabulary-detection,
    /// referring-expression-segmentation, region-to-segmentation, region-to-category,
    /// region-to-description, region-to-ocr, ocr, ocr-with-region.
    #[arg(long, default_value = "caption", value_parser = parse_task, value_name = "NAME")]
    pub task: Task,

    /// The phrase or caption that the task is about.
    #[arg(long, value_name = "T")]
    pub text: Option<String>,

    /// The box that the task is about, in pixels of the image.
    #[arg(long, value_parser = parse_region, value_name = "X1,Y1,X2,Y2", allow_hyphen_values = true)]
    pub region: Option<[f32; 4]>,

    /// A prompt of a fine-tune's own, instead of a task.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["task", "text", "region"])]
    pub prompt: Option<String>,

    /// Beams of the search; 1 is greedy.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub beams: u16,

    /// Cut an answer off after so many tokens.
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_new_tokens: u16,

    /// Read answers exactly as the original parsers do, artefacts included.
    #[arg(long)]
    pub reference: bool,

    /// How results are written; json is one object per answer on a line [default: text; json for
    /// --questions].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<OutputFormat>,

    /// Draw the regions into a copy of the image (PNG; only with one image).
    #[arg(long, value_name = "OUT.png")]
    pub annotate: Option<PathBuf>,
}

/// `belvedere model`
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Fetch a checkpoint from the model hub; what is there already is not fetched again.
    Pull(Pull),
    /// What a checkpoint is, and what it will need.
    Info {
        /// The checkpoint's folder.
        #[arg(value_name = "DIR")]
        model: PathBuf,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
        format: OutputFormat,
    },
    /// Build the engines of a model for this machine's GPU, which `run` does at its first start.
    Build {
        /// Which model, and where it is to run.
        #[command(flatten)]
        model: ModelChoice,
        /// Build this model's engines anew, those that are there already too. Engines of other models stay.
        #[arg(long)]
        rebuild: bool,
    },
    /// Write the ONNX graphs of a checkpoint into a folder.
    Export {
        /// The checkpoint's folder.
        #[arg(value_name = "DIR")]
        model: PathBuf,
        /// Where to write to; made if it is not there.
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
}

/// `belvedere model pull`
#[derive(Debug, Args)]
#[command(after_help = "\
A token is needed for models that are not for everybody: HF_TOKEN, --token-file, or, for the hub itself, the one
that `hf auth login` has left. An interrupted fetch is gone on with by the same command.")]
pub struct Pull {
    /// The model's name on the hub, such as microsoft/Florence-2-base-ft.
    #[arg(value_name = "OWNER/NAME", value_parser = parse_model_name)]
    pub model: ModelName,
    /// A branch, a tag or a commit.
    #[arg(long, default_value = "main", value_name = "REVISION")]
    pub revision: String,
    /// The hub, or a mirror of it.
    #[arg(
        long,
        env = "HF_ENDPOINT",
        hide_env_values = true,
        default_value = "https://huggingface.co",
        value_name = "URL"
    )]
    pub endpoint: String,
    /// A file with a token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The folder of models; the checkpoint goes into OWNER/NAME there [default: /var/lib/belvedere/models where the
    /// service is installed, else ~/.local/state/belvedere/models].
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// `belvedere probe`
#[derive(Debug, Args)]
pub struct Probe {
    /// rtsp://, rtsps://, file://, v4l2:// or test://
    pub url: String,
    /// A file with `user:password`.
    #[arg(long, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
    /// auto, tcp or udp.
    #[arg(long, default_value = "auto", value_name = "T")]
    pub transport: String,
    /// auto, or the decoder to insist on.
    #[arg(long, default_value = "auto", value_name = "D")]
    pub decoder: String,
    /// Give up after so long, such as 15s.
    #[arg(long, default_value = "15s", value_parser = parse_duration, value_name = "TIME")]
    pub timeout: Duration,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub format: OutputFormat,
}

/// `belvedere bench`
#[derive(Debug, Args)]
pub struct Bench {
    /// Which model, and where it runs.
    #[command(flatten)]
    pub model: ModelChoice,
    /// Ask about this image instead of a picture of the generated clip.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// The prompt; the default is that of the detailed caption.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Measured runs of each stage, after the warm-up.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub iterations: u32,
    /// Runs before anything is measured.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub warm_up: u32,
    /// Tokens after the start token in each answer, the forced first and last ones included: exactly so
    /// many, no answer ends sooner.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1024))]
    pub tokens: u16,
    /// Beams of the search; 1 is greedy.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub beams: u16,
    /// Measures also what it costs to search a frame for so many phrases instead of one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    pub phrases: Option<u16>,
    /// Only the model: no clip is decoded, nothing is published.
    #[arg(long)]
    pub model_only: bool,
    /// How the report is written; json has every sample.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub format: OutputFormat,
}

/// `belvedere calibrate`
#[derive(Debug, Args)]
#[command(after_help = "\
Both folders should hold pictures of the very camera, at the hours and in the weather that it will see; 30 or
more of each, or the intervals are wide. Folders inside them are not looked into. Pictures that cannot be read
are named and left out.")]
pub struct Calibrate {
    /// The phrase, as the alert has it.
    #[arg(long, value_name = "P")]
    pub phrase: String,

    /// A folder of pictures that show it.
    #[arg(long, value_name = "DIR")]
    pub present: PathBuf,

    /// A folder of pictures that do not show it, but are otherwise alike.
    #[arg(long, value_name = "DIR")]
    pub absent: PathBuf,

    /// The configuration whose model is used, and whose alert for the phrase is compared with.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "device", "precision", "threads"])]
    pub config: Option<PathBuf>,

    /// Which model, and where it runs.
    #[command(flatten)]
    pub model: ModelChoice,

    /// The share of the pictures without the phrase that may alarm.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE", value_parser = parse_share)]
    pub false_alarms: f64,

    /// Draw the curve and the scores (PNG).
    #[arg(long, value_name = "OUT.png")]
    pub plot: Option<PathBuf>,

    /// Write the score into the alerts for the phrase in this file; comments stay.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// Of the cameras in the configuration, only this one.
    #[arg(long, value_name = "NAME")]
    pub camera: Option<String>,
}

/// `belvedere doctor`
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 0 where what is asked for can run, and with 69 where it cannot.")]
pub struct Doctor {
    /// The configuration whose device is asked for [default: that of the service, where there is one].
    #[arg(long, value_name = "FILE", conflicts_with = "device")]
    pub config: Option<PathBuf>,
    /// The device that is asked for: auto, cpu or tensorrt [default: the configuration's, else auto].
    #[arg(long, value_parser = parse_device, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub format: OutputFormat,
}

/// `belvedere selftest`
#[derive(Debug, Args)]
#[command(after_help = "\
The reference is the exact precision on the CPU. Exits with 0 where every stage is within its limit, with 1 where
one is not, and with 69 where the device cannot be used.")]
pub struct Selftest {
    /// Which model, and the device that is compared with the CPU.
    #[command(flatten)]
    pub model: ModelChoice,
    /// Measured rounds on either side; the median counts.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub iterations: u32,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub format: OutputFormat,
}

/// `belvedere demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Which model, and where it runs.
    #[command(flatten)]
    pub model: ModelChoice,
    /// Stop after so many seconds [default: at Ctrl-C].
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Stop after so many results; those that do not come within --seconds are a failure.
    #[arg(long, value_name = "N")]
    pub results: Option<u64>,
    /// Stop after so many alerts; those that do not come within --seconds are a failure.
    #[arg(long, value_name = "N")]
    pub alerts: Option<u64>,
    /// Ask also for this phrase in each frame, and publish the raw answers; may be given several times.
    #[arg(long, value_name = "TEXT")]
    pub phrase: Vec<String>,
}

/// A device by its name.
pub(crate) fn parse_device(word: &str) -> Result<Device, String> {
    match word {
        "auto" => Ok(Device::Auto),
        "cpu" => Ok(Device::Cpu),
        "tensorrt" => Ok(Device::TensorRt),
        _ => Err("choose auto, cpu or tensorrt".to_owned()),
    }
}

/// A precision by its name.
pub(crate) fn parse_precision(word: &str) -> Result<Precision, String> {
    match word {
        "fast" => Ok(Precision::Fast),
        "exact" => Ok(Precision::Exact),
        _ => Err("choose fast or exact".to_owned()),
    }
}

fn parse_task(name: &str) -> Result<Task, String> {
    name.parse().map_err(|error: belvedere_models::ModelError| error.to_string())
}

fn parse_model_name(name: &str) -> Result<ModelName, String> {
    name.parse().map_err(|error: crate::hub::HubError| error.to_string())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).ok_or_else(|| "write 500ms, 10s, 5m or 1h".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("write a number from 0 to 1, such as 0.02".to_owned()),
    }
}

fn parse_region(text: &str) -> Result<[f32; 4], String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|number| number.trim().parse().map_err(|_| format!("{number:?} is no number")))
        .collect::<Result<_, _>>()?;
    <[f32; 4]>::try_from(numbers).map_err(|found| format!("4 numbers are needed, not {}", found.len()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_region_is_four_numbers() {
        let parse = |region: &str| {
            Cli::try_parse_from([
                "belvedere",
                "infer",
                "--task",
                "region-to-ocr",
                "--region",
                region,
                "a.png",
            ])
        };
        let Command::Infer(infer) = parse("1,2.5,30, 40").unwrap().command else {
            panic!("not infer");
        };
        assert_eq!(infer.region, Some([1.0, 2.5, 30.0, 40.0]));
        assert!(parse("1,2,3").is_err());
        assert!(parse("a,2,3,4").is_err());
    }

    #[test]
    fn a_misspelt_task_is_answered_with_the_nearest() {
        let error = Cli::try_parse_from(["belvedere", "infer", "--task", "captoin", "a.png"]).unwrap_err();
        assert!(error.to_string().contains("\"caption\""), "{error}");
    }
}

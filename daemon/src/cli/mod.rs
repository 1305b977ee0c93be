//! The command line.

mod calibrate;
mod infer;
mod model_choice;
mod model_command;

use std::path::PathBuf;
use std::time::Duration;

use belvedere_models::Device;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use calibrate::Calibrate;
pub use infer::Infer;
pub use model_choice::ModelChoice;
use model_choice::parse_device;
pub use model_command::{ModelCommand, Pull};

use crate::config::DEFAULT_PATH;

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
    /// Fetch a checkpoint, inspect one, build its engines, or write its graphs.
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

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `belvedere probe`
#[derive(Debug, Args)]
pub struct Probe {
    /// rtsp://, rtsps://, file://, v4l2:// or test://
    pub url: String,
    /// A file with `user:password`.
    #[arg(long, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,
    /// Take whatever certificate an rtsps:// server has.
    #[arg(long)]
    pub trust_any_certificate: bool,
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

/// `belvedere doctor`
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 0 where what is asked for can run, with 69 where it cannot, and with 78 where the configuration has mistakes:
the report is for auto then.")]
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

fn parse_duration(text: &str) -> Result<Duration, String> {
    crate::config::parse_duration(text).ok_or_else(|| "write 500ms, 10s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

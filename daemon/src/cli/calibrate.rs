//! What `belvedere calibrate` takes.

use std::path::PathBuf;

use clap::Args;

use super::ModelChoice;

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

    /// The configuration whose model is used, and whose alert for the phrase is compared with. Without this and --model,
    /// the score is fitted to the bundled model, and says nothing about another one.
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

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("write a number from 0 to 1, such as 0.02".to_owned()),
    }
}

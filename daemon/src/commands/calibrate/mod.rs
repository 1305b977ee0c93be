//! `belvedere calibrate`

mod alert_file;
mod canvas;
mod error;
mod pictures;
mod png_plot;
mod report;
mod text_plot;

use std::collections::BTreeMap;

use super::CommandError;
use crate::alerts::{AlertSettings, Phrase};
use crate::bundled;
use crate::cli::Calibrate;
use crate::config::{self, CameraSettings};
use crate::exit::Exit;
use crate::picture;
use crate::roc::{RocCurve, Threshold};

use self::alert_file::AlertFile;
pub use self::error::CalibrateError;
use self::pictures::Folder;
use self::report::Report;

pub(super) fn calibrate(options: &Calibrate) -> Result<Exit, CommandError> {
    // All that can be wrong is said before a model is loaded and pictures are looked at.
    let phrase = Phrase::new(&options.phrase)
        .map_err(|error| CommandError::Usage(format!("--phrase {:?}: {error}", options.phrase)))?;
    let present = Folder::open(&options.present)?;
    let absent = Folder::open(&options.absent)?;
    present.refuse_same(&absent)?;
    let inspect = |path| config::inspect(path, |_| Vec::new());
    let settings = options.config.as_deref().map(inspect).transpose()?.map(|found| found.settings);
    let camera = options.camera.as_deref();
    let file = options.write.as_deref().map(|path| AlertFile::open(path, &phrase, camera)).transpose()?;
    let cameras = settings.as_ref().map(|settings| settings.cameras.as_slice());
    let current = match (&file, cameras) {
        (Some(file), None) => file.current(),
        (_, cameras) => current(cameras.unwrap_or_default(), &phrase, camera),
    };
    let model = match settings {
        Some(settings) => settings.model,
        None => options.model.settings(),
    };

    let mut analyst = super::load(&model)?;
    if analyst.is_bundled() {
        eprintln!("belvedere: no model is named (--config or --model): the score is for {}", bundled::KNOWS);
    }
    let watched = analyst.watched_phrase(phrase.as_str())?;
    let present = present.scores(&mut analyst, &watched)?;
    let absent = absent.scores(&mut analyst, &watched)?;
    let curve = RocCurve::new(present, absent).map_err(CalibrateError::from)?;
    let report = Report {
        phrase: phrase.as_str(),
        model: analyst.description(),
        false_alarms: options.false_alarms,
        threshold: Threshold::fit(&curve, options.false_alarms),
        curve: &curve,
        current: &current,
        camera,
    };
    print!("{}", report.text());
    if let Some(path) = &options.plot {
        picture::write_png(path, &png_plot::draw(&report))?;
        println!("\nplot: {}", path.display());
    }
    let Some(threshold) = report.usable() else {
        return Err(CalibrateError::NotToldApart { phrase: phrase.as_str().to_owned() }.into());
    };
    if let Some(file) = file {
        let alerts = file.write(threshold.value)?;
        println!("\nwritten: min_score = {} for {}", threshold.value, alerts.join(", "));
    }
    Ok(Exit::Done)
}

/// What the alerts for `phrase` need at present, each score with whose it is; the default where there is none.
fn current(cameras: &[CameraSettings], phrase: &Phrase, camera: Option<&str>) -> Vec<(f64, String)> {
    let alerts = cameras
        .iter()
        .filter(|found| camera.is_none_or(|wanted| found.name == wanted))
        .flat_map(|camera| camera.alerts.iter().map(move |alert| (camera, alert)))
        .filter(|(_, alert)| alert.phrase == *phrase)
        .map(|(camera, alert)| (alert.rule.min_score.get(), camera.name.clone()));
    by_score(alerts)
}

/// Each score once, with all the cameras that have it.
fn by_score(alerts: impl Iterator<Item = (f64, String)>) -> Vec<(f64, String)> {
    let mut cameras: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (score, camera) in alerts {
        // The bits of numbers that are not negative are in the order of the numbers.
        cameras.entry(score.max(0.0).to_bits()).or_default().push(camera);
    }
    if cameras.is_empty() {
        return vec![(AlertSettings::default().min_score.get(), "the default".to_owned())];
    }
    cameras.into_iter().map(|(score, cameras)| (f64::from_bits(score), cameras.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::by_score;

    #[test]
    fn cameras_with_the_same_score_are_one_row() {
        let alerts = [(0.5, "yard"), (0.25, "porch"), (0.5, "gate")];
        let rows = by_score(alerts.map(|(score, camera)| (score, camera.to_owned())).into_iter());
        assert_eq!(rows, [(0.25, "porch".to_owned()), (0.5, "yard, gate".to_owned())]);
        assert_eq!(by_score(std::iter::empty()), [(0.4, "the default".to_owned())]);
    }
}

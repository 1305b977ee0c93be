//! `belvedere selftest`: a device beside the CPU, stage by stage.
//!
//! The reference sees the pictures first and is put away, so that only one model is in memory at a time. The device then
//! sees the same pictures, and is also asked how probable it holds the reference's answers.

mod compare;
mod drawn;
mod layouts;
mod observed;
mod pictures;
mod report;
mod tolerances;

use belvedere_models::{Device, Precision};

use super::CommandError;
use crate::analyst::AnalysisError;
use crate::bundled;
use crate::cli::{OutputFormat, Selftest};
use crate::config::ModelSettings;
use crate::doctor;
use crate::exit::Exit;
use crate::messages::to_json;

use compare::compare;
use observed::Observed;
use pictures::Pictures;
use report::Report;
use tolerances::Tolerances;

pub(super) fn selftest(options: &Selftest) -> Result<Exit, CommandError> {
    let settings = options.model.settings();
    let machine = doctor::Report::new(doctor::look(), settings.device);
    if !machine.diagnosis.can_run() {
        // Before minutes are spent on the reference.
        return unavailable(options, machine);
    }
    let pictures = Pictures::take();
    let reference = ModelSettings { device: Device::Cpu, precision: Precision::Exact, ..settings.clone() };
    tracing::info!(pictures = pictures.origin, "the reference answers first, on the CPU");
    let mut analyst = super::load(&reference)?;
    let expected = Observed::of(&mut analyst, &pictures, None, options.iterations)?;
    drop(analyst);
    let mut analyst = match super::load(&settings) {
        Err(error) if error.exit() == Exit::Unavailable => {
            tracing::error!(%error, "the device cannot be used");
            return unavailable(options, machine);
        }
        loaded => loaded?,
    };
    tracing::info!(device = analyst.description(), "the device answers");
    let found = Observed::of(&mut analyst, &pictures, Some(&expected), options.iterations)?;
    let tolerances = Tolerances::of(&analyst.description(), settings.precision);
    let report = Report {
        machine,
        model: settings.path.as_ref().map_or(bundled::KNOWS.to_owned(), |path| path.display().to_string()),
        pictures: pictures.origin,
        stages: compare(&expected, &found, &tolerances),
        tolerances,
        reference: expected.into_times(),
        device: found.into_times(),
    };
    match options.format {
        OutputFormat::Text => print!("{}", report.text()),
        OutputFormat::Json => println!("{}", String::from_utf8_lossy(&to_json(&report))),
    }
    Ok(if report.passed() { Exit::Done } else { Exit::Failed })
}

/// What can be said without the device: what the machine has, and what is missing.
fn unavailable(options: &Selftest, machine: doctor::Report) -> Result<Exit, CommandError> {
    match options.format {
        OutputFormat::Text => print!("{}", machine.text()),
        OutputFormat::Json => println!("{}", serde_json::json!({ "machine": machine })),
    }
    Ok(Exit::Unavailable)
}

/// For `map_err`.
fn wrong(error: impl Into<AnalysisError>) -> CommandError {
    CommandError::Analysis(error.into())
}

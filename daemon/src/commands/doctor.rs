//! `belvedere doctor`

use std::path::Path;

use belvedere_models::Device;

use super::CommandError;
use crate::cli::{Doctor, OutputFormat};
use crate::config::{self, DEFAULT_PATH, Problems};
use crate::doctor::{Report, look};
use crate::exit::Exit;
use crate::messages::to_json;

pub(super) fn doctor(options: &Doctor) -> Result<Exit, CommandError> {
    let (device, problems) = device(options);
    let report = Report::new(look(), device);
    match options.format {
        OutputFormat::Text => print!("{}", report.text()),
        OutputFormat::Json => println!("{}", String::from_utf8_lossy(&to_json(&report))),
    }
    // Behind the report, which is what was asked for.
    if let Some(problems) = &problems {
        eprintln!("belvedere: what device is configured is not known, so this is for auto:\n{problems}");
    }
    Ok(match (report.diagnosis.can_run(), problems) {
        (false, _) => Exit::Unavailable,
        (true, Some(_)) => Exit::Configuration,
        (true, None) => Exit::Done,
    })
}

/// What is asked for: by option, by the configuration that is named, or by that of the service where there is one. A
/// configuration with mistakes asks for nothing.
fn device(options: &Doctor) -> (Device, Option<Problems>) {
    if let Some(device) = options.device {
        return (device, None);
    }
    let service = Path::new(DEFAULT_PATH);
    let path = options.config.as_deref().or_else(|| service.exists().then_some(service));
    match path.map(|path| config::inspect(path, |_| Vec::new())) {
        Some(Ok(inspection)) => (inspection.settings.model.device, None),
        Some(Err(problems)) => (Device::Auto, Some(problems)),
        None => (Device::Auto, None),
    }
}

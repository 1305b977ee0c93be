//! `belvedere doctor`

use std::path::Path;

use belvedere_models::Device;

use super::CommandError;
use crate::cli::{Doctor, OutputFormat};
use crate::config::{self, DEFAULT_PATH};
use crate::doctor::{Report, look};
use crate::exit::Exit;
use crate::messages::to_json;

pub(super) fn doctor(options: &Doctor) -> Result<Exit, CommandError> {
    let device = device(options)?;
    let report = Report::new(look(), device);
    match options.format {
        OutputFormat::Text => print!("{}", report.text()),
        OutputFormat::Json => println!("{}", String::from_utf8_lossy(&to_json(&report))),
    }
    Ok(if report.diagnosis.can_run() { Exit::Done } else { Exit::Unavailable })
}

/// What is asked for: by option, by the configuration that is named, or by that of the service where there is one.
fn device(options: &Doctor) -> Result<Device, CommandError> {
    if let Some(device) = options.device {
        return Ok(device);
    }
    let service = Path::new(DEFAULT_PATH);
    let path = options.config.as_deref().or_else(|| service.exists().then_some(service));
    match path {
        Some(path) => Ok(config::load(path)?.model.device),
        None => Ok(Device::Auto),
    }
}

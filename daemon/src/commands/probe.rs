//! `belvedere probe`

use belvedere_pipelines::{CameraName, Credentials, PipelineError, SourceSpec, SourceUrl, StreamReport};
use serde_json::json;

use super::CommandError;
use crate::cli::{OutputFormat, Probe};
use crate::exit::Exit;

pub(super) fn probe(options: &Probe) -> Result<Exit, CommandError> {
    let spec = spec(options)?;
    let runtime = super::run::runtime()?;
    let report = runtime.block_on(belvedere_pipelines::probe(&spec, options.timeout));
    // A pipeline that hangs must not hold the process.
    runtime.shutdown_background();
    let report = report.map_err(|error| match error {
        // There is one stream only, and its name was made up here.
        PipelineError::Stream { failure, .. } => {
            let next = failure.kind.next_step();
            CommandError::Missed(format!("{}: {failure}\n    -> {next}", spec.url))
        }
        other => other.into(),
    })?;
    match options.format {
        OutputFormat::Text => print!("{}", text(&spec, &report)),
        OutputFormat::Json => println!("{}", json(&spec, &report)),
    }
    Ok(Exit::Done)
}

fn spec(options: &Probe) -> Result<SourceSpec, CommandError> {
    let usage = |error: PipelineError| CommandError::Usage(error.to_string());
    let url = SourceUrl::parse(&options.url).map_err(usage)?;
    let mut spec = SourceSpec::new(CameraName::new("probe")?, url);
    spec.transport = options.transport.parse().map_err(usage)?;
    spec.decoder = options.decoder.parse().map_err(usage)?;
    spec.trust_any_certificate = options.trust_any_certificate;
    if let Some(path) = &options.credentials_file {
        let text = std::fs::read_to_string(path).map_err(CommandError::system(path.to_string_lossy()))?;
        spec.credentials = Some(Credentials::parse(&text)?);
    }
    Ok(spec)
}

fn text(spec: &SourceSpec, report: &StreamReport) -> String {
    let profile = report.profile.as_deref().map(|profile| format!(" ({profile})")).unwrap_or_default();
    let rate = match report.frame_rate {
        Some(rate) => format!("{rate:.2} frames/s"),
        None => "a rate it does not say".to_owned(),
    };
    let mut text = format!(
        "{}\ncodec    {}{profile}\nsize     {}x{} at {rate}\npixels   {}",
        spec.url, report.codec, report.width_px, report.height_px, report.pixel_format
    );
    if let Some(colorimetry) = &report.colorimetry {
        text.push_str(&format!(" ({:?}, {:?} range)", colorimetry.matrix, colorimetry.range));
    }
    let decoder = report.decoder.as_deref().unwrap_or("none is needed");
    text.push_str(&format!("\ndecoder  {decoder}"));
    for failed in &report.decoders_failed {
        text.push_str(&format!("\n         not {failed}"));
    }
    let ms = report.time_to_first_frame.as_millis();
    text.push_str(&format!("\nfirst frame after {ms} ms\n"));
    text
}

fn json(spec: &SourceSpec, report: &StreamReport) -> serde_json::Value {
    json!({
        "url": spec.url.to_string(),
        "codec": report.codec.to_string(),
        "profile": report.profile,
        "width": report.width_px,
        "height": report.height_px,
        "frame_rate": report.frame_rate,
        "pixel_format": report.pixel_format,
        "colour_matrix": report.colorimetry.as_ref().map(|found| format!("{:?}", found.matrix)),
        "colour_range": report.colorimetry.as_ref().map(|found| format!("{:?}", found.range)),
        "decoder": report.decoder,
        "decoders_failed": report.decoders_failed,
        "first_frame_ms": report.time_to_first_frame.as_millis() as u64,
    })
}

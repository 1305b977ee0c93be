//! `belvedere check`

use std::fmt::Write;
use std::io;
use std::path::Path;

use belvedere_models::Checkpoint;

use super::CommandError;
use crate::analyst::AnalysisError;
use crate::bundled::{self, PassingCheckpoint};
use crate::config::{self, Broker, Inspection, Mistake, Settings};
use crate::exit::Exit;
use crate::mqtt::LinkOptions;
use crate::prompter::Prompter;
use crate::watch;

pub(super) fn check(path: &Path) -> Result<Exit, CommandError> {
    let mut notes = Vec::new();
    let further = |settings: &Settings| questions(settings, &mut notes);
    let Inspection { settings, unseen } = config::inspect(path, further)?;
    notes.extend(unseen.iter().map(ToString::to_string));
    // Reads the certificates; connects to nothing.
    let sees_certificates =
        !unseen.iter().any(|unseen| unseen.key.starts_with("mqtt.") && unseen.key != "mqtt.password_file");
    if sees_certificates {
        LinkOptions::new(&settings.mqtt, None)?;
    }
    print!("{}", summary(path, &settings));
    for note in notes {
        println!("note: {note}");
    }
    Ok(Exit::Done)
}

/// What the model of `settings` cannot be asked, or why it is none. Its weights are not read.
fn questions(settings: &Settings, notes: &mut Vec<String>) -> Vec<Mistake> {
    let prompter = match &settings.model.path {
        // As an ordinary user, who may not look at what the service has.
        Some(path) if is_kept_from_us(path) => {
            let path = path.display();
            notes.push(format!("model.path: {path} was not looked at: this user may not read it"));
            return Vec::new();
        }
        Some(path) => prompter(path),
        None => PassingCheckpoint::new().and_then(|bundled| prompter(bundled.path())),
    };
    match prompter {
        Ok(prompter) => watch::unaskable(&prompter, &settings.cameras),
        Err(error @ AnalysisError::Bundled { .. }) => {
            notes.push(format!("phrases were not looked at: {error}"));
            Vec::new()
        }
        Err(error) => {
            let what = format!("{error}; `belvedere model pull OWNER/NAME` fetches a model");
            vec![Mistake { key: "model.path".to_owned(), what }]
        }
    }
}

fn prompter(checkpoint: &Path) -> Result<Prompter, AnalysisError> {
    Prompter::of(&Checkpoint::open(checkpoint)?)
}

fn is_kept_from_us(checkpoint: &Path) -> bool {
    let found = std::fs::File::open(checkpoint.join("config.json"));
    found.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// What the configuration means, without its secrets.
fn summary(path: &Path, settings: &Settings) -> String {
    let mut text = format!("{}: good\n", path.display());
    let broker = match &settings.mqtt.broker {
        Broker::Embedded { listen } => format!("embedded, on {listen}"),
        Broker::Remote { host, port, tls } => {
            format!("{host}:{port}{}", if tls.is_some() { " with TLS" } else { "" })
        }
    };
    let user = match &settings.mqtt.username {
        Some(user) => format!(" as {user}"),
        None => String::new(),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "broker: {broker}{user}, topics under {}/", settings.mqtt.topic);
    let model = match &settings.model.path {
        Some(path) => path.display().to_string(),
        None => bundled::KNOWS.to_owned(),
    };
    let _ = writeln!(text, "model: {model}");
    if let Some(http) = &settings.http {
        let login = if http.token.is_some() { "with a token" } else { "without a login" };
        let _ = writeln!(text, "page: http://{}/, {login}", http.listen);
    }
    for camera in &settings.cameras {
        let mut asked: Vec<String> = camera.tasks.iter().map(|asked| asked.task.name().to_owned()).collect();
        asked.extend(camera.alerts.iter().map(|alert| format!("{:?}", alert.phrase)));
        let disabled = if camera.enabled { "" } else { ", disabled" };
        let _ = writeln!(
            text,
            "camera {}: {}, at most {} frames/s, {}{disabled}",
            camera.name,
            camera.source.url,
            camera.source.fps,
            asked.join(", "),
        );
    }
    text
}

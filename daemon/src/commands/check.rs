//! `belvedere check`

use std::fmt::Write;
use std::path::Path;

use super::CommandError;
use crate::bundled;
use crate::config::{self, Broker, Settings};
use crate::exit::Exit;
use crate::mqtt::LinkOptions;

pub(super) fn check(path: &Path) -> Result<Exit, CommandError> {
    let settings = config::load(path)?;
    // Reads the certificates; connects to nothing.
    LinkOptions::new(&settings.mqtt, None)?;
    print!("{}", summary(path, &settings));
    Ok(Exit::Done)
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

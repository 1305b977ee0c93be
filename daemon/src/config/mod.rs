//! The configuration: a TOML file, the `conf.d/*.toml` beside it, and `BELVEDERE__...` variables.
//!
//! Layering is the `config` crate's (later layers win, key by key); cameras of all files are put
//! one after another, so that a camera can live in a file of its own. Everything is read before
//! anything is reported: [`load`] returns all problems at once, each with its file, line and key.
//! Which keys there are, [`TABLES`] says and nothing else.

mod alerts;
mod camera;
mod difference;
mod example;
mod files;
mod http;
mod inspection;
mod key_form;
mod keys;
mod layers;
mod model;
mod mqtt;
mod nearest;
mod problem;
mod reader;
mod schema;
mod secret;
mod settings;

pub use difference::{AlertsChange, CameraChange, Difference, within_reach};
pub use example::example;
pub use files::{FileStamp, Reading};
pub use inspection::{Inspection, Mistake};
pub use key_form::KeyForm;
pub use keys::{Absent, Key, KeyTable, TABLES};
pub use problem::{Place, Problem, Problems};
pub use schema::schema;
pub use secret::Secret;
pub use settings::{
    Broker, CameraAlert, CameraSettings, CameraTask, ClientIdentity, HttpSettings, ModelSettings,
    MqttSettings, OutboxPlace, OutboxSettings, Settings, Tls,
};

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use layers::Sight;

/// Where the configuration is looked for when no file is named.
pub const DEFAULT_PATH: &str = "/etc/belvedere/belvedere.toml";

/// Reads and checks the configuration at `path` with the process's environment over it.
///
/// # Errors
/// Every problem that was found, in the order of the files and lines.
pub fn load(path: &Path) -> Result<Settings, Problems> {
    read(path).settings
}

/// [`load`], with the files that were looked at: those of a configuration with mistakes too.
pub fn read(path: &Path) -> Reading {
    read_with(path, environment())
}

/// [`load`] for those who start nothing: secrets that systemd gives to the running service only need not be there. What
/// `further` finds wrong with settings that are right in themselves is reported like any other mistake, at the place of its
/// key.
///
/// # Errors
/// Every problem that was found, in the order of the files and lines.
pub fn inspect(path: &Path, further: impl FnOnce(&Settings) -> Vec<Mistake>) -> Result<Inspection, Problems> {
    let noted = files::NotedFiles::default();
    inspect_noting(path, environment(), &noted, Sight::WithoutCredentials, further)
}

/// The process's own. An argument of a variable that is not Unicode is none of ours.
fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// [`read`] with the environment given.
pub fn read_with(path: &Path, environment: HashMap<String, String>) -> Reading {
    let noted = files::NotedFiles::default();
    let inspection = inspect_noting(path, environment, &noted, Sight::Whole, |_| Vec::new());
    Reading { settings: inspection.map(|inspection| inspection.settings), files: noted.into_stamps() }
}

/// [`load`] with the environment given, so that tests need not change their own.
///
/// # Errors
/// Every problem that was found, in the order of the files and lines.
pub fn load_with(path: &Path, environment: HashMap<String, String>) -> Result<Settings, Problems> {
    read_with(path, environment).settings
}

fn inspect_noting(
    path: &Path,
    environment: HashMap<String, String>,
    files: &files::NotedFiles,
    sight: Sight,
    further: impl FnOnce(&Settings) -> Vec<Mistake>,
) -> Result<Inspection, Problems> {
    let layers = layers::Layers::read(path, environment, files, sight)?;
    let root = reader::Reader::root(&layers);
    let mqtt = root.table("mqtt", mqtt::read);
    let model = root.optional_table("model", model::read);
    let http = root.optional_table("http", http::read);
    let cameras = camera::read_all(&root);
    root.refuse_unknown_keys();
    let is_good = layers.problems.borrow().is_empty();
    match (mqtt, model, http, cameras) {
        (Some(mqtt), Some(model), Some(http), Some(cameras)) if is_good => {
            let settings = Settings { mqtt, model, http, cameras };
            layers.blame_all(further(&settings));
            layers.into_inspection(settings)
        }
        _ => Err(layers.into_problems()),
    }
}

/// `500ms`, `10s`, `1.5s`, `5m` or `1h`; `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    reader::parse_duration(text)
}

//! The alerts for a phrase in a configuration file, and their `min_score`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::by_score;
use super::error::CalibrateError;
use crate::alerts::{AlertSettings, Phrase};

/// A file with at least one alert for a phrase.
pub(super) struct AlertFile {
    /// Not a link: what is written replaces the file itself.
    path: PathBuf,
    phrase: Phrase,
    camera: Option<String>,
    current: Vec<(f64, String)>,
}

/// A line to be changed: of which camera, and what it says at present.
struct Found {
    camera: String,
    min_score: Option<f64>,
}

impl AlertFile {
    /// Opens the file at `path`; `camera` is the only one that is looked at, where it is named.
    pub(super) fn open(
        path: &Path,
        phrase: &Phrase,
        camera: Option<&str>,
    ) -> Result<AlertFile, CalibrateError> {
        let path = fs::canonicalize(path)
            .map_err(|reason| CalibrateError::File { file: path.to_owned(), reason })?;
        let mut file = AlertFile {
            path,
            phrase: phrase.clone(),
            camera: camera.map(str::to_owned),
            current: Vec::new(),
        };
        let mut document = file.read()?;
        let default = AlertSettings::default().min_score.get();
        let found = file.each_alert(&mut document, |_| ())?;
        file.current =
            by_score(found.into_iter().map(|found| (found.min_score.unwrap_or(default), found.camera)));
        Ok(file)
    }

    /// What the alerts need at present, each score with the cameras that have it.
    pub(super) fn current(&self) -> Vec<(f64, String)> {
        self.current.clone()
    }

    /// Lets all of them need `min_score`; everything else in the file stays as it is. Returns whose they are.
    pub(super) fn write(&self, min_score: f64) -> Result<Vec<String>, CalibrateError> {
        // Read once more: it may have been edited while the pictures were looked at.
        let mut document = self.read()?;
        let found = self.each_alert(&mut document, |alert| set(alert, min_score))?;
        self.replace(&document.to_string()).map_err(|reason| self.wrong(reason))?;
        Ok(found.into_iter().map(|found| found.camera).collect())
    }

    fn wrong(&self, reason: io::Error) -> CalibrateError {
        CalibrateError::File { file: self.path.clone(), reason }
    }

    fn read(&self) -> Result<DocumentMut, CalibrateError> {
        let text = fs::read_to_string(&self.path).map_err(|reason| self.wrong(reason))?;
        text.parse().map_err(|error: toml_edit::TomlError| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            CalibrateError::NotToml { file: self.path.clone(), line, reason: error.message().to_owned() }
        })
    }

    /// Calls `change` with each alert for the phrase.
    fn each_alert(
        &self,
        document: &mut DocumentMut,
        mut change: impl FnMut(&mut dyn TableLike),
    ) -> Result<Vec<Found>, CalibrateError> {
        let (mut found, mut others) = (Vec::new(), Vec::new());
        for camera in tables(document.get_mut("camera")) {
            let name =
                camera.get("name").and_then(Item::as_str).unwrap_or("a camera without a name").to_owned();
            if self.camera.as_ref().is_some_and(|wanted| *wanted != name) {
                continue;
            }
            for alert in tables(camera.get_mut("alert")) {
                // White space around a phrase is not a part of it.
                let phrase = alert.get("phrase").and_then(Item::as_str).unwrap_or_default().trim().to_owned();
                if phrase == self.phrase.as_str() {
                    let min_score = alert.get("min_score").and_then(number);
                    found.push(Found { camera: name.clone(), min_score });
                    change(alert);
                } else {
                    others.push(format!("{phrase:?}"));
                }
            }
        }
        if found.is_empty() {
            return Err(CalibrateError::NoAlert {
                file: self.path.clone(),
                phrase: self.phrase.as_str().to_owned(),
                of_camera: self
                    .camera
                    .as_ref()
                    .map_or(String::new(), |camera| format!(" of camera {camera:?}")),
                others: if others.is_empty() { "none".to_owned() } else { others.join(", ") },
            });
        }
        Ok(found)
    }

    /// Whoever reads the file sees the old text or the new one, whole.
    fn replace(&self, text: &str) -> io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}", fastrand::u64(..)));
        let unfinished = self.path.with_file_name(name);
        let written = || -> io::Result<()> {
            let mut file = File::options().write(true).create_new(true).open(&unfinished)?;
            // Before the text: nobody gets to read what they may not.
            file.set_permissions(fs::metadata(&self.path)?.permissions())?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)
        };
        written().inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })
    }
}

/// A list of tables, however it is written: `[[camera]]`, or `camera = [{ ... }]`.
fn tables(list: Option<&mut Item>) -> Vec<&mut dyn TableLike> {
    match list {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter_mut().map(|table| table as &mut dyn TableLike).collect()
        }
        Some(Item::Value(Value::Array(values))) => values
            .iter_mut()
            .filter_map(|value| Some(value.as_inline_table_mut()? as &mut dyn TableLike))
            .collect(),
        _ => Vec::new(),
    }
}

fn number(item: &Item) -> Option<f64> {
    item.as_float().or_else(|| item.as_integer().map(|number| number as f64))
}

/// Sets the value and leaves what stands around it, a comment above all.
fn set(alert: &mut dyn TableLike, min_score: f64) {
    let mut value = Value::from(min_score);
    match alert.get_mut("min_score").and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            alert.insert("min_score", Item::Value(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::{AlertFile, CalibrateError, Phrase};

    const CONFIG: &str = r#"# The house.
[mqtt]
url = "mqtt://broker.local"   # the old one

[[camera]]
name = "porch"
url = "rtsp://192.0.2.1/"

[[camera.alert]]
phrase = "person on a \"ladder\""   # the window cleaner
min_score = 0.4   # a guess
cooldown = "5m"

[[camera.alert]]
phrase = "dog"

[[camera]]
name = "yard"
alert = [{ phrase = "dog", min_score = 1 }, { phrase = 'person on a "ladder"', min_score = 0.7 }]
"#;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("belvedere.toml");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn phrase(text: &str) -> Phrase {
        Phrase::new(text).unwrap()
    }

    #[test]
    fn only_the_score_changes_and_comments_stay() {
        let (_dir, path) = file(CONFIG);
        let file = AlertFile::open(&path, &phrase("person on a \"ladder\""), None).unwrap();
        assert_eq!(file.current(), [(0.4, "porch".to_owned()), (0.7, "yard".to_owned())]);
        assert_eq!(file.write(0.29).unwrap(), ["porch", "yard"]);
        let wanted = CONFIG
            .replace("min_score = 0.4   # a guess", "min_score = 0.29   # a guess")
            .replace("min_score = 0.7 }", "min_score = 0.29 }");
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
    }

    #[test]
    fn an_alert_without_a_score_gets_one_after_its_other_keys() {
        let (_dir, path) = file(CONFIG);
        let file = AlertFile::open(&path, &phrase("dog"), Some("porch")).unwrap();
        assert_eq!(file.current(), [(0.4, "porch".to_owned())]);
        file.write(0.5).unwrap();
        let wanted = CONFIG.replace("phrase = \"dog\"\n\n", "phrase = \"dog\"\nmin_score = 0.5\n\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
    }

    #[test]
    fn a_link_stays_a_link_and_the_file_behind_it_keeps_its_permissions() {
        let (dir, path) = file(CONFIG);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        AlertFile::open(&link, &phrase("dog"), None).unwrap().write(0.25).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap().matches("0.25").count(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_edited_in_between_is_kept() {
        let (_dir, path) = file(CONFIG);
        let file = AlertFile::open(&path, &phrase("dog"), Some("yard")).unwrap();
        fs::write(&path, CONFIG.replace("\"5m\"", "\"7m\"")).unwrap();
        file.write(0.5).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"7m\"") && text.contains("{ phrase = \"dog\", min_score = 0.5 }"), "{text}");
    }

    #[test]
    fn a_phrase_that_is_not_there_is_an_error_that_says_which_are() {
        let (_dir, path) = file(CONFIG);
        let Err(error) = AlertFile::open(&path, &phrase("cat"), None) else { panic!("found") };
        let error = error.to_string();
        assert!(
            error.contains("belvedere.toml") && error.contains("cat") && error.contains("\"dog\""),
            "{error}"
        );
        let Err(error) = AlertFile::open(&path, &phrase("dog"), Some("gate")) else { panic!("found") };
        assert!(error.to_string().contains("gate"), "{error}");
    }

    #[test]
    fn what_is_not_toml_is_an_error_with_its_line() {
        let (_dir, path) = file("[mqtt]\nurl = \n");
        let Err(error) = AlertFile::open(&path, &phrase("dog"), None) else { panic!("found") };
        assert!(matches!(error, CalibrateError::NotToml { line: 2, .. }), "{error}");
    }
}

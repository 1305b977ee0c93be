//! The files and variables of a configuration, merged, with the place of every key kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use config::{Config, FileFormat, Map, Source, Value, ValueKind};
use toml_edit::{Document, Item};

use super::files::NotedFiles;
use super::inspection::{Inspection, Mistake};
use super::problem::{Place, Problem, Problems};
use super::settings::Settings;

/// The prefix of the variables that set keys: `BELVEDERE__MQTT__URL` sets `mqtt.url`.
const PREFIX: &str = "BELVEDERE";
const SEPARATOR: &str = "__";

/// The merged tree, the place each key was last set at, and the problems found so far.
#[derive(Debug)]
pub(super) struct Layers {
    /// The file that was named; a key that is missing is missing there.
    pub(super) main: PathBuf,
    pub(super) tree: Map<String, Value>,
    places: HashMap<String, Place>,
    pub(super) problems: RefCell<Vec<Problem>>,
    pub(super) files: NotedFiles,
    sight: Sight,
    /// What was not looked at, and why that is no problem.
    pub(super) unseen: RefCell<Vec<Problem>>,
}

/// Which secrets must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// All: they are about to be used.
    Whole,
    /// Those that systemd gives to a running service go with it, and nobody else may look at them.
    WithoutCredentials,
}

/// Where systemd puts what `LoadCredential=` names.
const CREDENTIALS: &str = "/run/credentials";

impl Layers {
    /// Reads `main`, the `conf.d/*.toml` beside it in the order of their names, and `environment`. What is read is
    /// noted in `files`.
    ///
    /// # Errors
    /// Files that cannot be read and files that are not TOML: with one of those unread, what the
    /// others say cannot be judged.
    pub(super) fn read(
        main: &Path,
        mut environment: HashMap<String, String>,
        files: &NotedFiles,
        sight: Sight,
    ) -> Result<Layers, Problems> {
        let mut layers = Layers {
            main: main.to_owned(),
            tree: Map::new(),
            places: HashMap::new(),
            problems: RefCell::default(),
            files: files.clone(),
            sight,
            unseen: RefCell::default(),
        };
        let mut builder = Config::builder();
        let mut cameras = Vec::new();
        let mut odd = Map::new();
        for path in std::iter::once(main.to_owned()).chain(layers.drop_ins(main)) {
            if let Some(layer) = layers.read_file(&path, &mut cameras, &mut odd) {
                builder = builder.add_source(layer);
            }
        }
        for variable in environment.keys() {
            if let Some(key) = key_of_variable(variable) {
                if is_odd(&key) {
                    odd.insert(key.clone(), Value::new(None, ValueKind::Nil));
                }
                layers.places.insert(key, Place::Variable(variable.clone()));
            }
        }
        environment.retain(|variable, _| !is_odd(variable));
        builder = builder.add_source(
            config::Environment::with_prefix(PREFIX)
                .prefix_separator(SEPARATOR)
                .separator(SEPARATOR)
                .source(Some(environment)),
        );
        if layers.problems.borrow().is_empty() {
            match builder.build().map(|merged| merged.cache.kind) {
                Ok(ValueKind::Table(tree)) => layers.tree = tree,
                Ok(_) => {}
                Err(error) => layers.blame(layers.whole(main), "", error.to_string()),
            }
        }
        if !layers.problems.borrow().is_empty() {
            return Err(layers.into_problems());
        }
        if !cameras.is_empty() {
            if layers.tree.contains_key("camera") {
                layers.blame(
                    layers.place("camera"),
                    "camera",
                    "cameras are lists of tables, `[[camera]]`, in files only".to_owned(),
                );
            }
            layers.tree.insert("camera".to_owned(), Value::new(None, ValueKind::Array(cameras)));
        }
        // No key has such a name: each is said to be unknown, with its place.
        layers.tree.extend(odd);
        Ok(layers)
    }

    /// The place of `key`, or of the nearest key around it, or the main file.
    pub(super) fn place(&self, key: &str) -> Place {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return place.clone();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return self.whole(&self.main),
            }
        }
    }

    /// Whether the file at `path`, which `key` names and which cannot be opened for `error`, need not be there now. Then it
    /// is noted as not looked at.
    pub(super) fn is_out_of_sight(&self, key: &str, path: &str, error: &io::Error) -> bool {
        let is_hidden = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
        let is_credential = Path::new(path).starts_with(CREDENTIALS);
        if self.sight == Sight::Whole || !is_hidden || !is_credential {
            return false;
        }
        self.unseen.borrow_mut().push(Problem {
            place: self.place(key),
            key: key.to_owned(),
            what: format!("{path} was not looked at: it is there while the service runs"),
            nearest: None,
        });
        true
    }

    /// Whether a variable set `key`.
    pub(super) fn is_from_environment(&self, key: &str) -> bool {
        matches!(self.places.get(key), Some(Place::Variable(_)))
    }

    /// Notes what is wrong with settings that are right in themselves.
    pub(super) fn blame_all(&self, mistakes: Vec<Mistake>) {
        for Mistake { key, what } in mistakes {
            self.blame(self.place(&key), &key, what);
        }
    }

    /// `settings` with what was not looked at, where nothing is wrong.
    pub(super) fn into_inspection(self, settings: Settings) -> Result<Inspection, Problems> {
        let mut unseen = self.unseen.take();
        unseen.sort();
        let problems = self.into_problems();
        if problems.is_empty() { Ok(Inspection { settings, unseen }) } else { Err(problems) }
    }

    /// All problems, sorted.
    pub(super) fn into_problems(self) -> Problems {
        Problems::new(self.problems.into_inner())
    }

    fn whole(&self, path: &Path) -> Place {
        Place::File { path: path.to_owned(), line: 0 }
    }

    fn blame(&self, place: Place, key: &str, what: String) {
        self.problems.borrow_mut().push(Problem { place, key: key.to_owned(), what, nearest: None });
    }

    fn drop_ins(&self, main: &Path) -> Vec<PathBuf> {
        let folder = main.with_file_name("conf.d");
        self.files.note(&folder);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.blame(
                        self.whole(&folder),
                        "",
                        format!("cannot be read: {error}; {}", next_step(&error)),
                    );
                }
                return Vec::new();
            }
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml") && !is_hidden(path))
            .collect();
        paths.sort();
        paths
    }

    /// One file as a source; its cameras are moved to the end of `cameras`, its odd keys to `odd`.
    fn read_file(
        &mut self,
        path: &Path,
        cameras: &mut Vec<Value>,
        odd: &mut Map<String, Value>,
    ) -> Option<Layer> {
        self.files.note(path);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.blame(self.whole(path), "", format!("cannot be read: {error}; {}", next_step(&error)));
                return None;
            }
        };
        let document = match Document::parse(text.as_str()) {
            Ok(document) => document,
            Err(error) => {
                let line = error.span().map_or(0, |span| line_of(&text, &span));
                let place = Place::File { path: path.to_owned(), line };
                self.blame(place, "", format!("not TOML: {}", error.message()));
                return None;
            }
        };
        let mut finder =
            PlaceFinder { text: &text, path, first_camera: cameras.len(), places: &mut self.places };
        for (key, item) in document.as_table().iter() {
            let span = document.as_table().key(key).and_then(|key| key.span());
            finder.find(key, span, item);
        }
        let source = config::File::from_str(&text, FileFormat::Toml);
        match source.collect() {
            Ok(mut table) => {
                if let Some(camera) = table.remove("camera") {
                    match camera.kind {
                        ValueKind::Array(list) => cameras.extend(list),
                        kind => {
                            table.insert("camera".to_owned(), Value::new(None, kind));
                        }
                    }
                }
                let (odd_here, table) = table.into_iter().partition(|(key, _)| is_odd(key));
                odd.extend::<Map<_, _>>(odd_here);
                Some(Layer(table))
            }
            Err(error) => {
                self.blame(self.whole(path), "", error.to_string());
                None
            }
        }
    }
}

/// A file that has been read already.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Walks a parsed file and notes the line of every key.
struct PlaceFinder<'a> {
    text: &'a str,
    path: &'a Path,
    /// How many cameras the files before this one have.
    first_camera: usize,
    places: &'a mut HashMap<String, Place>,
}

impl PlaceFinder<'_> {
    fn find(&mut self, key: &str, span: Option<Range<usize>>, item: &Item) {
        if let Some(span) = item.span().filter(|_| span.is_none()).or(span) {
            let place = Place::File { path: self.path.to_owned(), line: line_of(self.text, &span) };
            self.places.insert(key.to_owned(), place);
        }
        if let Some(tables) = item.as_array_of_tables() {
            for (index, table) in tables.iter().enumerate() {
                let item = Item::Table(table.clone());
                self.find(&self.indexed(key, index), table.span(), &item);
            }
        } else if let Some(array) = item.as_array() {
            for (index, value) in array.iter().enumerate() {
                let item = Item::Value(value.clone());
                self.find(&self.indexed(key, index), value.span(), &item);
            }
        } else if let Some(table) = item.as_table_like() {
            for (name, item) in table.iter() {
                let span = table.key(name).and_then(|key| key.span());
                self.find(&format!("{key}.{name}"), span, item);
            }
        }
    }

    fn indexed(&self, key: &str, index: usize) -> String {
        match key {
            "camera" => format!("camera[{}]", self.first_camera + index),
            _ => format!("{key}[{index}]"),
        }
    }
}

/// What to do about a file of the configuration that cannot be read.
fn next_step(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "name another one with --config, or write it as in systemd/belvedere.toml",
        io::ErrorKind::PermissionDenied => "run this as a user who may read it",
        _ => "put a text file in its place",
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// Whether `config` would take `key` for the place of an element, and make a list that is long enough to have it:
/// `model.s[4000000000]`. No such thing is promised.
fn is_odd(key: &str) -> bool {
    key.contains('[')
}

/// Whether it is hidden: what editors and archivers leave beside a file (`.#porch.toml`, `._porch.toml`) is none.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn key_of_variable(variable: &str) -> Option<String> {
    let upper = variable.to_uppercase();
    let key = upper.strip_prefix(PREFIX)?.strip_prefix(SEPARATOR)?;
    Some(key.replace(SEPARATOR, ".").to_lowercase())
}

//! The pictures of one group, and what the model makes of them.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use belvedere_models::{CancelToken, ParseMode, WatchedPhrase};

use super::super::CommandError;
use super::error::CalibrateError;
use crate::analyst::{AnalysisError, Analyst};
use crate::picture;

/// Between two lines about how far it is, where they cannot replace each other.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// A folder of pictures.
pub(super) struct Folder {
    path: PathBuf,
    /// By name; folders inside are left out.
    files: Vec<PathBuf>,
}

impl Folder {
    /// Lists the folder at `path`.
    pub(super) fn open(path: &Path) -> Result<Folder, CalibrateError> {
        let files =
            list(path).map_err(|reason| CalibrateError::Folder { folder: path.to_owned(), reason })?;
        Ok(Folder { path: path.to_owned(), files })
    }

    /// An error where both are one folder.
    pub(super) fn refuse_same(&self, other: &Folder) -> Result<(), CalibrateError> {
        match (fs::canonicalize(&self.path), fs::canonicalize(&other.path)) {
            (Ok(one), Ok(two)) if one == two => Err(CalibrateError::SameFolder { folder: self.path.clone() }),
            _ => Ok(()),
        }
    }

    /// The best score of `phrase` in each picture, 0 where the model gave no box. Pictures that cannot be used are
    /// named and left out.
    pub(super) fn scores(
        &self,
        analyst: &mut Analyst,
        phrase: &WatchedPhrase,
    ) -> Result<Vec<f64>, CommandError> {
        let mut progress = Progress::new(self.path.display().to_string(), self.files.len());
        let mut scores = Vec::with_capacity(self.files.len());
        for path in &self.files {
            match score(analyst, phrase, path) {
                Ok(score) => scores.push(score),
                Err(
                    error @ (CommandError::Picture(_) | CommandError::Analysis(AnalysisError::Picture(_))),
                ) => {
                    progress.interrupt();
                    // What is wrong with a picture's size does not name the picture.
                    let path = path.display().to_string();
                    let error = error.to_string();
                    let name = if error.contains(&path) { String::new() } else { format!("{path}: ") };
                    eprintln!("belvedere: left out: {name}{error}");
                }
                Err(error) => {
                    progress.interrupt();
                    return Err(error);
                }
            }
            progress.step();
        }
        progress.interrupt();
        if scores.is_empty() {
            return Err(CalibrateError::NoPicture { folder: self.path.clone() }.into());
        }
        Ok(scores)
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // What cannot be looked at is kept: it is named when it cannot be read.
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn score(analyst: &mut Analyst, phrase: &WatchedPhrase, path: &Path) -> Result<f64, CommandError> {
    let picture = picture::read(path)?;
    let view = picture.view().map_err(AnalysisError::from)?;
    let analysis = analyst.analyse(&view, &[], &[phrase], ParseMode::Default, &CancelToken::new())?;
    let regions = analysis.phrases.iter().flat_map(|found| &found.regions);
    Ok(regions.map(|region| f64::from(region.score)).fold(0.0, f64::max))
}

/// How far it is, on standard error.
struct Progress {
    what: String,
    done: usize,
    of: usize,
    in_place: bool,
    said: Instant,
}

impl Progress {
    fn new(what: String, of: usize) -> Progress {
        Progress { what, done: 0, of, in_place: io::stderr().is_terminal(), said: Instant::now() }
    }

    fn step(&mut self) {
        self.done += 1;
        let line = format!("{}: {} of {} pictures", self.what, self.done, self.of);
        if self.in_place {
            eprint!("\r{line}");
            // A terminal that does not take it will not take the result either.
            let _ = io::stderr().flush();
        } else if self.done == self.of || self.said.elapsed() >= BETWEEN_LINES {
            eprintln!("{line}");
            self.said = Instant::now();
        }
    }

    /// Leaves the line to something else.
    fn interrupt(&self) {
        if self.in_place && self.done > 0 {
            eprintln!();
        }
    }
}

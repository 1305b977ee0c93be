use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{LabelledBox, Phrase};

/// Of what is less than this inside the picture, nothing is asked.
const LEAST_VISIBLE: f64 = 0.6;

/// What is in each frame of the demonstration's film, which is shown in a loop.
#[derive(Clone, Debug, Deserialize)]
pub struct FilmTruth {
    /// In pixels.
    pub width: u64,
    /// In pixels.
    pub height: u64,
    /// Frames per second.
    pub fps: f64,
    frames: Vec<Vec<FilmObject>>,
}

/// One thing in one frame.
#[derive(Clone, Debug, Deserialize)]
pub struct FilmObject {
    /// Such as `car`.
    pub kind: String,
    /// Such as `red`.
    pub colour: String,
    /// x1, y1, x2, y2 of what is inside the picture, in pixels.
    #[serde(rename = "box")]
    pub corners_px: [f64; 4],
    /// The share of it that is inside the picture.
    pub visible: f64,
}

impl FilmTruth {
    /// Reads the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::read(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn read(text: &str) -> Result<Self> {
        let truth: Self = serde_json::from_str(text)?;
        ensure!(!truth.frames.is_empty(), "a film without frames");
        ensure!(truth.fps > 0.0, "{} frames per second", truth.fps);
        Ok(truth)
    }

    /// How many frames there are, at least one.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Never: a film has frames.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frame that is shown `seconds` after frame `phase`.
    pub fn frame_at(&self, seconds: f64, phase: usize) -> usize {
        // Never negative, and far from the limits: a film is watched for minutes.
        ((seconds * self.fps).round() as usize + phase) % self.frames.len()
    }

    /// What is to be seen in a frame.
    pub fn present(&self, frame: usize) -> impl Iterator<Item = &FilmObject> {
        self.objects(frame).filter(|object| object.visible >= LEAST_VISIBLE)
    }

    /// What is to be seen in a frame, by kind.
    pub fn present_boxes(&self, frame: usize) -> Vec<LabelledBox> {
        self.present(frame).map(|object| LabelledBox::new(&object.kind, object.corners_px)).collect()
    }

    /// What a phrase means of what is to be seen in a frame, without labels.
    pub fn meant_boxes(&self, frame: usize, phrase: &Phrase) -> Vec<LabelledBox> {
        self.present(frame)
            .filter(|object| phrase.means(&object.colour, &object.kind))
            .map(|object| LabelledBox::new("", object.corners_px))
            .collect()
    }

    /// What is in a frame and may be seen or not.
    pub fn ignored_boxes(&self, frame: usize) -> Vec<LabelledBox> {
        self.objects(frame)
            .filter(|object| object.visible < LEAST_VISIBLE)
            .map(|object| LabelledBox::new(&object.kind, object.corners_px))
            .collect()
    }

    /// Whether something that a phrase means is in a frame, however little of it.
    pub fn is_partly_there(&self, frame: usize, phrase: &Phrase) -> bool {
        self.objects(frame).any(|object| phrase.means(&object.colour, &object.kind))
    }

    fn objects(&self, frame: usize) -> impl Iterator<Item = &FilmObject> {
        self.frames.get(frame).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{FilmTruth, LabelledBox, Phrase};

    const FILM: &str = r#"{"width":640,"height":360,"fps":15,"frames":[[],
        [{"id":3,"kind":"car","colour":"red","box":[0,0,30,10],"visible":0.59},
         {"id":4,"kind":"car","colour":"blue","box":[40,0,70,10],"visible":0.6}]]}"#;

    #[test]
    fn what_is_mostly_outside_is_ignored() {
        let film = FilmTruth::read(FILM).unwrap();
        assert_eq!(film.present_boxes(1), [LabelledBox::new("car", [40.0, 0.0, 70.0, 10.0])]);
        assert_eq!(film.ignored_boxes(1), [LabelledBox::new("car", [0.0, 0.0, 30.0, 10.0])]);
        let red_car = Phrase::read("red car").unwrap();
        assert!(film.meant_boxes(1, &red_car).is_empty());
        assert_eq!(film.meant_boxes(1, &Phrase::read("car").unwrap()).len(), 1);
    }

    #[test]
    fn the_film_goes_round() {
        let film = FilmTruth::read(FILM).unwrap();
        assert_eq!((film.frame_at(0.0, 1), film.frame_at(1.0 / 15.0, 1), film.frame_at(0.0, 3)), (1, 0, 1));
    }

    #[test]
    fn a_film_without_frames_is_none() {
        assert!(FilmTruth::read(r#"{"width":640,"height":360,"fps":15,"frames":[]}"#).is_err());
    }
}

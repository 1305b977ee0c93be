use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::LabelledBox;

/// Held-out pictures with what is true of them: what models/tiny/held_out.py wrote.
#[derive(Debug)]
pub struct Scenes {
    /// Where the pictures are.
    pub folder: PathBuf,
    /// In the order of their seeds.
    pub scenes: Vec<Scene>,
}

/// One picture.
#[derive(Clone, Debug, Deserialize)]
pub struct Scene {
    /// The file's name in the folder.
    pub picture: String,
    /// Of the picture's RGB bytes.
    pub crc32: u32,
    /// What is there, in the order in which an answer names it.
    pub objects: Vec<Object>,
    /// Colour and kind of all that is there, each once.
    pub named: Vec<(String, String)>,
    /// What is asked beside object detection and a caption.
    pub questions: Questions,
}

/// One thing in a picture.
#[derive(Clone, Debug, Deserialize)]
pub struct Object {
    /// Such as `car`.
    pub kind: String,
    /// Such as `red`.
    pub colour: String,
    /// x1, y1, x2, y2 of what is inside the picture, in pixels.
    #[serde(rename = "box")]
    pub corners_px: [f64; 4],
}

/// What an empty scene cannot be asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Questions {
    /// Where something is that is there.
    pub open_vocabulary_detection: Option<PhraseQuestion>,
    /// What is in a box.
    pub region_to_category: Option<RegionQuestion>,
}

/// Where something is that is there.
#[derive(Clone, Debug, Deserialize)]
pub struct PhraseQuestion {
    /// Such as `red car`.
    pub phrase: String,
    /// All that it names, in pixels.
    pub boxes: Vec<[f64; 4]>,
}

/// What is in a box.
#[derive(Clone, Debug, Deserialize)]
pub struct RegionQuestion {
    /// x1, y1, x2, y2 in pixels, each the middle of its bin.
    #[serde(rename = "box")]
    pub corners_px: [f64; 4],
    /// The right answer.
    pub kind: String,
}

impl Scenes {
    /// Reads `scenes.json` in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct File {
            scenes: Vec<Scene>,
        }
        let path = folder.join("scenes.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{}: models/tiny/held_out.py makes it", path.display()))?;
        let File { scenes } = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), scenes })
    }
}

impl Scene {
    /// What is there, by kind.
    pub fn boxes(&self) -> Vec<LabelledBox> {
        self.objects.iter().map(|object| LabelledBox::new(&object.kind, object.corners_px)).collect()
    }
}

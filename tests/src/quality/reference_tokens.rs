use std::{collections::BTreeMap, fmt::Display, fs, path::Path};

use anyhow::{Context, Result, ensure};
use belvedere_models::Task;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Answers, Measure, Measured, Scene, matching::share};

/// What transformers generates with one checkpoint: what models/tiny/make_reference_tokens.py wrote.
#[derive(Debug, Deserialize)]
pub struct ReferenceTokens {
    /// Of model.safetensors, in hexadecimal digits.
    pub model_sha256: String,
    /// Answers were cut off there.
    pub max_new_tokens: usize,
    scenes: Vec<ReferenceScene>,
}

#[derive(Debug, Deserialize)]
struct ReferenceScene {
    crc32: u32,
    tokens: BTreeMap<Task, Vec<u32>>,
    /// The least distance of first and second choice: what rounding may decide.
    margins: BTreeMap<Task, f64>,
}

/// An answer that is not transformers'.
#[derive(Debug, PartialEq)]
pub struct Difference {
    picture: String,
    task: Task,
    ours: Vec<u32>,
    theirs: Vec<u32>,
    margin: f64,
}

impl Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { picture, task, ours, theirs, margin } = self;
        write!(f, "{picture} {task}: {ours:?}, transformers: {theirs:?}; its closest choice was by {margin}")
    }
}

impl ReferenceTokens {
    /// Reads the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// How many of these scenes there are answers about: they must be the same pictures.
    ///
    /// # Errors
    /// Another checkpoint or other pictures than transformers was given: the answers say nothing about these.
    pub fn check(&self, model: &Path, scenes: &[Scene]) -> Result<usize> {
        let weights = model.join("model.safetensors");
        let bytes = fs::read(&weights).with_context(|| weights.display().to_string())?;
        let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(
            sha256 == self.model_sha256,
            "{} is not the checkpoint that the reference tokens were made with: sha256 {sha256}, wanted {}",
            weights.display(),
            self.model_sha256
        );
        self.check_pictures(scenes)
    }

    fn check_pictures(&self, scenes: &[Scene]) -> Result<usize> {
        for (scene, reference) in scenes.iter().zip(&self.scenes) {
            ensure!(
                scene.crc32 == reference.crc32,
                "{} is not the picture that the reference tokens were made with (another Pillow or numpy draws other \
                 pixels, or the scenes have changed): CRC {:08x}, wanted {:08x}",
                scene.picture,
                scene.crc32,
                reference.crc32
            );
        }
        Ok(scenes.len().min(self.scenes.len()))
    }

    /// Compares answers about the first scenes.
    pub fn compare(&self, scenes: &[Scene], answers: &[Answers]) -> Result<(Measured, Vec<Difference>)> {
        let (mut compared, mut differences) = (0, Vec::new());
        for ((reference, scene), answers) in self.scenes.iter().zip(scenes).zip(answers) {
            ensure!(
                reference.tokens.keys().eq(answers.keys()),
                "{}: other questions than transformers was asked",
                scene.picture
            );
            for ((task, theirs), answer) in reference.tokens.iter().zip(answers.values()) {
                compared += 1;
                if answer.token_ids != *theirs {
                    differences.push(Difference {
                        picture: scene.picture.clone(),
                        task: *task,
                        ours: answer.token_ids.clone(),
                        theirs: theirs.clone(),
                        margin: reference.margins.get(task).copied().unwrap_or(f64::NAN),
                    });
                }
            }
        }
        let equal = compared - differences.len();
        let note = format!("{equal} of {compared} answers");
        Ok((Measured::new(Measure::TokensEqual, share(equal, compared), note), differences))
    }
}

#[cfg(test)]
mod tests {
    use belvedere_models::Task;
    use serde_json::json;
    use tempfile::TempDir;

    use super::{super::Answer, Answers, ReferenceTokens, Scene};

    /// Of the four bytes "data".
    const SHA256: &str = "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7";

    fn reference() -> ReferenceTokens {
        serde_json::from_value(json!({
            "model_sha256": SHA256, "max_new_tokens": 64, "versions": {},
            "scenes": [{"crc32": 7, "tokens": {"caption": [2, 0, 2], "object-detection": [2, 0, 9, 2]},
                        "margins": {"caption": 0.5, "object-detection": 0.00001}}],
        }))
        .unwrap()
    }

    fn scenes(crc32: u32) -> Vec<Scene> {
        let scene = |crc32: u32| json!({"picture": "scene.png", "crc32": crc32, "objects": [], "named": [], "questions": {}});
        serde_json::from_value(json!([scene(crc32), scene(1)])).unwrap()
    }

    fn answers(caption: &[u32]) -> Answers {
        let answer = |ids: &[u32]| Answer { text: String::new(), token_ids: ids.to_vec(), boxes: Vec::new() };
        [(Task::Caption, answer(caption)), (Task::ObjectDetection, answer(&[2, 0, 9, 2]))].into()
    }

    #[test]
    fn equal_and_different_answers_are_counted_and_the_different_ones_shown() {
        let (measured, differences) = reference().compare(&scenes(7), &[answers(&[2, 0, 2])]).unwrap();
        assert_eq!((measured.value, differences.len()), (1.0, 0));
        let (measured, differences) = reference().compare(&scenes(7), &[answers(&[2, 0, 5, 2])]).unwrap();
        assert_eq!((measured.value, measured.note.as_str()), (0.5, "1 of 2 answers"));
        let shown = differences[0].to_string();
        assert!(shown.contains("scene.png caption: [2, 0, 5, 2]") && shown.contains("[2, 0, 2]"), "{shown}");
    }

    #[test]
    fn other_questions_are_an_error() {
        let mut answers = answers(&[2, 0, 2]);
        answers.remove(&Task::Caption);
        assert!(reference().compare(&scenes(7), &[answers]).is_err());
    }

    #[test]
    fn another_checkpoint_is_an_error_that_says_so() {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("model.safetensors"), "data").unwrap();
        assert_eq!(reference().check(folder.path(), &scenes(7)).unwrap(), 1);
        std::fs::write(folder.path().join("model.safetensors"), "other").unwrap();
        let error = reference().check(folder.path(), &scenes(7)).unwrap_err().to_string();
        assert!(error.contains("not the checkpoint") && error.contains(SHA256), "{error}");
    }

    #[test]
    fn another_picture_is_an_error_that_names_it() {
        let error = reference().check_pictures(&scenes(8)).unwrap_err().to_string();
        assert!(error.contains("scene.png") && error.contains("Pillow"), "{error}");
    }
}

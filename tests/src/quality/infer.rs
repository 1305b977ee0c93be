use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;

use super::LabelledBox;
use crate::belvedere;

/// Far more than any number of pictures takes.
const WITHIN: Duration = Duration::from_secs(1800);

/// What Belvedere calls so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// FP32, the reference's tokens.
    Exact,
    /// Reduced where the machine is good at it.
    Fast,
}

impl Precision {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Exact => "exact",
            Precision::Fast => "fast",
        }
    }
}

/// `belvedere infer`, with everything but the question.
#[derive(Clone, Debug)]
pub struct Infer {
    /// The checkpoint's folder; the bundled one if none is given.
    pub model: Option<PathBuf>,
    /// Of the computation.
    pub precision: Precision,
    /// Answers are cut off there: an untrained model never ends.
    pub max_new_tokens: usize,
}

/// What was answered about one picture.
#[derive(Clone, Debug)]
pub struct Answer {
    /// In words.
    pub text: String,
    /// The whole sequence, decoder start included.
    pub token_ids: Vec<u32>,
    /// The boxes; shapes of other kinds are left out.
    pub boxes: Vec<LabelledBox>,
}

impl Infer {
    /// The command line that leads to the model: for `infer` and `demo` alike.
    pub fn model_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--precision".to_owned(), self.precision.name().to_owned()];
        if let Some(model) = &self.model {
            arguments.extend(["--model".to_owned(), model.display().to_string()]);
        }
        arguments
    }

    /// Asks about `pictures`, in one process; one answer for each, in their order. `question` is the rest of the
    /// command line, such as `--task caption`.
    pub fn ask(&self, question: &[String], pictures: &[PathBuf]) -> Result<Vec<Answer>> {
        let mut arguments: Vec<String> =
            ["infer", "--format", "json", "--max-new-tokens"].map(str::to_owned).into();
        arguments.push(self.max_new_tokens.to_string());
        arguments.extend(self.model_arguments());
        arguments.extend_from_slice(question);
        arguments.extend(pictures.iter().map(|picture| picture.display().to_string()));
        let finished = belvedere(&arguments, WITHIN)?;
        ensure!(finished.status.success(), "{question:?}: {}: {}", finished.status, finished.stderr);
        let answers: Vec<Answer> = finished
            .stdout
            .lines()
            .zip(pictures)
            .map(|(line, picture)| read(line, picture).with_context(|| format!("{question:?}: {line}")))
            .collect::<Result<_>>()?;
        ensure!(answers.len() == pictures.len(), "{question:?}: {} answers", answers.len());
        Ok(answers)
    }
}

fn read(line: &str, picture: &Path) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Line {
        image: PathBuf,
        text: String,
        token_ids: Vec<u32>,
        regions: Vec<Region>,
    }
    let line: Line = serde_json::from_str(line)?;
    ensure!(line.image == picture, "an answer about {}", line.image.display());
    let boxes = line.regions.into_iter().filter_map(Region::into_box).collect();
    Ok(Answer { text: line.text, token_ids: line.token_ids, boxes })
}

/// A region of an answer or of a message.
#[derive(Deserialize)]
pub(super) struct Region {
    label: String,
    #[serde(rename = "box")]
    corners_px: Option<[f64; 4]>,
}

impl Region {
    pub(super) fn into_box(self) -> Option<LabelledBox> {
        Some(LabelledBox::new(self.label, self.corners_px?))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{LabelledBox, read};

    const LINE: &str = r#"{"image":"a.png","width":8,"height":8,"task":"object-detection","text":"car<loc_1>",
        "token_ids":[2,0,5,2],"regions":[{"label":"car","score":0.5,"box":[1.0,2.0,3.5,4.0]},
        {"label":"sea","polygons":[[0,0,1,1,2,2]]}],"timing_ms":{"preprocess":1.0}}"#;

    #[test]
    fn an_answer_is_read_with_its_boxes() {
        let answer = read(LINE, Path::new("a.png")).unwrap();
        assert_eq!((answer.text.as_str(), &answer.token_ids[..]), ("car<loc_1>", &[2, 0, 5, 2][..]));
        assert_eq!(answer.boxes, [LabelledBox::new("car", [1.0, 2.0, 3.5, 4.0])]);
    }

    #[test]
    fn an_answer_about_another_picture_is_an_error_that_names_it() {
        let error = read(LINE, Path::new("b.png")).unwrap_err();
        assert!(error.to_string().contains("a.png"), "{error}");
    }
}

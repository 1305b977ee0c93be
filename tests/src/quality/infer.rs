use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use belvedere_models::Task;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

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

/// A line of `belvedere infer --questions`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// The picture's path.
    pub image: PathBuf,
    /// What is asked.
    pub task: Task,
    /// What a task with a phrase is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What a task with a box is about: x1, y1, x2, y2 in pixels.
    #[serde(rename = "region", skip_serializing_if = "Option::is_none")]
    pub corners_px: Option<[f64; 4]>,
}

/// `belvedere infer`, with everything but the questions.
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

    /// Asks `questions`, all in one process; one answer for each, in their order.
    pub fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>> {
        let mut file = NamedTempFile::new()?;
        for question in questions {
            writeln!(file, "{}", serde_json::to_string(question)?)?;
        }
        file.flush()?;
        let mut arguments = vec!["infer".to_owned(), "--questions".to_owned()];
        arguments.push(file.path().display().to_string());
        arguments.extend(["--max-new-tokens".to_owned(), self.max_new_tokens.to_string()]);
        arguments.extend(self.model_arguments());
        let finished = belvedere(&arguments, WITHIN)?;
        ensure!(finished.status.success(), "{}: {}", finished.status, finished.stderr);
        let answers: Vec<Answer> = finished
            .stdout
            .lines()
            .zip(questions)
            .map(|(line, question)| read(line, question).with_context(|| format!("{question:?}: {line}")))
            .collect::<Result<_>>()?;
        ensure!(
            answers.len() == questions.len(),
            "{} answers to {} questions",
            answers.len(),
            questions.len()
        );
        Ok(answers)
    }
}

fn read(line: &str, question: &Question) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Line {
        image: PathBuf,
        task: Task,
        text: String,
        token_ids: Vec<u32>,
        regions: Vec<Region>,
    }
    let line: Line = serde_json::from_str(line)?;
    ensure!(line.image == question.image, "an answer about {}", line.image.display());
    ensure!(line.task == question.task, "an answer to {}", line.task);
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
    use serde_json::json;

    use super::{LabelledBox, Question, Task, read};

    const LINE: &str = r#"{"image":"a.png","width":8,"height":8,"task":"object-detection","text":"car<loc_1>",
        "token_ids":[2,0,5,2],"regions":[{"label":"car","score":0.5,"box":[1.0,2.0,3.5,4.0]},
        {"label":"sea","polygons":[[0,0,1,1,2,2]]}],"timing_ms":{"preprocess":1.0}}"#;

    fn question(image: &str, task: Task) -> Question {
        Question { image: image.into(), task, text: None, corners_px: None }
    }

    #[test]
    fn an_answer_is_read_with_its_boxes() {
        let answer = read(LINE, &question("a.png", Task::ObjectDetection)).unwrap();
        assert_eq!((answer.text.as_str(), &answer.token_ids[..]), ("car<loc_1>", &[2, 0, 5, 2][..]));
        assert_eq!(answer.boxes, [LabelledBox::new("car", [1.0, 2.0, 3.5, 4.0])]);
    }

    #[test]
    fn an_answer_to_another_question_is_an_error_that_names_it() {
        let error = read(LINE, &question("b.png", Task::ObjectDetection)).unwrap_err();
        assert!(error.to_string().contains("a.png"), "{error}");
        let error = read(LINE, &question("a.png", Task::Caption)).unwrap_err();
        assert!(error.to_string().contains("object-detection"), "{error}");
    }

    #[test]
    fn a_question_is_written_with_what_its_task_takes() {
        let mut asked = question("a.png", Task::RegionToCategory);
        asked.corners_px = Some([0.5, 1.0, 20.0, 30.0]);
        assert_eq!(
            serde_json::to_value(&asked).unwrap(),
            json!({"image": "a.png", "task": "region-to-category", "region": [0.5, 1.0, 20.0, 30.0]})
        );
    }
}

//! What is asked about an image.

use std::fmt;
use std::path::PathBuf;

use belvedere_models::{InputKind, LocationBox, PictureSize, Prompt, Task, TaskInput};
use serde::Deserialize;

use super::super::CommandError;
use crate::analyst::Analyst;

/// One question about one image.
#[derive(Debug, PartialEq)]
pub(super) struct Question {
    pub(super) image: PathBuf,
    pub(super) asked: Asked,
}

/// What is asked. The inputs are those that the task takes, unless it was made by hand.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    /// A task, with what it is about.
    Task { task: Task, text: Option<String>, region_px: Option<[f32; 4]> },
    /// A fine-tune's own prompt.
    Prompt(String),
}

/// An input that a task needs and has not, or has and does not take.
#[derive(Debug, PartialEq)]
pub(super) struct Mismatch {
    task: Task,
    is_missing: bool,
    /// `text` or `region`: an option of the command line and a key of a question's line.
    input: &'static str,
}

impl Mismatch {
    /// In the words of the command line.
    pub(super) fn as_options(&self) -> String {
        format!("--task {} {} --{}", self.task, self.verb(), self.input)
    }

    fn verb(&self) -> &'static str {
        if self.is_missing { "needs a" } else { "takes no" }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.task, self.verb(), self.input)
    }
}

impl Asked {
    /// A task with exactly the input that it takes.
    pub(super) fn task(
        task: Task,
        text: Option<String>,
        region_px: Option<[f32; 4]>,
    ) -> Result<Asked, Mismatch> {
        let inputs =
            [("text", InputKind::Text, text.is_some()), ("region", InputKind::Region, region_px.is_some())];
        for (input, kind, is_there) in inputs {
            let is_needed = task.input() == kind;
            if is_needed != is_there {
                return Err(Mismatch { task, is_missing: is_needed, input });
            }
        }
        Ok(Asked::Task { task, text, region_px })
    }

    /// As the model is asked it about a picture of this size.
    pub(super) fn prompt(&self, analyst: &Analyst, picture: PictureSize) -> Result<Prompt, CommandError> {
        Ok(match self {
            Asked::Prompt(prompt) => analyst.free_prompt(prompt)?,
            Asked::Task { task, text, region_px } => {
                let input = match (text, region_px) {
                    (Some(text), _) => TaskInput::Text(text.clone()),
                    (None, Some(corners_px)) => {
                        TaskInput::Region(LocationBox::from_pixels(*corners_px, picture)?)
                    }
                    (None, None) => TaskInput::Nothing,
                };
                analyst.prompt(*task, input)?
            }
        })
    }
}

impl Question {
    /// Reads `{"image": ..., "task": ..., "text": ..., "region": [x1, y1, x2, y2]}` or
    /// `{"image": ..., "prompt": ...}`; the error says what is wrong with it.
    pub(super) fn from_json(line: &[u8]) -> Result<Question, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Line {
            image: PathBuf,
            task: Option<String>,
            text: Option<String>,
            region: Option<[f32; 4]>,
            prompt: Option<String>,
        }
        let line: Line = serde_json::from_slice(line)
            // It is always the only line; which one of the file it is, is said by who knows.
            .map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))?;
        let asked = match (line.task, line.prompt, line.text, line.region) {
            (Some(name), None, text, region) => {
                let task: Task =
                    name.parse().map_err(|error: belvedere_models::ModelError| error.to_string())?;
                Asked::task(task, text, region).map_err(|mismatch| mismatch.to_string())?
            }
            (None, Some(prompt), None, None) => Asked::Prompt(prompt),
            (None, None, ..) => return Err("a \"task\" or a \"prompt\" is missing".to_owned()),
            (_, Some(_), ..) => {
                return Err("a \"prompt\" stands alone, without \"task\", \"text\" and \"region\"".to_owned());
            }
        };
        Ok(Question { image: line.image, asked })
    }
}

#[cfg(test)]
mod tests {
    use belvedere_models::Task;

    use super::{Asked, Question};

    fn read(line: &str) -> Result<Question, String> {
        Question::from_json(line.as_bytes())
    }

    #[test]
    fn a_question_is_a_task_with_its_input_or_a_prompt() {
        let of = |asked| Question { image: "a.png".into(), asked };
        let task = |task, text: Option<&str>, region_px| {
            of(Asked::Task { task, text: text.map(str::to_owned), region_px })
        };
        assert_eq!(read(r#"{"image":"a.png","task":"caption"}"#).unwrap(), task(Task::Caption, None, None));
        assert_eq!(
            read(r#"{"image": "a.png", "task": "phrase-grounding", "text": "ein \"größer\" Hund"}"#).unwrap(),
            task(Task::PhraseGrounding, Some("ein \"größer\" Hund"), None)
        );
        assert_eq!(
            read(r#"{"task":"region-to-ocr","region":[0,1.5,20,30],"image":"a.png"}"#).unwrap(),
            task(Task::RegionToOcr, None, Some([0.0, 1.5, 20.0, 30.0]))
        );
        assert_eq!(
            read(r#"{"image":"a.png","prompt":"<DocVQA>who?"}"#).unwrap(),
            of(Asked::Prompt("<DocVQA>who?".to_owned()))
        );
    }

    #[test]
    fn what_is_wrong_with_a_question_is_said() {
        for (line, said) in [
            ("", "EOF"),
            ("a.png", "expected"),
            ("[1]", "expected"),
            (r#"{"image":"a.png"}"#, "\"task\" or a \"prompt\" is missing"),
            (r#"{"task":"caption"}"#, "missing field `image`"),
            (r#"{"image":"a.png","task":"captoin"}"#, "\"caption\""),
            (r#"{"image":"a.png","task":"caption","txet":"dog"}"#, "unknown field `txet`"),
            (r#"{"image":"a.png","task":"caption","text":"dog"}"#, "caption takes no \"text\""),
            (r#"{"image":"a.png","task":"phrase-grounding"}"#, "phrase-grounding needs a \"text\""),
            (r#"{"image":"a.png","task":"region-to-ocr"}"#, "region-to-ocr needs a \"region\""),
            (r#"{"image":"a.png","task":"ocr","region":[0,0,1,1]}"#, "ocr takes no \"region\""),
            (r#"{"image":"a.png","task":"region-to-ocr","region":[0,0,1]}"#, "invalid length 3"),
            (r#"{"image":"a.png","prompt":"p","task":"caption"}"#, "stands alone"),
            (r#"{"image":"a.png","prompt":"p","text":"dog"}"#, "stands alone"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
            assert!(!error.contains("line 1"), "{line}: {error}");
        }
        assert!(Question::from_json(b"{\"image\":\"\xff\",\"task\":\"caption\"}").is_err());
    }

    #[test]
    fn the_command_line_is_answered_in_its_own_words() {
        let said = |task, text: Option<&str>, region| {
            Asked::task(task, text.map(str::to_owned), region).unwrap_err().as_options()
        };
        assert_eq!(said(Task::PhraseGrounding, None, None), "--task phrase-grounding needs a --text");
        assert_eq!(said(Task::Caption, Some("dog"), None), "--task caption takes no --text");
        assert_eq!(said(Task::Ocr, None, Some([0.0; 4])), "--task ocr takes no --region");
    }
}

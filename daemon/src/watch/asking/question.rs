//! What may be asked.

use belvedere_models::{InputKind, Task};
use serde::Deserialize;

use super::refusal::Refusal;

/// A longer name of a question is refused, in bytes.
const MAX_ID_BYTES: usize = 128;
/// A longer text is refused, in characters.
const MAX_TEXT_CHARS: usize = 1000;

/// A question about the next frame of a camera, as far as it can be checked without the model and the frame.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    /// What the asker knows it by; comes back with the answer.
    pub(super) id: String,
    pub(super) task: Task,
    /// For tasks about a text.
    pub(super) text: Option<String>,
    /// For tasks about a region: x1, y1, x2, y2 in pixels of the frame, as results have them.
    pub(super) box_px: Option<[f32; 4]>,
}

/// A question that is not one.
#[derive(Debug, PartialEq)]
pub(super) struct NoQuestion {
    /// Where it can be read.
    pub(super) id: Option<String>,
    pub(super) why: Refusal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    task: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default, rename = "box")]
    box_px: Option<[f32; 4]>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Question {
    /// Reads a payload, of which nothing is certain.
    pub(super) fn read(payload: &[u8]) -> Result<Question, NoQuestion> {
        // Nesting is bounded by the parser, everything else by the length of the payload.
        let written = serde_json::from_slice::<Written>(payload);
        let named = || serde_json::from_slice::<Named>(payload).ok().map(|named| named.id);
        let id = match &written {
            Ok(written) => Some(written.id.clone()),
            Err(_) => named(),
        };
        let id = id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES);
        let question = match (written, id.clone()) {
            (Err(error), _) => Err(Refusal::invalid(error)),
            (Ok(_), None) => Err(Refusal::invalid(format_args!("id is not 1 to {MAX_ID_BYTES} bytes long"))),
            (Ok(written), Some(id)) => written.into_question(id),
        };
        question.map_err(|why| NoQuestion { id, why })
    }
}

impl Written {
    fn into_question(self, id: String) -> Result<Question, Refusal> {
        let Written { task, text, box_px, .. } = self;
        let task: Task = task.parse().map_err(|_| Refusal::UnknownTask)?;
        match (task.input(), &text, box_px) {
            (InputKind::Nothing, None, None)
            | (InputKind::Text, Some(_), None)
            | (InputKind::Region, None, Some(_)) => {}
            (InputKind::Nothing, ..) => return Err(Refusal::invalid("this task takes no text and no box")),
            (InputKind::Text, ..) => return Err(Refusal::invalid("this task takes a text and no box")),
            (InputKind::Region, ..) => return Err(Refusal::invalid("this task takes a box and no text")),
        }
        if text.as_ref().is_some_and(|text| text.chars().nth(MAX_TEXT_CHARS).is_some()) {
            return Err(Refusal::TextTooLong);
        }
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(Refusal::invalid("the text is empty"));
        }
        Ok(Question { id, task, text, box_px })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(payload: &str) -> (Option<String>, &'static str) {
        let refused = Question::read(payload.as_bytes()).expect_err("it was taken");
        (refused.id, refused.why.word())
    }

    #[test]
    fn a_question_of_each_kind_is_read() {
        let read = |payload: &str| Question::read(payload.as_bytes()).unwrap();
        let caption = read(r#"{"id":"1","task":"caption"}"#);
        assert_eq!((caption.task, caption.text, caption.box_px), (Task::Caption, None, None));
        let phrase = read(r#"{"task":"open-vocabulary-detection","text":"a \"red\" car 🪜","id":"ü"}"#);
        assert_eq!((phrase.id.as_str(), phrase.text.as_deref()), ("ü", Some("a \"red\" car 🪜")));
        let region = read(r#"{"id":"1","task":"region-to-category","box":[1, 2.5, 3e1, 40]}"#);
        assert_eq!(region.box_px, Some([1.0, 2.5, 30.0, 40.0]));
    }

    #[test]
    fn what_is_wrong_is_said_and_the_id_is_kept_where_there_is_one() {
        let id = Some("1".to_owned());
        for wrong in [
            "",
            "null",
            "[]",
            "\"1\"",
            "{",
            r#"{"id":1,"task":"caption"}"#,
            r#"{"task":"caption"}"#,
            r#"{"id":"","task":"caption"}"#,
        ] {
            assert_eq!(why(wrong), (None, "invalid"), "{wrong}");
        }
        for wrong in [
            r#"{"id":"1"}"#,
            r#"{"id":"1","task":5}"#,
            r#"{"id":"1","task":"caption","more":1}"#,
            r#"{"id":"1","task":"caption","text":"x"}"#,
            r#"{"id":"1","task":"caption","text":["x"]}"#,
            r#"{"id":"1","task":"phrase-grounding"}"#,
            r#"{"id":"1","task":"phrase-grounding","text":" "}"#,
            r#"{"id":"1","task":"phrase-grounding","text":"x","box":[0,0,1,1]}"#,
            r#"{"id":"1","task":"region-to-ocr","box":[0,0,1]}"#,
            r#"{"id":"1","task":"region-to-ocr","box":[0,0,1,"1"]}"#,
            r#"{"id":"1","task":"region-to-ocr"}"#,
        ] {
            assert_eq!(why(wrong), (id.clone(), "invalid"), "{wrong}");
        }
        assert_eq!(why(r#"{"id":"1","task":"captoin"}"#), (id.clone(), "unknown-task"));
        let long = format!(r#"{{"id":"1","task":"phrase-grounding","text":"{}"}}"#, "ö".repeat(1001));
        assert_eq!(why(&long), (id, "text-too-long"));
    }

    #[test]
    fn bytes_that_are_no_text_and_nesting_without_end_are_refused() {
        assert!(Question::read(b"{\"id\":\"\xff\",\"task\":\"caption\"}").is_err());
        assert!(Question::read("[".repeat(16_000).as_bytes()).is_err());
        let nested =
            format!(r#"{{"id":"1","task":"caption","text":{}1{}}}"#, "[".repeat(900), "]".repeat(900));
        assert!(Question::read(nested.as_bytes()).is_err());
    }
}

//! Questions from a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::super::CommandError;
use super::question::Question;

/// The lines of `--questions`, read one at a time as they come.
pub(super) struct QuestionLines {
    name: String,
    lines: io::Split<Box<dyn BufRead>>,
    line: usize,
}

/// A line that asks something, or tries to.
pub(super) struct QuestionLine {
    /// Counted from 1.
    pub(super) line: usize,
    /// The question, or what is wrong with it.
    pub(super) question: Result<Question, String>,
}

impl QuestionLines {
    /// Opens `path`; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(path: &Path) -> Result<QuestionLines, CommandError> {
        if path == Path::new("-") {
            return Ok(QuestionLines::new("standard input".to_owned(), io::stdin()));
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(CommandError::system(&name))?;
        Ok(QuestionLines::new(name, file))
    }

    fn new(name: String, input: impl Read + 'static) -> QuestionLines {
        let input: Box<dyn BufRead> = Box::new(BufReader::new(input));
        QuestionLines { name, lines: input.split(b'\n'), line: 0 }
    }

    /// What the lines are from, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Blank lines are passed over, and counted.
impl Iterator for QuestionLines {
    type Item = Result<QuestionLine, CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let bytes = match self.lines.next()? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(CommandError::system(&self.name)(error))),
            };
            self.line += 1;
            if !bytes.trim_ascii().is_empty() {
                let question = Question::from_json(&bytes);
                return Some(Ok(QuestionLine { line: self.line, question }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::QuestionLines;

    #[test]
    fn a_wrong_line_is_numbered_and_the_next_is_read() {
        let text = "\n{\"image\":\"a.png\",\"task\":\"caption\"}\r\n  \n{\"image\":\n\n{\"image\":\"b.png\",\"prompt\":\"?\"}";
        let lines: Vec<_> = QuestionLines::new("q.jsonl".to_owned(), text.as_bytes())
            .map(|line| line.unwrap())
            .map(|line| (line.line, line.question.map(|question| question.image).ok()))
            .collect();
        assert_eq!(lines, [(2, Some("a.png".into())), (4, None), (6, Some("b.png".into()))]);
    }
}

//! `belvedere infer`

mod interview;
mod question;
mod question_lines;
mod text;

use std::io::Write;
use std::path::Path;

use belvedere_models::ParseMode;

use self::interview::{Answered, Interview};
use self::question::{Asked, Question};
use self::question_lines::QuestionLines;
use super::CommandError;
use crate::cli::{Infer, OutputFormat};
use crate::config::ModelSettings;
use crate::exit::Exit;
use crate::messages::{ImageResult, to_json};
use crate::{annotate, bundled, picture};

pub(super) fn infer(options: &Infer) -> Result<Exit, CommandError> {
    // What is wrong with the question is said before a model is loaded.
    let source = Source::of(options)?;
    let analyst = super::load(&ModelSettings {
        beams: options.beams.into(),
        max_new_tokens: options.max_new_tokens.into(),
        ..options.model.settings()
    })?;
    tracing::debug!(device = analyst.description(), "model loaded");
    if analyst.is_bundled() {
        eprintln!("belvedere: no --model: this is {}", bundled::KNOWS);
    }
    let mode = if options.reference { ParseMode::Reference } else { ParseMode::Default };
    let interview = Interview::new(analyst, mode);
    match source {
        Source::Lines(lines) => answer_lines(interview, lines),
        Source::Images(asked) => answer_images(interview, options, &asked),
    }
}

/// Where the questions come from.
enum Source {
    /// Each line of a file asks one.
    Lines(QuestionLines),
    /// The same about each image.
    Images(Asked),
}

impl Source {
    /// Checks what clap cannot know.
    fn of(options: &Infer) -> Result<Source, CommandError> {
        let usage = |text: &str| Err(CommandError::Usage(text.to_owned()));
        if let Some(path) = &options.questions {
            if options.format == Some(OutputFormat::Text) {
                return usage("--questions are answered in JSON, not as text");
            }
            return QuestionLines::open(path).map(Source::Lines);
        }
        if options.annotate.is_some() && options.images.len() > 1 {
            return usage("--annotate takes one image only");
        }
        let asked = match &options.prompt {
            Some(prompt) => Asked::Prompt(prompt.clone()),
            None => Asked::task(options.task, options.text.clone(), options.region)
                .map_err(|mismatch| CommandError::Usage(mismatch.as_options()))?,
        };
        Ok(Source::Images(asked))
    }
}

/// Each line's question. One that is wrong does not keep the others from their answers.
fn answer_lines(mut interview: Interview, mut lines: QuestionLines) -> Result<Exit, CommandError> {
    let mut exit = Exit::Done;
    while let Some(line) = lines.next().transpose()? {
        let answered = line.question.map_err(CommandError::Usage).and_then(|question| {
            let answered = interview.answer(&question)?;
            Ok((question, answered))
        });
        match answered {
            Ok((question, answered)) => write_json(&question, &answered)?,
            Err(error) => {
                eprintln!("belvedere: {}:{}: {error}", lines.name(), line.line);
                exit = error.exit();
            }
        }
    }
    Ok(exit)
}

/// The same question about each image. One that is wrong does not keep the others from their answers.
fn answer_images(mut interview: Interview, options: &Infer, asked: &Asked) -> Result<Exit, CommandError> {
    let mut exit = Exit::Done;
    for path in &options.images {
        let question = Question { image: path.clone(), asked: asked.clone() };
        let answered = match interview.answer(&question) {
            Ok(answered) => answered,
            Err(error) => {
                eprintln!("belvedere: {error}");
                exit = error.exit();
                continue;
            }
        };
        match options.format.unwrap_or(OutputFormat::Text) {
            OutputFormat::Json => write_json(&question, &answered)?,
            OutputFormat::Text => {
                let name = (options.images.len() > 1).then_some(path.as_path());
                write_out(text::of(&answered.output, name).as_bytes())?;
            }
        }
        if let Some(out) = &options.annotate {
            return annotated(interview, &answered, out).map(|()| exit);
        }
    }
    Ok(exit)
}

/// A copy of the only image, with the regions of its answer.
fn annotated(interview: Interview, answered: &Answered, out: &Path) -> Result<(), CommandError> {
    if let Some(mut picture) = interview.into_picture() {
        annotate::draw(&mut picture, &answered.output.regions);
        picture::write_png(out, &picture)?;
    }
    Ok(())
}

fn write_json(question: &Question, answered: &Answered) -> Result<(), CommandError> {
    let (task, prompt, input, region) = match &question.asked {
        Asked::Task { task, text, region_px } => (Some(*task), None, text.as_deref(), *region_px),
        Asked::Prompt(prompt) => (None, Some(prompt.as_str()), None, None),
    };
    let mut line = to_json(&ImageResult {
        image: &question.image.display().to_string(),
        width: answered.width,
        height: answered.height,
        task,
        prompt,
        input,
        region,
        text: &answered.output.text,
        token_ids: &answered.token_ids,
        regions: &answered.output.regions,
        timing_ms: answered.timing,
    });
    line.push(b'\n');
    write_out(&line)
}

/// At once: whoever asked over a pipe waits for it.
fn write_out(bytes: &[u8]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CommandError::system("writing the result"))
}

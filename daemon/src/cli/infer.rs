//! What `belvedere infer` takes.

use std::path::PathBuf;

use belvedere_models::Task;
use clap::Args;

use super::{ModelChoice, OutputFormat};

/// `belvedere infer`
#[derive(Debug, Args)]
pub struct Infer {
    /// The images: JPEG, PNG, WebP or BMP.
    #[arg(required_unless_present = "questions", value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Ask the questions of a file instead; - is standard input.
    ///
    /// Each line is a JSON object: {"image": "a.jpg", "task": "caption"}, with "text" or "region":
    /// [x1, y1, x2, y2] in pixels where the task takes one, or "prompt" instead of a task. Each is
    /// answered as soon as it is read, with a JSON line that repeats it ("input" is its text). The image
    /// is read and encoded once for all questions about it that follow one another.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["images", "task", "text", "region", "prompt", "annotate"]
    )]
    pub questions: Option<PathBuf>,

    /// Which model, and where it runs.
    #[command(flatten)]
    pub model: ModelChoice,

    /// What to ask: caption, detailed-caption, more-detailed-caption, object-detection,
    /// dense-region-caption, region-proposal, phrase-grounding, open-vocabulary-detection,
    /// referring-expression-segmentation, region-to-segmentation, region-to-category,
    /// region-to-description, region-to-ocr, ocr, ocr-with-region.
    #[arg(long, default_value = "caption", value_parser = parse_task, value_name = "NAME")]
    pub task: Task,

    /// The phrase or caption that the task is about.
    #[arg(long, value_name = "T")]
    pub text: Option<String>,

    /// The box that the task is about, in pixels of the image.
    #[arg(long, value_parser = parse_region, value_name = "X1,Y1,X2,Y2", allow_hyphen_values = true)]
    pub region: Option<[f32; 4]>,

    /// A prompt of a fine-tune's own, instead of a task.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["task", "text", "region"])]
    pub prompt: Option<String>,

    /// Beams of the search; 1 is greedy.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub beams: u16,

    /// Cut an answer off after so many tokens.
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_new_tokens: u16,

    /// Read answers exactly as the original parsers do, artefacts included.
    #[arg(long)]
    pub reference: bool,

    /// How results are written; json is one object per answer on a line [default: text; json for
    /// --questions].
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<OutputFormat>,

    /// Draw the regions into a copy of the image (PNG; only with one image).
    #[arg(long, value_name = "OUT.png")]
    pub annotate: Option<PathBuf>,
}

fn parse_task(name: &str) -> Result<Task, String> {
    name.parse().map_err(|error: belvedere_models::ModelError| error.to_string())
}

fn parse_region(text: &str) -> Result<[f32; 4], String> {
    let numbers: Vec<f32> = text
        .split(',')
        .map(|number| number.trim().parse().map_err(|_| format!("{number:?} is no number")))
        .collect::<Result<_, _>>()?;
    <[f32; 4]>::try_from(numbers).map_err(|found| format!("4 numbers are needed, not {}", found.len()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    #[test]
    fn a_region_is_four_numbers() {
        let parse = |region: &str| {
            Cli::try_parse_from([
                "belvedere",
                "infer",
                "--task",
                "region-to-ocr",
                "--region",
                region,
                "a.png",
            ])
        };
        let Command::Infer(infer) = parse("1,2.5,30, 40").unwrap().command else {
            panic!("not infer");
        };
        assert_eq!(infer.region, Some([1.0, 2.5, 30.0, 40.0]));
        assert!(parse("1,2,3").is_err());
        assert!(parse("a,2,3,4").is_err());
    }

    #[test]
    fn a_misspelt_task_is_answered_with_the_nearest() {
        let error = Cli::try_parse_from(["belvedere", "infer", "--task", "captoin", "a.png"]).unwrap_err();
        assert!(error.to_string().contains("\"caption\""), "{error}");
    }
}

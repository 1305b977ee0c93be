//! `belvedere infer`

use std::io::Write;
use std::path::Path;

use belvedere_models::{
    CancelToken, InputKind, LocationBox, ParseMode, PhraseForm, PictureSize, Prompt, Region, Shape, TaskInput,
};

use super::CommandError;
use crate::analyst::{Analysis, Analyst};
use crate::cli::{Infer, OutputFormat};
use crate::config::ModelSettings;
use crate::exit::Exit;
use crate::messages::{ImageResult, to_json};
use crate::{annotate, bundled, picture};

pub(super) fn infer(options: &Infer) -> Result<Exit, CommandError> {
    check(options)?;
    let mut analyst = Analyst::load(&ModelSettings {
        beams: options.beams.into(),
        max_new_tokens: options.max_new_tokens.into(),
        phrases: PhraseForm::default(),
        ..options.model.settings()
    })?;
    tracing::debug!(device = analyst.description(), "model loaded");
    if analyst.is_bundled() {
        eprintln!("belvedere: no --model: this is {}", bundled::KNOWS);
    }
    // One image that is wrong does not keep the others from their answers.
    let mut exit = Exit::Done;
    for path in &options.images {
        if let Err(error) = image(&mut analyst, options, path) {
            eprintln!("belvedere: {error}");
            exit = error.exit();
        }
    }
    Ok(exit)
}

/// What clap cannot know.
fn check(options: &Infer) -> Result<(), CommandError> {
    let usage = |text: String| Err(CommandError::Usage(text));
    if options.annotate.is_some() && options.images.len() > 1 {
        return usage("--annotate takes one image only".to_owned());
    }
    if options.prompt.is_some() {
        return Ok(());
    }
    let task = options.task;
    match (task.input(), &options.text, options.region) {
        (InputKind::Text, None, _) => usage(format!("--task {task} needs a --text")),
        (InputKind::Region, _, None) => usage(format!("--task {task} needs a --region")),
        (InputKind::Nothing | InputKind::Region, Some(_), _) => {
            usage(format!("--task {task} takes no --text"))
        }
        (InputKind::Nothing | InputKind::Text, _, Some(_)) => {
            usage(format!("--task {task} takes no --region"))
        }
        _ => Ok(()),
    }
}

fn image(analyst: &mut Analyst, options: &Infer, path: &Path) -> Result<(), CommandError> {
    let name = path.display().to_string();
    let mut picture = picture::read(path)?;
    let prompt = prompt(analyst, options, PictureSize::new(picture.width, picture.height))?;
    let mode = if options.reference { ParseMode::Reference } else { ParseMode::Default };
    let prompts = [prompt];
    let analysed = match picture.view() {
        Ok(view) => analyst.analyse(&view, &prompts, &[], mode, &CancelToken::new()),
        Err(error) => Err(error.into()),
    };
    let Analysis { answers, timing, .. } = analysed?;
    let Some(found) = answers.into_iter().next() else {
        return Err(CommandError::Missed(format!("{name}: no answer")));
    };
    let result = ImageResult {
        image: &name,
        width: picture.width,
        height: picture.height,
        task: options.prompt.is_none().then_some(options.task),
        prompt: options.prompt.as_deref(),
        text: &found.output.text,
        token_ids: &found.token_ids,
        regions: &found.output.regions,
        timing_ms: timing,
    };
    let mut out = match options.format {
        OutputFormat::Json => to_json(&result),
        OutputFormat::Text => text(&result, options.images.len() > 1).into_bytes(),
    };
    if options.format == OutputFormat::Json {
        out.push(b'\n');
    }
    std::io::stdout().write_all(&out).map_err(CommandError::system("writing the result"))?;
    if let Some(out) = &options.annotate {
        annotate::draw(&mut picture, &found.output.regions);
        picture::write_png(out, &picture)?;
    }
    Ok(())
}

fn prompt(analyst: &Analyst, options: &Infer, picture: PictureSize) -> Result<Prompt, CommandError> {
    if let Some(prompt) = &options.prompt {
        return Ok(analyst.free_prompt(prompt)?);
    }
    let input = match (&options.text, options.region) {
        (Some(text), _) => TaskInput::Text(text.clone()),
        (None, Some(corners_px)) => TaskInput::Region(LocationBox::from_pixels(corners_px, picture)?),
        (None, None) => TaskInput::Nothing,
    };
    Ok(analyst.prompt(options.task, input)?)
}

/// The regions where there are some, else the words.
fn text(result: &ImageResult<'_>, with_name: bool) -> String {
    let mut text = String::new();
    if with_name {
        text.push_str(&format!("{}:\n", result.image));
    }
    if result.regions.is_empty() {
        text.push_str(result.text);
        text.push('\n');
    }
    for region in result.regions {
        text.push_str(&line(region));
        text.push('\n');
    }
    text
}

/// `car 0.93 box 34.2 160.1 597.4 371.8`
fn line(region: &Region) -> String {
    let mut words: Vec<String> = Vec::new();
    if !region.label.is_empty() {
        words.push(region.label.clone());
    }
    if let Some(score) = region.score {
        words.push(format!("{score:.2}"));
    }
    let mut numbers = |kind: &str, numbers: &[f32]| {
        words.push(kind.to_owned());
        words.extend(numbers.iter().map(|number| format!("{number:.1}")));
    };
    match &region.shape {
        Shape::Box(corners) => numbers("box", corners),
        Shape::Quad(corners) => numbers("quad", corners),
        Shape::Polygons(polygons) => polygons.iter().for_each(|polygon| numbers("polygon", polygon)),
    }
    words.join(" ")
}

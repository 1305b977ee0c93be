//! `belvedere-evidence`: what the scores of phrases are worth, in a table.

use std::{fs::File, io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use belvedere::analyst::Analyst;
use belvedere::config::ModelSettings;
use belvedere::picture;
use belvedere_models::{CancelToken, Device, ParseMode, PhraseForm, Precision, WatchedPhrase};
use belvedere_tests::evidence::{EvidenceTable, PhraseFrame, questions};
use belvedere_tests::quality::Scenes;
use clap::{Parser, ValueEnum};

/// Asks for phrases that are in made-up pictures and for as many that are not, and says how well the score, and each
/// part of it, tells them apart.
#[derive(Debug, Parser)]
#[command(name = "belvedere-evidence", max_term_width = 100)]
struct Options {
    /// The folder that models/tiny/held_out.py wrote.
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// The checkpoint's folder [default: the bundled one].
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Which pictures: the weights were fitted on the even half.
    #[arg(long, value_enum, default_value_t = Half::Odd, value_name = "HALF")]
    half: Half,
    /// How phrases are asked for.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Form::Each, Form::Grouped], value_name = "FORM")]
    form: Vec<Form>,
    /// The threshold that alarms are counted at.
    #[arg(long, default_value_t = 0.4, value_name = "SCORE")]
    min_score: f32,
    /// Checks the region of every phrase, not only of those in doubt.
    #[arg(long)]
    check_every_region: bool,
    /// Writes what was found of each phrase, as lines of JSON: what models/tiny/fit_scores.py reads.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Fails where the area under the curve of the first form is below this.
    #[arg(long, value_name = "AREA")]
    least_area: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Half {
    Even,
    Odd,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Form {
    Each,
    Grouped,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("belvedere-evidence: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<bool> {
    let mut dump = options.dump.as_ref().map(File::create).transpose()?;
    let mut holds = true;
    for (place, form) in options.form.iter().enumerate() {
        let frames = look(options, *form)?;
        if let Some(dump) = &mut dump {
            for frame in &frames {
                writeln!(dump, "{}", serde_json::to_string(frame)?)?;
            }
        }
        let table = EvidenceTable::new(&frames, options.min_score)?;
        print!(
            "phrases asked for {}: {table}",
            if *form == Form::Each { "each by itself" } else { "in one group" }
        );
        holds &= place > 0 || options.least_area.is_none_or(|least| table.area() >= least);
    }
    Ok(holds)
}

fn look(options: &Options, form: Form) -> Result<Vec<PhraseFrame>> {
    let mut analyst = Analyst::load(&ModelSettings {
        path: options.model.clone(),
        device: Device::Auto,
        precision: Precision::Fast,
        threads: None,
        beams: 1,
        max_new_tokens: 64,
        phrases: if form == Form::Each { PhraseForm::Each } else { PhraseForm::Grouped },
    })?;
    if options.check_every_region {
        analyst.check_every_region();
    }
    let Scenes { folder, scenes } = Scenes::open(&options.pictures)?;
    let mut frames = Vec::new();
    for (number, scene) in scenes.iter().enumerate() {
        let is_wanted = match options.half {
            Half::Even => number % 2 == 0,
            Half::Odd => number % 2 == 1,
            Half::Both => true,
        };
        if !is_wanted {
            continue;
        }
        let asked = questions(number, scene);
        let picture = picture::read(&folder.join(&scene.picture)).with_context(|| scene.picture.clone())?;
        let view = picture.view()?;
        let phrases: Vec<WatchedPhrase> =
            asked.iter().map(|(phrase, _)| analyst.watched_phrase(phrase)).collect::<Result<_, _>>()?;
        let phrases: Vec<&WatchedPhrase> = phrases.iter().collect();
        let analysis = analyst.analyse(&view, &[], &phrases, ParseMode::Default, &CancelToken::new())?;
        for ((phrase, is_there), found) in asked.into_iter().zip(analysis.phrases) {
            let best = found.regions.first();
            frames.push(PhraseFrame {
                scene: number,
                phrase,
                is_there,
                score: best.map_or(0.0, |region| region.score),
                evidence: best.map(|region| region.evidence),
            });
        }
    }
    Ok(frames)
}

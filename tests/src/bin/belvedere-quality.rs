//! `belvedere-quality`: how good the bundled model is, in a table.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use belvedere_tests::quality::{
    FilmRun, FilmTruth, Floors, Infer, Precision, ReferenceTokens, Scenes, Table, ask, measure_film,
    measure_pictures,
};
use clap::{Parser, ValueEnum};

/// Where the bundled model's files are.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny");
/// Five objects with their boxes are 38 tokens; a model that is not trained never ends by itself.
const MAX_NEW_TOKENS: usize = 64;

/// Measures how good the model is: asks `belvedere infer` about made-up pictures, and lets `belvedere demo` watch the
/// film.
///
/// Exit codes: 0 every floor holds, 1 one does not or nothing could be measured, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "belvedere-quality", max_term_width = 100)]
struct Options {
    /// The folder that models/tiny/held_out.py wrote.
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// How long to watch the film; 0 leaves it out.
    #[arg(long, default_value_t = 60, value_name = "N")]
    film_seconds: u64,
    /// What is in the film.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny/demo.json"), value_name = "FILE")]
    film_truth: PathBuf,
    /// The checkpoint's folder [default: the bundled one].
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Of the computation; the comparison with transformers is always exact.
    #[arg(long, value_enum, default_value_t = Precision::Fast, value_name = "PRECISION")]
    precision: Precision,
    /// What models/tiny/make_reference_tokens.py wrote; without it, the comparison with transformers is left out.
    #[arg(long, value_name = "FILE")]
    reference_tokens: Option<PathBuf>,
    /// What must be reached: a JSON object of measures and numbers.
    #[arg(long, value_name = "FILE")]
    floors: Option<PathBuf>,
    /// How the table is written.
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("belvedere-quality: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every floor holds.
fn measure(options: &Options) -> Result<bool> {
    let floors = options.floors.as_deref().map(Floors::open).transpose()?.unwrap_or_default();
    let Scenes { folder, scenes } = Scenes::open(&options.pictures)?;
    let infer =
        Infer { model: options.model.clone(), precision: options.precision, max_new_tokens: MAX_NEW_TOKENS };

    let answers = ask(&infer, &folder, &scenes)?;
    let mut measured = measure_pictures(&scenes, &answers)?;

    if let Some(path) = &options.reference_tokens {
        let reference = ReferenceTokens::open(path)?;
        let model = options.model.clone().unwrap_or_else(|| TINY.into());
        let compared = &scenes[..reference.check(&model, &scenes)?];
        let exact =
            Infer { precision: Precision::Exact, max_new_tokens: reference.max_new_tokens, ..infer.clone() };
        let (equal, differences) = reference.compare(compared, &ask(&exact, &folder, compared)?)?;
        measured.push(equal);
        for difference in differences {
            eprintln!("{difference}");
        }
    }

    if options.film_seconds > 0 {
        let truth = FilmTruth::open(&options.film_truth)?;
        let run = FilmRun::watch(&infer, &truth, options.film_seconds)?;
        measured.extend(measure_film(&run, &truth).context("the film")?);
    }

    let table = Table::new(&measured, &floors);
    match options.format {
        Format::Text => print!("{table}"),
        Format::Json => println!("{}", table.json()),
    }
    Ok(table.holds())
}

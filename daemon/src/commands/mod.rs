//! The commands, a file each.

mod bench;
mod calibrate;
mod check;
mod demo;
mod doctor;
mod error;
mod infer;
mod model;
mod probe;
mod pull;
mod run;
mod selftest;
mod table;

use crate::analyst::{Analyst, Loading};
use crate::building::BuildReporter;
use crate::cli::Command;
use crate::config::ModelSettings;
use crate::exit::Exit;

pub use calibrate::CalibrateError;
pub use error::CommandError;

/// Carries `command` out.
///
/// # Errors
/// What went wrong, with its exit code.
pub fn dispatch(command: &Command) -> Result<Exit, CommandError> {
    match command {
        Command::Run(file) => run::run(&file.config),
        Command::Check(file) => check::check(&file.config),
        Command::Demo(options) => demo::demo(options),
        Command::Infer(options) => infer::infer(options),
        Command::Model(command) => model::model(command),
        Command::Probe(options) => probe::probe(options),
        Command::Bench(options) => bench::bench(options),
        Command::Calibrate(options) => calibrate::calibrate(options),
        Command::Doctor(options) => doctor::doctor(options),
        Command::Selftest(options) => selftest::selftest(options),
    }
}

/// The model of a command; what is built for it shows on standard error.
fn load(settings: &ModelSettings) -> Result<Analyst, CommandError> {
    load_with(settings, Loading::default())
}

/// The same, with what the command asks of loading; how far it has come is told here.
fn load_with(settings: &ModelSettings, loading: Loading) -> Result<Analyst, CommandError> {
    let reporter = BuildReporter::on_terminal().map_err(CommandError::system("starting threads"))?;
    let loading = Loading { on_build: reporter.on_build(), ..loading };
    Ok(Analyst::load_with(settings, loading)?)
}

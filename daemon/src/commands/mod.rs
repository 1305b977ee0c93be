//! The commands, a file each.

mod bench;
mod calibrate;
mod check;
mod demo;
mod error;
mod infer;
mod model;
mod probe;
mod pull;
mod run;
mod table;

use crate::cli::Command;
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
    }
}

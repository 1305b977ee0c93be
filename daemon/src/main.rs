//! `belvedere`: parse, run, exit.

use std::process::ExitCode;

use belvedere::cli::Cli;
use belvedere::exit::Exit;
use belvedere::{commands, logging};
use clap::Parser;

fn main() -> ExitCode {
    run(&Cli::parse()).into()
}

fn run(cli: &Cli) -> Exit {
    if let Err(error) = logging::start(cli.log_format, &cli.log_level) {
        eprintln!("belvedere: --log-level {:?}: {error}", cli.log_level);
        return Exit::Usage;
    }
    match commands::dispatch(&cli.command) {
        Ok(exit) => exit,
        Err(error) => {
            error.lines().iter().for_each(|line| logging::say_failure(line));
            error.exit()
        }
    }
}

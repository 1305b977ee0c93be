//! `belvedere`: parse, run, exit.

use std::process::ExitCode;

use anyhow::Context;
use belvedere::cli::Cli;
use belvedere::exit::Exit;
use belvedere::{commands, logging};
use clap::Parser;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("belvedere: {error:#}");
            Exit::Failed.into()
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    logging::start(cli.log_format, &cli.log_level)
        .with_context(|| format!("--log-level {:?}", cli.log_level))?;
    Ok(match commands::dispatch(&cli.command) {
        Ok(exit) => exit,
        Err(error) => {
            for line in error.lines() {
                eprintln!("{line}");
            }
            error.exit()
        }
    })
}

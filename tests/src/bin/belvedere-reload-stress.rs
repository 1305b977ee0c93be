//! `belvedere-reload-stress`: configurations by the thousand, one after the other, while cameras are watched.

use std::process::ExitCode;

use belvedere_tests::reload_stress::{Plan, run};
use clap::Parser;

/// Lets a daemon take up random configurations, right and wrong, while two cameras are in all of them. Fails where those lose a
/// frame beyond their own rate, or where memory, threads, descriptors or pipelines are left behind.
#[derive(Debug, Parser)]
#[command(name = "belvedere-reload-stress", max_term_width = 100)]
struct Options {
    /// So many configurations.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    reloads: usize,
    /// Which ones [default: others each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// So many of the frames of cameras that nothing was changed of may be replaced by newer ones.
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    superseded: f64,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    match run(Plan { reloads: options.reloads, seed, allowed_superseded: options.superseded }) {
        Ok(verdict) => {
            print!("{verdict}");
            if verdict.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("belvedere-reload-stress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

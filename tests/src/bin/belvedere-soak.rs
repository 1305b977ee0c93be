//! `belvedere-soak`: cameras and a broker that are killed for hours, and what the daemon makes of it.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use belvedere_tests::soak::{Plan, run};
use clap::Parser;

/// Watches cameras of 1280x720 whose servers are killed one after the other, and whose broker is killed now and then. Fails where
/// memory, threads or descriptors grow, a camera is not back within 10 s of its server, or an alert is lost.
#[derive(Debug, Parser)]
#[command(name = "belvedere-soak", max_term_width = 100)]
struct Options {
    /// How long it runs.
    #[arg(long, default_value_t = 120.0, value_name = "M")]
    minutes: f64,
    /// Cameras, each with a server process of its own.
    #[arg(long, default_value_t = 8, value_name = "N")]
    cameras: usize,
    /// Frames per second of each stream; 1 of them is analysed.
    #[arg(long, default_value_t = 3, value_name = "N")]
    stream_fps: u32,
    /// A server is killed so often. A stream lasts 40 s: keep this below 40 s divided by the cameras.
    #[arg(long, default_value_t = 4.0, value_name = "S")]
    server_every: f64,
    /// The broker is killed so often.
    #[arg(long, default_value_t = 60.0, value_name = "S")]
    broker_every: f64,
    /// Where soak.csv, soak.svg and soak.txt go.
    #[arg(long, default_value = "soak", value_name = "DIR")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let plan = Plan {
        cameras: options.cameras.max(1),
        length: Duration::from_secs_f64(options.minutes * 60.0),
        server_every: Duration::from_secs_f64(options.server_every),
        broker_every: Duration::from_secs_f64(options.broker_every),
        stream_fps: options.stream_fps,
        out: options.out,
    };
    match run(&plan) {
        Ok(verdict) => {
            print!("{verdict}");
            if verdict.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("belvedere-soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

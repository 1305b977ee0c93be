//! What is to be tried on a machine with a GPU, without GStreamer, a broker or cameras: one file to carry there.

mod bench;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Times the stages of the model for batches of pictures: one line of JSON for each batch.
    Bench(bench::Bench),
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Bench(bench) => bench.run(),
    }
}

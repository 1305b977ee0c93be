//! What is to be tried on a machine with a GPU, without GStreamer, a broker or cameras: one file to carry there.

mod accuracy;
mod bench;
mod look;
mod make_checkpoint;
mod networks;
mod pictures;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says what is here: GPU and driver, TensorRT, ONNX Runtime and whether its CUDA provider can be used.
    Look(look::Look),
    /// Writes a checkpoint of full-size base with weights by chance.
    MakeCheckpoint(make_checkpoint::MakeCheckpoint),
    /// Compares a device's features, logits and answers with the CPU's in FP32: one line of JSON.
    Accuracy(accuracy::Accuracy),
    /// Times the stages of the model for batches of pictures: one line of JSON for each batch.
    Bench(bench::Bench),
}

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,ort=warn"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    match Arguments::parse().command {
        Command::Look(look) => look.run(),
        Command::MakeCheckpoint(make) => make.run(),
        Command::Accuracy(accuracy) => accuracy.run(),
        Command::Bench(bench) => bench.run(),
    }
}

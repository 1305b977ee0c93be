//! What the commands about checkpoints take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ModelChoice, OutputFormat};
use crate::hub::ModelName;

/// `belvedere model`
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Fetch a checkpoint from the model hub; what is there already is not fetched again.
    Pull(Pull),
    /// What a checkpoint is, and what it will need.
    Info {
        /// The checkpoint's folder.
        #[arg(value_name = "DIR")]
        model: PathBuf,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
        format: OutputFormat,
    },
    /// Build the engines of a model for this machine's GPU, which `run` does at its first start.
    Build {
        /// Which model, and where it is to run.
        #[command(flatten)]
        model: ModelChoice,
        /// Build this model's engines anew, those that are there already too. Engines of other models stay.
        #[arg(long)]
        rebuild: bool,
    },
    /// Write the ONNX graphs of a checkpoint into a folder.
    Export {
        /// The checkpoint's folder.
        #[arg(value_name = "DIR")]
        model: PathBuf,
        /// Where to write to; made if it is not there.
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
}

/// `belvedere model pull`
#[derive(Debug, Args)]
#[command(after_help = "\
A token is needed for models that are not for everybody: HF_TOKEN, --token-file, or, for the hub itself, the one
that `hf auth login` has left. An interrupted fetch is gone on with by the same command.")]
pub struct Pull {
    /// The model's name on the hub, such as microsoft/Florence-2-base-ft.
    #[arg(value_name = "OWNER/NAME", value_parser = parse_model_name)]
    pub model: ModelName,
    /// A branch, a tag or a commit.
    #[arg(long, default_value = "main", value_name = "REVISION")]
    pub revision: String,
    /// The hub, or a mirror of it.
    #[arg(
        long,
        env = "HF_ENDPOINT",
        hide_env_values = true,
        default_value = "https://huggingface.co",
        value_name = "URL"
    )]
    pub endpoint: String,
    /// A file with a token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The folder of models; the checkpoint goes into OWNER/NAME there [default: /var/lib/belvedere/models where the
    /// service is installed, else ~/.local/state/belvedere/models].
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

fn parse_model_name(name: &str) -> Result<ModelName, String> {
    name.parse().map_err(|error: crate::hub::HubError| error.to_string())
}

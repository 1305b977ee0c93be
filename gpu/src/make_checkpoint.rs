//! A checkpoint that need not be carried.

use std::path::PathBuf;

use anyhow::Context as _;
use belvedere_models::checkpoint::{FlorenceConfig, Layout};
use belvedere_models::synthetic::{StoredType, SyntheticModel};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct MakeCheckpoint {
    /// The folder, which is made.
    #[arg(long)]
    out: PathBuf,
    /// The tokenizer to put there.
    #[arg(long)]
    tokenizer: PathBuf,
}

impl MakeCheckpoint {
    /// Full-size base in float16: the weights that tests and scripts/bench_peers.py have, which float16 holds exactly.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let model = SyntheticModel::new(FlorenceConfig::base(), (768, 768));
        model.write(&self.out, Layout::Native, StoredType::F16)?;
        let place = self.out.join("tokenizer.json");
        std::fs::copy(&self.tokenizer, &place).with_context(|| place.display().to_string())?;
        println!("{}", self.out.display());
        Ok(())
    }
}

//! `belvedere bench`
use super::CommandError;
use crate::exit::Exit;
pub(super) fn bench(_: &crate::cli::Bench) -> Result<Exit, CommandError> {
    Ok(Exit::Done)
}

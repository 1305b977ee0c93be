//! The search settings of `text_config` and of `generation_config.json`, which are spelled alike.

use serde::{Deserialize, Deserializer};

use super::config::{GenerationDefaults, TextConfig};
use crate::ModelError;
use crate::decode::EarlyStopping;

#[derive(Default, Deserialize)]
pub(super) struct RawGeneration {
    no_repeat_ngram_size: Option<usize>,
    early_stopping: Option<RawEarlyStopping>,
    decoder_start_token_id: Option<u32>,
    eos_token_id: Option<RawIds>,
    // `null` says that nothing is forced; without the key, Florence-2's own token is.
    #[serde(default, deserialize_with = "present")]
    forced_bos_token_id: Option<Option<u32>>,
    #[serde(default, deserialize_with = "present")]
    forced_eos_token_id: Option<Option<RawIds>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawEarlyStopping {
    Flag(bool),
    Word(String),
}

/// Some libraries write a list where one id is meant.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawIds {
    One(u32),
    Several(Vec<u32>),
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl RawGeneration {
    /// What is said here, and `before` where nothing is said. `bad` makes the error of a key and a reason.
    ///
    /// # Errors
    /// A setting that is not supported, an id without a logit, an n-gram longer than any sequence.
    pub(super) fn over(
        self,
        before: GenerationDefaults,
        text: &TextConfig,
        bad: impl Fn(&str, String) -> ModelError,
    ) -> Result<GenerationDefaults, ModelError> {
        let one = |key: &str, ids: RawIds| match ids {
            RawIds::One(id) => Ok(id),
            RawIds::Several(ids) => match ids[..] {
                [id] => Ok(id),
                _ => Err(bad(key, format!("{ids:?} is not supported, only one token"))),
            },
        };
        let mut settings = before;
        settings.no_repeat_ngram = self.no_repeat_ngram_size.unwrap_or(settings.no_repeat_ngram);
        settings.decoder_start = self.decoder_start_token_id.unwrap_or(settings.decoder_start);
        settings.forced_bos = self.forced_bos_token_id.unwrap_or(settings.forced_bos);
        if let Some(ids) = self.eos_token_id {
            settings.eos = one("eos_token_id", ids)?;
        }
        if let Some(ids) = self.forced_eos_token_id {
            settings.forced_eos = ids.map(|ids| one("forced_eos_token_id", ids)).transpose()?;
        }
        match self.early_stopping {
            None => {}
            Some(RawEarlyStopping::Flag(true)) => settings.early_stopping = EarlyStopping::AtOnce,
            Some(RawEarlyStopping::Flag(false)) => settings.early_stopping = EarlyStopping::WhenUnlikely,
            Some(RawEarlyStopping::Word(word)) if word == "never" => {
                settings.early_stopping = EarlyStopping::Never;
            }
            Some(RawEarlyStopping::Word(word)) => {
                return Err(bad("early_stopping", format!("\"{word}\" is not true, false or \"never\"")));
            }
        }

        let rows = text.logit_rows();
        for (key, id) in [
            ("decoder_start_token_id", Some(settings.decoder_start)),
            ("eos_token_id", Some(settings.eos)),
            ("forced_bos_token_id", settings.forced_bos),
            ("forced_eos_token_id", settings.forced_eos),
        ] {
            if let Some(id) = id.filter(|id| *id as usize >= rows) {
                return Err(bad(key, format!("{id} is not one of the {rows} tokens")));
            }
        }
        if settings.no_repeat_ngram > text.max_positions {
            let reason = format!("{} is longer than any sequence", settings.no_repeat_ngram);
            return Err(bad("no_repeat_ngram_size", reason));
        }
        Ok(settings)
    }
}

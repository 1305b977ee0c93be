//! The checkpoint's tokenizer.

use std::path::{Path, PathBuf};

use tokenizers::AddedToken;

use super::added::{self, IMAGE};
use super::vocabulary::{LOCATION_BINS, MAX_TOKENS, Vocabulary};
use crate::error::ModelError;

/// How many rows an embedding may have beyond the tokenizer's tokens: the native layout pads 51289 to a multiple of 64.
const EMBEDDING_PADDING: usize = 64;

/// A checkpoint's `tokenizer.json`, with the tokens of Florence-2 added where the file lacks them.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocabulary: Vocabulary,
}

impl Tokenizer {
    /// Reads `tokenizer.json` at `file` for a model whose embedding has `embedding_rows` rows.
    ///
    /// Where the file lacks the added tokens (the `microsoft/Florence-2-*` repositories do), they are appended in the
    /// order of the original processor. That is right only for a checkpoint trained that way, so the number of rows
    /// must then fit: at least the tokens there are, and fewer than 64 more.
    ///
    /// # Errors
    /// Each names the file: it cannot be read, has ids that no vocabulary has, lacks `<s>`, `<pad>` or `</s>`, has only
    /// some of the location tokens or not as 1000 contiguous ids, or does not fit the embedding.
    pub fn open(file: &Path, embedding_rows: usize) -> Result<Self, ModelError> {
        let read = |cause| ModelError::TokenizerRead { file: file.to_owned(), cause };
        let bytes = std::fs::read(file).map_err(|cause| read(cause.into()))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(read)?;
        check_ids(&inner, file)?;
        // Saved processors carry these settings. Prompts are never cut silently, and batches are padded elsewhere.
        inner.with_truncation(None).map_err(read)?;
        inner.with_padding(None);

        let supplied = supply_added_tokens(&mut inner, file)?;
        let vocabulary = look_up(&inner, file)?;
        let tokens = vocabulary.len as usize;
        if supplied && !(tokens..tokens + EMBEDDING_PADDING).contains(&embedding_rows) {
            return Err(ModelError::LocationTokensUnsupplied {
                file: file.to_owned(),
                tokens,
                rows: embedding_rows,
            });
        }
        if tokens > embedding_rows {
            return Err(ModelError::TokenizerTooLarge {
                file: file.to_owned(),
                tokens,
                rows: embedding_rows,
            });
        }
        Ok(Self { inner, vocabulary })
    }

    /// The ids that have a meaning of their own, and the number of ids that can be generated.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The complete encoder ids of a text: `<s>`, its tokens, `</s>`. Special tokens written out in the text
    /// (`<loc_52>`, `<and>`) become those tokens.
    ///
    /// # Errors
    /// [`ModelError::Encode`] if the tokenizer's own model refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        // `<s>` and `</s>` are put around here and not by the file's post-processor, which a file may lack.
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|cause| ModelError::Encode { text: beginning(text), cause })?;
        let mut ids = Vec::with_capacity(encoding.len() + 2);
        ids.push(self.vocabulary.bos);
        ids.extend_from_slice(encoding.get_ids());
        ids.push(self.vocabulary.eos);
        Ok(ids)
    }

    /// The text of a run of ids, special tokens written out. Ids outside the vocabulary yield nothing. Bytes that do
    /// not form UTF-8 together (a run cut within a character) become U+FFFD.
    ///
    /// # Errors
    /// [`ModelError::Decode`] if the tokenizer's own decoder refuses the ids.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.decode_with(ids, false)
    }

    /// As [`decode`](Self::decode), special tokens left out. That deletes all geometry.
    ///
    /// # Errors
    /// [`ModelError::Decode`] if the tokenizer's own decoder refuses the ids.
    pub fn decode_plain(&self, ids: &[u32]) -> Result<String, ModelError> {
        self.decode_with(ids, true)
    }

    /// The token of an id as the vocabulary spells it; `None` outside the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    fn decode_with(&self, ids: &[u32], skip_special: bool) -> Result<String, ModelError> {
        self.inner.decode(ids, skip_special).map_err(|cause| ModelError::Decode {
            first: ids.first().copied().unwrap_or_default(),
            count: ids.len(),
            cause,
        })
    }
}

/// The first characters of a text, for an error message.
pub(crate) fn beginning(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Adding tokens counts on from the largest id, which must not be the largest that there is.
fn check_ids(inner: &tokenizers::Tokenizer, file: &Path) -> Result<(), ModelError> {
    match inner.get_vocab(true).into_iter().max_by_key(|(_, id)| *id) {
        Some((token, id)) if id as usize >= MAX_TOKENS => {
            Err(ModelError::TokenId { file: file.to_owned(), token: beginning(&token), id })
        }
        _ => Ok(()),
    }
}

/// Adds the tokens that the file lacks; says whether the location tokens were among them.
fn supply_added_tokens(inner: &mut tokenizers::Tokenizer, file: &Path) -> Result<bool, ModelError> {
    let mut missing =
        (0..LOCATION_BINS).map(added::location).filter(|token| inner.token_to_id(token).is_none());
    let first_missing = missing.next();
    let found = usize::from(LOCATION_BINS) - missing.count() - usize::from(first_missing.is_some());
    match first_missing {
        Some(missing) if found > 0 => {
            return Err(ModelError::LocationTokensIncomplete { file: file.to_owned(), found, missing });
        }
        _ => {}
    }
    let tokens: Vec<AddedToken> = added::in_reference_order()
        .filter(|token| inner.token_to_id(token).is_none())
        .map(|token| AddedToken::from(token, true))
        .collect();
    inner
        .add_special_tokens(tokens)
        .map_err(|cause| ModelError::TokenizerRead { file: file.to_owned(), cause })?;
    Ok(found == 0)
}

fn look_up(inner: &tokenizers::Tokenizer, file: &Path) -> Result<Vocabulary, ModelError> {
    let id = |token: &str| {
        inner
            .token_to_id(token)
            .ok_or_else(|| ModelError::TokenMissing { file: PathBuf::from(file), token: token.to_owned() })
    };
    let first_location = id("<loc_0>")?;
    for bin in 0..LOCATION_BINS {
        let token = added::location(bin);
        let (id, expected) = (id(&token)?, first_location.saturating_add(u32::from(bin)));
        if id != expected {
            return Err(ModelError::LocationTokensScattered { file: file.to_owned(), token, id, expected });
        }
    }
    // `<image>` is cut off where it is the last token; a fine-tune may have added others after it.
    let image = id(IMAGE)?;
    let last = inner.get_vocab(true).into_values().max().unwrap_or(image);
    Ok(Vocabulary {
        bos: id("<s>")?,
        pad: id("<pad>")?,
        eos: id("</s>")?,
        first_location,
        separator: id("<sep>")?,
        polygon_start: id("<poly>")?,
        polygon_end: id("</poly>")?,
        and: id("<and>")?,
        image,
        len: if image == last { image } else { last.saturating_add(1) },
    })
}

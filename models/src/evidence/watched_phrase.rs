//! A phrase that pictures are to be searched for.

use crate::error::ModelError;
use crate::tasks::{LocationBox, Prompt, PromptStyle, Task, TaskInput};
use crate::tokens::Tokenizer;

/// What stands before a noun and says nothing about a picture.
const ARTICLES: [&str; 3] = ["a", "an", "the"];

/// A phrase with everything that is asked about it in each picture, made once.
#[derive(Debug, Clone)]
pub struct WatchedPhrase {
    text: String,
    prompt: Prompt,
    name: PhraseName,
    max_tokens: usize,
}

impl WatchedPhrase {
    /// Prepares `text`; `max_tokens` as for [`Prompt::new`].
    ///
    /// # Errors
    /// It is empty, or too long for the model.
    pub fn new(tokenizer: &Tokenizer, text: &str, max_tokens: usize) -> Result<WatchedPhrase, ModelError> {
        let input = TaskInput::Text(text.to_owned());
        let style = PromptStyle::default();
        let prompt = Prompt::new(tokenizer, Task::OpenVocabularyDetection, input, style, max_tokens)?;
        let name = PhraseName::new(tokenizer, text)?;
        Ok(WatchedPhrase { text: text.to_owned(), prompt, name, max_tokens })
    }

    /// The phrase.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The question for its boxes.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// What the model takes beside the picture.
    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The phrase as the answer to a question for a region.
    pub(super) fn name(&self) -> &PhraseName {
        &self.name
    }

    /// The question "what is in this region?", whose answer is of the phrase's kind: a category for a phrase of one word,
    /// a description for others.
    pub(super) fn region_prompt(&self, tokenizer: &Tokenizer, bins: [u16; 4]) -> Result<Prompt, ModelError> {
        let region = LocationBox::from_bins(bins);
        let task = if self.name.words.len() > 1 { Task::RegionToDescription } else { Task::RegionToCategory };
        Prompt::new(tokenizer, task, TaskInput::Region(region), PromptStyle::default(), self.max_tokens)
    }
}

/// A phrase or a label without case and article, to be compared and to be said of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PhraseName {
    words: Vec<String>,
    token_ids: Vec<u32>,
}

impl PhraseName {
    pub(super) fn new(tokenizer: &Tokenizer, text: &str) -> Result<PhraseName, ModelError> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if words.len() > 1 && ARTICLES.iter().any(|article| article.eq_ignore_ascii_case(words[0])) {
            words.remove(0);
        }
        let complete = tokenizer.encode(&words.join(" "))?;
        // Without `<s>` and `</s>`.
        let token_ids = complete.get(1..complete.len().saturating_sub(1)).unwrap_or_default().to_vec();
        Ok(PhraseName { words: words.iter().map(|word| word.to_lowercase()).collect(), token_ids })
    }

    pub(super) fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    /// Whether both are the same words.
    pub(super) fn is_same_as(&self, other: &PhraseName) -> bool {
        self.words == other.words
    }

    /// Whether both can be true of one thing, as far as their words tell: each word of one is a word of the other.
    pub(super) fn agrees_with(&self, other: &PhraseName) -> bool {
        let within = |a: &PhraseName, b: &PhraseName| a.words.iter().all(|word| b.words.contains(word));
        within(self, other) || within(other, self)
    }
}

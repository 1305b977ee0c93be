//! How phrases are asked for.

use super::WatchedPhrase;
use crate::error::ModelError;
use crate::tasks::{Prompt, PromptStyle, Task, TaskInput};
use crate::tokens::Tokenizer;

/// How several phrases are asked for in one picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PhraseForm {
    /// A question for each, all in one batch.
    #[default]
    Each,
    /// One question for all, joined to a caption that is to be grounded: cheaper, and less sure.
    Grouped,
}

impl PhraseForm {
    /// The questions for `phrases`, each with the places of the phrases that it asks for. A group that is too long for the
    /// model is halved until it fits.
    ///
    /// # Errors
    /// A phrase alone is too long.
    pub fn questions(
        self,
        tokenizer: &Tokenizer,
        phrases: &[&WatchedPhrase],
    ) -> Result<Vec<(Prompt, Vec<usize>)>, ModelError> {
        match self {
            PhraseForm::Each => Ok(phrases
                .iter()
                .enumerate()
                .map(|(place, phrase)| (phrase.prompt().clone(), vec![place]))
                .collect()),
            PhraseForm::Grouped => {
                let places: Vec<usize> = (0..phrases.len()).collect();
                let mut questions = Vec::new();
                grouped(tokenizer, phrases, &places, &mut questions)?;
                Ok(questions)
            }
        }
    }
}

fn grouped(
    tokenizer: &Tokenizer,
    phrases: &[&WatchedPhrase],
    places: &[usize],
    questions: &mut Vec<(Prompt, Vec<usize>)>,
) -> Result<(), ModelError> {
    let texts: Vec<&str> = places.iter().filter_map(|place| Some(phrases.get(*place)?.text())).collect();
    let Some(max_tokens) = places.first().and_then(|place| Some(phrases.get(*place)?.max_tokens())) else {
        return Ok(());
    };
    // A caption as one would write it.
    let caption = match texts.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => texts.concat(),
    };
    let caption = TaskInput::Text(caption);
    match Prompt::new(tokenizer, Task::PhraseGrounding, caption, PromptStyle::default(), max_tokens) {
        Ok(prompt) => questions.push((prompt, places.to_vec())),
        Err(ModelError::PromptTooLong { .. }) if places.len() > 1 => {
            let (first, second) = places.split_at(places.len() / 2);
            grouped(tokenizer, phrases, first, questions)?;
            grouped(tokenizer, phrases, second, questions)?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

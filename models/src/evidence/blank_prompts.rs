//! Questions about a blank picture.

use std::collections::HashMap;

use crate::ModelError;
use crate::engine::{CancelToken, ImageFeatures, KeptPrompt, Pixels};
use crate::florence::Florence;
use crate::tasks::Prompt;

/// Prompts that are kept at most; full-size base holds 22 MB for each.
const MAX_KEPT: usize = 64;

/// What the encoder makes of questions about a blank picture. It is always the same, so that of the questions asked
/// lately it is kept.
pub(super) struct BlankPrompts {
    width: usize,
    height: usize,
    picture: Option<ImageFeatures>,
    /// By the prompt's text.
    kept: HashMap<String, Kept>,
    /// [`MAX_KEPT`], or as many as the engine had room for: a GPU may have less of it than was planned.
    most_kept: usize,
    pictures_looked_at: u64,
}

struct Kept {
    prompt: KeptPrompt,
    /// The last picture that it was asked about.
    asked_at: u64,
}

impl BlankPrompts {
    /// For a model that takes pictures of `width` by `height` pixels.
    pub(super) fn new(width: usize, height: usize) -> BlankPrompts {
        BlankPrompts {
            width,
            height,
            picture: None,
            kept: HashMap::new(),
            most_kept: MAX_KEPT,
            pictures_looked_at: 0,
        }
    }

    pub(super) fn has_kept(&self, prompt: &Prompt) -> bool {
        self.kept.contains_key(prompt.text())
    }

    pub(super) fn forget(&mut self, prompt: &Prompt) {
        self.kept.remove(prompt.text());
    }

    /// Gives up everything, the blank picture too.
    pub(super) fn forget_all(&mut self) {
        self.kept.clear();
        self.picture = None;
    }

    /// Another picture is looked at, with these questions: none of them makes room for another.
    pub(super) fn next_picture<'a>(&mut self, questions: impl Iterator<Item = &'a Prompt>) {
        self.pictures_looked_at += 1;
        for question in questions {
            if let Some(kept) = self.kept.get_mut(question.text()) {
                kept.asked_at = self.pictures_looked_at;
            }
        }
    }

    /// What the encoder makes of one of the picture's questions. It is kept where there is room, also that of what was
    /// not asked about this picture; with more questions about one picture than there is room for, the others are
    /// encoded each time. `None` where the engine has no room for it beside the others.
    ///
    /// # Errors
    /// The engine's others, and cancellation.
    pub(super) fn get(
        &mut self,
        florence: &mut Florence,
        question: &Prompt,
        cancel: &CancelToken,
    ) -> Result<Option<KeptPrompt>, ModelError> {
        if let Some(kept) = self.kept.get(question.text()) {
            return Ok(Some(kept.prompt.clone()));
        }
        let picture = self.picture(florence, cancel)?;
        // Before the engine is asked for more memory.
        let has_room = self.make_room();
        if !has_room && self.most_kept < MAX_KEPT {
            return Ok(None);
        }
        let prompt = match florence.keep_prompt(&picture, question.token_ids(), cancel) {
            Ok(prompt) => prompt,
            Err(error @ ModelError::Engine { .. }) => {
                self.most_kept = self.kept.len();
                tracing::warn!(%error, most = self.most_kept, "no room to keep more questions about a blank picture");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if has_room {
            let kept = Kept { prompt: prompt.clone(), asked_at: self.pictures_looked_at };
            self.kept.insert(question.text().to_owned(), kept);
        }
        Ok(Some(prompt))
    }

    /// What the vision tower makes of the blank picture.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub(super) fn picture(
        &mut self,
        florence: &mut Florence,
        cancel: &CancelToken,
    ) -> Result<ImageFeatures, ModelError> {
        if let Some(picture) = &self.picture {
            return Ok(picture.clone());
        }
        // Normalised, 0 is the mean of all pictures: a grey one.
        let grey = vec![0.0; 3 * self.width * self.height];
        let pixels = Pixels { width: self.width, height: self.height, data: &grey };
        Ok(self.picture.insert(florence.encode_image(pixels, cancel)?.0).clone())
    }

    fn make_room(&mut self) -> bool {
        if self.kept.len() < self.most_kept {
            return true;
        }
        let others = self.kept.iter().filter(|(_, kept)| kept.asked_at < self.pictures_looked_at);
        let oldest = others.min_by_key(|(_, kept)| kept.asked_at).map(|(text, _)| text.clone());
        oldest.is_some_and(|text| self.kept.remove(&text).is_some())
    }
}

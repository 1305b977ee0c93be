//! What is asked of the frames of a camera.

use std::collections::BTreeMap;
use std::sync::Arc;

use belvedere_models::{Prompt, Task, TaskInput, WatchedPhrase};

use super::WatchError;
use super::progress::CameraProgress;
use crate::alerts::{Phrase, Slug};
use crate::config::{CameraSettings, Mistake};
use crate::live::SightPhrase;
use crate::mqtt::topics;
use crate::prompter::Prompter;

/// What of `cameras` cannot be asked of the model of `prompter`.
pub fn unaskable(prompter: &Prompter, cameras: &[CameraSettings]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (index, camera) in cameras.iter().enumerate() {
        for (place, asked) in camera.tasks.iter().enumerate() {
            let input = asked.text.clone().map_or(TaskInput::Nothing, TaskInput::Text);
            if let Err(error) = prompter.prompt(asked.task, input) {
                let key = format!("camera[{index}].tasks[{place}]");
                mistakes.push(Mistake { key, what: error.to_string() });
            }
        }
        for (place, alert) in camera.alerts.iter().enumerate() {
            if let Err(error) = prompter.watched_phrase(alert.phrase.as_str()) {
                let key = format!("camera[{index}].alert[{place}].phrase");
                mistakes.push(Mistake { key, what: error.to_string() });
            }
        }
    }
    mistakes
}

/// One question of a camera.
pub(super) struct Asked {
    pub(super) task: Task,
    /// The phrase or the caption, where the task takes one.
    pub(super) input: Option<String>,
    pub(super) topic: String,
}

/// A phrase that frames are searched for.
pub(super) struct Sought {
    pub(super) watched: WatchedPhrase,
    /// As it is shown to whoever looks, with nothing found yet.
    pub(super) shown: SightPhrase,
}

/// What is asked of each frame of a camera. Prompts are made once.
pub(super) struct Questions {
    pub(super) prompts: Vec<Prompt>,
    /// What each prompt asks and where its answer goes.
    pub(super) answers: Vec<Asked>,
    /// What the frame may be searched for.
    pub(super) phrases: BTreeMap<Phrase, Sought>,
    pub(super) progress: Arc<CameraProgress>,
}

impl Questions {
    /// Those of `camera`, whose results go under `root`.
    ///
    /// # Errors
    /// A text or a phrase is too long for the model of `prompter`.
    pub(super) fn new(
        prompter: &Prompter,
        root: &str,
        camera: &CameraSettings,
        progress: Arc<CameraProgress>,
    ) -> Result<Questions, WatchError> {
        let mut questions =
            Questions { prompts: Vec::new(), answers: Vec::new(), phrases: BTreeMap::new(), progress };
        for asked in &camera.tasks {
            let task = asked.task;
            let input = asked.text.clone().map_or(TaskInput::Nothing, TaskInput::Text);
            let prompt = prompter.prompt(task, input).map_err(|reason| WatchError::Question {
                camera: camera.name.clone(),
                task: task.name(),
                reason: Box::new(reason),
            })?;
            questions.prompts.push(prompt);
            questions.answers.push(Asked {
                task,
                input: asked.text.clone(),
                topic: topics::result(root, &camera.name, task.name()),
            });
        }
        for alert in &camera.alerts {
            let phrase = &alert.phrase;
            let watched = prompter.watched_phrase(phrase.as_str()).map_err(|reason| WatchError::Phrase {
                camera: camera.name.clone(),
                phrase: phrase.to_string(),
                reason: Box::new(reason),
            })?;
            let shown = SightPhrase {
                phrase: phrase.to_string(),
                slug: Slug::of(phrase).to_string(),
                min_score: alert.rule.min_score.get(),
                regions: Vec::new(),
            };
            questions.phrases.insert(phrase.clone(), Sought { watched, shown });
        }
        Ok(questions)
    }
}

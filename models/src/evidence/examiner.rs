//! Gathers the evidence.

use super::blank_prompts::BlankPrompts;
use super::said_box::SaidBox;
use super::watched_phrase::PhraseName;
use super::{Evidence, FoundPhrase, FoundRegion, ScoreWeights, WatchedPhrase};
use crate::ModelError;
use crate::decode::Generation;
use crate::engine::{CancelToken, ImageFeatures, KeptPrompt};
use crate::florence::Florence;
use crate::parse::{Region, Shape};
use crate::tasks::{PictureSize, Prompt, Task};
use crate::tokens::Tokenizer;

/// Questions that are asked about the blank picture together.
const BLANK_TOGETHER: usize = 16;
/// Regions of one phrase that are asked back at most.
const MAX_CHECKED: usize = 4;
/// Rivals of one region at most.
const MAX_RIVALS: usize = 8;
/// A detected object whose label has more tokens is no rival: labels are a model's text, and every rival costs as much as
/// the longest.
const MAX_RIVAL_TOKENS: usize = 16;
/// A detected object is a rival for a region that it overlaps by this share of their union.
const SAME_PLACE: f32 = 0.5;

/// A question for phrases, and its answer.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Open-vocabulary detection of one phrase, or the grounding of several.
    pub prompt: &'a Prompt,
    /// What it asks for: each by its place among all phrases of the picture.
    pub phrases: &'a [usize],
    /// What the model said.
    pub answer: &'a Generation,
}

/// One picture, and what was asked about phrases in it.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What the vision tower made of the picture.
    pub features: &'a ImageFeatures,
    /// The picture's size in pixels.
    pub picture: PictureSize,
    /// All that is looked for.
    pub phrases: &'a [&'a WatchedPhrase],
    /// The questions for them.
    pub asked: &'a [Asked<'a>],
    /// What object detection found in the picture, if it was asked.
    pub detected: &'a [Region],
}

/// Gathers evidence about phrases, the cheap parts of all of them, the dear ones where those leave doubt.
///
/// - Location and label are read off the answer's own probabilities, which are those of a teacher-forced pass but for
///   the bans of the logits processors.
/// - Contrast is a pass of the decoder for every few phrases together, over what the encoder once made of each question and
///   a blank picture.
/// - The region check is a pass of the encoder and one of the decoder for every few regions in doubt together.
pub struct Examiner {
    weights: ScoreWeights,
    blank: BlankPrompts,
    has_warned: bool,
}

/// A region while evidence about it is gathered.
struct Candidate {
    phrase: usize,
    asked: usize,
    said: SaidBox,
    evidence: Evidence,
}

impl Examiner {
    /// For a model that takes pictures of `width` by `height` pixels.
    pub fn new(weights: ScoreWeights, width: usize, height: usize) -> Examiner {
        Examiner { weights, blank: BlankPrompts::new(width, height), has_warned: false }
    }

    /// From now on no score of the cheap parts is beyond doubt.
    pub fn check_every_region(&mut self) {
        self.weights.doubt = (0.0, 1.0);
    }

    /// Whether a question over the blank picture is kept.
    pub fn has_kept(&self, prompt: &Prompt) -> bool {
        self.blank.has_kept(prompt)
    }

    /// Gives up what is kept for a question that will not be asked again.
    pub fn forget(&mut self, prompt: &Prompt) {
        self.blank.forget(prompt);
    }

    /// What the answers say of each of the phrases, with scores.
    ///
    /// # Errors
    /// The engine's, and cancellation.
    pub fn examine(
        &mut self,
        florence: &mut Florence,
        tokenizer: &Tokenizer,
        look: Look<'_>,
        cancel: &CancelToken,
    ) -> Result<Vec<FoundPhrase>, ModelError> {
        let Look { picture, phrases, asked, .. } = look;
        let mut candidates = Vec::new();
        for (index, asked) in asked.iter().enumerate() {
            candidates.extend(read(tokenizer, phrases, index, asked)?);
        }
        self.contrast(florence, asked, &mut candidates, cancel)?;
        self.leave_out_surplus_doubt(&mut candidates);
        self.check_regions(florence, tokenizer, look, &mut candidates, cancel)?;
        let mut found = vec![FoundPhrase::default(); phrases.len()];
        for Candidate { phrase, said, evidence, .. } in candidates {
            let box_px = picture.box_px(said.bins);
            if let Some(found) = found.get_mut(phrase) {
                found.regions.push(FoundRegion { box_px, score: self.weights.score(&evidence), evidence });
            }
        }
        for found in &mut found {
            found.regions.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Ok(found)
    }

    fn contrast(
        &mut self,
        florence: &mut Florence,
        asked: &[Asked<'_>],
        candidates: &mut [Candidate],
        cancel: &CancelToken,
    ) -> Result<(), ModelError> {
        let mut with_boxes: Vec<usize> = candidates.iter().map(|candidate| candidate.asked).collect();
        with_boxes.dedup();
        let with_boxes: Vec<(usize, &Asked<'_>)> =
            with_boxes.into_iter().filter_map(|index| Some((index, asked.get(index)?))).collect();
        if with_boxes.is_empty() {
            return Ok(());
        }
        self.blank.next_picture(with_boxes.iter().map(|(_, asked)| asked.prompt));
        for together in with_boxes.chunks(BLANK_TOGETHER) {
            self.contrast_together(florence, together, candidates, cancel)?;
        }
        Ok(())
    }

    /// A question for which there is no room is encoded each time, and one that cannot be asked costs its phrases the
    /// contrast, and not everyone the picture.
    fn contrast_together(
        &mut self,
        florence: &mut Florence,
        asked: &[(usize, &Asked<'_>)],
        candidates: &mut [Candidate],
        cancel: &CancelToken,
    ) -> Result<(), ModelError> {
        let mut kept: Vec<KeptPrompt> = Vec::with_capacity(asked.len());
        let (mut known, mut not_kept) = (Vec::with_capacity(asked.len()), Vec::new());
        for (index, asked) in asked {
            match self.blank.get(florence, asked.prompt, cancel) {
                Ok(Some(prompt)) => {
                    kept.push(prompt);
                    known.push((*index, *asked));
                }
                Ok(None) => not_kept.push((*index, *asked)),
                Err(ModelError::Cancelled) => return Err(ModelError::Cancelled),
                Err(error) => self.go_without(asked.prompt, &error),
            }
        }
        let mut blank = Vec::with_capacity(asked.len());
        if !known.is_empty() {
            let answers = answers_of(&known);
            let scored = florence.score_kept(&kept.iter().collect::<Vec<_>>(), &answers, cancel);
            blank.extend(scored.inspect_err(|error| {
                // What is wrong may be what is kept.
                if !matches!(error, ModelError::Cancelled) {
                    self.blank.forget_all();
                }
            })?);
        }
        if !not_kept.is_empty() {
            let picture = self.blank.picture(florence, cancel)?;
            let prompts: Vec<&[u32]> = not_kept.iter().map(|(_, asked)| asked.prompt.token_ids()).collect();
            let answers = answers_of(&not_kept);
            blank.extend(florence.score(&picture, &prompts, &answers, 1, cancel)?);
        }
        known.extend(not_kept);
        for candidate in candidates {
            let place = known.iter().position(|(index, _)| *index == candidate.asked);
            let Some(((_, asked), blank)) = place.and_then(|at| Some((known.get(at)?, blank.get(at)?)))
            else {
                continue;
            };
            let seen = candidate.said.log_probs(&asked.answer.log_probs);
            let unseen = candidate.said.log_probs(blank);
            candidate.evidence.contrast = joint_mean(seen) - joint_mean(unseen);
        }
        Ok(())
    }

    /// Says so once as a warning: it comes again with each picture.
    fn go_without(&mut self, prompt: &Prompt, error: &ModelError) {
        let prompt = prompt.text();
        if std::mem::replace(&mut self.has_warned, true) {
            tracing::debug!(prompt, %error, "no contrast for a phrase");
        } else {
            tracing::warn!(prompt, %error, "a question over a blank picture cannot be kept: phrases are scored without contrast");
        }
    }

    /// Of a phrase's regions in doubt the best few are checked, and no others are left: an unchecked one must not stand
    /// above those that were checked and found wanting.
    fn leave_out_surplus_doubt(&self, candidates: &mut Vec<Candidate>) {
        let score = |candidate: &Candidate| self.weights.score(&candidate.evidence);
        candidates.sort_by(|a, b| a.phrase.cmp(&b.phrase).then(score(b).total_cmp(&score(a))));
        let (mut phrase, mut in_doubt) = (None, 0);
        candidates.retain(|candidate| {
            if phrase.replace(candidate.phrase) != Some(candidate.phrase) {
                in_doubt = 0;
            }
            in_doubt += usize::from(self.weights.is_in_doubt(&candidate.evidence));
            in_doubt <= MAX_CHECKED || !self.weights.is_in_doubt(&candidate.evidence)
        });
    }

    fn check_regions(
        &self,
        florence: &mut Florence,
        tokenizer: &Tokenizer,
        look: Look<'_>,
        candidates: &mut [Candidate],
        cancel: &CancelToken,
    ) -> Result<(), ModelError> {
        let phrases = look.phrases;
        let mut checks: Vec<(usize, Prompt, Vec<PhraseName>)> = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let Some(watched) = phrases.get(candidate.phrase) else { continue };
            if self.weights.is_in_doubt(&candidate.evidence) {
                let rivals = rivals(tokenizer, look, watched, candidate.said.bins)?;
                checks.push((index, watched.region_prompt(tokenizer, candidate.said.bins)?, rivals));
            }
        }
        let Some(most) = checks.iter().map(|(_, _, rivals)| rivals.len()).max() else { return Ok(()) };
        let prefix = florence.answer_prefix();
        let answer = |name: &PhraseName| [prefix.as_slice(), name.token_ids()].concat();
        let mut answers = Vec::with_capacity(checks.len() * (most + 1));
        for (index, _, rivals) in &checks {
            let own = candidates.get(*index).and_then(|candidate| phrases.get(candidate.phrase));
            let Some(own) = own.map(|phrase| answer(phrase.name())) else { continue };
            // All have as many rows: those with fewer rivals ask for themselves again.
            let missing = std::iter::repeat_n(own.clone(), most - rivals.len());
            answers.push(own);
            answers.extend(rivals.iter().map(answer).chain(missing));
        }
        let prompts: Vec<&[u32]> = checks.iter().map(|(_, prompt, _)| prompt.token_ids()).collect();
        let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
        let scored = florence.score(look.features, &prompts, &answers, most + 1, cancel)?;
        for ((index, _, rivals), scored) in checks.iter().zip(scored.chunks_exact(most + 1)) {
            let said = |row: &Vec<f32>| mean(row.get(prefix.len() - 1..).unwrap_or_default());
            if let (Some(candidate), Some((own, others))) = (candidates.get_mut(*index), scored.split_first())
            {
                candidate.evidence.region = Some(said(own));
                candidate.evidence.rival = others.iter().take(rivals.len()).map(said).max_by(f32::total_cmp);
            }
        }
        Ok(())
    }
}

/// The boxes of one answer, each with its phrase and what the answer itself tells. A label that is none of the asked
/// phrases belongs to the only one that was asked for, or to none.
fn read(
    tokenizer: &Tokenizer,
    phrases: &[&WatchedPhrase],
    index: usize,
    asked: &Asked<'_>,
) -> Result<Vec<Candidate>, ModelError> {
    let mut candidates = Vec::new();
    let has_polygons = asked.prompt.task() == Some(Task::OpenVocabularyDetection);
    for said in SaidBox::all(tokenizer, &asked.answer.token_ids, has_polygons)? {
        let phrase = match asked.phrases {
            [only] => *only,
            several => {
                let label = asked.answer.token_ids.get(said.label.clone()).unwrap_or_default();
                let label = PhraseName::new(tokenizer, &tokenizer.decode_plain(label)?)?;
                let is_meant = |phrase: &&usize| {
                    phrases.get(**phrase).is_some_and(|watched| watched.name().is_same_as(&label))
                };
                match several.iter().find(is_meant) {
                    Some(phrase) => *phrase,
                    None => continue,
                }
            }
        };
        let (label, location) = said.log_probs(&asked.answer.log_probs);
        let evidence = Evidence {
            location: mean(&location).exp(),
            label: mean(label),
            contrast: 0.0,
            region: None,
            rival: None,
        };
        candidates.push(Candidate { phrase, asked: index, said, evidence });
    }
    Ok(candidates)
}

/// What else could be in a region.
fn rivals(
    tokenizer: &Tokenizer,
    look: Look<'_>,
    own: &WatchedPhrase,
    bins: [u16; 4],
) -> Result<Vec<PhraseName>, ModelError> {
    let Look { picture, phrases, detected, .. } = look;
    let region_px = picture.box_px(bins);
    let mut rivals: Vec<PhraseName> = Vec::new();
    let detected = detected.iter().filter_map(|region| match region.shape {
        Shape::Box(box_px) if shared(box_px, region_px) >= SAME_PLACE => Some(region.label.as_str()),
        _ => None,
    });
    for label in detected {
        let rival = PhraseName::new(tokenizer, label)?;
        if rival.token_ids().len() <= MAX_RIVAL_TOKENS {
            rivals.push(rival);
        }
    }
    rivals.extend(phrases.iter().map(|phrase| phrase.name().clone()));
    rivals.retain(|rival| !rival.token_ids().is_empty() && !rival.agrees_with(own.name()));
    let mut different: Vec<PhraseName> = Vec::new();
    for rival in rivals {
        if different.len() < MAX_RIVALS && !different.contains(&rival) {
            different.push(rival);
        }
    }
    Ok(different)
}

fn answers_of<'a>(asked: &[(usize, &'a Asked<'_>)]) -> Vec<&'a [u32]> {
    asked.iter().map(|(_, asked)| asked.answer.token_ids.as_slice()).collect()
}

/// Intersection over union.
fn shared(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[x1, y1, x2, y2]: [f32; 4]| (x2 - x1).max(0.0) * (y2 - y1).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let union = area(a) + area(b) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

/// Of nothing it is the worst there is: what was not said is no evidence.
fn mean(log_probs: &[f32]) -> f32 {
    if log_probs.is_empty() {
        return super::score::FLOOR;
    }
    // A probability of 0 would make every mean minus infinity.
    log_probs.iter().map(|log_prob| log_prob.clamp(2.0 * super::score::FLOOR, 0.0)).sum::<f32>()
        / log_probs.len() as f32
}

fn joint_mean((label, location): (&[f32], Vec<f32>)) -> f32 {
    mean(&[label, &location].concat())
}

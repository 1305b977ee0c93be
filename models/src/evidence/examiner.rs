//! Gathers the evidence.

use std::collections::HashMap;

use super::said_box::SaidBox;
use super::watched_phrase::PhraseName;
use super::{Evidence, FoundPhrase, FoundRegion, ScoreWeights, WatchedPhrase};
use crate::ModelError;
use crate::decode::Generation;
use crate::engine::{CancelToken, ImageFeatures, KeptPrompt, Pixels};
use crate::florence::Florence;
use crate::parse::{Region, Shape};
use crate::tasks::{PictureSize, Prompt};
use crate::tokens::Tokenizer;

/// Prompts over the blank picture that are kept at most; full-size base holds 22 MB for each.
const MAX_KEPT: usize = 64;
/// Regions of one phrase that are asked back at most.
const MAX_CHECKED: usize = 4;
/// Rivals of one region at most.
const MAX_RIVALS: usize = 8;
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
/// - Contrast is one pass of the decoder for all phrases together, over what the encoder once made of each question and
///   a blank picture.
/// - The region check is one pass of the encoder and one of the decoder for all regions in doubt together.
pub struct Examiner {
    weights: ScoreWeights,
    width: usize,
    height: usize,
    blank: Option<ImageFeatures>,
    /// By the prompt's text.
    kept: HashMap<String, KeptPrompt>,
    /// [`MAX_KEPT`], or as many as the engine had room for.
    most_kept: usize,
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
        Examiner { weights, width, height, blank: None, kept: HashMap::new(), most_kept: MAX_KEPT }
    }

    /// From now on no score of the cheap parts is beyond doubt.
    pub fn check_every_region(&mut self) {
        self.weights.doubt = (0.0, 1.0);
    }

    /// Whether a question over the blank picture is kept.
    pub fn has_kept(&self, prompt: &Prompt) -> bool {
        self.kept.contains_key(prompt.text())
    }

    /// Gives up what is kept for a question that will not be asked again.
    pub fn forget(&mut self, prompt: &Prompt) {
        self.kept.remove(prompt.text());
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
            let [x1, y1, x2, y2] = said.bins;
            let box_px = [
                picture.x_px(x1.min(x2)),
                picture.y_px(y1.min(y2)),
                picture.x_px(x1.max(x2)),
                picture.y_px(y1.max(y2)),
            ];
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
        if self.kept.len() + with_boxes.len() > self.most_kept {
            self.kept.retain(|text, _| with_boxes.iter().any(|(_, asked)| asked.prompt.text() == text));
        }
        let prompts: Vec<&Prompt> = with_boxes.iter().map(|(_, asked)| asked.prompt).collect();
        let answers: Vec<&[u32]> =
            with_boxes.iter().map(|(_, asked)| asked.answer.token_ids.as_slice()).collect();
        let blank = if self.keep(florence, &prompts, cancel)? {
            let kept = prompts.iter().filter_map(|prompt| self.kept.get(prompt.text()));
            florence.score_kept(&kept.collect::<Vec<_>>(), &answers, cancel)?
        } else {
            let blank = self.blank(florence, cancel)?;
            let prompts: Vec<&[u32]> = prompts.iter().map(|prompt| prompt.token_ids()).collect();
            florence.score(&blank, &prompts, &answers, 1, cancel)?
        };
        for candidate in candidates {
            let place = with_boxes.iter().position(|(index, _)| *index == candidate.asked);
            let Some(((_, asked), blank)) = place.and_then(|at| Some((with_boxes.get(at)?, blank.get(at)?)))
            else {
                continue;
            };
            let seen = candidate.said.log_probs(&asked.answer.log_probs);
            let unseen = candidate.said.log_probs(blank);
            candidate.evidence.contrast = joint_mean(seen) - joint_mean(unseen);
        }
        Ok(())
    }

    /// Makes sure that prompts over the blank picture are kept; false where the engine has no room for them, which a GPU may
    /// have less of than was planned. Then what is kept goes, and is not missed: the prompts are encoded at each look.
    fn keep(
        &mut self,
        florence: &mut Florence,
        prompts: &[&Prompt],
        cancel: &CancelToken,
    ) -> Result<bool, ModelError> {
        if prompts.len() > self.most_kept {
            return Ok(false);
        }
        for prompt in prompts {
            if self.has_kept(prompt) {
                continue;
            }
            let blank = self.blank(florence, cancel)?;
            match florence.keep_prompt(&blank, prompt.token_ids(), cancel) {
                Ok(kept) => drop(self.kept.insert(prompt.text().to_owned(), kept)),
                Err(error @ ModelError::Engine { .. }) => {
                    self.most_kept = self.kept.len();
                    self.kept.clear();
                    tracing::warn!(%error, most = self.most_kept, "no room to keep more questions about a blank picture");
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn blank(&mut self, florence: &mut Florence, cancel: &CancelToken) -> Result<ImageFeatures, ModelError> {
        if let Some(blank) = &self.blank {
            return Ok(blank.clone());
        }
        // Normalised, 0 is the mean of all pictures: a grey one.
        let grey = vec![0.0; 3 * self.width * self.height];
        let pixels = Pixels { width: self.width, height: self.height, data: &grey };
        Ok(self.blank.insert(florence.encode_image(pixels, cancel)?.0).clone())
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
    for said in SaidBox::all(tokenizer, &asked.answer.token_ids) {
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
            location: mean(location).exp(),
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
    [x1, y1, x2, y2]: [u16; 4],
) -> Result<Vec<PhraseName>, ModelError> {
    let Look { picture, phrases, detected, .. } = look;
    let region_px = [
        picture.x_px(x1.min(x2)),
        picture.y_px(y1.min(y2)),
        picture.x_px(x1.max(x2)),
        picture.y_px(y1.max(y2)),
    ];
    let mut rivals: Vec<PhraseName> = Vec::new();
    let detected = detected.iter().filter_map(|region| match region.shape {
        Shape::Box(box_px) if shared(box_px, region_px) >= SAME_PLACE => Some(region.label.as_str()),
        _ => None,
    });
    for label in detected {
        rivals.push(PhraseName::new(tokenizer, label)?);
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

fn joint_mean((label, location): (&[f32], &[f32])) -> f32 {
    mean(&[label, location].concat())
}

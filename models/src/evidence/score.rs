//! From evidence to a score.

use super::Evidence;

/// How the parts of the evidence are weighed against each other.
///
/// The score is a logistic function of a weighted sum, the form in which logistic regression fits it:
///
/// `score = 1 / (1 + exp(-(bias + location·ln(location) + label·label + contrast·contrast
///                         + region·region + margin·(region - rival))))`
///
/// with log-probabilities of at least -12, and contrast and lead within 8 of 0; and the last two terms only where the
/// region was checked, for which there are weights of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreWeights {
    /// Of what the answer itself tells.
    pub cheap: Weights,
    /// Of everything, once the region has been asked back.
    pub full: Weights,
    /// A score of the cheap parts within these leaves doubt: the region is checked.
    pub doubt: (f32, f32),
}

/// The factors of [`ScoreWeights`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// The sum's beginning.
    pub bias: f32,
    /// Of the logarithm of [`Evidence::location`].
    pub location: f32,
    /// Of [`Evidence::label`].
    pub label: f32,
    /// Of [`Evidence::contrast`].
    pub contrast: f32,
    /// Of [`Evidence::region`].
    pub region: f32,
    /// Of the lead over the best rival; 0 where there is none.
    pub margin: f32,
}

/// Log-probabilities below this count as this.
pub(super) const FLOOR: f32 = -12.0;
/// Contrast and lead count within plus and minus this.
pub(super) const SPREAD: f32 = 8.0;

impl ScoreWeights {
    /// For the bundled model: what models/tiny/fit_scores.py made of half of 1500 held-out scenes.
    pub const BUNDLED: ScoreWeights = ScoreWeights {
        cheap: Weights {
            bias: 2.270,
            location: 1.950,
            label: 24.387,
            contrast: 0.838,
            region: 0.0,
            margin: 0.0,
        },
        full: Weights {
            bias: 2.737,
            location: 1.371,
            label: 16.168,
            contrast: 0.648,
            region: 1.280,
            margin: 0.365,
        },
        doubt: (0.02, 0.98),
    };

    /// For checkpoints that nobody has fitted weights for: a stated default, not a measurement. Contrast and region
    /// carry it, as they mean the same for every checkpoint; `belvedere calibrate` then finds the threshold.
    pub const UNFITTED: ScoreWeights = ScoreWeights {
        cheap: Weights { bias: -0.5, location: 0.5, label: 0.5, contrast: 1.0, region: 0.0, margin: 0.0 },
        full: Weights { bias: 0.5, location: 0.5, label: 0.5, contrast: 1.0, region: 0.5, margin: 0.5 },
        doubt: (0.02, 0.98),
    };

    /// Whether the region should be asked back.
    pub fn is_in_doubt(&self, evidence: &Evidence) -> bool {
        let score = self.score(&Evidence { region: None, rival: None, ..*evidence });
        (self.doubt.0..=self.doubt.1).contains(&score)
    }

    /// From 0 to 1. Evidence that is not finite scores 0.
    pub fn score(&self, evidence: &Evidence) -> f32 {
        let Evidence { location, label, contrast, region, rival } = *evidence;
        let parts = [location, label, contrast].into_iter().chain(region).chain(rival);
        if !parts.into_iter().all(f32::is_finite) {
            return 0.0;
        }
        let weights = if region.is_some() { &self.full } else { &self.cheap };
        let region = region.unwrap_or_default().max(FLOOR);
        let margin = rival.map_or(0.0, |rival| (region - rival.max(FLOOR)).clamp(-SPREAD, SPREAD));
        let sum = weights.bias
            + weights.location * location.ln().max(FLOOR)
            + weights.label * label.max(FLOOR)
            + weights.contrast * contrast.clamp(-SPREAD, SPREAD)
            + weights.region * region
            + weights.margin * margin;
        if sum.is_nan() { 0.0 } else { 1.0 / (1.0 + (-sum).exp()) }
    }
}

use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Boxes at IoU 0.5, kinds agreeing.
    ObjectDetectionF1,
    /// Of the matched boxes.
    ObjectDetectionMeanIou,
    /// Captions that name the right set of colours and kinds.
    CaptionSetAccuracy,
    /// Boxes at IoU 0.5, of phrases of things that are there.
    OpenVocabularyRecall,
    /// Kinds of what is in a given box.
    RegionCategoryAccuracy,
    /// Answers that are transformers', token for token.
    TokensEqual,
    /// As for pictures, through the whole daemon.
    FilmObjectDetectionF1,
    /// As for pictures, through the whole daemon.
    FilmObjectDetectionMeanIou,
    /// As for pictures, through the whole daemon.
    FilmOpenVocabularyRecall,
    /// Appearances of a watched phrase that alarmed, and once only.
    FilmAlertsOnce,
    /// Alarms without anything to alarm of.
    FilmFalseAlarms,
    /// Frames that the daemon answers for in a second, with all of its tasks.
    FilmFramesPerSecond,
    /// The most memory that the demonstration had in use.
    FilmPeakMemoryMb,
}

impl Measure {
    /// In the order of the table.
    pub const ALL: [Measure; 13] = [
        Measure::ObjectDetectionF1,
        Measure::ObjectDetectionMeanIou,
        Measure::CaptionSetAccuracy,
        Measure::OpenVocabularyRecall,
        Measure::RegionCategoryAccuracy,
        Measure::TokensEqual,
        Measure::FilmObjectDetectionF1,
        Measure::FilmObjectDetectionMeanIou,
        Measure::FilmOpenVocabularyRecall,
        Measure::FilmAlertsOnce,
        Measure::FilmFalseAlarms,
        Measure::FilmFramesPerSecond,
        Measure::FilmPeakMemoryMb,
    ];

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Measure::ObjectDetectionF1 => "pictures: object-detection, F1 at IoU 0.5",
            Measure::ObjectDetectionMeanIou => "pictures: object-detection, mean IoU",
            Measure::CaptionSetAccuracy => "pictures: caption, right set",
            Measure::OpenVocabularyRecall => "pictures: open-vocabulary, recall at 0.5",
            Measure::RegionCategoryAccuracy => "pictures: region-to-category, right",
            Measure::TokensEqual => "pictures: tokens equal to transformers'",
            Measure::FilmObjectDetectionF1 => "film: object-detection, F1 at IoU 0.5",
            Measure::FilmObjectDetectionMeanIou => "film: object-detection, mean IoU",
            Measure::FilmOpenVocabularyRecall => "film: open-vocabulary, recall at 0.5",
            Measure::FilmAlertsOnce => "film: appearances that alarm once",
            Measure::FilmFalseAlarms => "film: false alarms",
            Measure::FilmFramesPerSecond => "film: analysed frames a second",
            Measure::FilmPeakMemoryMb => "film: peak memory in MB",
        }
    }

    /// What the model should reach.
    pub fn bar(self) -> f64 {
        match self {
            Measure::ObjectDetectionF1 | Measure::FilmObjectDetectionF1 => 0.90,
            Measure::ObjectDetectionMeanIou | Measure::FilmObjectDetectionMeanIou => 0.80,
            Measure::CaptionSetAccuracy => 0.85,
            Measure::OpenVocabularyRecall | Measure::FilmOpenVocabularyRecall => 0.90,
            Measure::RegionCategoryAccuracy => 0.95,
            Measure::TokensEqual | Measure::FilmAlertsOnce => 1.0,
            Measure::FilmFalseAlarms => 0.0,
            Measure::FilmFramesPerSecond => 5.0,
            Measure::FilmPeakMemoryMb => 400.0,
        }
    }

    /// Whether less is better.
    pub fn less_is_better(self) -> bool {
        matches!(self, Measure::FilmPeakMemoryMb | Measure::FilmFalseAlarms)
    }

    /// Whether `value` is as good as `wanted`.
    pub fn reaches(self, value: f64, wanted: f64) -> bool {
        if self.less_is_better() { value <= wanted } else { value >= wanted }
    }
}

/// One number of the table.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What it says.
    pub measure: Measure,
    /// In the measure's unit.
    pub value: f64,
    /// What it was made of, for people.
    pub note: String,
}

impl Measured {
    /// A number with what it was made of.
    pub fn new(measure: Measure, value: f64, note: String) -> Self {
        Self { measure, value, note }
    }
}

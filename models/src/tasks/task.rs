//! The fifteen tasks of Florence-2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// A task that Florence-2 was trained on. Written in kebab-case (`object-detection`) everywhere outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Task {
    /// A sentence about the picture.
    Caption,
    /// A few sentences about the picture.
    DetailedCaption,
    /// A paragraph about the picture.
    MoreDetailedCaption,
    /// Boxes with category names.
    ObjectDetection,
    /// Boxes with short descriptions.
    DenseRegionCaption,
    /// Boxes without labels.
    RegionProposal,
    /// Boxes for the phrases of a caption that is given.
    PhraseGrounding,
    /// Boxes, or for written text polygons, for a phrase that is given.
    OpenVocabularyDetection,
    /// Polygons for a phrase that is given.
    ReferringExpressionSegmentation,
    /// Polygons for the object in a box that is given.
    RegionToSegmentation,
    /// The category of the object in a box that is given.
    RegionToCategory,
    /// A description of a box that is given.
    RegionToDescription,
    /// The text in a box that is given.
    RegionToOcr,
    /// The text in the picture.
    Ocr,
    /// The text in the picture with a quadrilateral for each piece.
    OcrWithRegion,
}

/// What a task wants beside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Nothing.
    Nothing,
    /// A phrase or a caption.
    Text,
    /// A box in the picture.
    Region,
}

/// Which of the reference's parsers reads a task's answer (spec section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// Words only.
    Text,
    /// Words, usually followed by the box that was asked about.
    RegionText,
    /// ( label box+ )*
    LabelledBoxes,
    /// box*
    Boxes,
    /// ( phrase box+ )*, without pronouns and the like.
    Grounding,
    /// ( label box+ )* or ( label polygon-object+ )*.
    BoxesOrPolygons,
    /// Polygon objects without labels.
    Polygons,
    /// ( text quad )*
    Quads,
}

struct Row {
    task: Task,
    name: &'static str,
    reference_name: &'static str,
    input: InputKind,
    /// Text before and after the input; all of it is before where there is none.
    template: (&'static str, &'static str),
    answer: AnswerKind,
}

/// Spec sections 6.3 and 7.2; in the order of [`Task`]'s variants.
const ROWS: [Row; 15] = {
    use AnswerKind as A;
    use InputKind::{Nothing, Region, Text};
    use Task as T;
    const fn row(
        task: Task,
        name: &'static str,
        reference_name: &'static str,
        input: InputKind,
        template: (&'static str, &'static str),
        answer: AnswerKind,
    ) -> Row {
        Row { task, name, reference_name, input, template, answer }
    }
    [
        row(T::Caption, "caption", "<CAPTION>", Nothing, ("What does the image describe?", ""), A::Text),
        row(
            T::DetailedCaption,
            "detailed-caption",
            "<DETAILED_CAPTION>",
            Nothing,
            ("Describe in detail what is shown in the image.", ""),
            A::Text,
        ),
        row(
            T::MoreDetailedCaption,
            "more-detailed-caption",
            "<MORE_DETAILED_CAPTION>",
            Nothing,
            ("Describe with a paragraph what is shown in the image.", ""),
            A::Text,
        ),
        row(
            T::ObjectDetection,
            "object-detection",
            "<OD>",
            Nothing,
            ("Locate the objects with category name in the image.", ""),
            A::LabelledBoxes,
        ),
        row(
            T::DenseRegionCaption,
            "dense-region-caption",
            "<DENSE_REGION_CAPTION>",
            Nothing,
            ("Locate the objects in the image, with their descriptions.", ""),
            A::LabelledBoxes,
        ),
        row(
            T::RegionProposal,
            "region-proposal",
            "<REGION_PROPOSAL>",
            Nothing,
            ("Locate the region proposals in the image.", ""),
            A::Boxes,
        ),
        row(
            T::PhraseGrounding,
            "phrase-grounding",
            "<CAPTION_TO_PHRASE_GROUNDING>",
            Text,
            ("Locate the phrases in the caption: ", ""),
            A::Grounding,
        ),
        row(
            T::OpenVocabularyDetection,
            "open-vocabulary-detection",
            "<OPEN_VOCABULARY_DETECTION>",
            Text,
            ("Locate ", " in the image."),
            A::BoxesOrPolygons,
        ),
        row(
            T::ReferringExpressionSegmentation,
            "referring-expression-segmentation",
            "<REFERRING_EXPRESSION_SEGMENTATION>",
            Text,
            ("Locate ", " in the image with mask"),
            A::Polygons,
        ),
        row(
            T::RegionToSegmentation,
            "region-to-segmentation",
            "<REGION_TO_SEGMENTATION>",
            Region,
            ("What is the polygon mask of region ", ""),
            A::Polygons,
        ),
        row(
            T::RegionToCategory,
            "region-to-category",
            "<REGION_TO_CATEGORY>",
            Region,
            ("What is the region ", "?"),
            A::RegionText,
        ),
        row(
            T::RegionToDescription,
            "region-to-description",
            "<REGION_TO_DESCRIPTION>",
            Region,
            ("What does the region ", " describe?"),
            A::RegionText,
        ),
        row(
            T::RegionToOcr,
            "region-to-ocr",
            "<REGION_TO_OCR>",
            Region,
            ("What text is in the region ", "?"),
            A::RegionText,
        ),
        row(T::Ocr, "ocr", "<OCR>", Nothing, ("What is the text in the image?", ""), A::Text),
        row(
            T::OcrWithRegion,
            "ocr-with-region",
            "<OCR_WITH_REGION>",
            Nothing,
            ("What is the text in the image, with regions?", ""),
            A::Quads,
        ),
    ]
};

impl Task {
    /// Every task.
    pub const ALL: [Task; 15] = {
        let mut all = [Task::Caption; 15];
        let mut index = 0;
        while index < all.len() {
            all[index] = ROWS[index].task;
            index += 1;
        }
        all
    };

    /// The name in commands, configuration, topics and messages, such as `object-detection`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The name in the reference implementations, such as `<OD>`. It is not a token.
    pub fn reference_name(self) -> &'static str {
        self.row().reference_name
    }

    /// What the task wants beside the picture.
    pub fn input(self) -> InputKind {
        self.row().input
    }

    pub(crate) fn answer(self) -> AnswerKind {
        self.row().answer
    }

    /// The prompt's text for an input that is already text.
    pub(crate) fn render(self, input: &str) -> String {
        let (before, after) = self.row().template;
        format!("{before}{input}{after}")
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Task {
    type Err = ModelError;

    /// Takes the kebab-case name only; the error names the nearest one.
    fn from_str(name: &str) -> Result<Self, ModelError> {
        Self::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| ModelError::UnknownTask {
            name: crate::tokens::beginning(name),
            nearest: nearest(name).name(),
        })
    }
}

impl TryFrom<String> for Task {
    type Error = ModelError;

    fn try_from(name: String) -> Result<Self, ModelError> {
        name.parse()
    }
}

impl From<Task> for &'static str {
    fn from(task: Task) -> Self {
        task.name()
    }
}

/// The task whose name shares most pairs of neighbouring letters with `name`.
fn nearest(name: &str) -> Task {
    let name = name.to_lowercase();
    let pairs =
        |text: &str| -> Vec<[u8; 2]> { text.as_bytes().windows(2).map(|pair| [pair[0], pair[1]]).collect() };
    let given = pairs(&name.chars().take(100).collect::<String>());
    let likeness = |candidate: &str| {
        let own = pairs(candidate);
        let shared = own.iter().filter(|pair| given.contains(pair)).count();
        // Shared pairs over all pairs, in whole thousandths.
        2000 * shared / (own.len() + given.len()).max(1)
    };
    let score = |task: &Task| likeness(task.name()).max(likeness(&task.reference_name().to_lowercase()));
    Task::ALL.into_iter().max_by_key(score).unwrap_or(Task::Caption)
}

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use belvedere_models::Task;

use super::{
    Answer, Infer, LabelledBox, Measure, Measured, Question, Scene, Tally, match_boxes, matching::share,
    named,
};

/// The answers about one picture. An empty scene has only the first two.
pub type Answers = BTreeMap<Task, Answer>;

/// The questions that every picture is asked, and those that need something to be there.
fn questions(folder: &Path, scene: &Scene) -> Vec<Question> {
    let image = folder.join(&scene.picture);
    let question = |task| Question { image: image.clone(), task, text: None, corners_px: None };
    let mut questions = vec![question(Task::ObjectDetection), question(Task::Caption)];
    if let Some(asked) = &scene.questions.open_vocabulary_detection {
        let text = Some(asked.phrase.clone());
        questions.push(Question { text, ..question(Task::OpenVocabularyDetection) });
    }
    if let Some(asked) = &scene.questions.region_to_category {
        let corners_px = Some(asked.corners_px);
        questions.push(Question { corners_px, ..question(Task::RegionToCategory) });
    }
    questions
}

/// Asks all that there is to ask about `scenes`, whose pictures are in `folder`, in one process.
pub fn ask(infer: &Infer, folder: &Path, scenes: &[Scene]) -> Result<Vec<Answers>> {
    let questions: Vec<Vec<Question>> = scenes.iter().map(|scene| questions(folder, scene)).collect();
    let mut answers = infer.ask(&questions.concat())?.into_iter();
    let of_scene = |asked: &Vec<Question>| asked.iter().map(|asked| asked.task).zip(&mut answers).collect();
    Ok(questions.iter().map(of_scene).collect())
}

/// What the answers are worth, each beside its scene.
pub fn measure_pictures(scenes: &[Scene], answers: &[Answers]) -> Result<Vec<Measured>> {
    let (mut objects, mut phrases) = (Tally::default(), Tally::default());
    let (mut captions, mut categories) = (Vec::new(), Vec::new());
    for (scene, answers) in scenes.iter().zip(answers) {
        let answer = |task: Task| answers.get(&task).with_context(|| format!("{}: no {task}", scene.picture));
        objects += match_boxes(&answer(Task::ObjectDetection)?.boxes, &scene.boxes(), &[]);
        captions.push(
            named(&answer(Task::Caption)?.text)
                .is_some_and(|found| found.into_iter().eq(scene.named.iter().cloned())),
        );
        if let Some(question) = &scene.questions.open_vocabulary_detection {
            // The label of every box is the phrase, in whatever words the model repeats it.
            let unnamed = |corners_px: [f64; 4]| LabelledBox::new("", corners_px);
            let there: Vec<_> = question.boxes.iter().copied().map(unnamed).collect();
            let found = &answer(Task::OpenVocabularyDetection)?.boxes;
            let found: Vec<_> = found.iter().map(|found| unnamed(found.corners_px)).collect();
            phrases += match_boxes(&found, &there, &[]);
        }
        if let Some(question) = &scene.questions.region_to_category {
            categories.push(answer(Task::RegionToCategory)?.text == question.kind);
        }
    }
    let right = |measure: Measure, answers: &[bool]| {
        let right = answers.iter().filter(|right| **right).count();
        Measured::new(measure, share(right, answers.len()), format!("{right} of {}", answers.len()))
    };
    Ok(vec![
        Measured::new(
            Measure::ObjectDetectionF1,
            objects.f1(),
            format!("precision {:.3}, recall {:.3}", objects.precision(), objects.recall()),
        ),
        Measured::new(
            Measure::ObjectDetectionMeanIou,
            objects.mean_iou(),
            format!("{} matched boxes", objects.matched),
        ),
        right(Measure::CaptionSetAccuracy, &captions),
        Measured::new(Measure::OpenVocabularyRecall, phrases.recall(), phrases.in_words()),
        right(Measure::RegionCategoryAccuracy, &categories),
    ])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use belvedere_models::Task;
    use serde_json::json;

    use super::{Answer, Answers, LabelledBox, Measure, Scene, measure_pictures, questions};

    /// A red car on the left and a blue car on the right.
    fn scene() -> Scene {
        let (left, right) = ([0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]);
        serde_json::from_value(json!({
            "picture": "scene.png", "crc32": 1, "named": [["blue", "car"], ["red", "car"]],
            "objects": [{"kind": "car", "colour": "red", "box": left}, {"kind": "car", "colour": "blue", "box": right}],
            "questions": {
                "object-detection": {"prompt": "?"}, "caption": {"prompt": "?"},
                "open-vocabulary-detection": {"prompt": "?", "phrase": "car", "boxes": [left, right]},
                "region-to-category": {"prompt": "?", "box": [0.5, 0.5, 9.5, 9.5], "kind": "car"},
            },
        }))
        .unwrap()
    }

    fn answers(caption: &str, category: &str, boxes: &[LabelledBox]) -> Answers {
        let answer =
            |text: &str| Answer { text: text.to_owned(), token_ids: Vec::new(), boxes: boxes.to_vec() };
        let tasks =
            [Task::ObjectDetection, Task::Caption, Task::OpenVocabularyDetection, Task::RegionToCategory];
        tasks.into_iter().zip(["", caption, "", category].map(answer)).collect()
    }

    fn value(scene: Scene, answers: Answers, measure: Measure) -> f64 {
        let measured = measure_pictures(&[scene], &[answers]).unwrap();
        measured.into_iter().find(|measured| measured.measure == measure).unwrap().value
    }

    #[test]
    fn right_answers_reach_one_everywhere() {
        let found = scene().boxes();
        let measured =
            measure_pictures(&[scene()], &[answers("red car and blue car", "car", &found)]).unwrap();
        assert_eq!(measured.len(), 5);
        assert!(measured.iter().all(|measured| measured.value == 1.0), "{measured:?}");
    }

    #[test]
    fn one_of_two_objects_is_half_the_recall_and_two_thirds_of_f1() {
        let found = &scene().boxes()[..1];
        let given = || answers("red car", "dog", found);
        assert_eq!(value(scene(), given(), Measure::ObjectDetectionF1), 2.0 / 3.0);
        assert_eq!(value(scene(), given(), Measure::OpenVocabularyRecall), 0.5);
        assert_eq!(value(scene(), given(), Measure::CaptionSetAccuracy), 0.0);
        assert_eq!(value(scene(), given(), Measure::RegionCategoryAccuracy), 0.0);
    }

    #[test]
    fn a_phrase_counts_by_its_boxes_and_object_detection_by_its_names_too() {
        let found: Vec<_> =
            scene().boxes().into_iter().map(|found| LabelledBox::new("truck", found.corners_px)).collect();
        assert_eq!(value(scene(), answers("", "", &found), Measure::OpenVocabularyRecall), 1.0);
        assert_eq!(value(scene(), answers("", "", &found), Measure::ObjectDetectionF1), 0.0);
    }

    #[test]
    fn a_question_that_was_not_answered_is_an_error_that_names_it() {
        let mut given = answers("", "", &[]);
        given.remove(&Task::RegionToCategory);
        let error = measure_pictures(&[scene()], &[given]).unwrap_err().to_string();
        assert!(error.contains("scene.png") && error.contains("region-to-category"), "{error}");
    }

    #[test]
    fn an_empty_scene_is_asked_two_questions_and_a_full_one_four() {
        let full = questions(Path::new("scenes"), &scene());
        assert_eq!(full.len(), 4);
        assert!(full.iter().all(|question| question.image == Path::new("scenes/scene.png")));
        assert_eq!(full[2].text.as_deref(), Some("car"));
        assert_eq!(full[3].corners_px, Some([0.5, 0.5, 9.5, 9.5]));
        let mut empty = scene();
        empty.questions.open_vocabulary_detection = None;
        empty.questions.region_to_category = None;
        assert_eq!(questions(Path::new("scenes"), &empty).len(), 2);
    }
}

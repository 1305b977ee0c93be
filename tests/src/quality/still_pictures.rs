use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result};
use belvedere_models::Task;

use super::{
    Answer, Infer, LabelledBox, Measure, Measured, Scene, Tally, match_boxes, matching::share, named,
};

/// The answers about one picture. An empty scene has only the first two.
pub type Answers = BTreeMap<Task, Answer>;

/// The questions that every picture is asked, and those that need something to be there.
fn questions(scene: &Scene) -> Vec<(Task, Vec<String>)> {
    let mut questions = vec![(Task::ObjectDetection, None), (Task::Caption, None)];
    if let Some(phrase) = &scene.questions.open_vocabulary_detection {
        questions.push((Task::OpenVocabularyDetection, Some(["--text".to_owned(), phrase.phrase.clone()])));
    }
    if let Some(region) = &scene.questions.region_to_category {
        let corners = region.corners_px.map(|px| px.to_string()).join(",");
        questions.push((Task::RegionToCategory, Some(["--region".to_owned(), corners])));
    }
    let command_line = |task: Task, input: Option<[String; 2]>| {
        let mut arguments = vec!["--task".to_owned(), task.name().to_owned()];
        arguments.extend(input.into_iter().flatten());
        arguments
    };
    questions.into_iter().map(|(task, input)| (task, command_line(task, input))).collect()
}

/// Asks all that there is to ask about `scenes`, whose pictures are in `folder`: one process a question, over all
/// pictures that share it.
pub fn ask(infer: &Infer, folder: &std::path::Path, scenes: &[Scene]) -> Result<Vec<Answers>> {
    let mut batches: BTreeMap<(Task, Vec<String>), Vec<usize>> = BTreeMap::new();
    for (number, scene) in scenes.iter().enumerate() {
        for question in questions(scene) {
            batches.entry(question).or_default().push(number);
        }
    }
    let batches: Vec<_> = batches.into_iter().collect();
    let answers = Mutex::new(vec![Answers::new(); scenes.len()]);
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(((task, question), numbers)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let pictures: Vec<PathBuf> =
                numbers.iter().map(|number| folder.join(&scenes[*number].picture)).collect();
            let found = infer.ask(question, &pictures)?;
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, answer) in numbers.iter().zip(found) {
                answers[*number].insert(*task, answer);
            }
        }
        Ok(())
    };
    // Most processes are there for one picture and spend their time on starting, which uses one core.
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| anyhow::anyhow!("a thread that asks panicked"))?
        })
    })?;
    Ok(answers.into_inner().unwrap_or_else(PoisonError::into_inner))
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
        Measured::new(
            Measure::OpenVocabularyRecall,
            phrases.recall(),
            format!(
                "{} of {} boxes, precision {:.3}",
                phrases.matched,
                phrases.matched + phrases.missed,
                phrases.precision()
            ),
        ),
        right(Measure::RegionCategoryAccuracy, &categories),
    ])
}

#[cfg(test)]
mod tests {
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
        let full = questions(&scene());
        assert_eq!(full.len(), 4);
        assert_eq!(full[2].1, ["--task", "open-vocabulary-detection", "--text", "car"]);
        assert_eq!(full[3].1, ["--task", "region-to-category", "--region", "0.5,0.5,9.5,9.5"]);
        let mut empty = scene();
        empty.questions.open_vocabulary_detection = None;
        empty.questions.region_to_category = None;
        assert_eq!(questions(&empty).len(), 2);
    }
}

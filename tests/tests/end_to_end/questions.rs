//! `belvedere infer --questions`: different questions about different images, asked of one process.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use belvedere_tests::{Process, belvedere, spawn_belvedere};
use serde_json::{Value, json};
use tempfile::TempDir;

const STREET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pictures/tiny_street.png");
const WITHIN: Duration = Duration::from_secs(60);

/// Puts a question and waits for the `count`-th answer.
fn ask(process: &mut Process, question: &Value, count: usize) -> Result<Value> {
    process.say(&question.to_string())?;
    let line = process.stdout.wait_for("an answer", WITHIN, |lines| lines.get(count - 1).cloned())?;
    Ok(serde_json::from_str(&line)?)
}

/// Without what no two runs share.
fn untimed(mut answer: Value) -> Value {
    if let Some(answer) = answer.as_object_mut() {
        answer.remove("timing_ms");
    }
    answer
}

#[test]
fn each_question_is_answered_when_it_comes_and_an_image_is_read_once_while_it_is_asked_about() -> Result<()> {
    let folder = TempDir::new()?;
    let (here, gone) = (folder.path().join("here.png"), folder.path().join("gone.png"));
    fs::copy(STREET, &here)?;
    fs::copy(STREET, &gone)?;
    let mut process = spawn_belvedere(&["infer", "--questions", "-"])?;

    let first = ask(&mut process, &json!({"image": gone, "task": "caption"}), 1)?;
    fs::remove_file(&gone)?;
    let phrase = json!({"image": gone, "task": "open-vocabulary-detection", "text": "red car"});
    let second = ask(&mut process, &phrase, 2)?;
    assert_eq!(second["input"], "red car");
    assert_eq!(second["timing_ms"]["vision"], first["timing_ms"]["vision"]);
    let region = json!({"image": here, "task": "region-to-category", "region": [83.2, 93.6, 198.4, 151.2]});
    let third = ask(&mut process, &region, 3)?;
    assert_eq!((&third["region"], &third["image"]), (&region["region"], &region["image"]));
    // Another image was asked about since: this one is to be read again.
    process.say(&phrase.to_string())?;
    process.stderr.wait_for("an error", WITHIN, |lines| {
        lines.iter().find(|line| line.contains("standard input:4: ") && line.contains("gone.png")).cloned()
    })?;
    process.say_no_more();
    assert_eq!(process.wait_exit(WITHIN)?.code(), Some(1));
    Ok(())
}

#[test]
fn an_answer_is_the_same_whether_it_is_asked_for_alone_or_among_others() -> Result<()> {
    let folder = TempDir::new()?;
    let (file, region) = (folder.path().join("questions.jsonl"), "83.2,93.6,198.4,151.2");
    let alone: [&[&str]; 4] = [
        &["--task", "object-detection"],
        &["--task", "open-vocabulary-detection", "--text", "red car"],
        &["--task", "region-to-category", "--region", region],
        &["--prompt", "What does the image describe?"],
    ];
    let lines = [
        json!({"image": STREET, "task": "object-detection"}),
        json!({"image": STREET, "task": "open-vocabulary-detection", "text": "red car"}),
        json!({"image": STREET, "task": "region-to-category", "region": [83.2, 93.6, 198.4, 151.2]}),
        json!({"image": STREET, "prompt": "What does the image describe?"}),
    ];
    fs::write(&file, lines.map(|line| line.to_string()).join("\n"))?;
    let together = belvedere(&["infer", "--questions", &file.to_string_lossy()], WITHIN)?;
    ensure!(together.status.success(), "{together:#?}");
    assert_eq!(together.stdout.lines().count(), 4, "{together:#?}");
    for (question, line) in alone.iter().zip(together.stdout.lines()) {
        let finished = belvedere(&[&["infer", "--format", "json"], *question, &[STREET]].concat(), WITHIN)?;
        ensure!(finished.status.success(), "{finished:#?}");
        assert_eq!(untimed(serde_json::from_str(line)?), untimed(serde_json::from_str(&finished.stdout)?));
    }
    Ok(())
}

#[test]
fn mistakes_are_said_with_their_file_and_line_and_the_other_lines_are_answered() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("questions.jsonl");
    let lines = [
        json!({"image": STREET, "task": "captoin"}).to_string(),
        json!({"image": STREET, "task": "caption"}).to_string(),
        String::new(),
        "{".to_owned(),
        json!({"image": STREET, "task": "region-to-category", "region": [0, 0, 100_000, 10]}).to_string(),
        json!({"image": "absent.png", "task": "caption"}).to_string(),
        json!({"image": STREET, "task": "object-detection"}).to_string(),
    ];
    fs::write(&file, lines.join("\n"))?;
    let file = file.to_string_lossy();
    let finished = belvedere(&["infer", "--questions", &file], WITHIN)?;
    let place = |line: usize| format!("{file}:{line}: ");
    finished
        .assert_fails_saying(1, &[&place(1), "\"caption\"", &place(4), &place(5), &place(6), "absent.png"]);
    let tasks: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["task"].take()))
        .collect::<Result<_>>()?;
    assert_eq!(tasks, ["caption", "object-detection"], "{finished:#?}");
    Ok(())
}

#[test]
fn a_file_that_is_not_there_is_named_and_images_beside_questions_are_refused() -> Result<()> {
    let finished = belvedere(&["infer", "--questions", "/nonexistent/questions.jsonl"], WITHIN)?;
    finished.assert_fails_saying(1, &["/nonexistent/questions.jsonl"]);
    for beside in [&["a.png"][..], &["--task", "ocr"], &["--text", "dog"], &["--annotate", "out.png"]] {
        let finished = belvedere(&[&["infer", "--questions", "-"], beside].concat(), WITHIN)?;
        finished.assert_fails_saying(2, &["--questions"]);
    }
    let finished = belvedere(&["infer", "--questions", "-", "--format", "text"], WITHIN)?;
    finished.assert_fails_saying(2, &["--questions"]);
    Ok(())
}

//! Requests about different pictures, on an engine that answers one picture at a time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use belvedere_models::decode::{DecoderConfig, EarlyStopping};
use belvedere_models::engine::scripted::ScriptedEngine;
use belvedere_models::{CancelToken, Florence, Generation, GenerationOptions, ModelError};

const COLUMNS: usize = 40;

/// A model that answers every prompt with its first token, then ends; the prompt that begins with 9 fails.
fn florence() -> Florence {
    let script = |prompt: &[u32], history: &[u32]| {
        let mut logits = vec![0.0; COLUMNS];
        let said = if history.len() < 3 { prompt[0] } else { 2 };
        logits[said as usize] = if prompt[0] == 9 { f32::NAN } else { 10.0 };
        logits
    };
    let decoder = DecoderConfig {
        vocabulary: COLUMNS,
        decoder_start: 2,
        eos: 2,
        forced_bos: Some(0),
        forced_eos: Some(2),
        no_repeat_ngram: 3,
        early_stopping: EarlyStopping::AtOnce,
        max_positions: 64,
    };
    Florence::with_engine(Box::new(ScriptedEngine::new(COLUMNS, script)), decoder)
}

fn said(generations: &[Generation]) -> Vec<u32> {
    generations.iter().map(|generation| generation.token_ids[2]).collect()
}

#[test]
fn each_turn_answers_the_oldest_submission_whole() {
    let mut florence = florence();
    let (features, cancel) = (ScriptedEngine::features(), CancelToken::new());
    let options = GenerationOptions::default();
    assert!(florence.turn(&cancel).unwrap().is_empty());
    assert_eq!(florence.slots(), None);
    let submit = |florence: &mut Florence, prompts: &[[u32; 1]]| {
        florence.submit(&features, prompts, &options).unwrap()
    };
    let first = submit(&mut florence, &[[5], [6]]);
    let second = submit(&mut florence, &[[9]]);
    let third = submit(&mut florence, &[[7]]);
    let fourth = submit(&mut florence, &[[8]]);
    florence.withdraw(third);
    assert_eq!(florence.in_flight(), 3);
    let mut turn = || {
        let mut answered = florence.turn(&cancel).unwrap();
        assert_eq!(answered.len(), 1);
        let answered = answered.remove(0);
        (answered.submission, answered.result.map(|generations| said(&generations)))
    };
    assert!(matches!(turn(), (submission, Ok(said)) if submission == first && said == [5, 6]));
    let (submission, failed) = turn();
    assert!(submission == second && matches!(failed, Err(ModelError::LogitsNotFinite { .. })));
    assert!(matches!(turn(), (submission, Ok(said)) if submission == fourth && said == [8]));
    assert_eq!(florence.in_flight(), 0);
}

#[test]
fn a_cancelled_turn_loses_nothing() {
    let mut florence = florence();
    let (features, options) = (ScriptedEngine::features(), GenerationOptions::default());
    let submission = florence.submit(&features, &[[5]], &options).unwrap();
    let cancelled = CancelToken::new();
    cancelled.cancel();
    assert!(matches!(florence.turn(&cancelled), Err(ModelError::Cancelled)));
    let answered = florence.turn(&CancelToken::new()).unwrap().remove(0);
    assert_eq!(answered.submission, submission);
    assert_eq!(said(&answered.result.unwrap()), [5]);
}

//! The search against transformers' own, on logits that both sides make from a hash.

use belvedere_models::decode::{DecoderConfig, EarlyStopping, Generation, GenerationOptions, generate};
use belvedere_models::engine::scripted::ScriptedEngine;
use belvedere_models::{CancelToken, Florence, ModelError};
use serde_json::Value;

fn mixed(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn logits(seed: u64, window: usize, eos_bonus: f64, vocabulary: usize, history: &[u32]) -> Vec<f32> {
    let recent = &history[history.len().saturating_sub(window)..];
    let state = recent
        .iter()
        .fold(mixed(seed), |state, token| mixed(state.wrapping_mul(31).wrapping_add(u64::from(*token) + 1)));
    (0..vocabulary as u64)
        .map(|i| {
            let bits = mixed(state.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(i + 1))) >> 40;
            let bonus = if i == 2 { eos_bonus } else { 0.0 };
            (bits as f64 / f64::from(1 << 24) * 6.0 + bonus) as f32
        })
        .collect()
}

fn config(vocabulary: usize) -> DecoderConfig {
    DecoderConfig {
        vocabulary,
        decoder_start: 2,
        eos: 2,
        forced_bos: Some(0),
        forced_eos: Some(2),
        no_repeat_ngram: 3,
        early_stopping: EarlyStopping::AtOnce,
        max_positions: 1024,
    }
}

fn run(
    engine: &mut ScriptedEngine,
    prompts: &[&[u32]],
    vocabulary: usize,
    options: &GenerationOptions,
) -> Result<Vec<Generation>, ModelError> {
    generate(engine, &ScriptedEngine::features(), prompts, &config(vocabulary), options, &CancelToken::new())
}

fn options_of(case: &Value) -> GenerationOptions {
    GenerationOptions {
        beams: case["beams"].as_u64().expect("beams") as usize,
        max_new_tokens: case["max_new_tokens"].as_u64().expect("max_new_tokens") as usize,
        min_new_tokens: case["min_new_tokens"].as_u64().expect("min_new_tokens") as usize,
        early_stopping: match case["early_stopping"].as_str().expect("early_stopping") {
            "true" => EarlyStopping::AtOnce,
            "false" => EarlyStopping::WhenUnlikely,
            _ => EarlyStopping::Never,
        },
        length_penalty: case["length_penalty"].as_f64().expect("length_penalty") as f32,
    }
}

#[test]
fn greedy_and_beam_search_choose_what_transformers_chooses() {
    let goldens: Value =
        serde_json::from_str(include_str!("../testdata/search_goldens.json")).expect("goldens");
    let cases = goldens["cases"].as_array().expect("cases");
    assert!(cases.len() > 600);
    assert!(cases.iter().filter(|case| case["min_new_tokens"] != 0).count() > 80);
    let mut wrong = Vec::new();
    for case in cases {
        let seed = case["seed"].as_u64().expect("seed");
        let window = case["window"].as_u64().expect("window") as usize;
        let bonus = case["eos_bonus"].as_f64().expect("eos_bonus");
        let vocabulary = case["vocabulary"].as_u64().expect("vocabulary") as usize;
        let mut engine = ScriptedEngine::new(vocabulary, move |_, history| {
            logits(seed, window, bonus, vocabulary, history)
        });
        let result =
            run(&mut engine, &[&[0, 2]], vocabulary, &options_of(case)).expect("a generation").remove(0);
        let ids: Vec<u64> = result.token_ids.iter().map(|id| u64::from(*id)).collect();
        let expected: Vec<u64> =
            case["token_ids"].as_array().expect("ids").iter().filter_map(Value::as_u64).collect();
        let scores: Vec<f64> =
            case["log_probs"].as_array().expect("scores").iter().filter_map(Value::as_f64).collect();
        let near = scores.len() == result.log_probs.len()
            && scores.iter().zip(&result.log_probs).all(|(a, b)| (a - f64::from(*b)).abs() < 5e-5);
        if ids != expected || !near {
            wrong.push(format!("{case}\n  got {ids:?} {:?}", result.log_probs));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong[..wrong.len().min(4)].join("\n")
    );
}

#[test]
fn a_batch_gives_every_prompt_what_it_gets_alone() {
    for beams in [1, 3] {
        let script = |prompt: &[u32], history: &[u32]| logits(u64::from(prompt[0]), 3, 1.0, 30, history);
        let options = GenerationOptions { beams, max_new_tokens: 40, ..GenerationOptions::default() };
        let prompts: Vec<[u32; 1]> = (1..=9).map(|seed| [seed]).collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(<[_; 1]>::as_slice).collect();
        let mut engine = ScriptedEngine::new(30, script);
        let together = run(&mut engine, &prompts, 30, &options).expect("a batch");
        let rows = engine.rows_per_call;
        assert!(rows.last() < rows.get(1), "rows leave the batch as they finish: {rows:?}");
        for (prompt, result) in prompts.iter().zip(together) {
            let alone =
                run(&mut ScriptedEngine::new(30, script), &[prompt], 30, &options).expect("one").remove(0);
            assert_eq!((alone.token_ids, alone.log_probs), (result.token_ids, result.log_probs));
        }
    }
}

#[test]
fn many_prompts_are_decoded_in_batches_of_a_bounded_size_and_answered_as_alone() {
    for (beams, most_rows) in [(1, 16), (3, 30)] {
        let script = |prompt: &[u32], history: &[u32]| logits(u64::from(prompt[0]), 3, 1.0, 30, history);
        let options = GenerationOptions { beams, max_new_tokens: 40, ..GenerationOptions::default() };
        let prompts: Vec<[u32; 1]> = (1..=40).map(|seed| [seed]).collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(<[_; 1]>::as_slice).collect();
        let mut engine = ScriptedEngine::new(30, script);
        let together = run(&mut engine, &prompts, 30, &options).expect("a batch");
        assert!(engine.rows_per_call.iter().all(|rows| *rows <= most_rows), "{:?}", engine.rows_per_call);
        assert_eq!(together.len(), 40);
        assert!(together.iter().all(|generation| generation.timing == together[0].timing));
        for (prompt, result) in prompts.iter().zip(together) {
            let alone =
                run(&mut ScriptedEngine::new(30, script), &[prompt], 30, &options).expect("one").remove(0);
            assert_eq!((alone.token_ids, alone.log_probs), (result.token_ids, result.log_probs));
        }
    }
}

#[test]
fn a_checkpoints_own_end_of_a_search_is_what_nobody_has_to_ask_for() {
    let decoder = DecoderConfig { early_stopping: EarlyStopping::WhenUnlikely, ..config(20) };
    let engine = ScriptedEngine::new(20, |_, history| logits(5, 3, 0.0, 20, history));
    let florence = Florence::with_engine(Box::new(engine), decoder);
    assert_eq!(florence.default_options().early_stopping, EarlyStopping::WhenUnlikely);
}

#[test]
fn columns_beyond_the_vocabulary_are_never_chosen() {
    let script = |_: &[u32], history: &[u32]| {
        let mut row = logits(5, 3, 0.0, 20, history);
        row.resize(24, 100.0);
        row
    };
    for beams in [1, 3] {
        let options = GenerationOptions { beams, max_new_tokens: 15, ..GenerationOptions::default() };
        let cut = run(&mut ScriptedEngine::new(24, script), &[&[1]], 20, &options).expect("a generation");
        let plain = run(&mut ScriptedEngine::new(20, |_, h| logits(5, 3, 0.0, 20, h)), &[&[1]], 20, &options);
        assert_eq!(cut[0].token_ids, plain.expect("a generation")[0].token_ids);
    }
}

#[test]
fn logits_that_are_not_finite_are_an_error_that_names_the_step() {
    for bad in [f32::NAN, f32::INFINITY] {
        let script = move |_: &[u32], history: &[u32]| {
            let mut row = logits(5, 3, -9.0, 20, history);
            if history.len() == 5 {
                row[7] = bad;
            }
            row
        };
        let result = run(&mut ScriptedEngine::new(20, script), &[&[1]], 20, &GenerationOptions::default());
        let Err(ModelError::LogitsNotFinite { step: 3, row: 0, .. }) = result else { panic!("{result:?}") };
    }
}

#[test]
fn cancelling_stops_before_the_next_step() {
    let cancel = CancelToken::new();
    let inner = cancel.clone();
    let mut engine = ScriptedEngine::new(20, move |_, history| {
        if history.len() == 6 {
            inner.cancel();
        }
        logits(5, 3, -9.0, 20, history)
    });
    let options = GenerationOptions::default();
    let result = generate(&mut engine, &ScriptedEngine::features(), &[&[1]], &config(20), &options, &cancel);
    assert!(matches!(result, Err(ModelError::Cancelled)), "{result:?}");
    assert_eq!(engine.rows_per_call.len(), 5);
}

#[test]
fn lengths_that_force_every_token_need_no_model() {
    for (max_new_tokens, expected) in [(1, vec![2, 2]), (2, vec![2, 0, 2])] {
        for beams in [1, 3] {
            let options = GenerationOptions { beams, max_new_tokens, ..GenerationOptions::default() };
            let mut engine = ScriptedEngine::new(20, |_, history| logits(5, 3, 0.0, 20, history));
            let result = run(&mut engine, &[&[1]], 20, &options).expect("a generation").remove(0);
            assert_eq!(result.token_ids, expected);
            assert!(result.log_probs.iter().all(|log_prob| *log_prob == 0.0));
        }
    }
}

#[test]
fn as_many_tokens_at_least_as_at_most_are_exactly_so_many() {
    for beams in [1, 3] {
        for tokens in [1, 2, 3, 17, 60] {
            let options = GenerationOptions {
                beams,
                max_new_tokens: tokens,
                min_new_tokens: tokens,
                ..GenerationOptions::default()
            };
            let mut engine = ScriptedEngine::new(20, |_, history| logits(5, 3, 9.0, 20, history));
            let result = run(&mut engine, &[&[1], &[7]], 20, &options).expect("generations");
            for generation in result {
                let ids = generation.token_ids;
                assert_eq!(ids.len(), tokens + 1);
                assert_eq!(ids.iter().skip(1).position(|id| *id == 2), Some(tokens - 1), "{ids:?}");
            }
        }
    }
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    for (options, name) in [
        (GenerationOptions { beams: 0, ..GenerationOptions::default() }, "beams"),
        (GenerationOptions { beams: 17, ..GenerationOptions::default() }, "beams"),
        (GenerationOptions { max_new_tokens: 0, ..GenerationOptions::default() }, "max_new_tokens"),
        (GenerationOptions { length_penalty: f32::NAN, ..GenerationOptions::default() }, "length_penalty"),
    ] {
        let mut engine = ScriptedEngine::new(20, |_, history| logits(5, 3, 0.0, 20, history));
        let error = run(&mut engine, &[&[1]], 20, &options).expect_err("refused").to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

//! Token for token what transformers generates, and answers as probable as it holds them, for every shape, picture and task of `testdata/goldens.json`.
//!
//! Needs an ONNX Runtime library, found as the program finds it (`ORT_DYLIB_PATH`, or installed).

use std::path::{Path, PathBuf};

use belvedere_kernels::{ImageView, Plane, PreprocessPlan, PreprocessSpec};
use belvedere_models::checkpoint::{FlorenceConfig, Layout};
use belvedere_models::engine::Pixels;
use belvedere_models::synthetic::{StoredType, SyntheticModel};
use belvedere_models::{
    CancelToken, Checkpoint, Florence, GenerationOptions, ImageFeatures, LoadOptions, Precision,
};
use serde_json::Value;

/// Below this distance of first and second choice, a greedy token is decided by f32 rounding: twice the noise by which
/// the script that makes the goldens finds beam searches that are.
const ROUNDING: f64 = 4e-5;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn goldens() -> Value {
    let text = std::fs::read_to_string(testdata().join("goldens.json")).expect("goldens");
    serde_json::from_str(&text).expect("JSON")
}

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|id| id as u32).collect()
}

fn size(shape: &Value) -> (u32, u32) {
    let side = |i: usize| shape["image_size"][i].as_u64().expect("a side") as u32;
    (side(0), side(1))
}

/// The shape's model, written into a folder as the hub ships it.
fn checkpoint(shape: &Value, folder: &Path) -> Checkpoint {
    let (config, _) =
        FlorenceConfig::from_json(&shape["config"].to_string(), folder).expect("a configuration");
    let layout = if shape["layout"] == "native" { Layout::Native } else { Layout::Original };
    let stored = match shape["dtype"].as_str() {
        Some("F16") => StoredType::F16,
        Some("BF16") => StoredType::Bf16,
        _ => StoredType::F32,
    };
    let salt = shape["salt"].as_u64().expect("salt");
    SyntheticModel { salt, ..SyntheticModel::new(config, size(shape)) }
        .write(folder, layout, stored)
        .expect("written");
    Checkpoint::open(folder).expect("a checkpoint")
}

fn pixels(picture: &str, (width, height): (u32, u32)) -> Vec<f32> {
    let file = std::fs::File::open(testdata().join("pictures").join(picture)).expect("a picture");
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("pixels");
    assert_eq!(info.color_type, png::ColorType::Rgb);
    let plane = Plane { bytes: &bytes, stride: info.line_size };
    let view = ImageView::rgb8(info.width, info.height, plane).expect("a view");
    let mut plan = PreprocessPlan::new(PreprocessSpec::imagenet(width, height)).expect("a plan");
    plan.run(&view).expect("pixels").data
}

/// What comparing one model with its goldens found.
#[derive(Default)]
struct Comparison {
    sequences: usize,
    /// Tokens of given answers.
    given: usize,
    wrong: Vec<String>,
    /// How far the farthest number of each kind is off, right or not.
    farthest: Farthest,
}

#[derive(Debug, Default)]
struct Farthest {
    feature: f64,
    log_prob: f64,
    given: f64,
    /// Between an answer's log-probabilities in a batch with others and over a kept prompt.
    kept: f64,
}

/// Whether two numbers are this near each other; the largest distance is kept.
fn is_near(ours: f64, theirs: f64, limit: f64, farthest: &mut f64) -> bool {
    let distance = (ours - theirs).abs();
    *farthest = farthest.max(distance);
    distance <= limit
}

fn compare(shape: &Value, openvino: Option<bool>) -> Comparison {
    let folder = tempfile::tempdir().expect("a folder");
    let (width, height) = size(shape);
    let options =
        LoadOptions { width, height, precision: Precision::Exact, openvino, ..LoadOptions::default() };
    let mut model = Florence::load(&checkpoint(shape, folder.path()), &options).expect("a model");
    let cancel = CancelToken::new();
    let max_new_tokens = shape["max_new_tokens"].as_u64().expect("max_new_tokens") as usize;
    let mut found = Comparison::default();
    for picture in array(shape, "pictures") {
        let name = picture["picture"].as_str().expect("a name");
        let data = pixels(name, (width, height));
        let pixels = Pixels { width: width as usize, height: height as usize, data: &data };
        let (features, _) = model.encode_image(pixels, &cancel).expect("features");
        if let Some(values) = features.storage::<Vec<f32>>() {
            for sample in array(&picture["features"], "samples") {
                let at = sample[0].as_u64().expect("a row") as usize * features.dim
                    + sample[1].as_u64().expect("a column") as usize;
                let expected = sample[2].as_f64().expect("a value");
                if !is_near(f64::from(values[at]), expected, 1e-4, &mut found.farthest.feature) {
                    found.wrong.push(format!(
                        "{} {name}: feature {at} is {}, expected {expected}",
                        shape["name"], values[at]
                    ));
                }
            }
        }
        let runs = array(picture, "runs");
        if openvino.is_none() {
            compare_given_answers(&mut model, &features, runs, &mut found);
        }
        let prompts: Vec<Vec<u32>> = runs.iter().map(|run| ids(&run["prompt_ids"])).collect();
        for (key, beams) in [("greedy", 1), ("beams", 3)] {
            let options = GenerationOptions { beams, max_new_tokens, ..GenerationOptions::default() };
            // All prompts of a frame as one batch; the goldens were made one prompt at a time.
            let batch = model.generate(&features, &prompts, &options, &cancel).expect("a batch");
            for ((run, prompt), generation) in runs.iter().zip(&prompts).zip(batch) {
                let golden = &run[key];
                let close = golden["margin"].as_f64().is_some_and(|margin| margin < ROUNDING);
                if close || golden["stable"] == false {
                    continue;
                }
                found.sequences += 1;
                let what = format!("{} {name} {} {key}", shape["name"], run["task"]);
                if generation.token_ids != ids(&golden["ids"]) {
                    found.wrong.push(format!(
                        "{what}: {:?}, expected {:?}",
                        generation.token_ids,
                        ids(&golden["ids"])
                    ));
                    continue;
                }
                for (ours, theirs) in generation.log_probs.iter().zip(array(golden, "log_probs")) {
                    let expected = theirs.as_f64().expect("a number");
                    if !is_near(f64::from(*ours), expected, 2e-3, &mut found.farthest.log_prob) {
                        found.wrong.push(format!("{what}: log-prob {ours}, expected {theirs}"));
                    }
                }
                // One of each picture alone.
                if run["task"] == "<OD>" {
                    let alone =
                        model.generate(&features, &[prompt], &options, &cancel).expect("one").remove(0);
                    if alone.token_ids != generation.token_ids {
                        found.wrong.push(format!("{what}: alone {:?}", alone.token_ids));
                    }
                }
            }
        }
    }
    let given = found.given;
    assert!(openvino.is_some() || given >= 500, "{}: only {given} tokens of given answers", shape["name"]);
    found
}

/// Gives the model the answers of the goldens' beam searches about one picture, whose log-probabilities are those before
/// any ban, beside other answers and over prompts of other lengths.
fn compare_given_answers(
    model: &mut Florence,
    features: &ImageFeatures,
    runs: &[Value],
    found: &mut Comparison,
) {
    let cancel = CancelToken::new();
    let prompts: Vec<Vec<u32>> = runs.iter().map(|run| ids(&run["prompt_ids"])).collect();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let answers: Vec<Vec<u32>> =
        runs.iter().flat_map(|run| [ids(&run["greedy"]["ids"]), ids(&run["beams"]["ids"])]).collect();
    let answers: Vec<&[u32]> = answers.iter().map(Vec::as_slice).collect();
    let given = model.score(features, &prompts, &answers, 2, &cancel).expect("scores");
    let keep = |prompt: &&[u32]| model.keep_prompt(features, prompt, &cancel).expect("a kept prompt");
    let kept: Vec<_> = prompts.iter().map(keep).collect();
    let of_beams: Vec<&[u32]> = answers.iter().skip(1).step_by(2).copied().collect();
    let later = model.score_kept(&kept.iter().collect::<Vec<_>>(), &of_beams, &cancel).expect("scores");
    for ((run, given), later) in runs.iter().zip(given.iter().skip(1).step_by(2)).zip(&later) {
        let golden = array(&run["beams"], "log_probs");
        assert_eq!((given.len(), later.len()), (golden.len(), golden.len()), "{}", run["task"]);
        for ((ours, again), theirs) in given.iter().zip(later).zip(golden) {
            let theirs = theirs.as_f64().expect("a number");
            // That of a forced token, the second and perhaps the last.
            if theirs == 0.0 {
                continue;
            }
            found.given += 1;
            let (ours, again) = (f64::from(*ours), f64::from(*again));
            let is_right = is_near(ours, theirs, 2e-3, &mut found.farthest.given);
            if !is_near(ours, again, 1e-4, &mut found.farthest.kept) || !is_right {
                found.wrong.push(format!("{} given: {ours} and {again}, expected {theirs}", run["task"]));
            }
        }
    }
}

fn compare_all(openvino: Option<bool>) {
    let goldens = goldens();
    let shapes = array(&goldens, "shapes");
    let mut wrong = Vec::new();
    for shape in shapes {
        let Comparison { sequences, wrong: differences, farthest, .. } = compare(shape, openvino);
        println!("{}: {sequences} sequences, {} differences; {farthest:?}", shape["name"], differences.len());
        assert!(sequences >= 60, "{}: only {sequences} sequences to compare", shape["name"]);
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn exact_precision_generates_what_transformers_generates_on_the_provider_that_auto_chooses() {
    compare_all(None);
}

#[test]
fn exact_precision_generates_what_transformers_generates_on_onnx_runtime_alone() {
    compare_all(Some(false));
}

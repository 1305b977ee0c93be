//! What transformers generates, on the engine for GPUs.

use std::path::Path;

use belvedere_kernels_host::HostDevice;
use belvedere_models::engine::tensorrt::Profiles;
use belvedere_models::graph::Element;
use belvedere_models::{CancelToken, GenerationOptions};
use serde_json::Value;

use crate::models::Model;

/// Below this distance of first and second choice a token is decided by rounding; see `equality.rs`.
const ROUNDING: f64 = 4e-5;

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).map(|id| id as u32).collect()
}

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn the_smallest_shape_of_the_goldens_generates_what_transformers_generates() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/goldens.json");
    let goldens: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let shape = array(&goldens, "shapes").iter().find(|shape| shape["name"] == "tiny").unwrap();
    let model = Model::of_goldens(shape);
    let device = HostDevice::seeded(11);
    let profiles = Profiles::new(model.image_tokens(), model.config.text.max_positions, 8);
    let mut gpu = model.on_device(model.engine(&device, &profiles, Element::F32));
    let cancel = CancelToken::new();
    let max_new_tokens = shape["max_new_tokens"].as_u64().unwrap() as usize;
    let mut compared = 0;
    for picture in array(shape, "pictures") {
        let data = model.picture(picture["picture"].as_str().unwrap());
        let (features, _) = gpu.encode_image(model.pixels(&data), &cancel).unwrap();
        let runs = array(picture, "runs");
        let prompts: Vec<Vec<u32>> = runs.iter().map(|run| ids(&run["prompt_ids"])).collect();
        for (key, beams) in [("greedy", 1), ("beams", 3)] {
            let options = GenerationOptions { beams, max_new_tokens, ..GenerationOptions::default() };
            let found = gpu.generate(&features, &prompts, &options, &cancel).unwrap();
            for (run, found) in runs.iter().zip(found) {
                let golden = &run[key];
                let close = golden["margin"].as_f64().is_some_and(|margin| margin < ROUNDING);
                if close || golden["stable"] == false {
                    continue;
                }
                compared += 1;
                let what = format!("{} {} {key}", picture["picture"], run["task"]);
                assert_eq!(found.token_ids, ids(&golden["ids"]), "{what}");
                for (ours, theirs) in found.log_probs.iter().zip(array(golden, "log_probs")) {
                    assert!((f64::from(*ours) - theirs.as_f64().unwrap()).abs() < 2e-3, "{what}");
                }
            }
        }
    }
    assert!(compared >= 60, "only {compared} sequences");
}

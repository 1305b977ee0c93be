//! Checkpoint folders, good and damaged.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{SafeTensors, TensorView, serialize_to_file};
use tempfile::TempDir;

use super::inventory::{LM_HEAD, SHARED};
use super::*;
use crate::ModelError;
use crate::decode::EarlyStopping;
use crate::synthetic::{StoredType, SyntheticModel};
use crate::tokens::Tokenizer;

type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn model() -> SyntheticModel {
    let mut config = FlorenceConfig::of_widths([32, 32, 64, 64], 1, 64, 1, 1);
    config.text.vocabulary = 100;
    config.text.max_positions = 80;
    SyntheticModel::new(config, (96, 64))
}

fn folder(layout: Layout, stored: StoredType) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    model().write(dir.path(), layout, stored).unwrap();
    dir
}

/// Changes the tensors of a folder's file.
fn rewrite(dir: &Path, change: impl FnOnce(&mut Stored)) {
    let path = dir.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Stored = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut tensors);
    write(&path, &tensors);
}

fn write(path: &Path, tensors: &Stored) {
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

fn edit_config(dir: &Path, edit: impl FnOnce(String) -> String) {
    let path = dir.join("config.json");
    let text = edit(std::fs::read_to_string(&path).unwrap());
    std::fs::write(path, text).unwrap();
}

/// The error text, which must contain all of `parts`.
#[track_caller]
fn refused(dir: &Path, parts: &[&str]) -> ModelError {
    let error = Checkpoint::open(dir).expect_err("the folder must be refused");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    error
}

#[test]
fn both_layouts_and_all_types_hold_the_same_model() {
    for layout in [Layout::Original, Layout::Native] {
        for stored in [StoredType::F32, StoredType::F16, StoredType::Bf16] {
            let dir = folder(layout, stored);
            let checkpoint = Checkpoint::open(dir.path()).unwrap();
            assert_eq!(checkpoint.layout(), layout);
            assert_eq!(checkpoint.config(), &model().config);
            assert!(!checkpoint.untied_head() && !checkpoint.logits_bias());
            let spec = checkpoint.preprocess_spec();
            assert_eq!((spec.width, spec.height), (96, 64));
            for TensorSpec { name, shape } in model().config.inventory() {
                assert_eq!(checkpoint.tensor(&name).unwrap().shape, shape);
                assert_eq!(
                    checkpoint.read(&name).unwrap(),
                    model().read(&name).unwrap(),
                    "{name} {layout:?} {stored:?}"
                );
            }
        }
    }
}

#[test]
fn names_and_shapes_are_those_of_the_published_checkpoints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tensors.json");
    let rows: Vec<(String, String, Vec<usize>, Vec<usize>)> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let published: BTreeMap<_, _> = rows
        .iter()
        .map(|(original, native, base, large)| (native.clone(), (original, base, large)))
        .collect();
    let base: BTreeMap<_, _> =
        FlorenceConfig::base().inventory().into_iter().map(|spec| (spec.name, spec.shape)).collect();
    let large: BTreeMap<_, _> =
        FlorenceConfig::large().inventory().into_iter().map(|spec| (spec.name, spec.shape)).collect();
    assert_eq!(large.keys().collect::<Vec<_>>(), published.keys().collect::<Vec<_>>());
    for (native, (original, base_shape, large_shape)) in published {
        assert_eq!(&Layout::Original.name_of(&native), original);
        assert_eq!(Layout::Native.name_of(&native), native);
        let stored = |mut shape: Vec<usize>| {
            if Layout::Original.transposes(&native) {
                shape.reverse();
            }
            shape
        };
        assert_eq!(&stored(large[&native].clone()), large_shape, "{native}");
        if !base_shape.is_empty() {
            assert_eq!(&stored(base[&native].clone()), base_shape, "{native}");
        }
    }
    let parameters = |shapes: &BTreeMap<String, Vec<usize>>| -> usize {
        shapes.values().map(|shape| shape.iter().product::<usize>()).sum()
    };
    assert_eq!(parameters(&base), 231_414_016);
    assert_eq!(parameters(&large), 770_173_952);
}

#[test]
fn a_truncated_file_is_an_error_that_names_it() {
    let dir = folder(Layout::Native, StoredType::F16);
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for length in [bytes.len() - 1, bytes.len() / 2, 100] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = refused(dir.path(), &["model.safetensors", &length.to_string()]);
        assert!(matches!(error, ModelError::FileLength { .. }), "{error}");
    }
    std::fs::write(&path, b"none").unwrap();
    refused(dir.path(), &["model.safetensors", "too few"]);
    std::fs::write(&path, b"PK\x03\x04 this is an archive, not a checkpoint").unwrap();
    refused(dir.path(), &["model.safetensors", "no safetensors file"]);
}

#[test]
fn a_missing_tensor_is_an_error_that_names_it_its_file_and_its_shape() {
    let dir = folder(Layout::Original, StoredType::F16);
    let name = "vision_tower.blocks.2.0.channel_block.ffn.fn.net.fc1.weight";
    rewrite(dir.path(), |tensors| drop(tensors.remove(name)));
    refused(dir.path(), &[name, "model.safetensors", "[256, 64]"]);
}

#[test]
fn a_misshapen_tensor_is_an_error_that_names_it_its_file_and_both_shapes() {
    let dir = folder(Layout::Original, StoredType::F16);
    edit_config(dir.path(), |text| text.replace("\"encoder_ffn_dim\": 256", "\"encoder_ffn_dim\": 128"));
    let name = "language_model.model.encoder.layers.0.fc1.weight";
    refused(dir.path(), &[name, "model.safetensors", "[256, 64]", "[128, 64]"]);
}

#[test]
fn a_tensor_of_whole_numbers_is_refused_by_name() {
    let dir = folder(Layout::Native, StoredType::F16);
    rewrite(dir.path(), |tensors| {
        tensors.get_mut("model.vision_tower.convs.0.norm.bias").unwrap().0 = Dtype::I16
    });
    refused(dir.path(), &["model.vision_tower.convs.0.norm.bias", "model.safetensors", "I16"]);
}

#[test]
fn other_folders_are_not_florence_2() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &["not a Florence-2 checkpoint", "config.json"]);
    std::fs::write(dir.path().join("config.json"), r#"{"model_type": "llava"}"#).unwrap();
    refused(dir.path(), &["config.json", "llava"]);
    std::fs::write(dir.path().join("config.json"), "{\n \"model_type\": \"florence2\",\n}").unwrap();
    refused(dir.path(), &["config.json", "line 3"]);
    let dir = folder(Layout::Native, StoredType::F16);
    edit_config(dir.path(), |text| text.replace("florence_vision", "swin"));
    refused(dir.path(), &["config.json", "swin"]);
    let dir = folder(Layout::Native, StoredType::F16);
    edit_config(dir.path(), |text| text.replace("\"d_model\": 64", "\"d_model\": 0"));
    refused(dir.path(), &["config.json", "text_config.d_model"]);
    let dir = folder(Layout::Native, StoredType::F16);
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    refused(dir.path(), &["neither model.safetensors nor"]);
}

#[test]
fn search_settings_that_no_model_has_are_errors_that_name_their_key() {
    for (key, value) in [
        ("decoder_start_token_id", "60000"),
        ("eos_token_id", "100"),
        ("eos_token_id", "[2, 3]"),
        ("forced_bos_token_id", "4294967295"),
        ("forced_eos_token_id", "[100]"),
        ("no_repeat_ngram_size", "81"),
        ("early_stopping", "\"soon\""),
    ] {
        let dir = folder(Layout::Native, StoredType::F16);
        let generation = dir.path().join("generation_config.json");
        std::fs::write(&generation, format!("{{\"{key}\": {value}}}")).unwrap();
        refused(dir.path(), &["generation_config.json", key]);
        std::fs::remove_file(generation).unwrap();
        edit_config(dir.path(), |text| {
            let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
            config["text_config"][key] = serde_json::from_str(value).unwrap();
            config.to_string()
        });
        refused(dir.path(), &["config.json", &format!("text_config.{key}")]);
    }
    let dir = folder(Layout::Native, StoredType::F16);
    edit_config(dir.path(), |text| text.replace("\"window_size\": 12", "\"window_size\": 65536"));
    refused(dir.path(), &["config.json", "vision_config.window_size"]);
}

#[test]
fn the_native_layouts_generation_config_decides_and_the_originals_does_not() {
    let said = r#"{"early_stopping": false, "no_repeat_ngram_size": 4, "decoder_start_token_id": 5,
                   "eos_token_id": [6], "forced_bos_token_id": null, "forced_eos_token_id": 7}"#;
    let opened = |layout| {
        let dir = folder(layout, StoredType::F16);
        std::fs::write(dir.path().join("generation_config.json"), said).unwrap();
        Checkpoint::open(dir.path()).unwrap().config().generation.clone()
    };
    assert_eq!(opened(Layout::Original), GenerationDefaults::FLORENCE);
    let decided = GenerationDefaults {
        no_repeat_ngram: 4,
        early_stopping: EarlyStopping::WhenUnlikely,
        decoder_start: 5,
        eos: 6,
        forced_bos: None,
        forced_eos: Some(7),
    };
    assert_eq!(opened(Layout::Native), decided);
}

#[test]
fn the_tokenizer_says_which_rows_are_tokens() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny");
    let mut checkpoint = Checkpoint::open(&tiny).unwrap();
    let rows = checkpoint.config().text.vocabulary;
    assert_eq!(checkpoint.config().logit_rows(), rows, "nothing else is known");
    let tokenizer = Tokenizer::open(&tiny.join("tokenizer.json"), rows).unwrap();
    checkpoint.fit_to(&tokenizer).unwrap();
    assert_eq!(checkpoint.config().logit_rows(), tokenizer.vocabulary().len as usize);
    assert!(checkpoint.config().logit_rows() < rows, "rows above the tokens are padding");
}

#[test]
fn a_token_that_is_forced_stays_so_unless_null_is_written() {
    let opened = |edit: fn(&mut serde_json::Value)| {
        let dir = folder(Layout::Original, StoredType::F16);
        edit_config(dir.path(), |text| {
            let mut config = serde_json::from_str(&text).unwrap();
            edit(&mut config);
            config.to_string()
        });
        Checkpoint::open(dir.path()).unwrap().config().generation.forced_bos
    };
    let absent = opened(|config| {
        config["text_config"].as_object_mut().unwrap().remove("forced_bos_token_id");
    });
    assert_eq!(absent, Some(0));
    assert_eq!(opened(|config| config["text_config"]["forced_bos_token_id"] = serde_json::Value::Null), None);
}

#[test]
fn windows_line_ends_and_absent_optional_files_are_fine() {
    let dir = folder(Layout::Original, StoredType::F16);
    edit_config(dir.path(), |text| text.replace('\n', "\r\n"));
    std::fs::remove_file(dir.path().join("preprocessor_config.json")).unwrap();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(checkpoint.preprocess_spec(), &belvedere_kernels::PreprocessSpec::imagenet(768, 768));
}

#[test]
fn the_embedding_is_found_under_each_of_its_four_names() {
    for name in [
        "model.language_model.decoder.embed_tokens.weight",
        "model.language_model.encoder.embed_tokens.weight",
        LM_HEAD,
    ] {
        let dir = folder(Layout::Native, StoredType::F16);
        rewrite(dir.path(), |tensors| {
            let embedding = tensors.remove(SHARED).unwrap();
            tensors.insert(name.to_owned(), embedding);
        });
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        assert_eq!(checkpoint.read(SHARED).unwrap(), model().read(SHARED).unwrap());
        assert!(!checkpoint.untied_head());
    }
}

#[test]
fn a_head_of_its_own_is_used_only_if_it_differs() {
    let dir = folder(Layout::Original, StoredType::F16);
    let (embedding, head) = ("language_model.model.shared.weight", "language_model.lm_head.weight");
    rewrite(dir.path(), |tensors| drop(tensors.insert(head.to_owned(), tensors[embedding].clone())));
    assert!(!Checkpoint::open(dir.path()).unwrap().untied_head());
    rewrite(dir.path(), |tensors| tensors.get_mut(head).unwrap().2[1] ^= 1);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert!(checkpoint.untied_head());
    assert_ne!(checkpoint.read(LM_HEAD).unwrap(), checkpoint.read(SHARED).unwrap());
}

#[test]
fn a_logits_bias_counts_only_if_it_is_not_zero() {
    let dir = folder(Layout::Original, StoredType::F32);
    let name = "language_model.final_logits_bias";
    rewrite(dir.path(), |tensors| {
        drop(tensors.insert(name.to_owned(), (Dtype::F32, vec![1, 100], vec![0; 400])))
    });
    assert!(!Checkpoint::open(dir.path()).unwrap().logits_bias());
    rewrite(dir.path(), |tensors| tensors.get_mut(name).unwrap().2[7] = 0x3f);
    assert!(Checkpoint::open(dir.path()).unwrap().logits_bias());
}

#[test]
fn shards_are_read_as_one_model_and_stay_in_the_folder() {
    let dir = folder(Layout::Native, StoredType::Bf16);
    let mut first = Stored::new();
    let mut second = Stored::new();
    rewrite(dir.path(), |tensors| {
        for (number, (name, tensor)) in tensors.iter().enumerate() {
            let shard = if number % 2 == 0 { &mut first } else { &mut second };
            shard.insert(name.clone(), tensor.clone());
        }
    });
    std::fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    write(&dir.path().join("a.safetensors"), &first);
    write(&dir.path().join("b.safetensors"), &second);
    let names = |shard: &Stored, file: &str| -> BTreeMap<String, String> {
        shard.keys().map(|name| (name.clone(), file.to_owned())).collect()
    };
    let mut map = names(&first, "a.safetensors");
    map.extend(names(&second, "b.safetensors"));
    let index = dir.path().join("model.safetensors.index.json");
    std::fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(checkpoint.read(SHARED).unwrap(), model().read(SHARED).unwrap());

    std::fs::write(&index, r#"{"weight_map": {"x": "../a.safetensors"}}"#).unwrap();
    refused(dir.path(), &["index.json", "../a.safetensors"]);
}

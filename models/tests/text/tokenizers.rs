//! Tokenizer files as they are found, and as they are broken.

use std::path::PathBuf;

use belvedere_models::{ModelError, Prompt, Tokenizer};
use serde_json::{Value, json};

use crate::support::{ROWS, ids, json, locs, testdata, tokenizer};

/// A changed copy of the published tokenizer file, removed when dropped.
struct TokenizerFile(PathBuf);

impl TokenizerFile {
    fn write(name: &str, bytes: &[u8]) -> Self {
        let file = std::env::temp_dir().join(format!("belvedere-{}-{name}.json", std::process::id()));
        std::fs::write(&file, bytes).unwrap();
        Self(file)
    }

    fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut file = json("tokenizer/tokenizer.json");
        change(&mut file);
        Self::write(name, &serde_json::to_vec(&file).unwrap())
    }

    /// The error of opening it; it must name the file.
    fn refused(&self, rows: usize) -> ModelError {
        let error = Tokenizer::open(&self.0, rows).unwrap_err();
        assert!(error.to_string().contains(self.0.to_str().unwrap()), "{error}");
        error
    }
}

impl Drop for TokenizerFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn added(id: u32, content: &str) -> Value {
    json!({"id": id, "content": content, "special": true, "normalized": false, "single_word": false,
           "lstrip": false, "rstrip": false})
}

/// The 1024 added tokens of spec section 6.1 with their published ids, written out by hand.
fn published_tokens() -> Vec<(u32, String)> {
    let after = [
        "<cap>",
        "</cap>",
        "<ncap>",
        "</ncap>",
        "<dcap>",
        "</dcap>",
        "<grounding>",
        "</grounding>",
        "<seg>",
        "</seg>",
        "<sep>",
        "<region_cap>",
        "</region_cap>",
        "<region_to_desciption>",
        "</region_to_desciption>",
        "<proposal>",
        "</proposal>",
        "<poly>",
        "</poly>",
        "<and>",
    ];
    let before = ["<od>", "</od>", "<ocr>", "</ocr>"].map(String::from);
    let locations = (0..1000).map(|bin| format!("<loc_{bin}>"));
    (50265..).zip(before.into_iter().chain(locations).chain(after.map(String::from))).collect()
}

/// A file as a saved processor writes it: with the added tokens, and with truncation and padding switched on.
fn saved_processor(name: &str) -> TokenizerFile {
    TokenizerFile::changed(name, |file| {
        let tokens = file["added_tokens"].as_array_mut().unwrap();
        tokens.extend(published_tokens().into_iter().map(|(id, token)| added(id, &token)));
        file["truncation"] =
            json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
        file["padding"] = json!({"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null,
                                 "pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>"});
    })
}

/// A byte-level vocabulary of a few hundred tokens without merges, as a tiny model has.
fn tiny(name: &str, extra: Vec<Value>) -> TokenizerFile {
    TokenizerFile::changed(name, |file| {
        let vocabulary = file["model"]["vocab"].as_object().unwrap();
        let mut short: Vec<&String> = vocabulary.keys().filter(|token| token.chars().count() == 1).collect();
        short.sort();
        let specials = ["<s>", "<pad>", "</s>", "<unk>"].map(String::from);
        let tokens = specials.iter().chain(short);
        let kept: serde_json::Map<_, _> =
            tokens.zip(0..).map(|(token, id)| (token.clone(), json!(id))).collect();
        file["model"]["vocab"] = Value::Object(kept);
        file["model"]["merges"] = json!([]);
        let mut tokens: Vec<Value> = (0..).zip(&specials).map(|(id, token)| added(id, token)).collect();
        tokens.extend(extra);
        file["added_tokens"] = Value::Array(tokens);
    })
}

#[test]
fn the_added_tokens_are_supplied_with_their_published_ids() {
    let vocabulary = tokenizer().vocabulary();
    for (id, token) in published_tokens() {
        assert_eq!(tokenizer().token(id).as_deref(), Some(token.as_str()));
    }
    assert_eq!(tokenizer().token(51289).as_deref(), Some("<image>"));
    assert_eq!((vocabulary.bos, vocabulary.pad, vocabulary.eos), (0, 1, 2));
    assert_eq!((vocabulary.first_location, vocabulary.separator), (50269, 51279));
    assert_eq!((vocabulary.polygon_start, vocabulary.polygon_end, vocabulary.and), (51286, 51287, 51288));
    assert_eq!(vocabulary.len, 51289, "without <image>");
}

#[test]
fn a_saved_processors_file_gives_the_same_ids_and_neither_cuts_nor_pads() {
    let file = saved_processor("saved");
    let saved = Tokenizer::open(&file.0, ROWS).unwrap();
    assert_eq!(saved.vocabulary(), tokenizer().vocabulary());
    let text = "What does the region <loc_52><loc_332><loc_932><loc_774> describe?";
    assert_eq!(saved.encode(text).unwrap(), tokenizer().encode(text).unwrap());
}

#[test]
fn the_native_layouts_padded_embedding_fits_too() {
    let file = testdata("tokenizer/tokenizer.json");
    assert_eq!(Tokenizer::open(&file, 51328).unwrap().vocabulary().len, 51289);
}

#[test]
fn a_tiny_vocabulary_has_its_own_ids() {
    let file = tiny("tiny", Vec::new());
    let rows = 4 + 256 + 1024;
    let tiny = Tokenizer::open(&file.0, rows).unwrap();
    let vocabulary = tiny.vocabulary();
    assert_eq!(vocabulary.first_location, 4 + 256 + 4);
    assert_eq!(vocabulary.len as usize, rows);
    let ids = tiny.encode("é<loc_7>").unwrap();
    assert_eq!(ids.len(), 5, "two bytes, a location, <s> and </s>: {ids:?}");
    assert_eq!(ids[3], vocabulary.location(7));
    assert_eq!(tiny.decode_plain(&ids).unwrap(), "é");
}

#[test]
fn a_tokenizer_without_location_tokens_for_a_model_without_room_is_an_error() {
    let file = tiny("noroom", Vec::new());
    for rows in [4 + 256, 51289] {
        let error = file.refused(rows);
        assert!(matches!(error, ModelError::LocationTokensUnsupplied { .. }), "{error}");
    }
}

#[test]
fn some_of_the_location_tokens_are_as_bad_as_none() {
    let file = tiny("some", (0..10).map(|bin| added(260 + bin, &format!("<loc_{bin}>"))).collect());
    let error = file.refused(ROWS);
    assert!(
        error.to_string().contains("10 of the 1000") && error.to_string().contains("<loc_10>"),
        "{error}"
    );
}

#[test]
fn location_tokens_out_of_order_are_an_error_that_names_the_first() {
    let bins = (0..1000).map(|bin| match bin {
        500 => 501,
        501 => 500,
        bin => bin,
    });
    let tokens = (260..).zip(bins).map(|(id, bin)| added(id, &format!("<loc_{bin}>"))).collect();
    let error = tiny("order", tokens).refused(ROWS);
    assert!(
        matches!(&error, ModelError::LocationTokensScattered { token, .. } if token == "<loc_500>"),
        "{error}"
    );
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_an_error() {
    let error = saved_processor("large").refused(51288);
    assert!(matches!(error, ModelError::TokenizerTooLarge { tokens: 51289, rows: 51288, .. }), "{error}");
}

#[test]
fn tokens_after_the_image_placeholder_belong_to_the_vocabulary() {
    let file = TokenizerFile::changed("after", |file| {
        let tokens = file["added_tokens"].as_array_mut().unwrap();
        tokens.extend(published_tokens().into_iter().map(|(id, token)| added(id, &token)));
        tokens.push(added(51289, "<image>"));
        tokens.push(added(51290, "<fine_tuned>"));
    });
    let tuned = Tokenizer::open(&file.0, 51328).unwrap();
    assert_eq!(tuned.vocabulary().len, 51291);
    assert_eq!(Prompt::free(&tuned, "<fine_tuned>", 10).unwrap().token_ids(), [0, 51290, 2]);
    assert!(matches!(Prompt::free(&tuned, "<image>", 10), Err(ModelError::PromptToken { .. })));
}

#[test]
fn an_id_beyond_any_vocabulary_is_an_error_that_names_the_token() {
    let of_word = |word: &'static str, id: u32| {
        TokenizerFile::changed(&format!("beyond-{id}-{}", word.len()), move |file| {
            file["model"]["vocab"][word] = json!(id);
        })
    };
    // A special token of the file has the id that the vocabulary gives it.
    let special = TokenizerFile::changed("beyond-special", |file| {
        file["model"]["vocab"]["<mask>"] = json!(u32::MAX);
    });
    for (file, token) in [
        (of_word("zzz", u32::MAX), "zzz"),
        (of_word("<loc_0>", u32::MAX), "<loc_0>"),
        (of_word("zzz", 1 << 20), "zzz"),
        (special, "<mask>"),
    ] {
        let error = file.refused(ROWS);
        assert!(matches!(&error, ModelError::TokenId { token: named, .. } if named == token), "{error}");
    }
}

#[test]
fn absent_truncated_and_foreign_files_are_errors_that_name_the_file() {
    let whole = std::fs::read(testdata("tokenizer/tokenizer.json")).unwrap();
    let broken = [
        TokenizerFile::write("truncated", &whole[..whole.len() / 2]),
        TokenizerFile::write("empty", b""),
        TokenizerFile::write("foreign", br#"{"model_type":"florence2"}"#),
        TokenizerFile(std::env::temp_dir().join("belvedere-no-such-folder/tokenizer.json")),
    ];
    for file in &broken {
        assert!(matches!(file.refused(ROWS), ModelError::TokenizerRead { .. }));
    }
}

#[test]
fn a_tokenizer_without_an_end_token_is_an_error() {
    let file = TokenizerFile::changed("noend", |file| {
        file["model"]["vocab"].as_object_mut().unwrap().remove("</s>");
        file["added_tokens"].as_array_mut().unwrap().retain(|token| token["content"] != "</s>");
        file["post_processor"] = Value::Null;
    });
    let error = file.refused(ROWS);
    assert!(matches!(&error, ModelError::TokenMissing { token, .. } if token == "</s>"), "{error}");
}

#[test]
fn tokens_of_a_cut_character_become_a_replacement_and_whole_ones_the_character() {
    let car = tokenizer().encode("🚲").unwrap();
    let bytes = &car[1..car.len() - 1];
    assert!(bytes.len() > 1, "a character of several tokens: {bytes:?}");
    assert_eq!(tokenizer().decode(bytes).unwrap(), "🚲");
    let cut = tokenizer().decode(&bytes[..bytes.len() - 1]).unwrap();
    assert!(cut.contains('\u{fffd}'), "{cut:?}");
}

#[test]
fn decoding_keeps_or_leaves_out_special_tokens_and_ignores_foreign_ids() {
    let mut ids = tokenizer().encode(&format!("car{}", locs([1, 2]))).unwrap();
    ids.push(u32::MAX);
    assert_eq!(tokenizer().decode(&ids).unwrap(), "<s>car<loc_1><loc_2></s>");
    assert_eq!(tokenizer().decode_plain(&ids).unwrap(), "car");
}

#[test]
fn every_answer_decodes_as_in_transformers() {
    for answer in json("text_goldens.json")["answers"].as_array().unwrap() {
        let decoded = tokenizer().decode(&ids(&answer["ids"])).unwrap();
        assert_eq!(decoded, answer["decoded"].as_str().unwrap());
    }
}

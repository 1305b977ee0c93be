//! Any tokens are an answer: it is read without a panic, and every region lies in the picture.
//!
//! Input: the task (from 128 on, without probabilities), the mode, width and height of the picture (two bytes each), then
//! two bytes a token. A token's probability comes from its bytes.
#![no_main]

use std::sync::OnceLock;

use belvedere_models::checkpoint::TOKENIZER_ROWS;
use belvedere_models::{Answer, ParseMode, PictureSize, Shape, Task, Tokenizer};
use libfuzzer_sys::fuzz_target;

fn tokenizer() -> &'static Tokenizer {
    static TOKENIZER: OnceLock<Tokenizer> = OnceLock::new();
    TOKENIZER.get_or_init(|| {
        // In the program, so that it runs wherever it is carried.
        let published = include_bytes!("../../models/testdata/tokenizer/tokenizer.json");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, published).expect("a file");
        Tokenizer::open(&path, TOKENIZER_ROWS).expect("the tokenizer of the tests")
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((&[task_byte, mode, w0, w1, h0, h1], tokens)) = data.split_first_chunk::<6>() else {
        return;
    };
    let task = Task::ALL[usize::from(task_byte) % Task::ALL.len()];
    let mode = if mode % 2 == 0 { ParseMode::Default } else { ParseMode::Reference };
    let picture = PictureSize {
        width: u16::from_le_bytes([w0, w1]).into(),
        height: u16::from_le_bytes([h0, h1]).into(),
    };
    let pairs = tokens.as_chunks::<2>().0;
    let token_ids: Vec<u32> = pairs.iter().map(|pair| u32::from(u16::from_le_bytes(*pair))).collect();
    let log_probs: Vec<f32> = pairs
        .iter()
        .map(|pair| match pair[0] {
            0 => f32::NAN,
            1 => f32::NEG_INFINITY,
            low => f32::from(low) / -32.0,
        })
        .collect();
    // Those of the tokens after the first; without any, the original's reading takes another way.
    let log_probs = if task_byte < 128 { log_probs.get(1..).unwrap_or_default() } else { &[] };
    let answer = Answer { token_ids: &token_ids, log_probs };
    let Ok(output) = task.parse(tokenizer(), answer, picture, mode) else {
        return;
    };
    let mut numbers = 0;
    for region in &output.regions {
        assert!(region.score.is_none_or(|score| (0.0..=1.0).contains(&score)), "{region:?}");
        let coordinates = match &region.shape {
            Shape::Box(px) => px.to_vec(),
            Shape::Quad(px) => px.to_vec(),
            Shape::Polygons(outlines) => outlines.concat(),
        };
        for [x, y] in coordinates.as_chunks::<2>().0 {
            assert!((0.0..=picture.width as f32).contains(x), "{region:?}");
            assert!((0.0..=picture.height as f32).contains(y), "{region:?}");
        }
        numbers += coordinates.len();
    }
    assert!(numbers <= token_ids.len(), "no more coordinates than tokens");
    serde_json::to_string(&output).expect("an answer can be written");
});

//! Times every stage of a model with made-up weights: `stages DIR exact|fast cpu|auto [tokens] [beams]`. The folder is
//! written if it is not there.

use std::path::Path;
use std::time::Instant;

use belvedere_models::checkpoint::Layout;
use belvedere_models::engine::Pixels;
use belvedere_models::synthetic::{StoredType, SyntheticModel};
use belvedere_models::{CancelToken, Checkpoint, Florence, GenerationOptions, LoadOptions, Precision};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let text = |n: usize, default: &str| args.get(n).cloned().unwrap_or_else(|| default.to_owned());
    let dir = text(1, "base");
    if !Path::new(&dir).join("config.json").exists() {
        let config = belvedere_models::checkpoint::FlorenceConfig::base();
        SyntheticModel::new(config, (768, 768)).write(Path::new(&dir), Layout::Original, StoredType::F32)?;
    }
    let clock = Instant::now();
    let options = LoadOptions {
        precision: if text(2, "exact") == "fast" { Precision::Fast } else { Precision::Exact },
        openvino: (text(3, "auto") == "cpu").then_some(false),
        threads: Some(2),
        ..LoadOptions::default()
    };
    let mut model = Florence::load(&Checkpoint::open(&dir)?, &options)?;
    println!("{} | load {:.1} s | {}", model.device_description(), clock.elapsed().as_secs_f64(), memory());
    let data: Vec<f32> = (0..3 * 768 * 768)
        .map(|i: u32| ((i.wrapping_mul(2_654_435_761) >> 16) % 4096) as f32 / 1024.0 - 2.0)
        .collect();
    let cancel = CancelToken::new();
    let tokens: usize = text(4, "24").parse()?;
    let beams: usize = text(5, "1").parse()?;
    let prompt = vec![0_u32, 2264, 473, 5, 2274, 6190, 116, 2];
    for _ in 0..text(6, "3").parse()? {
        let whole = Instant::now();
        let (features, vision_ms) =
            model.encode_image(Pixels { width: 768, height: 768, data: &data }, &cancel)?;
        let options = GenerationOptions { beams, max_new_tokens: tokens, ..GenerationOptions::default() };
        let generation = model.generate(&features, &[&prompt], &options, &cancel)?.remove(0);
        let t = generation.timing;
        println!(
            "all {:.0} ms: vision {vision_ms:.0}, encoder {:.0}, prefill {:.1}, {} steps {:.1} = {:.2} each | {} | {:?}",
            whole.elapsed().as_secs_f64() * 1e3,
            t.encoder_ms,
            t.prefill_ms,
            t.steps,
            t.decode_ms,
            t.decode_ms / t.steps.max(1) as f64,
            memory(),
            &generation.token_ids[..generation.token_ids.len().min(12)],
        );
    }
    Ok(())
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

//! Builds real engines with a TensorRT library, without a GPU if it is TensorRT-RTX, and prints what they take:
//! `engines MODEL[:CAPABILITY[,CAPABILITY]...]...`, with `tiny` (the bundled checkpoint), `base` and `large` (their shapes
//! with made-up weights) as models; `separate` before a model builds an engine for each profile instead of one for all.
//!
//! `BELVEDERE_TENSORRT_LIBRARY` names the library.

use std::io::Write as _;
use std::path::Path;

use belvedere_models::Checkpoint;
use belvedere_models::checkpoint::{FlorenceConfig, Weights};
use belvedere_models::engine::tensorrt::{EngineGraphs, EngineRequest, GpuIdentity, TensorRtBuilder};
use belvedere_models::graph::Element;
use belvedere_models::synthetic::SyntheticModel;
use belvedere_tensorrt::Library;

const CAPABILITIES: [u32; 3] = [86, 89, 120];
/// Sequences at once: what the daemon asks for where there is room.
const ROWS: usize = 8;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let library = Library::find()?;
    println!("Built by {} {}.\n", library.flavour(), library.full_version());
    println!(
        "| model | graph | layers | compute capability | profiles | CPU seconds | engine MB | weights MB | scratch MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut is_separate = false;
    for argument in std::env::args().skip(1) {
        if argument == "separate" {
            is_separate = true;
            continue;
        }
        let (model, capabilities) = argument.split_once(':').unwrap_or((&argument, ""));
        let mut capabilities: Vec<u32> = capabilities
            .split(',')
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if capabilities.is_empty() {
            capabilities = CAPABILITIES.to_vec();
        }
        match model {
            "tiny" => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tiny");
                let checkpoint = Checkpoint::open(folder)?;
                let spec = checkpoint.preprocess_spec();
                let size = (spec.width, spec.height);
                table(&library, model, checkpoint.config(), &checkpoint, size, &capabilities, is_separate)?;
            }
            "base" | "large" => {
                let config = if model == "base" { FlorenceConfig::base() } else { FlorenceConfig::large() };
                let made_up = SyntheticModel::new(config, (768, 768));
                let size = made_up.image_size;
                table(&library, model, &made_up.config, &made_up, size, &capabilities, is_separate)?;
            }
            _ => return Err(format!("there is no model {model:?}: tiny, base or large").into()),
        }
    }
    Ok(())
}

fn table(
    library: &Library,
    model: &str,
    config: &FlorenceConfig,
    weights: &dyn Weights,
    size_px: (u32, u32),
    capabilities: &[u32],
    is_separate: bool,
) -> Result<(), Failure> {
    let graphs = EngineGraphs::new(config, weights, size_px, ROWS, Element::F16)?;
    for request in graphs.requests() {
        for &capability in capabilities {
            let together = if is_separate { 1 } else { request.profiles.len() };
            for profiles in request.profiles.chunks(together) {
                row(library, model, &EngineRequest { profiles, ..request }, capability)?;
            }
        }
    }
    Ok(())
}

/// What all threads of this process have computed: a build is bound by that, and other work on the machine does not count.
/// In hundredths, as Linux tells it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the name in parentheses, may hold anything.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / 100.0
}

fn row(library: &Library, model: &str, request: &EngineRequest<'_>, capability: u32) -> Result<(), Failure> {
    let gpu = GpuIdentity { name: "none".to_owned(), compute_capability: capability, driver: 0 };
    let builder = TensorRtBuilder::new(library.clone(), gpu, None);
    let before = cpu_seconds();
    let measured = builder.measure(request, None, &|_, _| true)?;
    let seconds = cpu_seconds() - before;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let scratch = &measured.built.logged_scratch_bytes;
    let range = match (scratch.iter().min(), scratch.iter().max()) {
        (Some(&least), Some(&most)) if least < most => format!("{:.1} to {:.1}", mb(least), mb(most)),
        (Some(&same), _) => format!("{:.1}", mb(same)),
        _ => "not told".to_owned(),
    };
    let profiles = match request.profiles {
        [profile] => profile.to_string(),
        profiles => profiles.len().to_string(),
    };
    println!(
        "| {model} | {} | {} | {}.{} | {profiles} | {seconds:.1} | {:.1} | {:.1} | {range} |",
        request.graph.name(),
        measured.layers,
        capability / 10,
        capability % 10,
        mb(measured.built.plan.bytes().len() as u64),
        mb(request.graph.weight_bytes()),
    );
    std::io::stdout().flush()?;
    Ok(())
}

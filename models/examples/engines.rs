//! Builds real engines with a TensorRT library, without a GPU if it is TensorRT-RTX, and prints what they take:
//! `engines MODEL[:CAPABILITY[,CAPABILITY]...]...`, with `tiny` (the bundled checkpoint), `base` and `large` (their shapes
//! with made-up weights) as models; `separate` before a model builds an engine for each profile instead of one for all.
//!
//! `BELVEDERE_TENSORRT_LIBRARY` names the library.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use belvedere_models::Checkpoint;
use belvedere_models::checkpoint::{FlorenceConfig, Weights};
use belvedere_models::engine::tensorrt::{
    EngineRequest, GpuIdentity, GraphName, Profile, Profiles, TensorRtBuilder,
};
use belvedere_models::graph::{DecoderShape, Element, Graph, GraphOptions, Graphs, Query, VisionShape};
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
        "| model | graph | layers | compute capability | profiles | seconds | engine MB | weights MB | scratch MB |"
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
                let size = (spec.width as u32, spec.height as u32);
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
    (width, height): (u32, u32),
    capabilities: &[u32],
    is_separate: bool,
) -> Result<(), Failure> {
    let mut options = GraphOptions::new(config, weights, width, height);
    options.element = Element::F16;
    let graphs = Graphs::new(config, options)?;
    let profiles = Profiles::new(graphs.image_tokens(), config.text.max_positions, ROWS);
    let graphs = [
        (GraphName::Vision, graphs.vision(&VisionShape::default())?),
        (GraphName::Encoder, graphs.encoder()?),
        // Not used by the engine, which feeds a prefix token by token; built to show that it can be.
        (GraphName::DecoderStep, graphs.decoder(&DecoderShape::new(Query::Prefill))?),
        (GraphName::DecoderStep, graphs.decoder(&DecoderShape::new(Query::Step))?),
    ];
    for (name, graph) in &graphs {
        for &capability in capabilities {
            let all = profiles.of(*name);
            let together = if is_separate { 1 } else { all.len() };
            for profiles in all.chunks(together) {
                row(library, model, *name, graph, weights, capability, profiles)?;
            }
        }
    }
    Ok(())
}

fn row(
    library: &Library,
    model: &str,
    name: GraphName,
    graph: &Graph,
    weights: &dyn Weights,
    capability: u32,
    profiles: &[Profile],
) -> Result<(), Failure> {
    let gpu = GpuIdentity { name: "none".to_owned(), compute_capability: capability, driver: 0 };
    let builder = TensorRtBuilder::new(library.clone(), gpu, None);
    let clock = Instant::now();
    let measured = builder.measure(&EngineRequest { name, graph, weights, profiles }, None, &|_, _| true)?;
    let seconds = clock.elapsed().as_secs_f64();
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let scratch = &measured.built.logged_scratch_bytes;
    let range = match (scratch.iter().min(), scratch.iter().max()) {
        (Some(&least), Some(&most)) if least < most => format!("{:.1} to {:.1}", mb(least), mb(most)),
        (Some(&same), _) => format!("{:.1}", mb(same)),
        _ => "not told".to_owned(),
    };
    let profiles = match profiles {
        [profile] => profile.to_string(),
        profiles => profiles.len().to_string(),
    };
    println!(
        "| {model} | {} | {} | {}.{} | {profiles} | {seconds:.1} | {:.1} | {:.1} | {range} |",
        graph.name(),
        measured.layers,
        capability / 10,
        capability % 10,
        mb(measured.built.plan.bytes().len() as u64),
        mb(graph.weight_bytes()),
    );
    std::io::stdout().flush()?;
    Ok(())
}

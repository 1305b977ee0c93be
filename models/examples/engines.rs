//! scratch experiment
use std::time::Instant;

use belvedere_models::checkpoint::FlorenceConfig;
use belvedere_models::engine::tensorrt::{GraphName, Profile, Profiles};
use belvedere_models::graph::{
    DecoderShape, Dim, Element, Graph, GraphOptions, Graphs, Query, VisionShape, WeightsFile,
};
use belvedere_models::synthetic::SyntheticModel;
use belvedere_tensorrt::{BuildOptions, Builder, Library, Runtime, ShapeProfile};

fn shapes(graph: &Graph, profile: &Profile) -> ShapeProfile {
    let mut shapes = ShapeProfile::new();
    for port in graph.inputs() {
        if port.shape.iter().any(|dim| matches!(dim, Dim::Named(_))) {
            shapes = shapes.fixed(port.name.clone(), profile.shape(port).unwrap());
        }
    }
    shapes
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let text = |n: usize, default: &str| args.get(n).cloned().unwrap_or_else(|| default.to_owned());
    let (config, size) = match text(1, "small").as_str() {
        "base" => (FlorenceConfig::base(), 768),
        "large" => (FlorenceConfig::large(), 768),
        _ => (FlorenceConfig::small(), 192),
    };
    let capabilities: Vec<u32> = text(2, "89").split(',').map(|c| c.parse().unwrap()).collect();
    let wanted = text(3, "vision,encoder,decoder_prefill,decoder_step");
    let rows: usize = text(4, "8").parse()?;
    let separate = text(5, "together") == "separate";
    let limit: usize = text(6, "1000").parse()?;
    if std::env::var_os("VERBOSE").is_some() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).init();
    }
    let model = SyntheticModel::new(config, (size, size));
    let mut options = GraphOptions::new(&model.config, &model, size, size);
    options.element = Element::F16;
    let graphs = Graphs::new(&model.config, options)?;
    let profiles = Profiles::new(graphs.image_tokens(), model.config.text.max_positions, rows);
    let dir = tempfile::tempdir()?;
    let mut file = WeightsFile::create(&dir.path().join("weights.bin"))?;
    let library = Library::find()?;
    println!("{library}");
    for name in wanted.split(',') {
        let (graph, of) = match name {
            "vision" => (graphs.vision(&VisionShape::default())?, GraphName::Vision),
            "encoder" => (graphs.encoder()?, GraphName::Encoder),
            "decoder_prefill" => {
                (graphs.decoder(&DecoderShape::new(Query::Prefill))?, GraphName::DecoderStep)
            }
            _ => (graphs.decoder(&DecoderShape::new(Query::Step))?, GraphName::DecoderStep),
        };
        let path = dir.path().join("model.onnx");
        let bytes = graph.to_bytes_beside(&model, &mut file)?;
        file.flush()?;
        let all: Vec<Profile> = profiles.of(of).into_iter().take(limit).collect();
        let sets: Vec<Vec<Profile>> =
            if separate { all.iter().map(|p| vec![p.clone()]).collect() } else { vec![all] };
        for set in sets {
            let mut builder = Builder::new(&library)?;
            let clock = Instant::now();
            let mut network = builder.parse(name, &bytes, &path)?;
            let parse = clock.elapsed();
            let layers = network.layers();
            let options = BuildOptions {
                workspace_bytes: 1 << 30,
                optimization_level: None,
                auxiliary_streams: Some(0),
                capabilities: capabilities.clone(),
                is_detailed: false,
            };
            let set_shapes: Vec<_> = set.iter().map(|profile| shapes(&graph, profile)).collect();
            let clock = Instant::now();
            let progress = |phase: &str, done: f32| {
                if std::env::var_os("PROGRESS").is_some() {
                    println!("  {done:.2} {phase}");
                }
                true
            };
            let built = network.build(&set_shapes, &options, None, &progress)?;
            println!(
                "{name} {capabilities:?} {} profiles [{}]: {layers} layers, parse {:.1} s, build {:.1} s, {:.1} MB (weights {:.1}), {}",
                set.len(),
                set.first().unwrap(),
                parse.as_secs_f64(),
                clock.elapsed().as_secs_f64(),
                built.plan.bytes().len() as f64 / 1e6,
                graph.weight_bytes() as f64 / 1e6,
                memory(),
            );
            if std::env::var_os("RUNTIME").is_some() {
                match Runtime::new(&library).and_then(|mut r| r.deserialize(name, built.plan.bytes())) {
                    Ok(engine) => {
                        for p in 0..engine.profiles() {
                            println!("  scratch {:?}", engine.scratch_bytes(p));
                        }
                    }
                    Err(error) => println!("  {error}"),
                }
            }
        }
    }
    Ok(())
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

//! What doctor says.

use std::fmt::Write as _;

use belvedere_models::Device;
use serde::Serialize;

use super::{Choice, Diagnosis, Facts, Found, Level};
use crate::building::in_words;

/// Facts and what they mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The daemon's.
    pub version: &'static str,
    /// What was found.
    pub facts: Facts,
    /// What it means.
    pub diagnosis: Diagnosis,
}

impl Report {
    /// Of a machine that is asked to run the model on `device`.
    pub fn new(facts: Facts, device: Device) -> Report {
        let diagnosis = Diagnosis::of(&facts, device);
        Report { version: env!("CARGO_PKG_VERSION"), facts, diagnosis }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.rows() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<16} {value}");
        }
        for (name, choice) in &self.diagnosis.choices {
            let outcome = match choice {
                Choice::TensorRt(why) => format!("TensorRT: {why}"),
                Choice::Cpu(why) => format!("the CPU: {why}"),
                Choice::Nothing(why) => format!("cannot run: {why}"),
            };
            let _ = writeln!(text, "{:<16} {outcome}", format!("device {name}"));
        }
        for (level, title) in [(Level::Missing, "missing"), (Level::Note, "could be better")] {
            let findings = self.diagnosis.findings.iter().filter(|finding| finding.level == level);
            for (place, finding) in findings.enumerate() {
                let title = if place == 0 { format!("\n{title}\n") } else { String::new() };
                let _ = writeln!(text, "{title}  {finding}");
            }
        }
        text
    }

    /// The facts, a line each.
    fn rows(&self) -> Vec<(&'static str, String)> {
        let Facts { machine, jetson, nvidia, gpus, tensorrt, onnx_runtime, decoders, engines, .. } =
            &self.facts;
        let memory = machine.memory_bytes.map(|bytes| format!(", {} memory", gb(bytes))).unwrap_or_default();
        let mut rows = vec![
            ("belvedere", self.version.to_owned()),
            ("machine", format!("{}, kernel {}, {}", machine.system, machine.kernel, machine.architecture)),
            ("processor", format!("{}{memory}", machine.processor)),
        ];
        if let Some(container) = &machine.container {
            rows.push(("container", container.clone()));
        }
        if let Some(jetson) = jetson {
            let l4t = jetson.l4t.as_deref().unwrap_or("unknown");
            let jetpack = jetson.jetpack().map(|jetpack| format!(" (JetPack {jetpack})")).unwrap_or_default();
            rows.push(("Jetson", format!("{}, L4T {l4t}{jetpack}", jetson.board)));
        }
        match gpus {
            Found::Here(gpus) => {
                for gpu in &gpus.devices {
                    let (major, minor) = gpu.compute_capability;
                    let shared = if gpu.is_memory_shared { " shared with the processor" } else { "" };
                    let free =
                        gpu.free_bytes.map(|bytes| format!(", {} free", gb(bytes))).unwrap_or_default();
                    let memory = format!("{} memory{shared}{free}", gb(gpu.memory_bytes));
                    rows.push(("GPU", format!("{}, compute capability {major}.{minor}, {memory}", gpu.name)));
                }
                rows.push(("CUDA", format!("up to {}", gpus.cuda)));
            }
            Found::Missing { missing } => {
                let seen = match nvidia.pci.as_slice() {
                    [] => String::new(),
                    pci => format!("{} on the bus; ", pci.join(", ")),
                };
                rows.push(("GPU", format!("{seen}none for CUDA: {missing}")));
            }
        }
        if let Some(version) = &nvidia.kernel_driver {
            rows.push(("driver", format!("NVIDIA {version}")));
        }
        if !nvidia.nodes.is_empty() {
            let nodes = nvidia.nodes.iter().map(|node| {
                let mark = if node.is_usable { "" } else { " (not for this user)" };
                format!("{}{mark}", node.path.display())
            });
            rows.push(("devices", nodes.collect::<Vec<_>>().join(", ")));
        }
        rows.push((
            "TensorRT",
            match &tensorrt.library {
                Found::Here(library) => {
                    format!("{} {}, {}", library.flavour, library.version, library.path.display())
                }
                Found::Missing { missing } => format!("none: {missing}"),
            },
        ));
        let built_for =
            if tensorrt.built_for.is_empty() { "none".to_owned() } else { tensorrt.built_for.join(", ") };
        rows.push(("  built for", built_for));
        rows.push((
            "ONNX Runtime",
            match onnx_runtime {
                Found::Here(library) => {
                    format!(
                        "{} ({}), {}",
                        library.version,
                        library.providers.join(", "),
                        library.path.display()
                    )
                }
                Found::Missing { .. } => "none".to_owned(),
            },
        ));
        match decoders {
            Found::Here(codecs) => rows.extend(codecs.iter().map(|codec| {
                let elements = if codec.elements.is_empty() {
                    "none".to_owned()
                } else {
                    codec.elements.join(", then ")
                };
                ("decoders", format!("{}: {elements}", codec.codec))
            })),
            Found::Missing { missing } => rows.push(("decoders", format!("none: {missing}"))),
        }
        if let Some(folder) = &engines.folder {
            let count = if engines.files.is_empty() { "none in" } else { "in" };
            rows.push(("engines", format!("{count} {}", folder.display())));
            for file in &engines.files {
                let age = in_words(std::time::Duration::from_secs(file.age_s));
                rows.push(("", format!("{}, {}, {age} old", file.name, gb(file.bytes))));
            }
        }
        if let Some(folder) = &engines.of_service
            && let Some(cache) = folder.parent()
        {
            let (folder, cache) = (folder.display(), cache.display());
            rows.push((
                "",
                format!(
                    "the service's are in {folder}: sudo -u belvedere env CACHE_DIRECTORY={cache} belvedere doctor"
                ),
            ));
        }
        rows
    }
}

fn gb(bytes: u64) -> String {
    if bytes < 100_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} GB", bytes as f64 / 1e9)
    }
}

//! What keeps the model from running on TensorRT.

use belvedere_models::machine::LIBRARY_VARIABLE;

use super::{CudaFailure, Facts, Finding, Found, Jetson};

/// The oldest GPUs that the kernels are compiled for (Turing).
const LEAST_COMPUTE_CAPABILITY: (u32, u32) = (7, 5);

impl Facts {
    /// Whether this machine has NVIDIA's hardware, whatever of its software is there.
    pub fn has_nvidia(&self) -> bool {
        let sees_gpus = self.gpus.here().is_some_and(|gpus| !gpus.devices.is_empty());
        self.jetson.is_some() || !self.nvidia.pci.is_empty() || sees_gpus
    }
}

/// Everything that is in the way, the first to be dealt with first; empty where TensorRT can be used.
pub(super) fn of_tensorrt(facts: &Facts) -> Vec<Finding> {
    if !facts.has_nvidia() {
        let hint = match &facts.machine.container {
            Some(container) => format!(
                "use device = \"cpu\" or \"auto\"; if the host has one, hand it into this container ({container}): {}",
                pass_into_container(facts)
            ),
            None => "use device = \"cpu\" or \"auto\"".to_owned(),
        };
        return vec![Finding::missing("GPU", "there is no NVIDIA GPU", hint)];
    }
    let mut found = Vec::new();
    if let Some(jetson) = facts.jetson.as_ref().filter(|jetson| jetson.is_too_old()) {
        found.push(too_old(jetson));
        // Nothing else matters before that.
        return found;
    }
    found.extend(nodes(facts));
    // Where the files are missing, so is the GPU, and for that reason.
    if found.is_empty() {
        found.extend(gpu(facts));
    }
    found.extend(tensorrt(facts));
    found
}

fn too_old(jetson: &Jetson) -> Finding {
    let jetpack = jetson.jetpack().unwrap_or("older than 6.1");
    let l4t = jetson.l4t.as_deref().unwrap_or("unknown");
    Finding::missing(
        "JetPack",
        format!(
            "JetPack {jetpack} (L4T {l4t}) brings a TensorRT older than 10.3, which cannot run the model"
        ),
        "upgrade the board to JetPack 6.1 or later with NVIDIA's SDK Manager; Xavier, Nano and TX2 stay on JetPack 5 \
         or older: use device = \"cpu\" there",
    )
}

/// The files in /dev.
fn nodes(facts: &Facts) -> Option<Finding> {
    let nodes = &facts.nvidia.nodes;
    let is_compute = |path: &str| path.contains("nvidia") || path.contains("nvmap") || path.contains("nvgpu");
    let mut compute = nodes.iter().filter(|node| is_compute(&node.path.to_string_lossy())).peekable();
    if compute.peek().is_none() {
        let files = if facts.jetson.is_some() { "/dev/nvmap" } else { "/dev/nvidia0" };
        return Some(match (&facts.machine.container, &facts.nvidia.kernel_driver) {
            (Some(container), _) => Finding::missing(
                "devices",
                format!("this container ({container}) has none of the GPU's devices, such as {files}"),
                pass_into_container(facts),
            ),
            (None, None) => Finding::missing(
                "driver",
                format!("NVIDIA's kernel driver is not loaded: there is no {files}"),
                "install it (Debian: nvidia-driver; Ubuntu: ubuntu-drivers install; Jetson: nvidia-l4t-core) and start \
                 the machine again; if it is installed, `sudo modprobe nvidia` says what is wrong",
            ),
            (None, Some(version)) => Finding::missing(
                "devices",
                format!("NVIDIA's kernel driver {version} is loaded, but there is no {files}"),
                "run `nvidia-modprobe -u -c 0`, or `nvidia-smi` once, as root",
            ),
        });
    }
    let denied: Vec<_> = compute.filter(|node| !node.is_usable).collect();
    let first = denied.first()?;
    let files: Vec<String> = denied.iter().map(|node| node.path.display().to_string()).collect();
    let next = match &first.group {
        Some(group) => format!(
            "let the user join the group: sudo usermod -aG {group} USER, then log in again; for a service, \
             SupplementaryGroups={group}"
        ),
        None => "give the user read and write access to these files".to_owned(),
    };
    Some(Finding::missing("devices", format!("this user may not use {}", files.join(", ")), next))
}

/// What to do where CUDA shows nothing.
fn against_failure(facts: &Facts) -> &'static str {
    let has_unified_memory =
        || facts.nvidia.nodes.iter().any(|node| node.path.to_string_lossy().contains("nvidia-uvm"));
    match facts.cuda_failure {
        None | Some(CudaFailure::NoLibrary) => {
            "install the driver's library (Debian: libcuda1; Ubuntu: the libnvidia-compute package of the \
             driver's version; Jetson: nvidia-l4t-cuda; a container: --gpus all with NVIDIA_DRIVER_CAPABILITIES=all, \
             or --runtime nvidia)"
        }
        Some(CudaFailure::DriverTooOld) => {
            "install driver 560 or later (a Jetson: JetPack 6.1 or later), and start the machine again"
        }
        Some(CudaFailure::Mismatch) => {
            "start the machine again: the driver in the kernel is of another version than its library, as after an \
             upgrade"
        }
        Some(CudaFailure::Refuses) if facts.jetson.is_none() && !has_unified_memory() => {
            "there is no /dev/nvidia-uvm: run `nvidia-modprobe -u -c 0` as root"
        }
        Some(CudaFailure::Refuses) => {
            "see whether `nvidia-smi` answers, and what `dmesg` says of NVRM; start the machine again"
        }
        Some(CudaFailure::NoAnswer) => {
            "the driver hangs: see whether `nvidia-smi` answers, and start the machine again"
        }
    }
}

/// What CUDA says.
fn gpu(facts: &Facts) -> Option<Finding> {
    let gpus = match &facts.gpus {
        Found::Missing { missing } => {
            return Some(Finding::missing("CUDA", missing.clone(), against_failure(facts)));
        }
        Found::Here(gpus) => gpus,
    };
    let Some(gpu) = gpus.devices.first() else {
        return Some(Finding::missing(
            "CUDA",
            "the driver's library is there, but it shows no GPU",
            "see whether `nvidia-smi` shows one, and whether CUDA_VISIBLE_DEVICES hides it",
        ));
    };
    let (major, minor) = gpu.compute_capability;
    let (least_major, least_minor) = LEAST_COMPUTE_CAPABILITY;
    (gpu.compute_capability < LEAST_COMPUTE_CAPABILITY).then(|| {
        Finding::missing(
            "GPU",
            format!(
                "{} has compute capability {major}.{minor}; {least_major}.{least_minor} (Turing) is the least",
                gpu.name
            ),
            "use device = \"cpu\" or \"auto\"",
        )
    })
}

fn tensorrt(facts: &Facts) -> Vec<Finding> {
    let tensorrt = &facts.tensorrt;
    if tensorrt.built_for.is_empty() {
        return vec![Finding::missing(
            "TensorRT",
            "this program was built where TensorRT's headers were not installed",
            "build it where they are (Jetson: libnvinfer-headers-dev, part of nvidia-jetpack), or set \
             TENSORRT_INCLUDE_DIR to the folder of NvInfer.h, and build again",
        )];
    }
    match &tensorrt.library {
        Found::Missing { missing } => {
            let there = match tensorrt.files.as_slice() {
                [] => String::new(),
                files => format!("; what is here is {}", files.join(", ")),
            };
            let packages = match &facts.jetson {
                Some(_) => "install nvidia-jetpack, or tensorrt alone".to_owned(),
                None => packages(&tensorrt.built_for),
            };
            vec![Finding::missing(
                "TensorRT",
                format!("{missing}{there} (this program was built for {})", tensorrt.built_for.join(", ")),
                format!(
                    "{packages}; where it is in a folder of its own, set {LIBRARY_VARIABLE} to that folder"
                ),
            )]
        }
        Found::Here(library) => library
            .parser_missing
            .iter()
            .map(|missing| {
                let next = match &facts.jetson {
                    Some(_) => "install nvidia-jetpack, or libnvonnxparsers10".to_owned(),
                    None => format!(
                        "install the parser of the same version: {} {}{}",
                        library.flavour,
                        library.version,
                        match library.flavour.as_str() {
                            "TensorRT" => format!(", libnvonnxparsers{}", major(&library.version)),
                            _ => String::new(),
                        }
                    ),
                };
                Finding::missing("TensorRT", format!("no engines can be built: {missing}"), next)
            })
            .collect(),
    }
}

/// How to get the libraries that this program was built for; those of another major version are not loaded.
fn packages(built_for: &[String]) -> String {
    let ways = built_for.iter().map(|built| match built.split_once(' ') {
        Some(("TensorRT", version)) => {
            let major = major(version);
            let least = if major == "10" { ", 10.3 or later," } else { "" };
            format!(
                "install libnvinfer{major} and libnvonnxparsers{major}{least} from NVIDIA's CUDA repository"
            )
        }
        _ => format!("unpack {built} from NVIDIA's site"),
    });
    ways.collect::<Vec<_>>().join(", or ")
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

fn pass_into_container(facts: &Facts) -> String {
    match facts.machine.architecture.as_str() {
        "aarch64" => {
            "start it with --runtime nvidia (NVIDIA Container Toolkit), or with --device for /dev/nvmap, \
             /dev/nvgpu/igpu0, /dev/nvhost-* and /dev/v4l2-nvdec"
        }
        _ => "start it with --gpus all and NVIDIA_DRIVER_CAPABILITIES=all (NVIDIA Container Toolkit)",
    }
    .to_owned()
}

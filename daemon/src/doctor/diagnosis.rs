//! What will run, and what is missing.

use belvedere_models::Device;
use serde::Serialize;

use super::{Facts, Finding, Found, obstacles};

/// What will run the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "runs_on", content = "why")]
pub enum Choice {
    /// TensorRT, for this reason.
    TensorRt(String),
    /// The CPU, for this reason.
    Cpu(String),
    /// Nothing, for this reason.
    Nothing(String),
}

impl Choice {
    /// Of `device` on this machine.
    fn of(facts: &Facts, device: Device, obstacles: &[Finding]) -> Choice {
        let gpu =
            || facts.gpus.here().and_then(|gpus| gpus.devices.first()).map_or("the GPU", |gpu| &gpu.name);
        match (device, obstacles.first(), &facts.onnx_runtime) {
            (Device::TensorRt | Device::Auto, None, _) => {
                Choice::TensorRt(format!("{} and TensorRT are there", gpu()))
            }
            (Device::TensorRt, Some(obstacle), _) => Choice::Nothing(obstacle.says.clone()),
            (Device::Auto, Some(obstacle), Found::Here(_)) => {
                Choice::Cpu(format!("no TensorRT: {}", obstacle.says))
            }
            // Where it was looked for is said once, below.
            (Device::Auto, Some(obstacle), Found::Missing { .. }) => {
                Choice::Nothing(format!("no TensorRT: {}; no CPU: no ONNX Runtime", obstacle.says))
            }
            (Device::Cpu, _, Found::Here(_)) => Choice::Cpu("it was asked for".to_owned()),
            (Device::Cpu, _, Found::Missing { .. }) => Choice::Nothing("no ONNX Runtime".to_owned()),
        }
    }
}

/// What will run, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The device that was asked for.
    #[serde(serialize_with = "by_name")]
    pub device: Device,
    /// What it comes to.
    pub choice: Choice,
    /// What each device would come to.
    pub choices: Vec<(&'static str, Choice)>,
    /// What is missing or could be better.
    pub findings: Vec<Finding>,
}

/// All devices, by their names.
pub(super) const DEVICES: [(&str, Device); 3] =
    [("auto", Device::Auto), ("cpu", Device::Cpu), ("tensorrt", Device::TensorRt)];

impl Diagnosis {
    /// Of a machine that is asked to run the model on `device`.
    pub fn of(facts: &Facts, device: Device) -> Diagnosis {
        let obstacles = obstacles::of_tensorrt(facts);
        let choice = Choice::of(facts, device, &obstacles);
        let choices = DEVICES.map(|(name, device)| (name, Choice::of(facts, device, &obstacles)));
        let mut findings = Vec::new();
        // A machine without a GPU lacks nothing, unless it is asked for one.
        if device == Device::TensorRt || (device == Device::Auto && facts.has_nvidia()) {
            findings.extend(obstacles);
        }
        findings.extend(onnx_runtime(facts, &choice));
        findings.extend(decoders(facts));
        Diagnosis { device, choice, choices: choices.to_vec(), findings }
    }

    /// Whether what was asked for can run here.
    pub fn can_run(&self) -> bool {
        let streams = |finding: &Finding| finding.about == GSTREAMER;
        !matches!(self.choice, Choice::Nothing(_)) && !self.findings.iter().any(streams)
    }
}

/// No camera can be watched without it.
const GSTREAMER: &str = "GStreamer";

fn onnx_runtime(facts: &Facts, choice: &Choice) -> Option<Finding> {
    let Found::Missing { missing } = &facts.onnx_runtime else { return None };
    let next = "`make onnxruntime` in Belvedere's folder fetches it; or install ONNX Runtime 1.24 or later and set \
         ORT_DYLIB_PATH to its libonnxruntime.so";
    Some(match choice {
        Choice::TensorRt(_) => Finding::note(
            "ONNX Runtime",
            format!(
                "{missing}; the model does not run on the CPU, and `selftest` has nothing to compare with"
            ),
            next,
        ),
        _ => Finding::missing("ONNX Runtime", missing.clone(), next),
    })
}

fn decoders(facts: &Facts) -> Vec<Finding> {
    let codecs = match &facts.decoders {
        Found::Here(codecs) => codecs,
        Found::Missing { missing } => {
            let next = "install gstreamer1.0-plugins-base, -good, -bad and gstreamer1.0-libav; a plug-in that hangs is \
                 found with `gst-inspect-1.0`";
            return vec![Finding::missing(GSTREAMER, missing.clone(), next)];
        }
    };
    let mut findings = Vec::new();
    for none in codecs.iter().filter(|codec| codec.elements.is_empty()) {
        findings.push(Finding::note(
            "decoders",
            format!("none for {}: cameras that send it cannot be watched", none.codec),
            "install gstreamer1.0-libav and gstreamer1.0-plugins-good",
        ));
    }
    let any = |mark: &str| codecs.iter().flat_map(|codec| &codec.elements).any(|name| name.starts_with(mark));
    if facts.jetson.is_some() && !any("nvv4l2decoder") {
        findings.push(Finding::note(
            "decoders",
            "the board's decoder (nvv4l2decoder) is not there: the CPU decodes",
            "install nvidia-l4t-gstreamer; in a container, start it with --runtime nvidia",
        ));
    } else if facts.jetson.is_none() && facts.has_nvidia() && !any("nvh") {
        findings.push(Finding::note(
            "decoders",
            "GStreamer shows no decoder of the GPU (nvh264dec): the CPU decodes",
            "install gstreamer1.0-plugins-bad and the driver's libnvcuvid (Debian: libnvcuvid1; Ubuntu: \
             libnvidia-decode; a container: NVIDIA_DRIVER_CAPABILITIES=all)",
        ));
    }
    findings
}

fn by_name<S: serde::Serializer>(device: &Device, serializer: S) -> Result<S::Ok, S::Error> {
    let name = DEVICES.iter().find(|(_, named)| named == device).map_or("auto", |(name, _)| name);
    serializer.serialize_str(name)
}

//! What doctor says of the machine that it runs on, whichever that is.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result};
use belvedere_tests::{Finished, Process, belvedere, belvedere_path};
use serde_json::Value;
use tempfile::TempDir;

/// GStreamer may look into all of its plug-ins for the first time.
const WITHIN: Duration = Duration::from_secs(60);

const DEVICES: [&str; 3] = ["auto", "cpu", "tensorrt"];

fn doctor(arguments: &[&str]) -> Result<Finished> {
    belvedere(&[&["doctor"], arguments].concat(), WITHIN)
}

fn json(finished: &Finished) -> Result<Value> {
    serde_json::from_str(&finished.stdout).with_context(|| format!("{finished:#?}"))
}

fn has_gpu(report: &Value) -> bool {
    let facts = &report["facts"];
    !facts["jetson"].is_null() || facts["nvidia"]["pci"].as_array().is_some_and(|pci| !pci.is_empty())
}

#[test]
fn it_exits_with_0_where_the_device_can_run_and_with_69_and_a_next_step_where_it_cannot() -> Result<()> {
    for device in DEVICES {
        let finished = doctor(&["--device", device, "--format", "json"])?;
        let report = json(&finished)?;
        let runs_on = report["diagnosis"]["choice"]["runs_on"].as_str().unwrap_or_default();
        let code = if runs_on == "nothing" { 69 } else { 0 };
        assert_eq!(finished.status.code(), Some(code), "{device}: {finished:#?}");
        if !has_gpu(&report) {
            let expected = if device == "tensorrt" { "nothing" } else { "cpu" };
            assert_eq!(runs_on, expected, "{device}: {finished:#?}");
        }
        let text = doctor(&["--device", device])?;
        assert_eq!(text.status.code(), Some(code));
        assert!(code == 0 || text.stdout.contains("-> "), "no next step: {}", text.stdout);
        for word in ["machine", "GPU", "TensorRT", "ONNX Runtime", "decoders", "H.264", "engines"] {
            assert!(text.stdout.contains(word), "{word}: {}", text.stdout);
        }
    }
    Ok(())
}

#[test]
fn the_configuration_says_which_device_is_asked_for() -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join("belvedere.toml");
    let config = "[mqtt]\nurl = \"embedded\"\n[[camera]]\nname = \"a\"\nurl = \"test://ball\"\ntasks = [\"caption\"]\n";
    for device in DEVICES {
        std::fs::write(&path, format!("{config}[model]\ndevice = {device:?}\n"))?;
        let report = json(&doctor(&["--format", "json", "--config", &path.to_string_lossy()])?)?;
        assert_eq!(report["diagnosis"]["device"], device);
    }
    std::fs::write(&path, "[model]\ndevice = \"gpu\"\n")?;
    doctor(&["--config", &path.to_string_lossy()])?.assert_fails_saying(78, &["model.device"]);
    Ok(())
}

#[test]
fn a_machine_that_lacks_everything_is_described_too() -> Result<()> {
    let folder = TempDir::new()?;
    let nowhere = folder.path().join("libonnxruntime.so");
    let mut command = Command::new(belvedere_path()?);
    command.args(["doctor", "--device", "cpu"]).env_clear();
    command.env("ORT_DYLIB_PATH", &nowhere).env("GST_PLUGIN_SYSTEM_PATH_1_0", folder.path());
    command.env("GST_REGISTRY", folder.path().join("registry"));
    let mut process = Process::spawn("doctor", &mut command)?;
    let status = process.wait_exit(WITHIN)?;
    process.wait_output();
    let said = process.stdout.all().join("\n");
    assert_eq!(status.code(), Some(69), "{said}");
    for word in [&*nowhere.to_string_lossy(), "ORT_DYLIB_PATH", "none for H.264", "gstreamer1.0-libav"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!process.stderr.all().join("\n").contains("panicked"));
    Ok(())
}

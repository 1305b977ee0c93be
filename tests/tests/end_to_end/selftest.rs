//! A device beside the CPU.

use std::time::Duration;

use anyhow::{Context as _, Result};
use belvedere_tests::belvedere;
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(120);

#[test]
fn fast_on_the_cpu_passes_every_stage_beside_exact() -> Result<()> {
    let arguments = ["selftest", "--device", "cpu", "--iterations", "1", "--format", "json"];
    let finished = belvedere(&arguments, WITHIN)?;
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    let report: Value = serde_json::from_str(&finished.stdout).with_context(|| format!("{finished:#?}"))?;
    let stages = report["stages"].as_array().context("stages")?;
    let names: Vec<&str> = stages.iter().filter_map(|stage| stage["name"].as_str()).collect();
    assert_eq!(names, ["preprocess", "vision", "encoder and decoder", "greedy tokens", "3 beams"]);
    assert!(stages.iter().all(|stage| stage["outcome"] == "passed"), "{stages:#?}");
    // It is fast that was compared, not exact with itself.
    assert_ne!(report["reference"]["description"], report["device"]["description"]);
    let measured = report["device"]["stages"].as_array().context("times")?;
    assert!(measured.iter().any(|stage| stage["stage"] == "vision" && stage["p50_ms"].as_f64() > Some(0.0)));
    // What the machine has goes with it.
    assert!(report["machine"]["facts"]["onnx_runtime"]["version"].is_string());
    Ok(())
}

#[test]
fn a_device_that_is_not_there_is_69_with_what_is_missing() -> Result<()> {
    let finished = belvedere(&["doctor", "--device", "tensorrt"], WITHIN)?;
    if finished.status.code() == Some(0) {
        // A machine that has it is tested by `make gpu-test`.
        return Ok(());
    }
    let finished = belvedere(&["selftest", "--device", "tensorrt"], WITHIN)?;
    assert_eq!(finished.status.code(), Some(69), "{finished:#?}");
    assert!(finished.stdout.contains("-> "), "{finished:#?}");
    let finished = belvedere(&["model", "build", "--device", "tensorrt"], WITHIN)?;
    finished.assert_fails_saying(69, &["-> "]);
    Ok(())
}

#[test]
fn nothing_is_built_for_the_cpu() -> Result<()> {
    let finished = belvedere(&["model", "build", "--device", "cpu"], WITHIN)?;
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(finished.stdout.starts_with("CPU"), "{finished:#?}");
    Ok(())
}

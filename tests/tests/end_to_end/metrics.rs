//! The metrics of a running daemon, checked with Prometheus' own tool.

use std::{
    env,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use belvedere_tests::{Daemon, http_get};

use crate::scene::{Scene, WITHIN, assert_ends_well};

/// `scripts/page-tools.sh` puts it there.
const PROMTOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.runtime/page-tools/promtool");

#[test]
fn prometheus_takes_the_metrics_without_a_word_and_they_count_what_happens() -> Result<()> {
    let scene = Scene::new()?;
    let config = scene.config(&[("porch", "test://ball"), ("dead", "file:///nowhere/film.mp4")]);
    let mut daemon = Daemon::start(&format!("[http]\nlisten = \"127.0.0.1:0\"\n\n{config}"))?;
    let page = daemon.page()?;
    // The sixth is published when the fifth has been counted.
    scene.results(0, "porch", 6)?;
    let (status, metrics) = http_get(&format!("{page}metrics"))?;
    assert_eq!(status, 200);
    promtool(&metrics)?;
    let value = |series: &str| -> Result<f64> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.with_context(|| format!("{series} is not in {metrics}"))?.parse().map_err(Into::into)
    };
    assert!(value("belvedere_frames_analysed_total{camera=\"porch\"}")? >= 5.0);
    assert!(value("belvedere_frame_age_seconds_count{camera=\"porch\"}")? >= 5.0);
    assert!(value("belvedere_stage_duration_seconds_sum{stage=\"vision\"}")? > 0.0);
    assert_eq!(value("belvedere_camera_up{camera=\"porch\"}")?, 1.0);
    assert_eq!(value("belvedere_camera_up{camera=\"dead\"}")?, 0.0);
    assert_eq!(value("belvedere_mqtt_connected")?, 1.0);
    assert!(value("process_resident_memory_bytes")? > 1e6);

    let (status, health) = http_get(&format!("{page}healthz"))?;
    assert_eq!(status, 200, "{health}");
    daemon.process.stderr.wait_for("why the camera is dead", WITHIN, |lines| {
        lines.iter().any(|line| line.contains("camera offline") && line.contains("dead")).then_some(())
    })?;
    let deadline = Instant::now() + WITHIN;
    while http_get(&format!("{page}readyz"))?.0 != 200 {
        ensure!(Instant::now() < deadline, "not ready: {:?}", http_get(&format!("{page}readyz"))?);
    }
    assert_ends_well(&mut daemon)
}

#[test]
fn the_daemon_does_not_start_where_its_page_cannot_listen() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let scene = Scene::new()?;
    let config = scene.config(&[("porch", "test://ball")]);
    let mut daemon = Daemon::start(&format!("[http]\nlisten = \"{address}\"\n\n{config}"))?;
    let status = daemon.process.wait_exit(Duration::from_secs(30))?;
    daemon.process.wait_output();
    assert_eq!(status.code(), Some(1), "{}", daemon.output());
    assert!(daemon.output().contains(&format!("the page cannot listen on {address}")), "{}", daemon.output());
    Ok(())
}

/// Hands the text to `promtool check metrics`, which must have nothing to say.
fn promtool(metrics: &str) -> Result<()> {
    let program = env::var_os("BELVEDERE_PROMTOOL").map_or_else(|| PathBuf::from(PROMTOOL), PathBuf::from);
    let mut process = Command::new(&program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{}: `make page-tools` gets it", program.display()))?;
    process.stdin.take().context("its input")?.write_all(metrics.as_bytes())?;
    let finished = process.wait_with_output()?;
    let said = [finished.stdout, finished.stderr].concat();
    ensure!(finished.status.success() && said.is_empty(), "promtool: {}", String::from_utf8_lossy(&said));
    Ok(())
}

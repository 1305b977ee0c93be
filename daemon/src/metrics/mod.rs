//! Everything that can be counted, in Prometheus' text format.
//!
//! Names follow Prometheus' conventions: base units (seconds, bytes), `_total` for what only grows, the prefix
//! `belvedere_`, and `process_` for what every process has. Labels come from the configuration and from lists in the
//! code: `camera`, `alert` (the slugs of configured phrases), `reason`, `stage`, `purpose`. Nothing that a stream, a model or a
//! broker says becomes a label, so the number of series is bounded by the configuration ([`SERIES_PER_CAMERA`],
//! [`SERIES_PER_ALERT`], [`OTHER_SERIES`]).
//!
//! Stage times and ages are measured as frames pass ([`StageTimes`]); everything else is read where it is counted
//! already, when somebody asks ([`text`]).

mod families;
mod sources;
mod stage_times;
#[cfg(test)]
mod tests;

pub use sources::MetricSources;
pub use stage_times::StageTimes;

use std::time::UNIX_EPOCH;

use belvedere_models::engine::DeviceMemory;

use crate::live::{Live, LiveCamera, Phase};
use crate::messages::DroppedFrames;
use crate::process;
use families::Families;

/// So many series a camera has at most, without its alerts.
pub const SERIES_PER_CAMERA: usize = 28;
/// So many series an alert has.
pub const SERIES_PER_ALERT: usize = 2;
/// So many series there are beside those of cameras and alerts, at most.
pub const OTHER_SERIES: usize = 120;

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// All metrics now.
pub fn text(live: &Live) -> String {
    let mut families = Families::new();
    of_the_process(&mut families, live);
    if let Some(memory) = live.device_memory() {
        of_the_device(&mut families, memory);
    }
    of_the_model(&mut families, live);
    of_the_cameras(&mut families, &live.cameras());
    if let Some(sources) = live.sources() {
        of_the_messages(&mut families, sources);
        let held_back = live.cameras().into_iter().map(|camera| {
            let counts = sources.alert_counts(camera.name());
            (vec![camera.name().to_owned()], counts.held_back)
        });
        families.counter(
            "belvedere_alerts_held_back_total",
            "Times that a phrase was true and ceased to be within its cooldown, so that nobody was told.",
            &["camera"],
            held_back,
        );
    }
    families.text()
}

fn of_the_process(families: &mut Families, live: &Live) {
    let device = live.device().as_deref().unwrap_or_default().to_owned();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    families.gauge(
        "belvedere_build_info",
        "Always 1; the labels say what runs.",
        &["version", "device"],
        [(vec![version, device], 1.0)],
    );
    let phase = live.phase();
    let is_ready = if phase == Phase::Running { 1.0 } else { 0.0 };
    families.value("belvedere_running", "1 once the model is loaded and cameras are watched.", is_ready);
    families.value(
        "belvedere_abandoned_pipelines",
        "Pipelines that were left behind and hang still.",
        belvedere_pipelines::abandoned_pipelines() as f64,
    );
    families.value(
        "process_start_time_seconds",
        "When the process began, in seconds since 1970.",
        // The same at each scrape, or it would be taken for another process.
        live.began_at().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
    );
    if let Some(bytes) = process::resident_memory_bytes() {
        families.value("process_resident_memory_bytes", "Memory in use.", bytes as f64);
    }
    if let Some(bytes) = process::peak_memory_bytes() {
        families.value("belvedere_peak_memory_bytes", "The most memory that was in use.", bytes as f64);
    }
    if let Some(descriptors) = process::open_descriptors() {
        families.value("process_open_fds", "Open file descriptors.", descriptors as f64);
    }
    if let Some(threads) = process::threads() {
        families.value("process_threads", "Threads.", threads as f64);
    }
}

/// No series where the device has no memory of its own.
fn of_the_device(families: &mut Families, memory: DeviceMemory) {
    let DeviceMemory { total_bytes, free_bytes, planned_bytes, pictures_bytes, prompts_bytes } = memory;
    families.value(
        "belvedere_device_memory_bytes",
        "Memory of the device that runs the model.",
        total_bytes as f64,
    );
    families.value(
        "belvedere_device_memory_free_bytes",
        "Memory of the device that nobody has taken.",
        free_bytes as f64,
    );
    let held = [("plan", planned_bytes), ("pictures", pictures_bytes), ("prompts", prompts_bytes)];
    families.gauge(
        "belvedere_device_memory_held_bytes",
        "Memory of the device that the engine has taken, without the weights.",
        &["purpose"],
        held.map(|(purpose, bytes)| (vec![purpose.to_owned()], bytes as f64)),
    );
}

fn of_the_model(families: &mut Families, live: &Live) {
    let (turns, since) = live.turns();
    families.total(
        "belvedere_model_turns_total",
        "Turns of the model thread, with a frame or without.",
        turns,
    );
    families.value(
        "belvedere_model_turn_age_seconds",
        "How long ago the model thread last began a turn.",
        since.as_secs_f64(),
    );
    live.stages().add_to(families);
}

fn of_the_cameras(families: &mut Families, cameras: &[std::sync::Arc<LiveCamera>]) {
    let label = |camera: &LiveCamera| vec![camera.name().to_owned()];
    let state = |wanted: fn(&str) -> bool| {
        cameras.iter().map(move |camera| (label(camera), if wanted(camera.state()) { 1.0 } else { 0.0 }))
    };
    let camera = &["camera"];
    families.gauge(
        "belvedere_camera_up",
        "1 while it gives frames.",
        camera,
        state(|state| state == "online"),
    );
    families.gauge(
        "belvedere_camera_enabled",
        "1 while it is switched on.",
        camera,
        state(|state| state != "disabled"),
    );
    families.gauge(
        "belvedere_camera_viewers",
        "How many look at its live picture.",
        camera,
        cameras.iter().map(|camera| (label(camera), camera.lookers() as f64)),
    );
    let numbers: Vec<_> = cameras
        .iter()
        .filter_map(|camera| {
            let (counters, progress) = camera.numbers()?;
            Some((label(camera), counters.values(), progress.values()))
        })
        .collect();
    let mut count =
        |name,
         help,
         number: fn(&belvedere_pipelines::CounterValues, &crate::watch::ProgressValues) -> u64| {
            let values =
                numbers.iter().map(|(label, pipeline, model)| (label.clone(), number(pipeline, model)));
            families.counter(name, help, camera, values);
        };
    count("belvedere_frames_decoded_total", "Frames that came out of the decoder.", |pipeline, _| {
        pipeline.decoded
    });
    count("belvedere_frames_analysed_total", "Frames that the model answered about.", |_, model| {
        model.analysed
    });
    count("belvedere_results_total", "Results published.", |_, model| model.results);
    count("belvedere_stream_errors_total", "Streams that failed.", |pipeline, _| pipeline.errors);
    count("belvedere_reconnects_total", "Streams that were built again and gave frames.", |pipeline, _| {
        pipeline.reconnects
    });
    let dropped = numbers.iter().flat_map(|(label, pipeline, model)| {
        let DroppedFrames { fps, superseded, unreadable, failed, cancelled, unwanted } =
            DroppedFrames::new(*pipeline, *model);
        let reasons = [
            ("fps", fps),
            ("superseded", superseded),
            ("unreadable", unreadable),
            ("failed", failed),
            ("cancelled", cancelled),
            ("unwanted", unwanted),
        ];
        reasons.map(|(reason, frames)| ([label.as_slice(), &[reason.to_owned()]].concat(), frames))
    });
    families.counter(
        "belvedere_frames_dropped_total",
        "Frames that were let go, by reason.",
        &["camera", "reason"],
        dropped,
    );
    let alerts = || {
        cameras.iter().flat_map(|camera| {
            camera
                .alerts()
                .iter()
                .map(|alert| (vec![camera.name().to_owned(), alert.slug().to_owned()], alert))
        })
    };
    families.counter(
        "belvedere_alerts_total",
        "Alerts told.",
        &["camera", "alert"],
        alerts().map(|(labels, alert)| (labels, alert.told())),
    );
    families.gauge(
        "belvedere_alert_active",
        "1 while the phrase is true.",
        &["camera", "alert"],
        alerts().map(|(labels, alert)| (labels, if alert.is_on() { 1.0 } else { 0.0 })),
    );
}

fn of_the_messages(families: &mut Families, sources: &MetricSources) {
    let counts = sources.mqtt();
    let is_connected = if sources.is_connected() { 1.0 } else { 0.0 };
    families.value("belvedere_mqtt_connected", "1 while the broker is connected.", is_connected);
    families.total("belvedere_mqtt_connects_total", "Connections that the broker accepted.", counts.connects);
    families.total(
        "belvedere_mqtt_messages_published_total",
        "Messages written to the broker's connection.",
        counts.published,
    );
    families.total(
        "belvedere_mqtt_messages_received_total",
        "Messages from others that the broker passed on.",
        counts.received,
    );
    let dropped = [
        ("outbox_full", counts.dropped_outbox_full),
        ("too_large", counts.dropped_too_large),
        ("spool_full_event", counts.dropped_events),
        ("spool_full_snapshot", counts.dropped_snapshots),
        ("spool_full_state", counts.dropped_states),
        ("refused", counts.dropped_refused),
        ("incoming", counts.dropped_incoming),
    ];
    families.counter(
        "belvedere_mqtt_messages_dropped_total",
        "Messages that were let go, by reason.",
        &["reason"],
        dropped.map(|(reason, messages)| (vec![reason.to_owned()], messages)),
    );
    let (outbox, spool) = sources.waiting();
    families.value(
        "belvedere_outbox_messages",
        "Messages of all kinds that wait for the broker.",
        outbox as f64,
    );
    families.value("belvedere_spool_messages", "Of those, messages that must not be lost.", spool as f64);
    families.value(
        "belvedere_spool_in_memory_only",
        "1 while alerts that are accepted would be lost with the process.",
        if sources.is_spool_in_memory_only() { 1.0 } else { 0.0 },
    );
}

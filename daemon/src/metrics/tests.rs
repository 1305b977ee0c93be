//! What the metrics promise: names, bounds, and that who uses them finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use belvedere_models::engine::DeviceMemory;
use serde_json::Value;
use tokio::sync::watch;

use super::{MetricSources, OTHER_SERIES, SERIES_PER_ALERT, SERIES_PER_CAMERA, text};
use crate::alerts::AlertCounts;
use crate::live::{Live, fixture};
use crate::messages::TimingMs;
use crate::mqtt::{MqttCounters, Outbox};

const ALERTS: usize = 5;
const MEMORY: DeviceMemory = DeviceMemory {
    total_bytes: 8_000,
    free_bytes: 3_000,
    planned_bytes: 400,
    pictures_bytes: 50,
    prompts_bytes: 6,
};

/// Everything that there can be of so many cameras.
fn all_of(cameras: usize) -> String {
    let (live, _) = Live::new().unwrap();
    let phrases: Vec<String> = (0..ALERTS).map(|number| format!("\"thing\" {number}")).collect();
    for number in 0..cameras {
        let name = format!("camera-{number}");
        let camera = live.add_camera(&fixture::camera(&name, &phrases), true);
        camera.set_numbers(Arc::default(), Arc::default());
        let timing = TimingMs { preprocess: 1.0, vision: 20.0, encoder: 3.0, decode: 400.0, evidence: 9.0 };
        for age_ms in [1, 500, 100_000] {
            live.stages().observe(&name, timing, Duration::from_millis(age_ms));
        }
    }
    let counters = Arc::new(MqttCounters::default());
    let outbox = Arc::new(Outbox::in_memory(Arc::clone(&counters)).unwrap());
    let (_, connected) = watch::channel(true);
    let sources = MetricSources::new(outbox, counters, connected, |_| AlertCounts::default());
    live.set_sources(sources);
    live.set_device_memory(Some(MEMORY));
    text(&live)
}

/// The families with their types.
fn families(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[test]
fn with_64_cameras_the_number_of_series_is_what_was_promised() {
    for cameras in [0, 1, 64] {
        let series = all_of(cameras).lines().filter(|line| !line.starts_with('#')).count();
        let of_cameras = cameras * (SERIES_PER_CAMERA + ALERTS * SERIES_PER_ALERT);
        assert!(
            (of_cameras..=of_cameras + OTHER_SERIES).contains(&series),
            "{cameras} cameras: {series} series"
        );
    }
}

#[test]
fn the_start_of_the_process_is_the_same_at_each_scrape() {
    let live = Live::new().unwrap().0;
    let start = || {
        text(&live).lines().find(|line| line.starts_with("process_start_time_seconds ")).map(str::to_owned)
    };
    assert!(start().is_some());
    assert_eq!(start(), start());
}

#[test]
fn the_memory_of_a_device_is_told_where_there_is_one_and_has_no_series_where_there_is_none() {
    let live = Live::new().unwrap().0;
    assert!(!text(&live).contains("device_memory"));
    live.set_device_memory(Some(MEMORY));
    let text = text(&live);
    let told = text.lines().filter_map(|line| line.strip_prefix("belvedere_device_memory_"));
    let told: BTreeMap<&str, &str> = told.filter_map(|line| line.split_once(' ')).collect();
    let expected = [
        ("bytes", "8000"),
        ("free_bytes", "3000"),
        ("held_bytes{purpose=\"pictures\"}", "50"),
        ("held_bytes{purpose=\"plan\"}", "400"),
        ("held_bytes{purpose=\"prompts\"}", "6"),
    ];
    assert_eq!(told, BTreeMap::from(expected));
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let text = all_of(1);
    let families = families(&text);
    assert!(families.len() > 30, "{families:?}");
    for (name, kind) in families {
        assert!(name.starts_with("belvedere_") || name.starts_with("process_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        for unit in ["_ms", "_milliseconds", "_kb", "_mib", "_percent", "_fps"] {
            assert!(!name.contains(unit), "{name} is in no base unit");
        }
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.ends_with('.')), "{name}: {help:?}");
    }
}

#[test]
fn every_query_of_the_dashboard_names_a_metric_that_there_is() {
    let known: BTreeSet<String> = families(&all_of(1)).into_keys().collect();
    let dashboard: Value = serde_json::from_str(include_str!("../../grafana/belvedere.json")).unwrap();
    let queries = strings_of(&dashboard, &["expr", "query"]);
    assert!(queries.len() > 20, "{queries:?}");
    let mut named = 0;
    for query in queries {
        for name in names_in(&query) {
            named += 1;
            let is_part =
                |suffix: &str| name.strip_suffix(suffix).is_some_and(|family| known.contains(family));
            let is_known = known.contains(&name) || ["_bucket", "_sum", "_count"].into_iter().any(is_part);
            assert!(is_known, "{name} in {query}");
        }
    }
    assert!(named > 25, "{named}");
}

#[test]
fn the_documentation_names_every_metric_and_no_other() {
    let known: BTreeSet<String> = families(&all_of(1)).into_keys().collect();
    let told: BTreeSet<String> = names_in(include_str!("../../docs/http.md")).into_iter().collect();
    assert_eq!(known, told);
}

/// The metrics that a text names.
fn names_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.starts_with("belvedere_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

fn strings_of(value: &Value, keys: &[&str]) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(|value| strings_of(value, keys)).collect(),
        Value::Object(map) => {
            let found = keys.iter().filter_map(|key| map.get(*key)?.as_str()).map(str::to_owned);
            found.chain(map.values().flat_map(|value| strings_of(value, keys))).collect()
        }
        _ => Vec::new(),
    }
}

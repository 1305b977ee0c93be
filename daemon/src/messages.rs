//! What is said over MQTT.

use std::collections::BTreeMap;
use std::time::SystemTime;

use belvedere_models::{Region, Task};
use belvedere_pipelines::CounterValues;
use serde::{Serialize, Serializer};

use crate::alerts::AlertCounts;
use crate::mqtt::MqttCounts;
use crate::watch::ProgressValues;

/// A moment as RFC 3339 in UTC with milliseconds.
pub fn rfc3339_ms(time: SystemTime) -> String {
    // A clock outside the years 1 to 9999 is reported as the epoch rather than not at all.
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{timestamp:.3}")
}

/// Where the time of a result went, in ms. `vision` is the frame's, whatever number of tasks shared
/// it; `encoder` and `decode` are those of the batch that the result was a part of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TimingMs {
    /// Colour, size and normalisation of all frames that were encoded together. Where the GPU does it: the time to copy them
    /// for it, and the GPU's own.
    #[serde(serialize_with = "tenths")]
    pub preprocess: f64,
    /// The vision tower.
    #[serde(serialize_with = "tenths")]
    pub vision: f64,
    /// Prompts and picture to the decoder's keys and values.
    #[serde(serialize_with = "tenths")]
    pub encoder: f64,
    /// Prefill and all steps.
    #[serde(serialize_with = "tenths")]
    pub decode: f64,
    /// Evidence about the phrases of alerts, beyond their answers; absent where none is watched for.
    #[serde(serialize_with = "tenths", skip_serializing_if = "is_zero")]
    pub evidence: f64,
}

fn is_zero(ms: &f64) -> bool {
    *ms == 0.0
}

fn tenths<S: Serializer>(ms: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((ms * 10.0).round() / 10.0)
}

/// The payload of `ROOT/CAMERA/TASK`.
#[derive(Debug, Serialize)]
pub struct ResultMessage<'a> {
    /// The camera's name.
    pub camera: &'a str,
    /// Increases from frame to frame of a camera.
    pub frame_id: u64,
    /// When the frame came from the camera.
    #[serde(serialize_with = "moment")]
    pub captured_at: SystemTime,
    /// How old the frame was when this was said.
    pub age_ms: u64,
    /// Of the frame, in pixels; the regions are in them.
    pub width: u32,
    /// Of the frame, in pixels.
    pub height: u32,
    /// What was asked.
    pub task: Task,
    /// The phrase or the caption that the task was asked about; absent where it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<&'a str>,
    /// The answer as text.
    pub text: &'a str,
    /// The answer's regions, in pixels of the frame.
    pub regions: &'a [Region],
    /// Where the time went.
    pub timing_ms: TimingMs,
}

/// As RFC 3339 with milliseconds.
pub(crate) fn moment<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339_ms(*time))
}

/// What `infer` says of an image, on one line.
#[derive(Debug, Serialize)]
pub struct ImageResult<'a> {
    /// The image's path as it was given.
    pub image: &'a str,
    /// Of the image.
    pub width: u32,
    /// Of the image.
    pub height: u32,
    /// What was asked; absent for a prompt of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// The prompt of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<&'a str>,
    /// The phrase or the caption that the task was asked about; absent where it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<&'a str>,
    /// The box that the task was asked about, in pixels of the image; absent where it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<[f32; 4]>,
    /// The answer as text.
    pub text: &'a str,
    /// The whole sequence: decoder start, forced BOS, ..., EOS.
    pub token_ids: &'a [u32],
    /// The answer's regions, in pixels of the image.
    pub regions: &'a [Region],
    /// Where the time went.
    pub timing_ms: TimingMs,
}

/// The payload of `ROOT/state`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateMessage {
    /// What the daemon is doing.
    pub state: DaemonState,
    /// Since when.
    #[serde(serialize_with = "moment")]
    pub since: SystemTime,
    /// What runs the model where; absent until it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How far building has come; absent in all other states.
    #[serde(flatten)]
    pub building: Option<BuildState>,
}

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DaemonState {
    /// The model is being loaded.
    Loading,
    /// Engines are being built for this GPU; the next start finds them.
    Building,
    /// Cameras are watched.
    Running,
    /// It has ended, in good order.
    Stopped,
}

impl DaemonState {
    /// Their words, in the order of a life.
    pub const WORDS: [&'static str; 4] = ["loading", "building", "running", "stopped"];
}

/// How far building has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildState {
    /// Of everything, in whole percent; what is left may take longer than what was done.
    pub percent: u32,
    /// The graph being built.
    pub graph: &'static str,
    /// Its place among those to be built, from 1.
    pub place: usize,
    /// How many are to be built.
    pub graphs: usize,
    /// The builder's own name for what it is doing.
    pub phase: String,
}

/// The payload of `ROOT/stats`. Counters begin at 0 with the process and only grow, but those of the alerts of a camera
/// that left and came back; what waits, what hangs and what is per second is so now.
#[derive(Debug, Serialize)]
pub struct StatsMessage {
    /// Now.
    #[serde(serialize_with = "moment")]
    pub time: SystemTime,
    /// Of the daemon.
    pub version: &'static str,
    /// Since the start of the process.
    pub uptime_s: u64,
    /// What runs where.
    pub device: String,
    /// The most memory the process has had in use, in bytes.
    pub peak_memory_bytes: u64,
    /// Pipelines that were left behind and hang still: one that comes back is not counted any more.
    pub abandoned_pipelines: u64,
    /// Of the messages.
    pub mqtt: MqttStats,
    /// Of each camera, by its name.
    pub cameras: BTreeMap<String, CameraStats>,
}

/// Of the messages.
#[derive(Debug, Serialize)]
pub struct MqttStats {
    /// What became of them.
    #[serde(flatten)]
    pub counts: MqttCounts,
    /// Messages that wait.
    pub waiting: usize,
    /// Whether alerts that are accepted now would be lost with the process: the disk fails, or there is no file.
    pub spool_in_memory_only: bool,
}

/// Of one camera.
#[derive(Debug, Default, Serialize)]
pub struct CameraStats {
    /// As in `ROOT/CAMERA/status`.
    pub status: &'static str,
    /// Frames analysed.
    pub analysed: u64,
    /// Frames analysed per second since the last message.
    pub analysed_fps: f64,
    /// Results published, one for each task of an analysed frame.
    pub results: u64,
    /// The mean age of the frames analysed since the last message, when their results were published.
    pub mean_age_ms: Option<u64>,
    /// Frames that came out of the decoder.
    pub decoded: u64,
    /// Frames that were let go, by reason.
    pub dropped: DroppedFrames,
    /// What became of its phrases.
    pub alerts: AlertStats,
    /// Streams that failed.
    pub stream_errors: u64,
    /// Streams that were built again.
    pub reconnects: u64,
}

impl CameraStats {
    /// Of a camera that is not to be watched.
    pub fn disabled() -> CameraStats {
        CameraStats { status: "disabled", ..CameraStats::default() }
    }
}

/// What became of a camera's phrases.
#[derive(Debug, Default, Serialize)]
pub struct AlertStats {
    /// Alerts.
    pub told: u64,
    /// Times that a phrase was true and ceased to be within its cooldown, so that nobody was told.
    pub held_back: u64,
    /// Looks for a phrase whose answer did not count, because the camera was offline or switched off since.
    pub ignored: u64,
}

impl From<AlertCounts> for AlertStats {
    fn from(counts: AlertCounts) -> AlertStats {
        let AlertCounts { told, held_back, ignored_sightings: ignored } = counts;
        AlertStats { told, held_back, ignored }
    }
}

/// Frames that were let go, by reason.
#[derive(Debug, Default, Serialize)]
pub struct DroppedFrames {
    /// `fps` did not ask for them.
    pub fps: u64,
    /// A newer one came before the model had time.
    pub superseded: u64,
    /// Their memory could not be read.
    pub unreadable: u64,
    /// The model failed on them.
    pub failed: u64,
    /// The daemon was stopped while the model had them.
    pub cancelled: u64,
    /// There was nothing to ask: no task, and no phrase whose schedule was open; or their camera was switched off, or
    /// given another source, before the model had time.
    pub unwanted: u64,
}

impl DroppedFrames {
    /// From the counters of the pipeline and those of the model thread.
    pub fn new(pipeline: CounterValues, model: ProgressValues) -> DroppedFrames {
        DroppedFrames {
            fps: pipeline.gated,
            superseded: pipeline.superseded,
            unreadable: pipeline.unreadable,
            failed: model.failed,
            cancelled: model.cancelled,
            unwanted: pipeline.unwanted + model.unwanted,
        }
    }
}

/// A message as JSON; never fails for these types, whose keys are strings.
pub fn to_json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use belvedere_models::{Region, Shape, Task};
    use belvedere_pipelines::CounterValues;

    use super::{
        BuildState, DaemonState, DroppedFrames, ProgressValues, ResultMessage, StateMessage, TimingMs,
        rfc3339_ms, to_json,
    };

    #[test]
    fn times_are_rfc_3339_with_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_999);
        assert_eq!(rfc3339_ms(time), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339_ms(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_state_is_flat_and_says_how_far_building_has_come_only_while_it_builds() {
        let since = SystemTime::UNIX_EPOCH;
        let building =
            BuildState { percent: 61, graph: "encoder", place: 2, graphs: 3, phase: "tactics".to_owned() };
        let said = |state, device: Option<&str>, building| {
            let message = StateMessage { state, since, device: device.map(str::to_owned), building };
            String::from_utf8(to_json(&message)).unwrap()
        };
        assert_eq!(
            said(DaemonState::Building, None, Some(building)),
            "{\"state\":\"building\",\"since\":\"1970-01-01T00:00:00.000Z\",\"percent\":61,\"graph\":\"encoder\",\
             \"place\":2,\"graphs\":3,\"phase\":\"tactics\"}"
        );
        assert_eq!(
            said(DaemonState::Running, Some("CPU"), None),
            "{\"state\":\"running\",\"since\":\"1970-01-01T00:00:00.000Z\",\"device\":\"CPU\"}"
        );
        let states =
            [DaemonState::Loading, DaemonState::Building, DaemonState::Running, DaemonState::Stopped];
        let words = states.map(|state| serde_json::to_value(state).unwrap());
        assert_eq!(words.map(|word| word.as_str().unwrap().to_owned()), DaemonState::WORDS);
    }

    #[test]
    fn every_frame_that_was_let_go_counts_for_one_reason() {
        let pipeline =
            CounterValues { gated: 1, superseded: 2, unreadable: 4, unwanted: 8, ..CounterValues::default() };
        let model = ProgressValues {
            failed: 16,
            cancelled: 32,
            unwanted: 64,
            analysed: 128,
            ..ProgressValues::default()
        };
        let dropped = serde_json::to_value(DroppedFrames::new(pipeline, model)).unwrap();
        let all = dropped.as_object().unwrap().values().map(|frames| frames.as_u64().unwrap());
        assert_eq!(all.sum::<u64>(), 127, "{dropped}");
        assert_eq!(dropped["unwanted"], 72);
    }

    #[test]
    fn a_result_has_the_promised_fields_in_the_promised_order() {
        let region =
            Region { label: "car".to_owned(), score: Some(0.5), shape: Shape::Box([1.0, 2.0, 3.5, 4.0]) };
        let message = ResultMessage {
            camera: "porch",
            frame_id: 7,
            captured_at: SystemTime::UNIX_EPOCH,
            age_ms: 12,
            width: 640,
            height: 480,
            task: Task::ObjectDetection,
            input: None,
            text: "car<loc_1>",
            regions: &[region],
            timing_ms: TimingMs {
                preprocess: 1.23,
                vision: 33.0,
                encoder: 4.1,
                decode: 18.68,
                evidence: 0.0,
            },
        };
        assert_eq!(
            String::from_utf8(to_json(&message)).unwrap(),
            "{\"camera\":\"porch\",\"frame_id\":7,\"captured_at\":\"1970-01-01T00:00:00.000Z\",\"age_ms\":12,\
             \"width\":640,\"height\":480,\"task\":\"object-detection\",\"text\":\"car<loc_1>\",\
             \"regions\":[{\"label\":\"car\",\"score\":0.5,\"box\":[1.0,2.0,3.5,4.0]}],\
             \"timing_ms\":{\"preprocess\":1.2,\"vision\":33.0,\"encoder\":4.1,\"decode\":18.7}}"
        );
    }
}

//! Cameras for tests of what is made of [`super::Live`].

use belvedere_models::Task;
use belvedere_pipelines::{CameraName, SourceSpec, SourceUrl};

use super::{Sight, SightPhrase, SightRegion, SightResult};
use crate::alerts::{AlertSettings, Phrase, Polygon, Zone};
use crate::config::{CameraAlert, CameraSettings, CameraTask};
use crate::snapshot::SnapshotStyle;

/// A camera that is watched for `phrases` and has a zone.
pub(crate) fn camera(name: &str, phrases: &[String]) -> CameraSettings {
    let url = SourceUrl::parse("rtsp://user:secret@192.0.2.10/stream1").unwrap();
    let alert = |text: &String| CameraAlert {
        phrase: Phrase::new(text).unwrap(),
        rule: AlertSettings::default(),
        snapshot: SnapshotStyle::default(),
    };
    let polygon = Polygon::new(vec![[0.1, 0.5], [0.6, 0.5], [0.6, 1.0]]).unwrap();
    CameraSettings {
        name: name.to_owned(),
        enabled: true,
        source: SourceSpec::new(CameraName::new(name).unwrap(), url),
        tasks: vec![CameraTask { task: Task::Caption, text: None }],
        alerts: phrases.iter().map(alert).collect(),
        zones: vec![Zone::new("driveway", polygon).unwrap()].into(),
    }
}

/// What may be found in a frame.
pub(crate) fn sight(camera: &str, frame_id: u64) -> Sight {
    Sight {
        camera: camera.to_owned(),
        frame_id,
        captured_at: std::time::SystemTime::now(),
        age_ms: 40,
        width: 64,
        height: 48,
        results: vec![SightResult {
            task: Task::Caption,
            input: None,
            text: "a dog".to_owned(),
            regions: Vec::new(),
        }],
        phrases: vec![SightPhrase {
            phrase: "a dog".to_owned(),
            slug: "a_dog".to_owned(),
            min_score: 0.4,
            regions: vec![SightRegion { score: 0.9, box_px: [1.0, 2.0, 30.5, 40.0] }],
        }],
    }
}

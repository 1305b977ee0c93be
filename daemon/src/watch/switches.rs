//! `ROOT/CAMERA/enabled/set`: cameras are switched on and off by others.
//!
//! The position outlives the daemon. Where it is not the configuration's, it is written down as a note in the
//! spool; the configuration's is what a camera begins with for which there is no note. With `mqtt.outbox = false`
//! each start begins with the configuration.
//!
//! A retained command is obeyed once, so that it can wait for a daemon that is away; when it comes again, at a later
//! connection or start, whatever was said after it counts. Which one was obeyed is a note too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::CameraSettings;
use crate::mqtt::spool::{NewMessage, SpoolKind};
use crate::mqtt::{Inbox, IncomingMessage, Outbox, topics};

/// What the names of the notes begin with. No topic holds a blank before its first `/`.
const POSITION: &str = "camera switch ";
/// The same of those about the last retained command. No camera's name holds a blank.
const HEARD: &str = "camera switch heard ";
/// A longer payload is no position, in bytes.
pub(super) const MAX_PAYLOAD_BYTES: usize = 16;

/// The switches of all cameras.
#[derive(Debug)]
pub(super) struct Switches {
    root: String,
    outbox: Arc<Outbox>,
    cameras: Mutex<BTreeMap<String, Switch>>,
    /// The last retained command that an earlier run obeyed, of each camera that was not taken in since.
    heard_before: Mutex<BTreeMap<String, bool>>,
}

#[derive(Debug)]
struct Switch {
    /// What the configuration says.
    is_configured: bool,
    /// `None` once the camera is to end.
    wanted: watch::Sender<Option<bool>>,
    /// The last command that came retained, in this run or an earlier one.
    heard: Option<bool>,
}

/// The positions in which the cameras begin: what an earlier run left, or else what the configuration says. Notes
/// that say nothing new any more are taken away.
pub(super) fn first_positions(cameras: &[CameraSettings], outbox: &Outbox) -> BTreeMap<String, bool> {
    let configured = cameras.iter().map(|camera| (camera.name.clone(), camera.enabled));
    let mut positions: BTreeMap<String, bool> = configured.collect();
    let mut void = Vec::new();
    for (name, note) in outbox.notes() {
        if let Some(camera) = name.strip_prefix(HEARD) {
            if !positions.contains_key(camera) {
                void.push(note_of(HEARD, camera, None));
            }
            continue;
        }
        let Some(camera) = name.strip_prefix(POSITION) else {
            continue;
        };
        match (positions.get_mut(camera), position(note)) {
            (Some(position), Some(left)) if *position != left => {
                tracing::info!(
                    camera,
                    enabled = left,
                    "camera is switched as it was left, not as configured"
                );
                *position = left;
            }
            _ => void.push(note_of(POSITION, camera, None)),
        }
    }
    outbox.push_together(void);
    positions
}

impl Switches {
    pub(super) fn new(root: &str, outbox: Arc<Outbox>) -> Switches {
        let notes = outbox.notes().iter();
        let heard = notes
            .filter_map(|(name, note)| Some((name.strip_prefix(HEARD)?.to_owned(), position(note)?)))
            .collect();
        Switches { root: root.to_owned(), outbox, cameras: Mutex::default(), heard_before: Mutex::new(heard) }
    }

    /// Takes in a camera, which begins switched on or off.
    pub(super) fn take_in(&self, camera: &CameraSettings, is_enabled: bool) {
        let wanted = watch::Sender::new(Some(is_enabled));
        let heard = self.heard_before(&camera.name);
        let switch = Switch { is_configured: camera.enabled, wanted, heard };
        self.lock().insert(camera.name.clone(), switch);
    }

    /// The position of a camera's switch. Of a camera that is switched faster than it can follow the last one counts.
    /// `None` in it once the camera is to end.
    pub(super) fn position_of(&self, camera: &str) -> Option<watch::Sender<Option<bool>>> {
        self.lock().get(camera).map(|switch| switch.wanted.clone())
    }

    /// The configuration says otherwise where a camera begins: whoever wrote that wants it so, whatever was said before.
    pub(super) fn change(&self, camera: &CameraSettings) {
        if let Some(switch) = self.lock().get_mut(&camera.name) {
            switch.is_configured = camera.enabled;
            switch.turn(camera.enabled);
        }
        self.outbox.push_together(vec![note_of(POSITION, &camera.name, None)]);
    }

    /// Lets a camera go: one of its name that comes later begins as it is configured.
    pub(super) fn let_go(&self, camera: &str) {
        self.lock().remove(camera);
        self.outbox.push_together(vec![note_of(POSITION, camera, None), note_of(HEARD, camera, None)]);
    }

    /// Whether a message on `topic` would be for a switch.
    pub(super) fn has(&self, topic: &str) -> bool {
        let camera = topics::camera_in(topic, &self.root, topics::enabled_set);
        camera.is_some_and(|camera| self.lock().contains_key(camera))
    }

    /// Hears commands from `inbox`, for ever.
    pub(super) async fn hear(self: Arc<Switches>, inbox: Arc<Inbox>) {
        loop {
            let message = inbox.next().await;
            self.command(&message);
        }
    }

    fn command(&self, message: &IncomingMessage) {
        let mut cameras = self.lock();
        let camera = topics::camera_in(&message.topic, &self.root, topics::enabled_set);
        let Some((camera, switch)) = camera.and_then(|camera| Some((camera, cameras.get_mut(camera)?)))
        else {
            return;
        };
        let Some(is_enabled) = position(&message.payload) else {
            tracing::warn!(camera, "enabled/set is neither ON nor OFF; ignored");
            return;
        };
        let mut notes = Vec::new();
        if message.is_retained {
            if switch.heard.replace(is_enabled) == Some(is_enabled) {
                return;
            }
            notes.push(note_of(HEARD, camera, Some(is_enabled)));
        }
        if switch.turn(is_enabled) {
            let kept = (is_enabled != switch.is_configured).then_some(is_enabled);
            notes.push(note_of(POSITION, camera, kept));
            // Here and not only by the camera's task: while the model loads there is none.
            self.outbox.set_state(topics::enabled_state(&self.root, camera), word(is_enabled));
        }
        self.outbox.push_together(notes);
    }

    fn heard_before(&self, camera: &str) -> Option<bool> {
        self.heard_before.lock().unwrap_or_else(PoisonError::into_inner).remove(camera)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Switch>> {
        // A panic elsewhere ends the process; the switches are whole between two statements.
        self.cameras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch {
    /// Whether that is a new position.
    fn turn(&self, is_enabled: bool) -> bool {
        self.wanted.send_if_modified(|wanted| {
            // One that is to end stays so.
            let is_new = wanted.is_some_and(|wanted| wanted != is_enabled);
            if is_new {
                *wanted = Some(is_enabled);
            }
            is_new
        })
    }
}

fn note_of(what: &str, camera: &str, position: Option<bool>) -> NewMessage {
    let payload = position.map_or("", word);
    NewMessage { kind: SpoolKind::Note, topic: format!("{what}{camera}"), payload: payload.into() }
}

fn word(position: bool) -> &'static str {
    if position { "ON" } else { "OFF" }
}

pub(super) fn position(payload: &[u8]) -> Option<bool> {
    match payload {
        b"ON" => Some(true),
        b"OFF" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use belvedere_pipelines::{CameraName, SourceSpec, SourceUrl};
    use tempfile::TempDir;

    use super::*;
    use crate::mqtt::spool::SpoolLimits;

    fn camera(name: &str, enabled: bool) -> CameraSettings {
        let url = SourceUrl::parse("test://ball").unwrap();
        let source = SourceSpec::new(CameraName::new(name).unwrap(), url);
        CameraSettings {
            name: name.to_owned(),
            enabled,
            source,
            tasks: Vec::new(),
            alerts: Vec::new(),
            zones: Vec::new().into(),
        }
    }

    fn outbox(path: &Path) -> Arc<Outbox> {
        let path = path.join("spool.db");
        Arc::new(Outbox::open(path, SpoolLimits::default(), Arc::default()).unwrap())
    }

    fn command(payload: &[u8], is_retained: bool) -> IncomingMessage {
        IncomingMessage { topic: "root/porch/enabled/set".to_owned(), payload: payload.to_vec(), is_retained }
    }

    /// The positions after a restart.
    fn left(folder: &TempDir, configured: bool) -> Option<bool> {
        let outbox = outbox(folder.path());
        first_positions(&[camera("porch", configured)], &outbox).get("porch").copied()
    }

    #[test]
    fn a_position_outlives_the_process_until_it_is_the_configurations_again() {
        let folder = TempDir::new().unwrap();
        for (said, configured, expected) in
            [("OFF", true, false), ("ON", true, true), ("ON", false, true), ("OFF", false, false)]
        {
            {
                let outbox = outbox(folder.path());
                let switches = Switches::new("root", Arc::clone(&outbox));
                switches.take_in(&camera("porch", configured), said == "OFF");
                switches.command(&command(said.as_bytes(), false));
                assert!(outbox.flush(Duration::from_secs(20)));
            }
            assert_eq!(left(&folder, configured), Some(expected), "{said}");
        }
    }

    #[test]
    fn a_retained_command_counts_once_and_again_when_it_changes() {
        let outbox = Arc::new(Outbox::in_memory(Arc::default()).unwrap());
        let switches = Switches::new("root", outbox);
        switches.take_in(&camera("porch", true), true);
        let now = switches.position_of("porch").unwrap();
        let after = |payload: &str, is_retained| {
            switches.command(&command(payload.as_bytes(), is_retained));
            *now.borrow()
        };
        assert_eq!(after("OFF", true), Some(false));
        assert_eq!(after("ON", false), Some(true));
        assert_eq!(after("OFF", true), Some(true), "the same as at the last connection");
        assert_eq!(after("ON", true), Some(true));
        assert_eq!(after("OFF", true), Some(false));
    }

    #[test]
    fn a_retained_command_that_an_earlier_run_obeyed_does_not_count_against_what_was_said_since() {
        let folder = TempDir::new().unwrap();
        // What the broker keeps comes at each start; then others say something.
        for (kept, begins, then) in [("OFF", false, "ON"), ("OFF", true, "ON"), ("ON", true, "OFF")] {
            let outbox = outbox(folder.path());
            let cameras = [camera("porch", true)];
            let position = first_positions(&cameras, &outbox)["porch"];
            let switches = Switches::new("root", Arc::clone(&outbox));
            switches.take_in(&cameras[0], position);
            let now = switches.position_of("porch").unwrap();
            switches.command(&command(kept.as_bytes(), true));
            assert_eq!(*now.borrow(), Some(begins), "{kept} is kept, {then} is said later");
            switches.command(&command(then.as_bytes(), false));
            assert!(outbox.flush(Duration::from_secs(20)));
        }
        assert_eq!(left(&folder, true), Some(false));
    }

    #[test]
    fn a_camera_that_left_while_the_daemon_was_away_leaves_no_note_behind() {
        let folder = TempDir::new().unwrap();
        {
            let outbox = outbox(folder.path());
            let switches = Switches::new("root", Arc::clone(&outbox));
            switches.take_in(&camera("porch", true), true);
            switches.command(&command(b"OFF", true));
            assert!(outbox.flush(Duration::from_secs(20)));
        }
        {
            let outbox = outbox(folder.path());
            assert_eq!(outbox.notes().len(), 2);
            first_positions(&[camera("yard", true)], &outbox);
            assert!(outbox.flush(Duration::from_secs(20)));
        }
        assert!(outbox(folder.path()).notes().is_empty());
    }

    #[test]
    fn a_switch_that_is_turned_before_its_camera_is_opened_is_confirmed_at_once() {
        let outbox = Arc::new(Outbox::in_memory(Arc::default()).unwrap());
        let switches = Switches::new("root", Arc::clone(&outbox));
        switches.take_in(&camera("porch", true), true);
        switches.command(&command(b"OFF", false));
        assert_eq!(outbox.state("root/porch/enabled/state").as_deref(), Some(&b"OFF"[..]));
    }

    #[test]
    fn anything_but_on_and_off_changes_nothing() {
        let outbox = Arc::new(Outbox::in_memory(Arc::default()).unwrap());
        let switches = Switches::new("root", outbox);
        switches.take_in(&camera("porch", true), true);
        let now = switches.position_of("porch").unwrap();
        for payload in [&b""[..], b"off", b"OFF ", b"\xff\xfe", b"0", b"{\"state\":\"OFF\"}", b"ONN"] {
            switches.command(&command(payload, false));
        }
        let elsewhere =
            IncomingMessage { topic: "root/yard/enabled/set".to_owned(), ..command(b"OFF", false) };
        switches.command(&elsewhere);
        assert_eq!(*now.borrow(), Some(true));
    }

    #[test]
    fn another_position_in_the_configuration_counts_at_once_and_after_a_restart() {
        let folder = TempDir::new().unwrap();
        {
            let outbox = outbox(folder.path());
            let switches = Switches::new("root", Arc::clone(&outbox));
            switches.take_in(&camera("porch", true), true);
            let now = switches.position_of("porch").unwrap();
            switches.command(&command(b"OFF", false));
            switches.change(&camera("porch", false));
            assert_eq!(*now.borrow(), Some(false));
            switches.change(&camera("porch", true));
            assert_eq!(*now.borrow(), Some(true));
            assert!(outbox.flush(Duration::from_secs(20)));
        }
        assert_eq!(left(&folder, true), Some(true));
    }

    #[test]
    fn a_camera_that_comes_back_begins_as_it_is_configured() {
        let folder = TempDir::new().unwrap();
        {
            let outbox = outbox(folder.path());
            let switches = Switches::new("root", Arc::clone(&outbox));
            switches.take_in(&camera("porch", true), true);
            let now = switches.position_of("porch").unwrap();
            switches.command(&command(b"OFF", false));
            switches.let_go("porch");
            assert!(!switches.has("root/porch/enabled/set"));
            switches.command(&command(b"ON", false));
            assert_eq!(*now.borrow(), Some(false));
            assert!(outbox.flush(Duration::from_secs(20)));
        }
        assert_eq!(left(&folder, true), Some(true));
    }
}

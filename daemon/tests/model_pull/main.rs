//! `model pull` against a hub on loopback that does all that a hub may do.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod hub_server;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use belvedere::config::Secret;
use belvedere::hub::{HubError, HubOptions, ModelName, PullEvent, Pulled, pull};
use belvedere_models::Checkpoint;
use hub_server::{COMMIT, Faults, HubServer};
use tempfile::TempDir;

const TOKEN: &str = "hf_sesame0pen";

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")
}

/// The files of a checkpoint, and some that nobody needs.
fn files() -> Vec<(String, Vec<u8>)> {
    let names = [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
    ];
    let mut files: Vec<(String, Vec<u8>)> =
        names.iter().map(|name| (name.to_string(), fs::read(bundled().join(name)).unwrap())).collect();
    for needless in ["README.md", ".gitattributes", "pytorch_model.bin", "model.onnx"] {
        files.push((needless.to_owned(), b"needless".to_vec()));
    }
    files
}

struct Scene {
    server: HubServer,
    models: TempDir,
    options: HubOptions,
}

impl Scene {
    fn new() -> Scene {
        Scene::with_files(files())
    }

    fn with_files(files: Vec<(String, Vec<u8>)>) -> Scene {
        let server = HubServer::start(files);
        let mut options = HubOptions::new(server.endpoint(), None);
        options.first_wait = Duration::from_millis(1);
        Scene { server, models: tempfile::tempdir().unwrap(), options }
    }

    fn pull(&self) -> Result<Pulled, HubError> {
        self.pull_telling(&mut |_| {})
    }

    fn pull_telling(&self, tell: &mut dyn FnMut(PullEvent<'_>)) -> Result<Pulled, HubError> {
        let model: ModelName = "owner/florence".parse().unwrap();
        pull(&self.options, &model, "main", self.models.path(), tell)
    }

    fn place(&self) -> PathBuf {
        self.models.path().join("owner/florence")
    }

    /// How often weights were asked for, and from where on.
    fn ranges(&self) -> Vec<Option<String>> {
        let requests = self.server.requests().into_iter();
        requests
            .filter(|request| request.path.starts_with("/storage/"))
            .map(|request| request.range)
            .collect()
    }

    /// Nothing half is where a model is looked for.
    #[track_caller]
    fn assert_nothing_there(&self) {
        assert!(!self.place().exists(), "{:?}", self.place());
    }
}

fn weights() -> u64 {
    fs::metadata(bundled().join("model.safetensors")).unwrap().len()
}

#[test]
fn a_checkpoint_comes_whole_with_only_the_files_that_are_needed() {
    let scene = Scene::new();
    let mut names = Vec::new();
    let mut bytes = 0;
    let pulled = scene.pull_telling(&mut |event| match event {
        PullEvent::File { name, .. } => names.push(name.to_owned()),
        PullEvent::Bytes(more) => bytes += more,
        PullEvent::Again { error, .. } => panic!("{error}"),
    });
    let expected = Pulled {
        path: scene.place(),
        commit: COMMIT.to_owned(),
        was_there: false,
        replaced: false,
        unchecked: Vec::new(),
    };
    assert_eq!(pulled.unwrap(), expected);
    names.sort();
    let mut there: Vec<String> = fs::read_dir(scene.place())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, names);
    assert_eq!(there.len(), 5, "{there:?}");
    assert!(bytes > weights());
    Checkpoint::open(scene.place()).unwrap();
    for name in there {
        assert_eq!(
            fs::read(scene.place().join(&name)).unwrap(),
            fs::read(bundled().join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn what_is_there_is_not_fetched_again_and_what_has_changed_is() {
    let scene = Scene::new();
    scene.pull().unwrap();
    assert!(scene.pull().unwrap().was_there);
    assert_eq!(scene.ranges().len(), 1, "the weights were fetched twice");
    fs::write(scene.place().join("tokenizer.json"), "{}").unwrap();
    let again = scene.pull().unwrap();
    assert!(!again.was_there && again.replaced);
    assert_eq!(scene.ranges().len(), 1, "the weights had not changed");
    assert_eq!(
        fs::read(scene.place().join("tokenizer.json")).unwrap(),
        fs::read(bundled().join("tokenizer.json")).unwrap()
    );
}

#[test]
fn a_connection_that_is_cut_again_and_again_is_gone_on_with() {
    let scene = Scene::new();
    let piece = weights() as usize / 3 + 1;
    scene.server.set(Faults { cut_after: Some(piece), ..Faults::default() });
    scene.pull().unwrap();
    let from = |pieces: usize| Some(format!("bytes={}-", pieces * piece));
    assert_eq!(scene.ranges(), [None, from(1), from(2)]);
}

#[test]
fn a_pull_that_failed_is_gone_on_with_by_the_next_one() {
    let mut scene = Scene::new();
    scene.options.tries = 1;
    let piece = weights() as usize / 2 + 1;
    scene.server.set(Faults { cut_after: Some(piece), ..Faults::default() });
    // The small files come whole; the weights do not.
    assert!(scene.pull().unwrap_err().is_offline());
    scene.assert_nothing_there();
    scene.pull().unwrap();
    assert_eq!(scene.ranges(), [None, Some(format!("bytes={piece}-"))]);
}

#[test]
fn a_server_that_is_down_for_good_ends_it_after_the_stated_tries() {
    let mut scene = Scene::new();
    scene.options.tries = 3;
    scene.server.set(Faults { cut_after: Some(0), ..Faults::default() });
    let mut again = 0;
    let error =
        scene.pull_telling(&mut |event| again += usize::from(matches!(event, PullEvent::Again { .. })));
    assert!(error.unwrap_err().is_offline());
    assert_eq!(again, 2);
    scene.assert_nothing_there();
}

#[test]
fn a_wrong_byte_is_noticed_and_the_file_fetched_once_more() {
    let scene = Scene::new();
    scene.server.set(Faults { spoilt_answers: 1, ..Faults::default() });
    scene.pull().unwrap();
    assert_eq!(scene.ranges(), [None, None]);
}

#[test]
fn a_file_that_is_always_wrong_is_an_error_and_is_not_kept() {
    let scene = Scene::new();
    scene.server.set(Faults { spoilt_answers: usize::MAX, ..Faults::default() });
    let error = scene.pull().unwrap_err().to_string();
    assert!(error.starts_with("model.safetensors was fetched wrong twice: its checksum is "), "{error}");
    scene.assert_nothing_there();
    scene.server.set(Faults::default());
    scene.pull().unwrap();
    assert_eq!(scene.ranges(), [None, None, None], "nothing wrong was gone on with");
}

#[test]
fn a_server_that_knows_no_ranges_sends_everything_again_and_it_is_right() {
    let mut scene = Scene::new();
    scene.options.tries = 1;
    scene.server.set(Faults { cut_after: Some(1000), ..Faults::default() });
    scene.pull().unwrap_err();
    scene.server.set(Faults { knows_no_ranges: true, ..Faults::default() });
    scene.pull().unwrap();
    Checkpoint::open(scene.place()).unwrap();
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let mut scene = Scene::new();
    scene.options.tries = 1;
    scene.options.stalled_after = Duration::from_millis(200);
    scene.server.set(Faults { falls_silent: true, ..Faults::default() });
    let error = scene.pull().unwrap_err();
    assert!(matches!(error, HubError::Stalled { .. }), "{error}");
    scene.assert_nothing_there();
}

#[test]
fn a_hub_that_falls_silent_in_its_description_or_its_refusal_is_asked_again_and_given_up() {
    let mut scene = Scene::new();
    scene.options.stalled_after = Duration::from_millis(200);
    scene.server.set(Faults { silent_answers: 2, ..Faults::default() });
    let mut again = 0;
    scene.pull_telling(&mut |event| again += usize::from(matches!(event, PullEvent::Again { .. }))).unwrap();
    // More where this machine is slow.
    assert!(again >= 2, "{again}");
    scene.options.tries = 2;
    scene.server.set(Faults { silent_answers: usize::MAX, ..Faults::default() });
    let error = scene.pull().unwrap_err();
    assert!(matches!(error, HubError::Stalled { .. }), "{error}");
    let refuses = Some((404, ""));
    scene.server.set(Faults { silent_answers: usize::MAX, refuses, ..Faults::default() });
    let error = scene.pull().unwrap_err();
    assert!(matches!(error, HubError::NotFound { .. }), "{error}");
}

#[test]
fn what_came_in_part_of_a_file_of_unknown_length_is_never_taken_for_the_whole() {
    let mut scene = Scene::new();
    scene.options.tries = 1;
    scene.options.stalled_after = Duration::from_millis(200);
    let nothing = Faults { tells_no_checksums: true, tells_no_lengths: true, ..Faults::default() };
    scene.server.set(Faults { falls_silent: true, ..nothing.clone() });
    scene.pull().unwrap_err();
    scene.assert_nothing_there();
    scene.server.set(nothing);
    scene.pull().unwrap();
    let fetched = fs::metadata(scene.place().join("model.safetensors")).unwrap().len();
    assert_eq!(fetched, weights());
    assert!(
        fs::read_dir(scene.place())
            .unwrap()
            .all(|file| { !file.unwrap().file_name().to_string_lossy().ends_with(".part") })
    );
}

#[test]
fn what_lay_there_of_another_commit_goes_and_everybody_may_read_the_model() {
    let scene = Scene::new();
    let unfinished = scene.models.path().join(".unfinished");
    let (old, other) = (unfinished.join("owner--florence@0123"), unfinished.join("owner--other@0123"));
    for folder in [&old, &other] {
        fs::create_dir_all(folder).unwrap();
    }
    let pulled = Command::new("sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_belvedere"), "model", "pull"])
        .args(["owner/florence", "--into"])
        .arg(scene.models.path())
        .env("HF_ENDPOINT", scene.server.endpoint())
        .env("HOME", scene.models.path())
        .output()
        .unwrap();
    assert!(pulled.status.success(), "{pulled:?}");
    assert!(!old.exists() && other.exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.place()), 0o755);
    assert_eq!(mode(scene.place().parent().unwrap()), 0o755);
    assert_eq!(mode(&scene.place().join("model.safetensors")), 0o644);
}

#[test]
fn a_token_is_told_to_the_hub_and_to_no_host_behind_it() {
    let mut scene = Scene::new();
    scene.options.token = Some(Secret::new(TOKEN));
    scene.server.set(Faults { token: Some(TOKEN), ..Faults::default() });
    scene.pull().unwrap();
    for request in scene.server.requests() {
        let is_hub = request.host.starts_with("localhost:");
        assert_eq!(is_hub, !request.path.starts_with("/storage/"), "{request:?}");
        assert_eq!(request.authorization.is_some(), is_hub, "{request:?}");
    }
}

#[test]
fn without_a_token_the_error_says_how_to_give_one_and_with_a_wrong_one_that_it_is() {
    let mut scene = Scene::new();
    scene.server.set(Faults { token: Some(TOKEN), ..Faults::default() });
    let error = scene.pull().unwrap_err().to_string();
    assert!(error.contains("Access to model is restricted") && error.contains("HF_TOKEN"), "{error}");
    scene.options.token = Some(Secret::new("hf_wr0ng"));
    let error = scene.pull().unwrap_err();
    assert!(error.to_string().contains("not taken"), "{error}");
    assert!(!format!("{error} {error:?} {:?}", scene.options).contains("hf_wr0ng"));
}

#[test]
fn a_token_goes_nowhere_unencrypted() {
    let mut scene = Scene::new();
    scene.options.token = Some(Secret::new(TOKEN));
    scene.options.endpoint = "http://hub.example".to_owned();
    let error = scene.pull().unwrap_err();
    assert!(matches!(error, HubError::TokenInTheClear { .. }), "{error}");
    scene.options.endpoint = "https://user:pass@hub.example".to_owned();
    let error = scene.pull().unwrap_err().to_string();
    assert!(error.contains("credentials") && !error.contains("pass@"), "{error}");
}

#[test]
fn what_is_not_there_is_named() {
    let scene = Scene::new();
    scene
        .server
        .set(Faults { refuses: Some((404, "{\"error\":\"Repository not found\"}")), ..Faults::default() });
    let error = scene.pull().unwrap_err().to_string();
    assert!(
        error.contains("/api/models/owner/florence") && error.contains("Repository not found"),
        "{error}"
    );
    scene.server.set(Faults { refuses: Some((503, "busy\u{1b}[31m")), ..Faults::default() });
    let error = scene.pull().unwrap_err().to_string();
    assert!(error.contains("answers 503") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn what_is_no_hub_is_said_to_be_none() {
    let scene = Scene::new();
    for answer in ["<html>Login</html>", "{}", "{\"sha\":\"../../etc\",\"siblings\":[]}", ""] {
        scene.server.set(Faults { listing: Some(answer.to_owned()), ..Faults::default() });
        let error = scene.pull().unwrap_err().to_string();
        assert!(error.contains("is this a model hub?"), "{answer}: {error}");
    }
}

#[test]
fn a_model_without_safetensors_or_another_model_is_refused() {
    let without: Vec<_> = files().into_iter().filter(|(name, _)| !name.ends_with(".safetensors")).collect();
    let error = Scene::with_files(without).pull().unwrap_err().to_string();
    assert!(error.contains("only config.json") && error.contains("pytorch_model.bin"), "{error}");

    let mut other = files();
    other[0].1 = b"{\"model_type\":\"bert\"}".to_vec();
    let scene = Scene::with_files(other);
    let error = scene.pull().unwrap_err();
    assert!(matches!(error, HubError::NotFlorence { .. }), "{error}");
    scene.assert_nothing_there();
}

#[test]
fn parts_of_weights_are_those_of_the_model_and_lead_nowhere_else() {
    let in_parts = |part: &str| {
        let mut files = files();
        let weights = files.iter().position(|(name, _)| name == "model.safetensors").unwrap();
        files[weights].0 = "model-00001-of-00001.safetensors".to_owned();
        let index = serde_json::json!({ "weight_map": { "a": part } });
        files.push(("model.safetensors.index.json".to_owned(), index.to_string().into_bytes()));
        Scene::with_files(files)
    };
    let scene = in_parts("model-00001-of-00001.safetensors");
    scene.pull().unwrap();
    assert!(scene.place().join("model-00001-of-00001.safetensors").exists());
    for elsewhere in ["../../../etc/passwd", "/etc/passwd", "model-2.safetensors", ".hidden"] {
        let scene = in_parts(elsewhere);
        let error = scene.pull().unwrap_err();
        assert!(matches!(error, HubError::MissingFile { .. }), "{elsewhere}: {error}");
        scene.assert_nothing_there();
    }
}

#[test]
fn a_mirror_that_tells_no_checksums_is_believed_and_that_is_said() {
    let scene = Scene::new();
    scene.server.set(Faults { tells_no_checksums: true, ..Faults::default() });
    assert_eq!(scene.pull().unwrap().unchecked.len(), 5);
}

fn belvedere(scene: &Scene, endpoint: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_belvedere"));
    command.args(["model", "pull", "owner/florence", "--into"]).arg(scene.models.path());
    // The home has no token of the hub's.
    command.env("HF_ENDPOINT", endpoint).env("HOME", scene.models.path()).env_remove("HF_TOKEN");
    command
}

#[test]
fn the_command_fetches_says_what_to_write_and_never_shows_a_token() {
    let scene = Scene::new();
    scene.server.set(Faults { token: Some(TOKEN), ..Faults::default() });
    let refused = belvedere(&scene, &scene.server.endpoint()).env("HF_TOKEN", "hf_wr0ng").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(!format!("{refused:?}").contains("hf_wr0ng"), "{refused:?}");
    let done = belvedere(&scene, &scene.server.endpoint()).env("HF_TOKEN", TOKEN).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("path = {:?}", scene.place())) && said.contains(COMMIT), "{said}");
    assert!(!said.contains(TOKEN) && !String::from_utf8_lossy(&done.stderr).contains(TOKEN));
}

#[test]
fn no_level_of_the_log_shows_a_token() {
    let scene = Scene::new();
    let token = "hf_w";
    scene.server.set(Faults { token: Some(token), ..Faults::default() });
    for level in ["trace", "trace,ureq=trace,ureq_proto::util=trace"] {
        let done = belvedere(&scene, &scene.server.endpoint())
            .args(["--log-level", level])
            .env("HF_TOKEN", token)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).to_lowercase();
        assert!(done.status.success(), "{said}");
        assert!(!said.contains(token) && !said.contains("authorization: bearer"), "{said}");
        // A dump of the request's bytes, which breaks words up, begins so.
        assert!(!said.contains("get./api/models"), "{said}");
    }
}

#[test]
fn without_a_network_the_command_says_how_to_do_it_by_hand() {
    let scene = Scene::new();
    // Nobody listens on the port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = belvedere(&scene, &format!("http://{nobody}")).output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    for needed in ["cannot be reached", "hf download owner/florence", "--endpoint", "model info"] {
        assert!(said.contains(needed), "{needed} is not in {said}");
    }
    assert!(said.contains(&scene.place().display().to_string()), "{said}");
}

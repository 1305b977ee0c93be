//! How the daemon goes from one configuration to another.
//!
//! First everything is made that can fail: a way to the broker, a model, prompts. Only when all of it is there, the daemon
//! is changed, part by part, and only where the difference says so. What cannot be made leaves everything as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use belvedere_models::CancelToken;

use super::config_topic::ReportedProblem;
use super::listening::Listening;
use super::model_thread::Change;
use super::on_page::OnPage;
use super::questions::Questions;
use super::room::check_room;
use super::starting::load;
use super::{BROKER_LIMIT, Watch, WatchError, retained_topics};
use crate::analyst::Analyst;
use crate::config::{CameraSettings, Difference, HttpSettings, Problems, Settings, within_reach};
use crate::http::{HttpError, HttpServer};
use crate::mqtt::{LinkOptions, topics};

/// What a change needs that could not have been had.
struct Prepared {
    /// Where the page is to be served, and nothing serves it so yet.
    http: Option<HttpServer>,
    /// Where the way to the broker changes.
    options: Option<LinkOptions>,
    /// Where the model changes.
    analyst: Option<Box<Analyst>>,
    /// Of every camera that is to be asked something else, or by another model.
    questions: BTreeMap<String, Questions>,
}

impl Watch {
    /// Takes up a configuration that was read: one with mistakes changes nothing, and what is wrong with it is said on
    /// `ROOT/config` and the log. `cancel` ends the loading of a model; dropping this before it is done leaves a daemon that
    /// can only be stopped.
    pub async fn reload(&mut self, read: Result<Settings, Problems>, cancel: CancelToken) {
        self.readiness.reloading();
        self.take_up(read, cancel).await;
        self.live.set_notice(self.config.report().borrow().notice());
        self.readiness.reloaded(self.status());
    }

    async fn take_up(&mut self, read: Result<Settings, Problems>, cancel: CancelToken) {
        let wanted = match read {
            Ok(wanted) => wanted,
            Err(problems) => {
                return self.config.invalid(problems.iter().map(ReportedProblem::from).collect());
            }
        };
        let (wanted, needs_restart) = within_reach(&self.settings, wanted);
        let difference = Difference::between(&self.settings, &wanted);
        match self.prepare(&wanted, &difference, cancel.clone()).await {
            Ok(prepared) => {
                self.change(wanted, &difference, prepared).await;
                self.config.taken_up(&difference, &needs_restart);
            }
            // The daemon is about to end: that is no fault of the configuration.
            Err(error) if cancel.is_cancelled() => tracing::debug!(%error, "not taken up"),
            Err(error) => self.config.invalid(vec![reported(&error, &wanted)]),
        }
    }

    async fn prepare(
        &mut self,
        wanted: &Settings,
        difference: &Difference,
        cancel: CancelToken,
    ) -> Result<Prepared, WatchError> {
        let page = wanted.http.as_ref().filter(|_| difference.http);
        let mut http = match page {
            Some(page) if !self.is_in_the_way(page.listen) => {
                Some(HttpServer::start(page, Arc::clone(&self.live)).await?)
            }
            Some(_) => None,
            None => self.page_again(wanted).await,
        };
        let options = match difference.link {
            true => Some(LinkOptions::new(&wanted.mqtt, self.embedded)?),
            false => None,
        };
        let analyst = match difference.model {
            true => {
                check_room(&wanted.model)?;
                tracing::info!("loading another model beside the one that runs");
                // Not `ROOT/state`: the daemon runs meanwhile.
                let page = OnPage::Reload(Arc::clone(&self.live));
                let analyst = load(wanted, cancel, page, vec![Box::new(self.systemd.clone())]).await?;
                Some(Box::new(analyst))
            }
            false => None,
        };
        let prompter = analyst.as_ref().map_or(&self.prompter, |analyst| analyst.prompter());
        let is_asked = |camera: &&CameraSettings| {
            let change = difference.changed.get(&camera.name);
            difference.model
                || difference.added.contains(&camera.name)
                || change.is_some_and(|change| change.tasks || !change.alerts.is_empty())
        };
        let mut questions = BTreeMap::new();
        for camera in wanted.cameras.iter().filter(is_asked) {
            let progress = self.cameras.progress(&camera.name);
            let asked = Questions::new(prompter, &wanted.mqtt.topic, camera, progress)?;
            questions.insert(camera.name.clone(), asked);
        }
        if let Some(page) = page.filter(|_| http.is_none()) {
            // At last: until here the page is where it was, and from here on nothing else can fail.
            http = Some(self.swap_page(page).await?);
        }
        Ok(Prepared { http, options, analyst, questions })
    }

    async fn change(&mut self, wanted: Settings, difference: &Difference, prepared: Prepared) {
        let Prepared { http, options, analyst, mut questions } = prepared;
        self.let_go(&difference.removed).await;
        let (new, others): (Vec<&CameraSettings>, Vec<&CameraSettings>) =
            wanted.cameras.iter().partition(|camera| difference.added.contains(&camera.name));
        for camera in &new {
            self.cameras.expect(camera, camera.enabled);
            self.cameras.alerting.take_in(camera);
            if let Some(asked) = questions.get_mut(&camera.name) {
                asked.progress = self.cameras.progress(&camera.name);
            }
        }
        match analyst {
            Some(analyst) => self.change_model(analyst, questions),
            None => {
                let changes = questions.into_iter().map(|(camera, asked)| Change::Ask(camera, asked));
                changes.for_each(|change| self.model.change(change));
            }
        }
        for camera in others {
            if let Some(change) = difference.changed.get(&camera.name) {
                self.cameras.change(camera, change);
            }
        }
        for camera in new {
            self.cameras.open(camera);
        }
        self.live.arrange_cameras(&wanted.cameras);
        if difference.stats_interval {
            self.cameras.stats.change_interval(wanted.mqtt.stats_interval);
        }
        let is_moving = self.settings.mqtt.discovery != wanted.mqtt.discovery;
        if is_moving {
            self.listening.announcer().leave();
        } else if difference.is_announced() {
            self.listening.announcer().change(&wanted);
        }
        if http.is_some() || wanted.http.is_none() {
            let old = std::mem::replace(&mut self.http, http);
            if let Some(old) = old {
                old.stop().await;
            }
        }
        retained_topics::note(&wanted, &self.outbox);
        self.settings = wanted;
        if let Some(options) = options {
            self.change_link(options, is_moving).await;
        }
    }

    async fn let_go(&mut self, cameras: &BTreeSet<String>) {
        self.cameras.let_go(cameras).await;
        for camera in cameras {
            self.model.change(Change::Forget(camera.clone()));
        }
    }

    /// Between two frames another model answers; the old one is gone when the thread has let go of it.
    fn change_model(&mut self, analyst: Box<Analyst>, questions: BTreeMap<String, Questions>) {
        self.device = analyst.description();
        self.prompter = analyst.prompter().clone();
        tracing::info!(device = self.device, "another model answers from now on");
        self.cameras.stats.change_device(&self.device);
        self.live.set_device(&self.device);
        self.state.running(&self.device);
        self.model.change(Change::Model(analyst, questions));
    }

    /// Whether the page has the port of `address`: then the system may refuse that address too, since one of them may
    /// comprise the other.
    fn is_in_the_way(&self, address: SocketAddr) -> bool {
        self.http.as_ref().is_some_and(|page| page.address().port() == address.port())
    }

    /// The page where it is away though nothing of it changes: after a change that failed, twice.
    async fn page_again(&self, wanted: &Settings) -> Option<HttpServer> {
        let page = wanted.http.as_ref().filter(|_| self.http.is_none())?;
        let again = HttpServer::start(page, Arc::clone(&self.live)).await;
        again.map_err(|error| tracing::error!(%error, "the page is still away")).ok()
    }

    /// Serves the page at `wanted` where it has the port already; where that fails, as it was.
    async fn swap_page(&mut self, wanted: &HttpSettings) -> Result<HttpServer, HttpError> {
        let address = self.http.as_ref().map(HttpServer::address);
        if let Some(page) = self.http.take() {
            page.stop().await;
        }
        let swapped = HttpServer::start(wanted, Arc::clone(&self.live)).await;
        if swapped.is_err()
            && let (Some(listen), Some(before)) = (address, &self.settings.http)
        {
            let before = HttpSettings { listen, ..before.clone() };
            match HttpServer::start(&before, Arc::clone(&self.live)).await {
                Ok(page) => self.http = Some(page),
                Err(error) => tracing::error!(%error, "the page is away until the next reload"),
            }
        }
        swapped
    }

    /// Leaves the broker as if for good, and goes to where `options` lead. What waits in the outbox waits for that one.
    /// `is_moving` says that other discovery topics are used there.
    async fn change_link(&mut self, options: LinkOptions, is_moving: bool) {
        let available = topics::available(&self.settings.mqtt.topic);
        tracing::info!(broker = options.address(), "another way to the broker");
        self.outbox.set_state(available.clone(), "offline");
        self.listening.turn_away().await;
        self.listening.link.leave(BROKER_LIMIT).await;
        self.outbox.set_state(available, "online");
        let Watch { settings, outbox, counters, cameras, connected, listening, .. } = self;
        let new = Listening::begin(options, settings, outbox, counters, cameras, connected);
        if !is_moving {
            new.announcer().succeed(listening.announcer());
        }
        *listening = new;
    }
}

/// What stands in the way of a configuration that is right in itself.
fn reported(error: &WatchError, wanted: &Settings) -> ReportedProblem {
    let of_camera = |name: &str, key: &str| {
        let place = wanted.cameras.iter().position(|camera| camera.name == name).unwrap_or_default();
        format!("camera[{place}].{key}")
    };
    let key = match error {
        WatchError::Model(_) | WatchError::NoRoom { .. } => "model".to_owned(),
        WatchError::Mqtt(_) => "mqtt".to_owned(),
        WatchError::Http(_) => "http.listen".to_owned(),
        WatchError::Question { camera, .. } => of_camera(camera, "tasks"),
        WatchError::Phrase { camera, .. } => of_camera(camera, "alert"),
        _ => String::new(),
    };
    ReportedProblem::without_place(key, error.to_string())
}

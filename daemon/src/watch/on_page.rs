//! Loading a model, on the page.

use std::sync::Arc;
use std::time::Duration;

use crate::building::{BuildListener, Building};
use crate::live::{Live, Phase};

pub(super) const LOADING: &str = "loading the model";
pub(super) const WARMING_UP: &str = "asking the model for the first time";

/// Says on the page what the loading of a model is at.
#[derive(Debug, Clone)]
pub(super) enum OnPage {
    /// The daemon starts: it is the phase that it is in.
    Start(Arc<Live>),
    /// The daemon runs with another model meanwhile: a notice, which the end of the reload replaces.
    Reload(Arc<Live>),
}

impl OnPage {
    pub(super) fn say(&self, detail: &str) {
        match self {
            OnPage::Start(live) => {
                let phase = Phase::Starting { detail: detail.to_owned() };
                if live.phase() != phase {
                    live.set_phase(phase);
                }
            }
            OnPage::Reload(live) => {
                let notice = Some(format!("The new configuration is being taken up: {detail}."));
                if live.notice() != notice {
                    live.set_notice(notice);
                }
            }
        }
    }
}

impl BuildListener for OnPage {
    fn tell(&mut self, building: &Building) {
        self.say(&building.words());
    }

    fn ended(&mut self, _: Duration) {
        self.say(LOADING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::building::tests::building;

    fn starting(detail: &str) -> Phase {
        Phase::Starting { detail: detail.to_owned() }
    }

    #[test]
    fn a_start_says_which_engine_is_built_and_how_far_it_is_once_for_each_percent() {
        let live = Live::new().unwrap().0;
        let mut changes = live.changes();
        let mut page = OnPage::Start(Arc::clone(&live));
        for (place, done, seconds, changed) in
            [(1, 0.5, 1, true), (1, 0.501, 2, false), (2, 0.26, 3, true), (2, 0.26, 4, false)]
        {
            changes.mark_unchanged();
            page.tell(&building(place, done, seconds));
            assert_eq!(changes.has_changed().unwrap(), changed, "{place} {done}");
        }
        assert_eq!(live.phase(), starting("building engine: decoder step (3 of 3), 75 %"));
        page.ended(Duration::from_secs(5));
        assert_eq!(live.phase(), starting(LOADING));
        page.say(WARMING_UP);
        assert_eq!((live.phase(), live.notice()), (starting(WARMING_UP), None));
    }

    #[test]
    fn a_reload_says_it_as_a_notice_and_the_daemon_goes_on_running() {
        let live = Live::new().unwrap().0;
        live.set_phase(Phase::Running);
        OnPage::Reload(Arc::clone(&live)).tell(&building(0, 0.5, 1));
        let notice = "The new configuration is being taken up: building engine: vision (1 of 3), 16 %.";
        assert_eq!((live.phase(), live.notice().as_deref()), (Phase::Running, Some(notice)));
    }
}

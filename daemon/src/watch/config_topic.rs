//! `ROOT/config`: whether the configuration as it is written is the one that runs.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use belvedere_pipelines::Redactor;
use serde::Serialize;
use tokio::sync::watch;

use crate::config::{Difference, Place, Problem};
use crate::messages::{moment, to_json};
use crate::mqtt::{Outbox, topics};

/// A longer list of problems is cut off in the message; the log has all of them.
const MAX_PROBLEMS: usize = 50;

/// The payload of `ROOT/config`. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigReport {
    /// Whether what was read last is what runs.
    pub state: ConfigState,
    /// When the configuration that runs was taken up.
    #[serde(serialize_with = "moment")]
    pub loaded_at: SystemTime,
    /// When it was read last.
    #[serde(serialize_with = "moment")]
    pub read_at: SystemTime,
    /// What is wrong with what was read last; none where it is what runs.
    pub problems: Vec<ReportedProblem>,
    /// Keys whose new values wait for a restart.
    pub needs_restart: Vec<String>,
}

impl ConfigReport {
    /// What the operator should know of it, in a line or two.
    pub fn notice(&self) -> Option<String> {
        let more = |others: usize| match others {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        match (self.state, self.problems.as_slice()) {
            (ConfigState::Invalid, [first, others @ ..]) => {
                let more = more(others.len());
                Some(format!("The new configuration is wrong and has changed nothing: {first}{more}"))
            }
            _ if !self.needs_restart.is_empty() => {
                Some(format!("These take a restart of the daemon: {}", self.needs_restart.join(", ")))
            }
            _ => None,
        }
    }
}

/// Whether a configuration could be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigState {
    /// It runs.
    Ok,
    /// It changed nothing: an older one runs.
    Invalid,
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedProblem {
    /// The file; absent for variables of the environment, and for what is wrong with no line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1; absent where the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The variable of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The key's path; empty where no key is to blame.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// The valid key or value nearest to the one found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl ReportedProblem {
    /// One that shows only when the configuration is taken up.
    pub(super) fn without_place(key: String, what: String) -> ReportedProblem {
        let what = Redactor::process().redact(&what).into_owned();
        ReportedProblem { file: None, line: None, variable: None, key, what, nearest: None }
    }
}

impl fmt::Display for ReportedProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReportedProblem { file, line, variable, key, what, .. } = self;
        if let Some(place) = file.as_ref().or(variable.as_ref()) {
            f.write_str(place)?;
            if let Some(line) = line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(what)
    }
}

impl From<&Problem> for ReportedProblem {
    fn from(problem: &Problem) -> ReportedProblem {
        let mut reported = ReportedProblem::without_place(problem.key.clone(), problem.what.clone());
        match &problem.place {
            Place::File { path, line } => {
                reported.file = Some(path.display().to_string());
                reported.line = (*line > 0).then_some(*line);
            }
            Place::Variable(name) => reported.variable = Some(name.clone()),
        }
        reported.nearest.clone_from(&problem.nearest);
        reported
    }
}

/// Says what became of the configuration: on the log, at the broker, and to whoever looks.
#[derive(Debug)]
pub(super) struct ConfigTopic {
    topic: String,
    outbox: Arc<Outbox>,
    report: watch::Sender<ConfigReport>,
}

impl ConfigTopic {
    /// The one that the daemon starts with is fine.
    pub(super) fn new(root: &str, outbox: Arc<Outbox>) -> ConfigTopic {
        let now = SystemTime::now();
        let report = ConfigReport {
            state: ConfigState::Ok,
            loaded_at: now,
            read_at: now,
            problems: Vec::new(),
            needs_restart: Vec::new(),
        };
        let topic = ConfigTopic { topic: topics::config(root), outbox, report: watch::Sender::new(report) };
        topic.publish();
        topic
    }

    /// What is so now; changes wake the receiver.
    pub(super) fn report(&self) -> watch::Receiver<ConfigReport> {
        self.report.subscribe()
    }

    /// The configuration was taken up, but for the keys that need a restart.
    pub(super) fn taken_up(&self, difference: &Difference, needs_restart: &[&'static str]) {
        for key in needs_restart {
            tracing::warn!(key, "this takes a restart; everything else is as it is written");
        }
        let Difference { removed, added, changed, model, link, .. } = difference;
        if difference.is_empty() {
            tracing::info!("configuration read; nothing has changed");
        } else {
            let changed: Vec<&String> = changed.keys().collect();
            tracing::info!(?removed, ?added, ?changed, model, link, "configuration taken up");
        }
        let now = SystemTime::now();
        self.say(ConfigReport {
            state: ConfigState::Ok,
            loaded_at: now,
            read_at: now,
            problems: Vec::new(),
            needs_restart: needs_restart.iter().map(|key| (*key).to_owned()).collect(),
        });
    }

    /// What was read is wrong, or cannot be had; everything goes on as before.
    pub(super) fn invalid(&self, mut problems: Vec<ReportedProblem>) {
        for problem in &problems {
            let ReportedProblem { file, line, variable, key, what, nearest } = problem;
            tracing::error!(file, line, variable, key, nearest, "the new configuration is wrong: {what}");
        }
        tracing::error!(problems = problems.len(), "the new configuration changes nothing");
        problems.truncate(MAX_PROBLEMS);
        let last = self.report.borrow().clone();
        self.say(ConfigReport { state: ConfigState::Invalid, read_at: SystemTime::now(), problems, ..last });
    }

    fn say(&self, report: ConfigReport) {
        self.report.send_replace(report);
        self.publish();
    }

    fn publish(&self) {
        self.outbox.set_state(self.topic.clone(), to_json(&*self.report.borrow()));
    }
}

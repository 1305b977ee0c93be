//! Log lines: on standard error, or into systemd's journal where that is what standard error is.

mod journal;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use belvedere_pipelines::Redactor;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use journal::Journal;

use crate::cli::LogFormat;

/// Parts that say more than a user can use: rumqttd reports every client that leaves as an error, and
/// what matters of rumqttc the link reports itself.
const QUIET: [&str; 2] = ["rumqttd=off", "rumqttc=off"];
/// Parts that log requests with all their headers, the token of `model pull` among them. No filter lets more of them through
/// than this level.
const INDISCREET: [&str; 2] = ["ureq", "ureq_proto"];
const DISCREET_LEVEL: Level = Level::INFO;

/// Whether the log has entries with a level and fields, and is no text for people.
static IS_STRUCTURED: AtomicBool = AtomicBool::new(false);

/// Starts logging; a second call does nothing.
///
/// # Errors
/// `level` is no filter.
pub fn start(format: LogFormat, level: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(format!("{},{level}", QUIET.join(",")))?;
    let log = tracing_subscriber::registry().with(filter).with(filter_fn(is_discreet));
    let journal = (format == LogFormat::Text).then(Journal::behind_standard_error).flatten();
    IS_STRUCTURED.store(journal.is_some() || format == LogFormat::Json, Ordering::Relaxed);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let _ = match (journal, format) {
        (Some(journal), _) => log.with(journal).try_init(),
        (None, LogFormat::Json) => log.with(lines.json().flatten_event(true)).try_init(),
        (None, LogFormat::Text) => {
            log.with(lines.with_target(false).with_ansi(std::io::stderr().is_terminal())).try_init()
        }
    };
    Ok(())
}

/// Whether what `metadata` tells of may be logged, whatever is asked for.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let part = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= DISCREET_LEVEL || !INDISCREET.contains(&part)
}

/// Says why a command failed: as an error of the log where that is read by programs, else as it is, on standard error. No
/// level of the log leaves it out.
pub fn say_failure(line: &str) {
    if IS_STRUCTURED.load(Ordering::Relaxed) && tracing::enabled!(Level::ERROR) {
        tracing::error!("{line}");
    } else {
        eprintln!("{line}");
    }
}

/// From now on a panic in any thread is logged with its reason and ends the process: a daemon that
/// lost a thread must not limp on, the broker sends the last will, and the service is started again.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        // It may hold whatever was at hand: an address with a password, a header.
        let reason = Redactor::process().redact(panic.payload_as_str().unwrap_or("no reason given"));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), place, %reason, "panic; ending");
        std::process::abort();
    }));
}

//! Log lines: on standard error, or into systemd's journal where that is what standard error is.

mod journal;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use journal::Journal;

use crate::cli::LogFormat;

/// Parts that say more than a user can use: rumqttd reports every client that leaves as an error, and
/// what matters of rumqttc the link reports itself.
const QUIET: [&str; 2] = ["rumqttd=off", "rumqttc=off"];

/// Starts logging; a second call does nothing.
///
/// # Errors
/// `level` is no filter.
pub fn start(format: LogFormat, level: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let mut directives = QUIET.join(",");
    directives.push(',');
    directives.push_str(level);
    let filter = EnvFilter::builder().parse(directives)?;
    if format == LogFormat::Text
        && let Some(journal) = Journal::behind_standard_error()
    {
        let _ = tracing_subscriber::registry().with(journal).with(filter).try_init();
        return Ok(());
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    Ok(())
}

/// From now on a panic in any thread is logged with its reason and ends the process: a daemon that
/// lost a thread must not limp on, the broker sends the last will, and the service is started again.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let reason = panic.payload_as_str().unwrap_or("no reason given");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(thread = thread.name().unwrap_or("unnamed"), place, reason, "panic; ending");
        std::process::abort();
    }));
}

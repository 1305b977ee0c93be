use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use gstreamer::glib;
use gstreamer::log::DebugMessage;
use gstreamer::{self as gst, DebugCategory, DebugLevel};

use crate::{PipelineError, Redactor};

/// Initialises GStreamer and sends its log, what it prints, and GLib's log, through the process's [`Redactor`] to `tracing`
/// (targets `gstreamer` and `glib`). `GST_DEBUG` chooses what is logged, by default errors only.
/// Everything in this crate that needs it calls it; a second call does nothing.
pub fn start_gstreamer() -> Result<(), PipelineError> {
    static STARTED: OnceLock<Result<(), PipelineError>> = OnceLock::new();
    STARTED
        .get_or_init(|| {
            // Before anything can be logged. Neither function needs GStreamer to be initialised.
            gst::log::remove_default_log_function();
            gst::log::add_log_function(|category, level, file, _, line, object, message| {
                let object = object.map(ToString::to_string);
                forward(category, level, file.as_str(), line, object.as_deref(), message);
            });
            glib::log_set_default_handler(|domain, level, text| {
                let text = Redactor::process().redact(text);
                let domain = domain.unwrap_or("");
                match level {
                    glib::LogLevel::Error | glib::LogLevel::Critical | glib::LogLevel::Warning => {
                        tracing::warn!(target: "glib", domain, "{text}");
                    }
                    _ => tracing::debug!(target: "glib", domain, "{text}"),
                }
            });
            // At its highest levels `rtspsrc` prints whole messages, past the log.
            glib::set_print_handler(|text| {
                tracing::trace!(target: "gstreamer", "{}", Redactor::process().redact(text.trim_end()));
            });
            glib::set_printerr_handler(|text| {
                tracing::debug!(target: "gstreamer", "{}", Redactor::process().redact(text.trim_end()));
            });
            gst::init().map_err(|error| PipelineError::GStreamer { reason: error.to_string() })?;
            if std::env::var_os("GST_DEBUG").is_none() {
                gst::log::set_default_threshold(DebugLevel::Error);
            }
            Ok(())
        })
        .clone()
}

/// Called by any thread of GStreamer's, in the middle of anything: it must not panic, nor take long.
fn forward(
    category: DebugCategory,
    level: DebugLevel,
    file: &str,
    line: u32,
    object: Option<&str>,
    message: &DebugMessage,
) {
    let log = || {
        let Some(text) = message.get() else { return };
        // The object's name can be a pad's or an element's; some elements put a location into it.
        let text = match object {
            Some(object) => format!("{object} {text}"),
            None => text.to_string(),
        };
        let text = Redactor::process().redact(&text);
        let (category, file) = (category.name(), file.rsplit('/').next().unwrap_or(file));
        match level {
            DebugLevel::Error => tracing::warn!(target: "gstreamer", category, file, line, "{text}"),
            DebugLevel::Warning => tracing::info!(target: "gstreamer", category, file, line, "{text}"),
            DebugLevel::Fixme | DebugLevel::Info => {
                tracing::debug!(target: "gstreamer", category, file, line, "{text}");
            }
            // A memory dump shows bytes as hexadecimal numbers, out of the redactor's reach.
            DebugLevel::Memdump => {}
            _ => tracing::trace!(target: "gstreamer", category, file, line, "{text}"),
        }
    };
    // A subscriber that panics must not unwind into C. The daemon's panics end the process before they unwind.
    let _ = catch_unwind(AssertUnwindSafe(log));
}

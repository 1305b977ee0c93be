//! The `belvedere` daemon: configuration, MQTT, commands. `main.rs` is its thin face.

pub mod alerts;
pub mod analyst;
pub mod annotate;
pub mod broker;
pub mod bundled;
pub mod cli;
pub mod commands;
pub mod config;
pub mod exit;
#[cfg(feature = "demo")]
pub mod film;
#[cfg(feature = "demo")]
pub mod film_camera;
pub mod folders;
pub mod home_assistant;
pub mod hub;
pub mod logging;
pub mod messages;
pub mod mqtt;
pub mod picture;
pub mod process;
pub mod roc;
pub mod snapshot;
pub mod watch;

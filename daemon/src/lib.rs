//! The `belvedere` daemon: configuration, MQTT, commands. `main.rs` is its thin face.

pub mod analyst;
pub mod annotate;
pub mod broker;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demonstration;
pub mod exit;
pub mod home_assistant;
pub mod logging;
pub mod messages;
pub mod mqtt;
pub mod picture;
pub mod process;
#[cfg(feature = "demo")]
pub mod test_camera;
pub mod watch;

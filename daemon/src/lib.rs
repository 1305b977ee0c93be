
pub mod annotate;
pub mod broker;
pub mod cli;
pub mod config;
pub mod exit;
pub mod logging;
pub mod messages;
pub mod mqtt;
pub mod picture;
pub mod process;

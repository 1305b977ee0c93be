//! Belvedere from outside: the built binary, a real RTSP server and a real broker.

mod alerts;
mod asking;
mod bad_checkpoints;
mod bad_configuration;
mod bad_images;
mod calibrate;
mod demo;
mod exported_graphs;
mod home_assistant;
mod meaning;
mod mqtt_security;
mod outbox;
mod questions;
mod recovery;
mod scene;
mod schemas;
mod secrets;
mod shutdown;
mod streams;
mod support;
mod switching;
mod untrusted_messages;
mod video_files;

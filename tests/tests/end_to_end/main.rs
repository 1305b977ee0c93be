//! Belvedere from outside: the built binary, a real RTSP server and a real broker.

mod bad_checkpoints;
mod bad_configuration;
mod bad_images;
mod calibrate;
mod demo;
mod exported_graphs;
mod meaning;
mod questions;
mod recovery;
mod scene;
mod secrets;
mod shutdown;
mod streams;
mod support;
mod video_files;

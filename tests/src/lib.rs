//! What the end-to-end tests stand on: the built binary as a process, a real RTSP server, a real broker, a subscriber.
//!
//! Nothing here sleeps: a test waits for an event with a deadline, and what it waited for is in the error.
//! Every process is killed when its owner is dropped, by its own process handle.

mod broker;
mod browser;
mod certificates;
mod checkpoint;
mod daemon;
mod door;
mod event_log;
pub mod evidence;
mod free_port;
mod http_client;
mod process;
mod publisher;
pub mod quality;
pub mod reload_stress;
mod result_shape;
mod rtsp_server;
mod service_manager;
mod silent_server;
pub mod soak;
mod subscriber;
mod video_file;
mod vital_signs;

pub use broker::{Broker, BrokerTls, Login};
pub use browser::Browser;
pub use certificates::{Certificate, Certificates};
pub use checkpoint::{SmallCheckpoint, noise_image};
pub use daemon::{Daemon, Finished, belvedere, belvedere_path, spawn_belvedere};
pub use door::Door;
pub use event_log::EventLog;
pub use free_port::free_port;
pub use http_client::http_get;
pub use process::Process;
pub use publisher::Publisher;
pub use result_shape::{ResultMessage, assert_result_shape};
pub use rtsp_server::{RtspServer, Stream};
pub use service_manager::ServiceManager;
pub use silent_server::SilentServer;
pub use subscriber::{Message, Subscriber};
pub use video_file::{write_film, write_noisy_film, write_video};
pub use vital_signs::VitalSigns;

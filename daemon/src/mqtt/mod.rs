//! Messages to the broker: an outbox that never blocks whoever fills it, the spool in it that
//! survives the process, and the link that empties it.

mod backoff;
mod counters;
mod link;
mod options;
mod outbox;
pub mod spool;
pub mod topics;

pub use counters::{MqttCounters, MqttCounts};
pub use link::Link;
pub use options::{LinkOptions, MqttError};
pub use outbox::Outbox;

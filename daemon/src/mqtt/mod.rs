//! Messages to the broker: an outbox that never blocks whoever fills it, the spool in it that
//! survives the process, and the link that empties it. And messages from others: the link puts what it
//! subscribes to into bounded inboxes.

mod backoff;
mod counters;
mod failure;
mod inbox;
mod link;
mod message;
mod options;
mod outbox;
mod session;
pub mod spool;
mod suspicion;
pub mod topics;

pub use counters::{MqttCounters, MqttCounts};
pub use inbox::{Inbox, InboxLimits, IncomingMessage, Subscription};
pub use link::Link;
pub use options::{LinkOptions, MqttError};
pub use outbox::Outbox;

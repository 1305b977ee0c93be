//! Checkpoints from the model hub, or from a mirror of it.
//!
//! The hub's own client library knows its addresses, and whom it tells the token; the bytes are read here, because
//! that library neither compares checksums nor gives up on a server that says nothing. A checkpoint appears in its
//! place whole and checked, or not at all; what was fetched of one that did not is gone on with the next time.

mod checksum;
mod client;
mod download;
mod error;
mod listing;
mod model_name;
mod pull;

pub use client::HubOptions;
pub use error::HubError;
pub use model_name::ModelName;
pub use pull::{PullEvent, Pulled, pull};

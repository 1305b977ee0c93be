//! Messages that must not be lost: on disk from the moment they are accepted until the broker has
//! acknowledged them.
//!
//! - [`Spool`] is one database: SQLite, in a file or in memory.
//! - `FallbackSpool` is a spool on disk that goes on in memory while the disk fails.
//! - [`SpoolThread`] is the thread that does the writing, so that nobody else waits for the disk.

mod database;
mod desk;
mod error;
mod fallback;
mod file;
mod limits;
mod location;
mod message;
mod schema;
mod thread;

pub use database::Spool;
pub use error::SpoolError;
pub use limits::{Dropped, SpoolLimits};
pub use location::default_path;
pub use message::{NewMessage, SpoolId, SpoolKind, SpooledMessage};
pub(super) use thread::SpoolThread;

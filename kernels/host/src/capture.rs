//! Work that is kept instead of done.

use std::thread::ThreadId;

use crate::work::Work;

/// A capture of one stream. As with CUDA's thread-local mode, the thread that began it may not allocate, free or wait before
/// it has ended, and a mistake spoils it: it still has to be ended, which then fails.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) number: u64,
    pub(crate) thread: ThreadId,
    pub(crate) work: Vec<Work>,
    pub(crate) spoiled: Option<String>,
}

impl Capture {
    /// Notes the first mistake, and hands it on.
    pub(crate) fn spoil(&mut self, why: &str) -> String {
        self.spoiled.get_or_insert_with(|| why.to_owned());
        format!("{why}, during a capture")
    }
}

//! Frames become JPEG on a thread of their own.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use belvedere_pipelines::Frame;
use bytes::Bytes;
use tokio::sync::watch;

use super::{LiveCamera, Sight, lock};
use crate::messages::to_json;
use crate::snapshot::SnapshotStyle;

/// How live pictures look. What was found is drawn by whoever shows them, so that its letters stay sharp.
const STYLE: SnapshotStyle = SnapshotStyle { boxes: false, quality: 75, longest_side_px: 960 };
/// After each picture the thread rests so many times as long as the picture took: the model needs the processor.
const REST: u32 = 3;
/// So many frames wait about which a question was answered.
const MAX_KEPT: usize = 4;

/// A frame as JPEG, without anything drawn into it, and what was found in it.
#[derive(Debug)]
pub struct LivePicture {
    /// The frame's number.
    pub frame_id: u64,
    /// The frame's [`Sight`] as a JSON object.
    pub sight: Bytes,
    /// At most 960 pixels on its longer side.
    pub jpeg: Bytes,
}

/// The thread, and the newest frame of each camera that waits for it.
#[derive(Debug)]
pub(super) struct PictureThread {
    table: Arc<Table>,
}

#[derive(Debug, Default)]
struct Table {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Frames about which a question was answered: no newer one takes their place.
    kept: VecDeque<Work>,
    frames: BTreeMap<String, Work>,
    /// Whose turn was the last; the next one by name comes next.
    last: String,
    is_over: bool,
}

#[derive(Debug)]
struct Work {
    camera: Arc<LiveCamera>,
    frame: Frame,
    sight: Sight,
    is_kept: bool,
}

impl PictureThread {
    /// Starts it; `made` changes with each picture. It ends when the handle is dropped.
    pub(super) fn spawn(made: watch::Sender<u64>) -> io::Result<PictureThread> {
        let table = Arc::new(Table::default());
        let thread = PictureThread { table: Arc::clone(&table) };
        thread::Builder::new().name("pictures".to_owned()).spawn(move || {
            while let Some(work) = table.next() {
                let took = work.make(&made);
                table.rest(took * REST);
            }
        })?;
        Ok(thread)
    }

    /// Puts a frame in the place of its camera's older one; one that `is_kept` stands beside it.
    pub(super) fn put(&self, camera: Arc<LiveCamera>, frame: Frame, sight: Sight, is_kept: bool) {
        let name = camera.name().to_owned();
        let work = Work { camera, frame, sight, is_kept };
        let mut waiting = lock(&self.table.waiting);
        let older = if is_kept {
            waiting.kept.push_back(work);
            if waiting.kept.len() > MAX_KEPT { waiting.kept.pop_front() } else { None }
        } else {
            waiting.frames.insert(name, work)
        };
        drop(waiting);
        // Not under the lock: it goes back to its decoder.
        drop(older);
        self.table.filled.notify_all();
    }
}

impl Drop for PictureThread {
    fn drop(&mut self) {
        lock(&self.table.waiting).is_over = true;
        self.table.filled.notify_all();
    }
}

impl Table {
    /// Waits for the next frame; `None` at the end.
    fn next(&self) -> Option<Work> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.is_over {
                return None;
            }
            if let Some(work) = waiting.take() {
                return Some(work);
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut waiting = lock(&self.waiting);
        while !waiting.is_over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.filled.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl Waiting {
    /// In turn: one camera does not hold up the others.
    fn take(&mut self) -> Option<Work> {
        if let Some(kept) = self.kept.pop_front() {
            return Some(kept);
        }
        let after = self.frames.keys().find(|name| **name > self.last);
        let name = after.or_else(|| self.frames.keys().next())?.clone();
        let work = self.frames.remove(&name);
        self.last = name;
        work
    }
}

impl Work {
    /// Makes the picture; how long that took.
    fn make(self, made: &watch::Sender<u64>) -> Duration {
        let Work { camera, frame, sight, is_kept } = self;
        let clock = Instant::now();
        let jpeg = frame
            .view()
            .map_err(|error| error.to_string())
            .and_then(|picture| STYLE.encode(&picture, &[]).map_err(|error| error.to_string()));
        match jpeg {
            Ok(jpeg) => {
                let picture =
                    LivePicture { frame_id: frame.id, sight: to_json(&sight).into(), jpeg: jpeg.into() };
                camera.pictured(Arc::new(picture), is_kept);
                made.send_modify(|pictures| *pictures = pictures.wrapping_add(1));
            }
            Err(error) => {
                tracing::warn!(camera = camera.name(), frame_id = frame.id, error, "no picture of a frame");
            }
        }
        clock.elapsed()
    }
}

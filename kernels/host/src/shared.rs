//! What a device and all that is made on it share: memory, the order of work, and the doing of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use belvedere_kernels::device::{DeviceError, DeviceSlice};

use crate::device::HostEvent;
use crate::memory::{HostMemory, Memories};
use crate::order::{LONGEST_QUEUE, Order};
use crate::work::Work;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memories: Mutex<Memories>,
    pub(crate) order: Mutex<Order>,
    pub(crate) shares_memory: bool,
    /// Held by whoever does work, so that the pieces of a stream are done one after another.
    pub(crate) turn: Mutex<()>,
}

impl Shared {
    pub(crate) fn error(doing: impl Into<String>, reason: impl Into<String>) -> DeviceError {
        DeviceError { device: "host".into(), doing: doing.into(), reason: reason.into() }
    }

    pub(crate) fn memories(&self) -> MutexGuard<'_, Memories> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_bytes<R>(
        &self,
        slice: DeviceSlice,
        look: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, DeviceError> {
        let mut memories = self.memories();
        let bytes = memories.bytes(slice).map_err(|reason| Shared::error("looking at memory", reason))?;
        Ok(look(bytes))
    }

    /// Frees memory; says which queued work still uses it, if any.
    pub(crate) fn let_go(&self, slice: DeviceSlice) -> Option<String> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order = self.order();
        let _ = order.not_while_capturing("memory is freed");
        let user = order.user_of(slice);
        self.memories().free(slice);
        drop(turn);
        user
    }

    pub(crate) fn allocate(self: &Arc<Self>, bytes: usize, pinned: bool) -> Result<HostMemory, DeviceError> {
        let kind = if pinned { "pinned " } else { "" };
        let doing = || format!("allocating {bytes} bytes of {kind}memory");
        let allowed = self.order().not_while_capturing("memory is allocated");
        allowed.map_err(|reason| Shared::error(doing(), reason))?;
        self.stir();
        let slice =
            self.memories().allocate(bytes, pinned).map_err(|reason| Shared::error(doing(), reason))?;
        Ok(HostMemory { slice, owner: self.clone() })
    }

    pub(crate) fn append(&self, stream: u64, work: Work) -> Result<(), DeviceError> {
        for slice in work.slices() {
            self.memories().bytes(slice).map_err(|reason| Shared::error(work.to_string(), reason))?;
        }
        let mut order = self.order();
        let Some(queue) = order.streams.get_mut(&stream) else {
            return Err(Shared::error(work.to_string(), "the stream is another device's"));
        };
        match (&mut queue.capture, &queue.failed) {
            (Some(capture), _) => capture.work.push(work),
            (None, Some((_, error))) => return Err(error.clone()),
            (None, None) => {
                queue.waiting.push_back(work);
                queue.appended += 1;
            }
        }
        let full = queue.waiting.len() > LONGEST_QUEUE;
        drop(order);
        if full {
            self.advance(stream);
        }
        self.stir();
        Ok(())
    }

    /// Does one piece of work that `stream` has to do or waits for; false where there is none.
    pub(crate) fn advance(&self, stream: u64) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order = self.order();
        let Some(stream) = order.runnable(stream) else { return false };
        let Some(queue) = order.streams.get_mut(&stream) else { return false };
        let Some(work) = queue.waiting.pop_front() else { return false };
        let dead = queue.failed.is_some();
        let mut result = match &work {
            Work::Wait(event) => order.is_past(event).map(|_| ()),
            _ => Ok(()),
        };
        drop(order);
        if !dead && result.is_ok() {
            result = work.run(&self.memories).map_err(|reason| Shared::error(work.to_string(), reason));
        }
        if let Some(queue) = self.order().streams.get_mut(&stream) {
            if let (Err(error), None) = (result, &queue.failed) {
                queue.failed = Some((queue.passed, error));
            }
            queue.passed += 1;
        }
        true
    }

    /// In the seeded mode: does some pieces of work.
    pub(crate) fn stir(&self) {
        let pieces = self.order().random.as_mut().map_or(0, |random| random.below(4));
        for _ in 0..pieces {
            let next = self.order().any_runnable();
            if next.is_none_or(|stream| !self.advance(stream)) {
                break;
            }
        }
    }

    /// Whether an event can be asked about from here.
    pub(crate) fn may_ask(&self, event: &HostEvent, doing: &str) -> Result<(), DeviceError> {
        let mut order = self.order();
        let allowed = match event.capture {
            Some(number) => {
                let captures = order.streams.values_mut().filter_map(|queue| queue.capture.as_mut());
                let capture = captures.into_iter().find(|capture| capture.number == number);
                let why = "an event of a captured stream is asked for, which never comes";
                Err(capture.map_or_else(|| why.to_owned(), |capture| capture.spoil(why)))
            }
            None => order.not_while_capturing("an event is asked for"),
        };
        allowed.map_err(|reason| Shared::error(doing, reason))
    }
}

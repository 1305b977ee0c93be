//! The queues of all streams, and who is next.

use std::collections::{BTreeMap, VecDeque};
use std::thread;

use belvedere_kernels::device::{DeviceError, DeviceSlice};

use crate::HostEvent;
use crate::capture::Capture;
use crate::random::Random;
use crate::work::Work;

/// Pieces of work that a stream holds before the oldest is done to make room.
pub(crate) const LONGEST_QUEUE: usize = 64;

#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) streams: BTreeMap<u64, Queue>,
    pub(crate) random: Option<Random>,
    /// Of streams and captures.
    pub(crate) next_number: u64,
}

/// What one stream has been asked for.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<Work>,
    /// Pieces ever appended, and how many of them are done.
    pub(crate) appended: u64,
    pub(crate) passed: u64,
    /// What failed, and how many were done before: nothing after it is done.
    pub(crate) failed: Option<(u64, DeviceError)>,
    pub(crate) capture: Option<Capture>,
}

impl Queue {
    /// Whether `mark` pieces have been done; an error if one of them failed.
    pub(crate) fn is_past(&self, mark: u64) -> Result<bool, DeviceError> {
        match &self.failed {
            Some((before, error)) if *before < mark => Err(error.clone()),
            _ => Ok(self.passed >= mark),
        }
    }
}

impl Order {
    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Whether `event` has come; a stream that is gone has done everything.
    pub(crate) fn is_past(&self, event: &HostEvent) -> Result<bool, DeviceError> {
        self.streams.get(&event.stream).map_or(Ok(true), |queue| queue.is_past(event.mark))
    }

    /// The stream whose first piece can be done next so that `stream` gets on: itself, or one that it waits for. `None` where
    /// nothing is left.
    pub(crate) fn runnable(&self, stream: u64) -> Option<u64> {
        let mut stream = stream;
        loop {
            match self.streams.get(&stream)?.waiting.front()? {
                // An event was recorded before anyone could wait for it, so this ends.
                Work::Wait(event) if matches!(self.is_past(event), Ok(false)) => stream = event.stream,
                _ => return Some(stream),
            }
        }
    }

    /// A stream with something to do, by chance.
    pub(crate) fn any_runnable(&mut self) -> Option<u64> {
        let busy: Vec<u64> =
            self.streams.iter().filter(|(_, queue)| !queue.waiting.is_empty()).map(|(id, _)| *id).collect();
        let random = self.random.as_mut()?;
        let stream = *busy.get(random.below(busy.len().max(1)))?;
        self.runnable(stream)
    }

    /// Refuses what this thread may not do while it captures.
    pub(crate) fn not_while_capturing(&mut self, what: &str) -> Result<(), String> {
        let thread = thread::current().id();
        let captures = self.streams.values_mut().filter_map(|queue| queue.capture.as_mut());
        match captures.into_iter().find(|capture| capture.thread == thread) {
            Some(capture) => Err(capture.spoil(what)),
            None => Ok(()),
        }
    }

    /// Queued work that uses `memory`.
    pub(crate) fn user_of(&self, memory: DeviceSlice) -> Option<String> {
        let waiting = self.streams.values().flat_map(|queue| &queue.waiting);
        waiting.into_iter().find(|work| work.uses(memory)).map(Work::to_string)
    }
}

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Things that happened, in order, written by one thread and waited for by another.
pub struct EventLog<T> {
    shared: Arc<(Mutex<Vec<T>>, Condvar)>,
}

impl<T> Clone for EventLog<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for EventLog<T> {
    fn default() -> Self {
        Self { shared: Arc::default() }
    }
}

impl<T> EventLog<T> {
    /// Adds an event and wakes whoever waits.
    pub fn push(&self, event: T) {
        self.lock().push(event);
        self.shared.1.notify_all();
    }

    /// How many events there were so far: with `wait_for`'s slice, a mark for "after this".
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing happened so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + fmt::Debug> EventLog<T> {
    /// Everything so far.
    pub fn all(&self) -> Vec<T> {
        self.lock().clone()
    }

    /// Waits until `found` makes something of the whole log; it is asked at each new event.
    ///
    /// After `within`, an error that says `what` was waited for and shows the latest events.
    pub fn wait_for<R>(
        &self,
        what: &str,
        within: Duration,
        mut found: impl FnMut(&[T]) -> Option<R>,
    ) -> Result<R> {
        let deadline = Instant::now() + within;
        let mut events = self.lock();
        loop {
            if let Some(result) = found(&events) {
                return Ok(result);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                let latest = &events[events.len().saturating_sub(5)..];
                bail!(
                    "waited {within:?} in vain for {what}; {} events, the latest: {latest:#?}",
                    events.len()
                );
            };
            events = self.shared.1.wait_timeout(events, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

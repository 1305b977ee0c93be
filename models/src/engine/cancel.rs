use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Hook = Box<dyn Fn() + Send>;

/// Asks a running call to stop: checked between decode steps, and passed on to an engine that can stop a graph.
///
/// Clones share one state. Cancelling is final.
#[derive(Clone, Default)]
pub struct CancelToken {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    hooks: Mutex<Vec<(u64, Hook)>>,
}

/// Takes its hook back when dropped.
#[must_use]
pub struct CancelGuard {
    state: Arc<State>,
    id: u64,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels; hooks run on this thread. Later calls do nothing.
    pub fn cancel(&self) {
        if self.state.cancelled.swap(true, Ordering::SeqCst) {
            return;
        }
        for (_, hook) in self.state.hooks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            hook();
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::SeqCst)
    }

    /// [`ModelError::Cancelled`](crate::ModelError::Cancelled) once cancelled.
    ///
    /// # Errors
    /// That one.
    pub fn check(&self) -> Result<(), crate::ModelError> {
        if self.is_cancelled() { Err(crate::ModelError::Cancelled) } else { Ok(()) }
    }

    /// Runs `hook` at the cancellation, or now if that was before; never after the guard is gone.
    /// The hook must be short and must not touch this token.
    pub fn on_cancel(&self, hook: impl Fn() + Send + 'static) -> CancelGuard {
        let mut hooks = self.state.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let id = hooks.last().map_or(0, |(last, _)| last + 1);
        if self.is_cancelled() {
            hook();
        } else {
            hooks.push((id, Box::new(hook)));
        }
        CancelGuard { state: Arc::clone(&self.state), id }
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.state.hooks.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != self.id);
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counter() -> (Arc<AtomicUsize>, impl Fn() + Send + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        let inner = Arc::clone(&count);
        (count, move || {
            inner.fetch_add(1, Ordering::SeqCst);
        })
    }

    #[test]
    fn a_hook_runs_once_at_the_cancellation() {
        let token = CancelToken::new();
        let (count, hook) = counter();
        let _guard = token.on_cancel(hook);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        token.cancel();
        token.clone().cancel();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(token.check().is_err());
    }

    #[test]
    fn a_hook_set_after_the_cancellation_runs_at_once() {
        let token = CancelToken::new();
        token.cancel();
        let (count, hook) = counter();
        let _guard = token.on_cancel(hook);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_hook_does_not_run_after_its_guard_is_gone() {
        let token = CancelToken::new();
        let (count, hook) = counter();
        drop(token.on_cancel(hook));
        token.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }
}

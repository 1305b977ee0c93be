//! The thread between the builder and those who want to hear of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use belvedere_models::engine::tensorrt::{BuildProgress, OnBuild};

use super::{BuildListener, Building, TerminalLine};

/// Listeners are told so often, whether or not there is news.
const EVERY: Duration = Duration::from_secs(1);

/// Tells listeners of building from the first sign of life on until it is dropped.
#[must_use = "nobody hears of building once it is dropped"]
pub struct BuildReporter {
    note: Arc<Note>,
    thread: Option<JoinHandle<()>>,
}

/// The newest sign of life.
#[derive(Default)]
struct Note {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    progress: Option<BuildProgress>,
    is_news: bool,
    is_over: bool,
}

impl BuildReporter {
    /// Tells `listeners`, in their order.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(mut listeners: Vec<Box<dyn BuildListener>>) -> std::io::Result<BuildReporter> {
        let note = Arc::new(Note::default());
        let read = Arc::clone(&note);
        let thread = std::thread::Builder::new()
            .name("build-reporter".to_owned())
            .spawn(move || read.tell_until_over(&mut listeners))?;
        Ok(BuildReporter { note, thread: Some(thread) })
    }

    /// Tells the user of a command.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn on_terminal() -> std::io::Result<BuildReporter> {
        BuildReporter::start(vec![Box::new(TerminalLine::stderr())])
    }

    /// What the builder is to be given.
    pub fn on_build(&self) -> OnBuild {
        let note = Arc::clone(&self.note);
        OnBuild::new(move |progress| note.leave(progress))
    }
}

impl Drop for BuildReporter {
    fn drop(&mut self) {
        self.note.lock().is_over = true;
        self.note.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Note {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the builder's threads: keeps them for no longer than it takes to copy.
    fn leave(&self, progress: &BuildProgress) {
        let mut state = self.lock();
        let is_other_graph = state.progress.as_ref().is_none_or(|last| last.place != progress.place);
        state.progress = Some(progress.clone());
        state.is_news = true;
        drop(state);
        // Anything else is read at the next round.
        if is_other_graph {
            self.changed.notify_all();
        }
    }

    fn tell_until_over(&self, listeners: &mut [Box<dyn BuildListener>]) {
        let mut state = self.lock();
        while state.progress.is_none() && !state.is_over {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let started = Instant::now();
        // Also where it was over before this thread had read the first note.
        let mut was_told = false;
        while let Some(progress) = state.progress.clone() {
            let place = progress.place;
            let (is_over, is_news) = (state.is_over, std::mem::take(&mut state.is_news));
            drop(state);
            if !is_over || !was_told {
                let building = Building { progress, elapsed: started.elapsed(), is_news };
                listeners.iter_mut().for_each(|listener| listener.tell(&building));
                was_told = true;
            }
            if is_over {
                listeners.iter_mut().for_each(|listener| listener.ended(started.elapsed()));
                return;
            }
            let same_graph = |state: &mut State| {
                !state.is_over && state.progress.as_ref().is_some_and(|progress| progress.place == place)
            };
            let waited = self.changed.wait_timeout_while(self.lock(), EVERY, same_graph);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::tests::progress;
    use super::*;

    /// Far more than anything here takes.
    const WITHIN: Duration = Duration::from_secs(30);

    struct Heard(mpsc::Sender<Option<(usize, bool)>>);

    impl BuildListener for Heard {
        fn tell(&mut self, building: &Building) {
            let _ = self.0.send(Some((building.progress.place, building.is_news)));
        }

        fn ended(&mut self, _: Duration) {
            let _ = self.0.send(None);
        }
    }

    fn reporter() -> (BuildReporter, mpsc::Receiver<Option<(usize, bool)>>) {
        let (sender, heard) = mpsc::channel();
        (BuildReporter::start(vec![Box::new(Heard(sender))]).unwrap(), heard)
    }

    #[test]
    fn the_first_sign_and_each_graph_are_told_at_once_and_the_end_last() {
        let (reporter, heard) = reporter();
        let on_build = reporter.on_build();
        for place in 0..3 {
            on_build.tell(&progress(place, 0.0));
            let told = heard.iter().find(|told| *told == Some((place, true)));
            assert!(told.is_some(), "graph {place}");
        }
        drop(reporter);
        assert_eq!(heard.iter().last(), Some(None));
    }

    #[test]
    fn a_builder_that_says_nothing_for_a_while_is_told_of_as_no_news() {
        let (reporter, heard) = reporter();
        reporter.on_build().tell(&progress(0, 0.5));
        assert_eq!(heard.recv_timeout(WITHIN), Ok(Some((0, true))));
        assert_eq!(heard.recv_timeout(WITHIN), Ok(Some((0, false))));
    }

    #[test]
    fn nothing_is_told_where_nothing_is_built() {
        let (reporter, heard) = reporter();
        drop(reporter);
        assert_eq!(heard.iter().count(), 0);
    }

    #[test]
    fn what_is_built_within_a_moment_is_told_too() {
        let (reporter, heard) = reporter();
        reporter.on_build().tell(&progress(0, 1.0));
        drop(reporter);
        assert_eq!(heard.iter().last(), Some(None));
    }
}

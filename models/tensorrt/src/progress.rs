//! How far a build has come, out of the builder's nested phases.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use crate::shim::{RawProgressListener, Shim};

/// Told the innermost phase's name and how far the build has come, 0 to 1, which never falls. It is called from threads of
/// the builder's own and returns at once; `false` stops the build.
pub type OnProgress<'a> = dyn Fn(&str, f32) -> bool + Send + Sync + 'a;

/// A progress monitor while a build runs.
pub(crate) struct Monitor<'a> {
    shim: &'static Shim,
    object: NonNull<c_void>,
    // Its address is TensorRT's.
    state: Box<State<'a>>,
}

struct State<'a> {
    on_progress: &'a OnProgress<'a>,
    phases: Mutex<Phases>,
}

#[derive(Default)]
struct Phases {
    open: Vec<Phase>,
    reached: f32,
    is_stopped: bool,
}

struct Phase {
    name: String,
    steps: i32,
    done: i32,
    parent: Option<String>,
}

impl Phases {
    fn start(&mut self, name: &str, parent: Option<&str>, steps: i32) {
        self.open.retain(|phase| phase.name != name);
        let parent = parent.map(str::to_owned);
        self.open.push(Phase { name: name.to_owned(), steps: steps.max(1), done: 0, parent });
    }

    fn step(&mut self, name: &str, step: i32) {
        if let Some(phase) = self.open.iter_mut().find(|phase| phase.name == name) {
            phase.done = phase.done.max(step.saturating_add(1)).min(phase.steps);
        }
    }

    fn finish(&mut self, name: &str) {
        self.open.retain(|phase| phase.name != name);
    }

    /// How far the outermost phase has come: an open phase fills the step of its parent that is being done.
    fn reached(&mut self) -> f32 {
        let outermost = self.open.iter().find(|phase| phase.parent.is_none());
        let reached = outermost.map_or(0.0, |phase| self.share(phase, self.open.len()));
        self.reached = self.reached.max(reached.clamp(0.0, 1.0));
        self.reached
    }

    /// `depth` ends what contradicts itself.
    fn share(&self, phase: &Phase, depth: usize) -> f32 {
        let inner = self.open.iter().find(|inner| inner.parent.as_deref() == Some(&*phase.name));
        let inner = match inner {
            Some(inner) if depth > 0 => self.share(inner, depth - 1),
            _ => 0.0,
        };
        ((phase.done as f32 + inner) / phase.steps as f32).min(1.0)
    }
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(shim: &'static Shim, on_progress: &'a OnProgress<'a>) -> Option<Monitor<'a>> {
        let state = Box::new(State { on_progress, phases: Mutex::default() });
        let user = std::ptr::from_ref::<State<'_>>(&state).cast_mut().cast();
        let listener = RawProgressListener { user, started, stepped, finished };
        // SAFETY: the three functions take a `user` that points to a `State`; this one lives as long as the object, which
        // copies the listener.
        let object = unsafe { (shim.progress_create)(&raw const listener) };
        NonNull::new(object).map(|object| Monitor { shim, object, state })
    }

    pub(crate) fn object(&self) -> *mut c_void {
        self.object.as_ptr()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.phases.lock().unwrap_or_else(PoisonError::into_inner).is_stopped
    }
}

impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        // SAFETY: made by this shim and destroyed once; whoever gave it to a builder has taken it back.
        unsafe { (self.shim.progress_destroy)(self.object.as_ptr()) }
    }
}

impl State<'_> {
    /// Changes the phases and tells. Returns whether to go on.
    fn change(&self, name: &str, change: impl FnOnce(&mut Phases)) -> bool {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut phases);
        let reached = phases.reached();
        // Told under the lock: of two threads, neither may tell less after the other told more.
        phases.is_stopped |= !(self.on_progress)(name, reached);
        !phases.is_stopped
    }
}

/// # Safety
/// `user` points to a [`State`].
unsafe fn state<'a>(user: *mut c_void) -> &'a State<'a> {
    // SAFETY: the caller promises it.
    unsafe { &*user.cast::<State<'a>>() }
}

/// # Safety
/// Null or a C string that lives as long as the result.
unsafe fn text<'a>(text: *const c_char) -> Option<std::borrow::Cow<'a, str>> {
    // SAFETY: the caller promises it.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

/// # Safety
/// As [`state`] and [`text`] ask.
unsafe extern "C" fn started(user: *mut c_void, phase: *const c_char, parent: *const c_char, steps: i32) {
    // SAFETY: TensorRT passes C strings, and the `user` that the monitor was made with.
    let (state, phase, parent) = unsafe { (state(user), text(phase), text(parent)) };
    let phase = phase.unwrap_or_default();
    state.change(&phase, |phases| phases.start(&phase, parent.as_deref(), steps));
}

/// # Safety
/// As [`state`] and [`text`] ask.
unsafe extern "C" fn stepped(user: *mut c_void, phase: *const c_char, step: i32) -> i32 {
    // SAFETY: TensorRT passes C strings, and the `user` that the monitor was made with.
    let (state, phase) = unsafe { (state(user), text(phase)) };
    let phase = phase.unwrap_or_default();
    i32::from(state.change(&phase, |phases| phases.step(&phase, step)))
}

/// # Safety
/// As [`state`] and [`text`] ask.
unsafe extern "C" fn finished(user: *mut c_void, phase: *const c_char) {
    // SAFETY: TensorRT passes C strings, and the `user` that the monitor was made with.
    let (state, phase) = unsafe { (state(user), text(phase)) };
    let phase = phase.unwrap_or_default();
    state.change(&phase, |phases| phases.finish(&phase));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_phases_fill_the_step_of_their_parent() {
        let mut phases = Phases::default();
        phases.start("building", None, 4);
        assert_eq!(phases.reached(), 0.0);
        phases.start("timing", Some("building"), 10);
        phases.step("timing", 4);
        assert_eq!(phases.reached(), 0.125);
        phases.finish("timing");
        phases.step("building", 0);
        assert_eq!(phases.reached(), 0.25);
        phases.step("building", 3);
        assert_eq!(phases.reached(), 1.0);
        phases.finish("building");
        assert_eq!(phases.reached(), 1.0);
    }

    #[test]
    fn what_was_reached_never_falls() {
        let mut phases = Phases::default();
        phases.start("building", None, 2);
        phases.start("first", Some("building"), 1);
        phases.step("first", 0);
        assert_eq!(phases.reached(), 0.5);
        // Its parent's step is not done yet, and the next inner phase begins.
        phases.finish("first");
        phases.start("second", Some("building"), 2);
        assert_eq!(phases.reached(), 0.5);
        phases.step("unknown", 5);
        phases.step("second", i32::MAX);
        assert_eq!(phases.reached(), 0.5);
    }

    #[test]
    fn phases_that_are_each_others_parents_end() {
        let mut phases = Phases::default();
        phases.start("outer", None, 2);
        phases.start("a", Some("outer"), 2);
        phases.start("b", Some("b"), 2);
        phases.start("a", Some("b"), 2);
        phases.start("b", Some("a"), 2);
        assert!(phases.reached() <= 1.0);
        phases.start("c", Some("outer"), 2);
        phases.start("a", Some("c"), 2);
        phases.start("c", Some("a"), 2);
        assert!(phases.reached() <= 1.0);
    }
}

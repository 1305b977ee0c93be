use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::least_recently_served::LeastRecentlyServed;
use crate::{CameraName, Frame, LatestFrame};

/// Gives the model its next frame: the newest of the least recently served camera that has one. A fast
/// camera cannot starve a slow one. Cloning gives another handle to the same scheduler.
#[derive(Debug, Clone, Default)]
pub struct Scheduler {
    doorbell: Arc<Doorbell>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    slots: Vec<Arc<LatestFrame>>,
    turns: LeastRecentlyServed,
}

impl Scheduler {
    /// A scheduler with no cameras yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot of a camera; made when the camera is seen for the first time, the same one ever after.
    pub fn slot(&self, camera: &CameraName) -> Arc<LatestFrame> {
        let mut queue = lock(&self.queue);
        if let Some(slot) = queue.slots.iter().find(|slot| slot.camera() == camera) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(LatestFrame::new(camera.clone(), Arc::clone(&self.doorbell)));
        queue.slots.push(Arc::clone(&slot));
        queue.turns.add();
        slot
    }

    /// The next frame; waits for one as long as it takes. `None` after [`Scheduler::shut_down`].
    pub fn next(&self) -> Option<Frame> {
        self.wait_for_frame(None)
    }

    /// The next frame, or `None` once `deadline` has passed without one or the scheduler is shut down.
    pub fn next_until(&self, deadline: Instant) -> Option<Frame> {
        self.wait_for_frame(Some(deadline))
    }

    /// The next frame if there is one now.
    pub fn try_next(&self) -> Option<Frame> {
        let mut queue = lock(&self.queue);
        let Queue { slots, turns } = &mut *queue;
        turns.serve(|member| slots.get(member)?.take())
    }

    /// Ends every wait, now and later. Frames left in the slots are dropped with them.
    pub fn shut_down(&self) {
        lock(&self.doorbell.state).shut_down = true;
        self.doorbell.rung.notify_all();
    }

    /// Whether [`Scheduler::shut_down`] was called.
    pub fn is_shut_down(&self) -> bool {
        lock(&self.doorbell.state).shut_down
    }

    fn wait_for_frame(&self, deadline: Option<Instant>) -> Option<Frame> {
        loop {
            // Read before looking: a put between the look and the wait has rung by then.
            let heard = {
                let state = lock(&self.doorbell.state);
                if state.shut_down {
                    return None;
                }
                state.rings
            };
            if let Some(frame) = self.try_next() {
                return Some(frame);
            }
            let mut state = lock(&self.doorbell.state);
            while state.rings == heard && !state.shut_down {
                state = match deadline {
                    None => self.doorbell.rung.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(deadline) => {
                        let left = deadline.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            return None;
                        }
                        self.doorbell.rung.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                };
            }
        }
    }
}

/// Wakes the scheduler when a frame was put into any slot.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    state: Mutex<DoorbellState>,
    rung: Condvar,
}

#[derive(Debug, Default)]
struct DoorbellState {
    rings: u64,
    shut_down: bool,
}

impl Doorbell {
    pub(crate) fn ring(&self) {
        let mut state = lock(&self.state);
        state.rings = state.rings.wrapping_add(1);
        drop(state);
        self.rung.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use belvedere_kernels::RgbImage;

    use super::*;

    fn put(slot: &LatestFrame) -> u64 {
        let id = slot.next_id();
        let picture = RgbImage { width: 1, height: 1, pixels: vec![0; 3] };
        slot.put(Frame::from_rgb(slot.camera().clone(), id, picture));
        id
    }

    fn name(name: &str) -> CameraName {
        CameraName::new(name).unwrap()
    }

    #[test]
    fn only_the_newest_frame_is_given_and_the_older_ones_are_counted() {
        let scheduler = Scheduler::new();
        let slot = scheduler.slot(&name("a"));
        (0..5).for_each(|_| {
            put(&slot);
        });
        assert_eq!(scheduler.try_next().unwrap().id, 5);
        assert!(scheduler.try_next().is_none());
        let counted = slot.counters().values();
        assert_eq!((counted.superseded, counted.taken), (4, 1));
    }

    #[test]
    fn what_a_stream_left_behind_is_not_given_and_counts_as_unwanted_once() {
        let scheduler = Scheduler::new();
        let slot = scheduler.slot(&name("a"));
        put(&slot);
        slot.discard();
        slot.discard();
        assert!(scheduler.try_next().is_none());
        let counted = slot.counters().values();
        assert_eq!((counted.unwanted, counted.taken, counted.superseded), (1, 0, 0));
    }

    #[test]
    fn a_fast_camera_does_not_starve_a_slow_one() {
        let scheduler = Scheduler::new();
        let (fast, slow) = (scheduler.slot(&name("fast")), scheduler.slot(&name("slow")));
        for _ in 0..10 {
            put(&slow);
            put(&fast);
            let first = scheduler.try_next().unwrap();
            put(&fast);
            let second = scheduler.try_next().unwrap();
            assert_ne!(first.camera, second.camera);
            scheduler.try_next();
        }
        assert_eq!(slow.counters().values().superseded, 0);
    }

    #[test]
    fn a_waiting_model_is_woken_by_a_frame_and_by_the_shut_down() {
        let scheduler = Scheduler::new();
        let slot = scheduler.slot(&name("a"));
        let (sender, receiver) = mpsc::channel();
        let model = std::thread::spawn({
            let scheduler = scheduler.clone();
            move || {
                while let Some(frame) = scheduler.next() {
                    sender.send(frame.id).unwrap();
                }
            }
        });
        for _ in 0..100 {
            let id = put(&slot);
            assert_eq!(receiver.recv_timeout(Duration::from_secs(10)), Ok(id));
        }
        scheduler.shut_down();
        model.join().unwrap();
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let scheduler = Scheduler::new();
        let start = Instant::now();
        assert!(scheduler.next_until(start + Duration::from_millis(20)).is_none());
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_camera_that_comes_back_goes_on_counting_its_frames() {
        let scheduler = Scheduler::new();
        put(&scheduler.slot(&name("a")));
        assert_eq!(put(&scheduler.slot(&name("a"))), 2);
    }
}

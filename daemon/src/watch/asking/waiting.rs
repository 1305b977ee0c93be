//! Questions that wait for a frame.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use tokio::sync::oneshot;

use super::pace::Pace;
use super::question::Question;
use super::refusal::Refusal;

/// So many wait for one camera.
const MAX_OF_CAMERA: usize = 4;
/// So many wait in all.
const MAX: usize = 16;
/// Questions that are taken, a second and at once: of one camera, of all.
const OF_CAMERA: (f64, u32) = (1.0, 5);
const OF_ALL: (f64, u32) = (4.0, 16);
/// Refusals that are said, a second and at once. Beyond them silence is the answer: whoever asks so much does
/// not listen, and others do.
const REFUSALS: (f64, u32) = (2.0, 20);

/// A bounded queue with a bounded pace. Pure: the clock comes from outside.
#[derive(Debug)]
pub(super) struct Waiting {
    questions: VecDeque<Pending>,
    pace: Pace,
    of_camera: BTreeMap<String, Pace>,
    refusals: Pace,
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum Reply {
    /// To `ROOT/CAMERA/answer`.
    Topic,
    /// To the page.
    Page(oneshot::Sender<Vec<u8>>),
}

impl Reply {
    /// Whether nobody waits for it any more.
    fn is_unwanted(&self) -> bool {
        matches!(self, Reply::Page(page) if page.is_closed())
    }
}

/// A question that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) camera: String,
    pub(super) question: Question,
    pub(super) reply: Reply,
    /// After this it is refused.
    pub(super) until: Instant,
}

impl Waiting {
    pub(super) fn new() -> Waiting {
        Waiting {
            questions: VecDeque::new(),
            pace: Pace::new(OF_ALL.0, OF_ALL.1),
            of_camera: BTreeMap::new(),
            refusals: Pace::new(REFUSALS.0, REFUSALS.1),
        }
    }

    /// Puts a question in, of a camera that exists: only those are counted by name.
    ///
    /// # Errors
    /// The question, with the reason.
    pub(super) fn put(&mut self, pending: Pending, now: Instant) -> Result<(), Box<(Pending, Refusal)>> {
        self.forget_unwanted();
        let of_camera = self.questions.iter().filter(|waiting| waiting.camera == pending.camera).count();
        if self.questions.len() >= MAX || of_camera >= MAX_OF_CAMERA {
            return Err(Box::new((pending, Refusal::TooMany)));
        }
        let pace = self.of_camera.entry(pending.camera.clone());
        let pace = pace.or_insert_with(|| Pace::new(OF_CAMERA.0, OF_CAMERA.1));
        // One camera that is asked too much takes nothing from the others.
        if !pace.take(now) || !self.pace.take(now) {
            return Err(Box::new((pending, Refusal::TooMany)));
        }
        self.questions.push_back(pending);
        Ok(())
    }

    /// Takes the oldest question to `camera`.
    pub(super) fn take(&mut self, camera: &str) -> Option<Pending> {
        self.forget_unwanted();
        let place = self.questions.iter().position(|waiting| waiting.camera == camera)?;
        self.questions.remove(place)
    }

    /// Forgets a camera, question by question, the oldest first; `None` once nothing is left of it.
    pub(super) fn let_go(&mut self, camera: &str) -> Option<Pending> {
        self.of_camera.remove(camera);
        self.take(camera)
    }

    /// Takes those that have waited too long.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Vec<Pending> {
        let (overdue, left) =
            std::mem::take(&mut self.questions).into_iter().partition(|waiting| waiting.until <= now);
        self.questions = left;
        overdue.into()
    }

    /// Neither the model's time nor room is for those who asked and left.
    fn forget_unwanted(&mut self) {
        self.questions.retain(|waiting| !waiting.reply.is_unwanted());
    }

    /// Whether a refusal may be said.
    pub(super) fn may_refuse(&mut self, now: Instant) -> bool {
        self.refusals.take(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use belvedere_models::Task;

    use super::*;

    fn pending(camera: &str, until: Instant) -> Pending {
        let question = Question { id: "1".to_owned(), task: Task::Caption, text: None, box_px: None };
        Pending { camera: camera.to_owned(), question, reply: Reply::Topic, until }
    }

    #[test]
    fn one_camera_that_is_asked_too_much_leaves_room_for_the_others() {
        let (mut waiting, now) = (Waiting::new(), Instant::now());
        let put = |waiting: &mut Waiting, camera: &str, times: usize| {
            (0..times).filter(|_| waiting.put(pending(camera, now), now).is_ok()).count()
        };
        assert_eq!(put(&mut waiting, "porch", 1000), MAX_OF_CAMERA);
        assert_eq!(put(&mut waiting, "yard", 1), 1);
        for camera in ["a", "b", "c", "d", "e", "f"] {
            put(&mut waiting, camera, 1000);
        }
        assert_eq!(waiting.questions.len(), MAX);
    }

    #[test]
    fn a_question_is_taken_once_by_its_camera_or_when_it_is_overdue() {
        let (mut waiting, now) = (Waiting::new(), Instant::now());
        let later = now + Duration::from_secs(1);
        waiting.put(pending("porch", later), now).unwrap();
        waiting.put(pending("yard", now), now).unwrap();
        assert!(waiting.take("attic").is_none());
        assert_eq!(waiting.take_overdue(now).len(), 1);
        assert!(waiting.take("yard").is_none());
        assert!(waiting.take("porch").is_some() && waiting.take("porch").is_none());
        assert!(waiting.take_overdue(later).is_empty());
    }

    #[test]
    fn a_question_whose_asker_has_left_is_not_answered_and_takes_no_room() {
        let (mut waiting, now) = (Waiting::new(), Instant::now());
        let of_page = |waiting: &mut Waiting| {
            let (reply, replied) = oneshot::channel();
            let put = waiting.put(Pending { reply: Reply::Page(reply), ..pending("porch", now) }, now);
            (put.is_ok(), replied)
        };
        for _ in 0..MAX_OF_CAMERA {
            assert!(of_page(&mut waiting).0);
        }
        let (is_put, stays) = of_page(&mut waiting);
        assert!(is_put, "the others have left");
        assert!(waiting.take("porch").is_some());
        drop(stays);
        assert!(waiting.take("porch").is_none());
        waiting.put(pending("porch", now), now + Duration::from_secs(9)).unwrap();
        assert!(waiting.take("porch").is_some(), "nobody leaves the broker");
    }

    #[test]
    fn answered_at_once_questions_are_still_kept_to_their_pace() {
        let (mut waiting, now) = (Waiting::new(), Instant::now());
        let taken = (0..1000).filter(|_| {
            let is_put = waiting.put(pending("porch", now), now).is_ok();
            waiting.take("porch");
            is_put
        });
        assert_eq!(taken.count(), OF_CAMERA.1 as usize);
        let refused = (0..1000).filter(|_| waiting.may_refuse(now)).count();
        assert_eq!(refused, REFUSALS.1 as usize);
    }
}

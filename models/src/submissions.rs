//! Requests about different pictures, answered as they come to be.

use std::collections::VecDeque;

use crate::ModelError;
use crate::decode::{DecoderConfig, Generation, GenerationOptions, generate};
use crate::engine::{CancelToken, Ended, Engine, How, ImageFeatures, InFlight, Source, Ticket};

/// Names what was submitted, until it is answered or withdrawn. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Submission(u64);

/// A submission's answers, in the order of its prompts, or why there are none.
#[derive(Debug)]
pub struct Answered {
    /// Which.
    pub submission: Submission,
    /// All of its answers.
    pub result: Result<Vec<Generation>, ModelError>,
}

/// What has been submitted and not yet been answered, and answers nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Submissions {
    submitted: u64,
    /// For an engine that decodes one picture's prompts at a time.
    waiting: VecDeque<Waiting>,
    /// For one whose sequences join and leave.
    open: Vec<Open>,
    answered: Vec<Answered>,
}

#[derive(Debug)]
struct Waiting {
    submission: Submission,
    features: ImageFeatures,
    prompts: Vec<Vec<u32>>,
    options: GenerationOptions,
}

#[derive(Debug)]
struct Open {
    submission: Submission,
    answers: Vec<(Ticket, Option<Generation>)>,
}

impl Submissions {
    pub(crate) fn submit(
        &mut self,
        engine: &mut dyn Engine,
        features: &ImageFeatures,
        prompts: &[&[u32]],
        options: &GenerationOptions,
    ) -> Result<Submission, ModelError> {
        let submission = Submission(self.submitted);
        match engine.in_flight() {
            Some(in_flight) => {
                let how = How::Generate(options);
                let joining = prompts.iter().map(|prompt| (Source::Prompt { features, prompt }, how));
                let answers: Vec<_> =
                    join_all(in_flight, joining)?.into_iter().map(|ticket| (ticket, None)).collect();
                match answers.is_empty() {
                    true => self.answered.push(Answered { submission, result: Ok(Vec::new()) }),
                    false => self.open.push(Open { submission, answers }),
                }
            }
            None => self.waiting.push_back(Waiting {
                submission,
                features: features.clone(),
                prompts: prompts.iter().map(|prompt| prompt.to_vec()).collect(),
                options: options.clone(),
            }),
        }
        self.submitted += 1;
        Ok(submission)
    }

    pub(crate) fn turn(
        &mut self,
        engine: &mut dyn Engine,
        decoder: &DecoderConfig,
        cancel: &CancelToken,
    ) -> Result<Vec<Answered>, ModelError> {
        cancel.check()?;
        if self.answered.is_empty() {
            match engine.in_flight() {
                Some(in_flight) => self.go_on(in_flight).map(drop)?,
                None => self.answer_oldest(engine, decoder, cancel)?,
            }
        }
        Ok(std::mem::take(&mut self.answered))
    }

    pub(crate) fn withdraw(&mut self, engine: &mut dyn Engine, submission: Submission) {
        self.waiting.retain(|waiting| waiting.submission != submission);
        self.answered.retain(|answered| answered.submission != submission);
        if let (Some(in_flight), Some(at)) =
            (engine.in_flight(), self.open.iter().position(|open| open.submission == submission))
        {
            leave_all(in_flight, &self.open.swap_remove(at));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.open.len() + self.answered.len()
    }

    /// Decodes sequences that somebody waits for; what else is in flight goes on meanwhile. Results stand in the order
    /// of the sequences.
    pub(crate) fn together<'a>(
        &mut self,
        in_flight: &mut dyn InFlight,
        joining: impl Iterator<Item = (Source<'a>, How<'a>)>,
        cancel: &CancelToken,
    ) -> Result<Vec<Generation>, ModelError> {
        cancel.check()?;
        let tickets = join_all(in_flight, joining)?;
        let mut awaited: Vec<(Ticket, Option<Generation>)> =
            tickets.into_iter().map(|ticket| (ticket, None)).collect();
        let result = loop {
            if awaited.iter().all(|(_, generation)| generation.is_some()) {
                break Ok(());
            }
            let others = match cancel.check().and_then(|()| self.go_on(in_flight)) {
                Ok(others) => others,
                Err(error) => break Err(error),
            };
            let mut failed = None;
            for Ended { ticket, result } in others {
                match (awaited.iter_mut().find(|(own, _)| *own == ticket), result) {
                    (Some((_, place)), Ok(generation)) => *place = Some(generation),
                    (Some(_), Err(error)) => failed = Some(error),
                    (None, _) => (),
                }
            }
            if let Some(error) = failed {
                break Err(error);
            }
        };
        if let Err(error) = result {
            for (ticket, _) in &awaited {
                in_flight.leave(*ticket);
            }
            return Err(error);
        }
        Ok(awaited.into_iter().filter_map(|(_, generation)| generation).collect())
    }

    /// Lets everything in flight go on; returns what has ended and belongs to no submission.
    fn go_on(&mut self, in_flight: &mut dyn InFlight) -> Result<Vec<Ended>, ModelError> {
        let ended = match in_flight.turn() {
            Ok(ended) => ended,
            Err(error) => {
                self.open.clear();
                return Err(error);
            }
        };
        let mut others = Vec::new();
        for ended in ended {
            let is_meant = |open: &Open| open.answers.iter().any(|(ticket, _)| *ticket == ended.ticket);
            match self.open.iter().position(is_meant) {
                Some(at) => self.answer(in_flight, at, ended),
                None => others.push(ended),
            }
        }
        Ok(others)
    }

    /// Puts one answer to those of the open submission `at`, and closes it with the last one, or with an error.
    fn answer(&mut self, in_flight: &mut dyn InFlight, at: usize, Ended { ticket, result }: Ended) {
        let Some(open) = self.open.get_mut(at) else { return };
        let error = match result {
            Ok(generation) => {
                for (_, place) in open.answers.iter_mut().filter(|(own, _)| *own == ticket) {
                    *place = Some(generation.clone());
                }
                if open.answers.iter().any(|(_, generation)| generation.is_none()) {
                    return;
                }
                None
            }
            Err(error) => Some(error),
        };
        let open = self.open.remove(at);
        if error.is_some() {
            leave_all(in_flight, &open);
        }
        let answers = || open.answers.into_iter().filter_map(|(_, generation)| generation).collect();
        let result = error.map_or_else(|| Ok(answers()), Err);
        self.answered.push(Answered { submission: open.submission, result });
    }

    /// One batch of an engine that decodes one picture's prompts at a time. After a cancellation the submission still
    /// waits.
    fn answer_oldest(
        &mut self,
        engine: &mut dyn Engine,
        decoder: &DecoderConfig,
        cancel: &CancelToken,
    ) -> Result<(), ModelError> {
        let Some(Waiting { submission, features, prompts, options }) = self.waiting.front() else {
            return Ok(());
        };
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let result = generate(engine, features, &prompts, decoder, options, cancel);
        if let Err(ModelError::Cancelled) = result {
            return Err(ModelError::Cancelled);
        }
        self.answered.push(Answered { submission: *submission, result });
        self.waiting.pop_front();
        Ok(())
    }
}

/// All or none.
fn join_all<'a>(
    in_flight: &mut dyn InFlight,
    joining: impl Iterator<Item = (Source<'a>, How<'a>)>,
) -> Result<Vec<Ticket>, ModelError> {
    let mut tickets = Vec::new();
    for (source, how) in joining {
        match in_flight.join(source, how) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => {
                for ticket in tickets {
                    in_flight.leave(ticket);
                }
                return Err(error);
            }
        }
    }
    Ok(tickets)
}

fn leave_all(in_flight: &mut dyn InFlight, open: &Open) {
    for (ticket, _) in &open.answers {
        in_flight.leave(*ticket);
    }
}

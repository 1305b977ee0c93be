//! Sequences join, and are heard of again when they have ended.

use belvedere_kernels::device::Device;

use super::Networks;
use super::device_engine::DeviceEngine;
use super::sequence::{RowPlan, Stopwatch};
use super::waiting::{Waiting, WaitingSource};
use crate::ModelError;
use crate::decode::{BeamSearch, Generation, Opening};
use crate::engine::{Ended, How, InFlight, Source, Ticket};

impl<D: Device, N: Networks<D>> InFlight for DeviceEngine<D, N> {
    fn slots(&self) -> usize {
        self.batch.slots.len()
    }

    fn join(&mut self, source: Source<'_>, how: How<'_>) -> Result<Ticket, ModelError> {
        self.check()?;
        let clock = Stopwatch::start();
        let source = match source {
            Source::Prompt { features, prompt } => {
                self.check_prompt(prompt)?;
                WaitingSource::Prompt { features: self.own_features(features)?, prompt: prompt.into() }
            }
            Source::Kept(kept) => {
                let (memory, prompt) = self.own_kept(kept)?;
                WaitingSource::Kept { memory, prompt }
            }
        };
        let ticket = self.next_ticket;
        let (plan, search) = match how {
            How::Generate(options) => {
                let opening = Opening::new(&self.decoder, options)?;
                if options.beams > self.slots() {
                    let reason = format!(
                        "{} beams take as many rows, and there is memory for {}",
                        options.beams,
                        self.slots()
                    );
                    return Err(ModelError::Request { what: "beams", reason });
                }
                if let Some(complete) = opening.complete() {
                    self.ended.push(Ended { ticket, result: Ok(complete) });
                    self.next_ticket = ticket.next();
                    return Ok(ticket);
                }
                let plan = RowPlan::generate(&opening);
                self.check_tokens("start of an answer", &plan.prefix)?;
                let Opening { processors, prefix } = opening;
                let search = (options.beams > 1).then(|| BeamSearch::new(options, processors, &prefix));
                (plan, search.map(|search| (search, options.beams)))
            }
            How::Follow(tokens) => {
                let most = self.workspace.shape.history();
                if !(1..=most).contains(&tokens.len()) {
                    let reason = format!("{} tokens, 1 to {most} can be judged", tokens.len());
                    return Err(ModelError::Request { what: "answer", reason });
                }
                self.check_tokens("answer", tokens)?;
                (RowPlan::follow(tokens), None)
            }
        };
        self.next_ticket = ticket.next();
        if plan.max_length() < 2 {
            let generation =
                Generation { token_ids: plan.prefix, log_probs: Vec::new(), timing: clock.stop() };
            self.ended.push(Ended { ticket, result: Ok(generation) });
            return Ok(ticket);
        }
        self.admission.waiting.push_back(Waiting { ticket, clock, source, plan, search });
        Ok(ticket)
    }

    fn turn(&mut self) -> Result<Vec<Ended>, ModelError> {
        self.check()?;
        if self.ended.is_empty() {
            self.go_on()?;
        }
        Ok(std::mem::take(&mut self.ended))
    }

    fn leave(&mut self, ticket: Ticket) {
        self.ended.retain(|ended| ended.ticket != ticket);
        let freed = self.admission.leave(ticket);
        self.batch.free(&freed);
        if self.broken.is_none()
            && let Err(error) = self.batch.abandon(&self.workspace, ticket)
        {
            self.give_up(&error);
        }
    }
}

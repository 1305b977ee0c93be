//! Sequences that join and leave a running batch between two steps.

use super::{ImageFeatures, KeptPrompt};
use crate::ModelError;
use crate::decode::{Generation, GenerationOptions};

/// Names a sequence, from joining until it has ended or left. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The one after it.
    pub fn next(self) -> Ticket {
        Ticket(self.0 + 1)
    }

    /// The first of an engine.
    pub const FIRST: Ticket = Ticket(0);
}

/// What a sequence attends to.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A prompt about a picture, yet to be encoded.
    Prompt {
        /// The picture.
        features: &'a ImageFeatures,
        /// Its tokens.
        prompt: &'a [u32],
    },
    /// A prompt that was encoded before.
    Kept(&'a KeptPrompt),
}

/// How a sequence goes on.
#[derive(Clone, Copy, Debug)]
pub enum How<'a> {
    /// By the model's choice.
    Generate(&'a GenerationOptions),
    /// As given: a whole sequence whose probability is asked for. Entry t of the result's log-probabilities is that of
    /// token t + 1, without any bans; the second token, which generation forces, has 0.
    Follow(&'a [u32]),
}

/// A sequence that has ended, or why it could not.
#[derive(Debug)]
pub struct Ended {
    /// Whose.
    pub ticket: Ticket,
    /// The sequence.
    pub result: Result<Generation, ModelError>,
}

/// Sequences about any pictures, decoded together, each from when it joins until it ends. More may join than run at
/// once: they wait in their order.
///
/// What a sequence becomes does not depend on the others, up to the engine's own rounding.
pub trait InFlight {
    /// How many sequences run at once; a beam search counts once for each beam.
    fn slots(&self) -> usize;

    /// Lets a sequence join.
    ///
    /// # Errors
    /// A request that could never be served. The others go on.
    fn join(&mut self, source: Source<'_>, how: How<'_>) -> Result<Ticket, ModelError>;

    /// Goes on until something is known that was not, and returns the sequences that have ended since the last call.
    /// Returns at once where there is no sequence.
    ///
    /// # Errors
    /// The engine failed; every sequence is lost.
    fn turn(&mut self) -> Result<Vec<Ended>, ModelError>;

    /// Ends a sequence nobody wants any more. It is not heard of again. Does nothing where it has ended.
    fn leave(&mut self, ticket: Ticket);
}

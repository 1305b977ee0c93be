//! A message that makes the broker cut the connection must not block all others for ever.

use std::time::Duration;

use tokio::time::Instant;

use super::spool::SpoolId;

/// So many connections in a row must have been cut while the broker had nothing before it but the one message.
const CUTS: u32 = 4;
/// A broker that takes so long to acknowledge does not get the message alone.
const ALONE_LIMIT: Duration = Duration::from_secs(5);

/// What a message that is sent at least once is known by, from one connection to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MessageKey {
    /// The state of this topic.
    State(String),
    /// This one in the spool.
    Spooled(SpoolId),
}

/// Which messages may be sent on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// All.
    Open,
    /// What need not come after the one under suspicion, without that: what is sent is to be acknowledged first.
    Others,
    /// None: the message under suspicion is on its way alone.
    Alone,
}

/// Finds the message that ends every connection, if there is one.
///
/// A broker may close the connection at a message that it does not like, most often because it is larger than the
/// broker takes: MQTT 3.1.1 has no other way to say so. The link would send it first on each connection, for ever,
/// and nothing would ever come through behind it.
///
/// When the broker cuts a connection, the first message that it had not acknowledged comes under suspicion. On the
/// next connection states go first and are acknowledged, those that need not wait for what is in the spool, and what is
/// in the spool before a suspect that must wait for it; then this message is sent alone. If the connection is cut then,
/// four times in a row, there is nothing else left to blame and the message is given up. A broker that dies for reasons
/// of its own does not do so four times in a row in just these moments. Timeouts are never blamed on a message.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    suspect: Option<Suspect>,
    stage: Option<(Stage, Instant)>,
}

#[derive(Debug)]
struct Suspect {
    key: MessageKey,
    cuts: u32,
}

impl Suspicion {
    /// A connection was made.
    pub(super) fn connected(&mut self, now: Instant) {
        self.stage = self.suspect.as_ref().map(|_| (Stage::Others, now + ALONE_LIMIT));
    }

    /// What may be sent now.
    pub(super) fn stage(&self) -> Stage {
        self.stage.map_or(Stage::Open, |(stage, _)| stage)
    }

    /// The message under suspicion.
    pub(super) fn suspect(&self) -> Option<&MessageKey> {
        self.suspect.as_ref().map(|suspect| &suspect.key)
    }

    /// All others are acknowledged; the suspect is sent now.
    pub(super) fn sent_alone(&mut self, now: Instant) {
        self.stage = Some((Stage::Alone, now + ALONE_LIMIT));
    }

    /// The suspect is no longer there: a newer message replaced it.
    pub(super) fn acquit(&mut self) {
        *self = Suspicion::default();
    }

    /// The broker has this message.
    pub(super) fn acknowledged(&mut self, key: &MessageKey) {
        if self.suspect() == Some(key) {
            self.acquit();
        }
    }

    /// When [`Suspicion::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stage.map(|(_, until)| until)
    }

    /// A broker that is slow to acknowledge is not to hold up everything else.
    pub(super) fn tick(&mut self, now: Instant) {
        self.stage = self.stage.filter(|(_, until)| now < *until);
    }

    /// The connection is over; by the broker's doing if `is_cut`, with `first` the first message that it had not
    /// acknowledged. Gives the message that is to be given up.
    pub(super) fn lost(&mut self, is_cut: bool, first: Option<MessageKey>) -> Option<MessageKey> {
        let was_alone = self.stage() == Stage::Alone;
        self.stage = None;
        let first = first.filter(|_| is_cut)?;
        match &mut self.suspect {
            Some(suspect) if suspect.key == first => {
                suspect.cuts += u32::from(was_alone);
                if suspect.cuts >= CUTS {
                    return self.suspect.take().map(|suspect| suspect.key);
                }
            }
            _ => self.suspect = Some(Suspect { key: first, cuts: 0 }),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(topic: &str) -> MessageKey {
        MessageKey::State(topic.to_owned())
    }

    #[test]
    fn a_message_that_ends_four_connections_alone_is_given_up() {
        let mut suspicion = Suspicion::default();
        let now = Instant::now();
        suspicion.connected(now);
        assert_eq!(suspicion.stage(), Stage::Open);
        assert_eq!(suspicion.lost(true, Some(key("a"))), None);
        for cut in 1..=CUTS {
            suspicion.connected(now);
            assert_eq!(suspicion.stage(), Stage::Others);
            suspicion.sent_alone(now);
            let given_up = suspicion.lost(true, Some(key("a")));
            assert_eq!(given_up, (cut == CUTS).then(|| key("a")));
        }
        suspicion.connected(now);
        assert_eq!(suspicion.stage(), Stage::Open);
    }

    #[test]
    fn cuts_before_the_message_was_alone_and_timeouts_are_not_held_against_it() {
        let mut suspicion = Suspicion::default();
        let now = Instant::now();
        for _ in 0..CUTS * 2 {
            suspicion.connected(now);
            assert_eq!(suspicion.lost(true, Some(key("a"))), None);
        }
        for _ in 0..CUTS * 2 {
            suspicion.connected(now);
            suspicion.sent_alone(now);
            assert_eq!(suspicion.lost(false, Some(key("a"))), None);
        }
    }

    #[test]
    fn an_acknowledgement_ends_the_suspicion() {
        let mut suspicion = Suspicion::default();
        let now = Instant::now();
        suspicion.lost(true, Some(key("a")));
        for _ in 0..CUTS * 2 {
            suspicion.connected(now);
            suspicion.sent_alone(now);
            suspicion.acknowledged(&key("b"));
            assert_eq!(suspicion.stage(), Stage::Alone);
            suspicion.acknowledged(&key("a"));
            assert_eq!(suspicion.stage(), Stage::Open);
            assert_eq!(suspicion.lost(true, Some(key("a"))), None);
        }
    }

    #[test]
    fn a_broker_that_does_not_acknowledge_gets_the_rest_after_a_while() {
        let mut suspicion = Suspicion::default();
        let now = Instant::now();
        suspicion.lost(true, Some(key("a")));
        suspicion.connected(now);
        suspicion.tick(now + ALONE_LIMIT / 2);
        assert_eq!(suspicion.stage(), Stage::Others);
        suspicion.tick(suspicion.deadline().unwrap());
        assert_eq!(suspicion.stage(), Stage::Open);
    }
}

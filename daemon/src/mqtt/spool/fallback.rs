//! A spool on disk that outlives the disk's troubles.

use std::collections::BTreeSet;
use std::mem;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::database::Spool;
use super::error::SpoolError;
use super::limits::{Dropped, SpoolLimits};
use super::message::{NewMessage, SpoolId, SpooledMessage};

/// A disk that fails is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);
/// What is kept in memory while the disk fails.
const MEMORY_LIMITS: SpoolLimits = SpoolLimits { messages: 2000, bytes: 64 << 20 };
/// Places from here on are those of messages that came before the disk could be read for the first time.
/// They get others when they move to the disk: what the disk holds comes before them.
const PROVISIONAL: SpoolId = SpoolId(1 << 62);

/// A spool in a file, and one in memory for as long as the file cannot be written. What is in memory is
/// newer than all that is on disk, and moves there when there is room again. Trouble is logged when it
/// begins and when it ends.
#[derive(Debug)]
pub(super) struct FallbackSpool {
    /// None where everything is in memory anyhow, or while the file cannot be opened.
    disk: Option<Spool>,
    /// Where the disk's file is; none where everything is in memory anyhow.
    place: Option<(PathBuf, SpoolLimits)>,
    memory: Spool,
    trouble: Option<Trouble>,
    /// The broker has them, and the disk could not yet be told.
    acknowledged: BTreeSet<SpoolId>,
    next_id: SpoolId,
}

#[derive(Debug)]
struct Trouble {
    next_try: Instant,
    /// Messages from here on are in memory, those before on disk.
    memory_from: SpoolId,
    /// Messages on disk may have been passed over.
    has_passed_over: bool,
    /// Messages on disk when it was last open.
    on_disk: u64,
}

impl FallbackSpool {
    /// Everything is in memory, and nothing is ever troubled.
    pub(super) fn in_memory(limits: SpoolLimits) -> Result<FallbackSpool, SpoolError> {
        let memory = Spool::in_memory(limits)?;
        let next_id = memory.next_id();
        Ok(FallbackSpool {
            disk: None,
            place: None,
            memory,
            trouble: None,
            acknowledged: BTreeSet::new(),
            next_id,
        })
    }

    /// As [`Spool::open`]; but a disk that is full or fails is no error, it is tried again.
    pub(super) fn open(
        path: PathBuf,
        limits: SpoolLimits,
        now: Instant,
    ) -> Result<FallbackSpool, SpoolError> {
        let opened = Spool::open(&path, limits);
        let mut spool = FallbackSpool::in_memory(MEMORY_LIMITS)?;
        spool.place = Some((path, limits));
        // They are to reach the disk, where the notes may be that they take away.
        spool.memory.keep_empty_notes();
        spool.begin(opened, now)?;
        Ok(spool)
    }

    fn begin(&mut self, opened: Result<Spool, SpoolError>, now: Instant) -> Result<(), SpoolError> {
        match opened {
            Ok(disk) => {
                self.next_id = disk.next_id();
                self.disk = Some(disk);
                Ok(())
            }
            Err(error) if error.is_of_the_disk() => {
                self.next_id = PROVISIONAL;
                self.fail(&error, PROVISIONAL, now);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes out what the broker has and puts `new` in, as one commit.
    pub(super) fn write(&mut self, acknowledged: Vec<SpoolId>, new: Vec<NewMessage>, now: Instant) {
        if acknowledged.is_empty() && new.is_empty() {
            return;
        }
        let first_new = self.next_id;
        let new: Vec<SpooledMessage> = new.into_iter().map(|message| self.placed(message)).collect();
        if self.place.is_none() {
            return self.write_memory(&acknowledged, &new);
        }
        let memory_from = self.trouble.as_ref().map(|trouble| trouble.memory_from);
        let is_on_disk = |id: &&SpoolId| memory_from.is_none_or(|memory_from| **id < memory_from);
        self.acknowledged.extend(acknowledged.iter().filter(is_on_disk));
        if let (Some(disk), None) = (&mut self.disk, &self.trouble) {
            match disk.write(self.acknowledged.iter(), &new) {
                Ok(()) => return self.acknowledged.clear(),
                Err(error) => self.fail(&error, first_new, now),
            }
        }
        self.write_memory(&acknowledged, &new);
    }

    /// At most `count` messages after `after`, and no more after so many bytes, in order.
    pub(super) fn read_after(
        &mut self,
        after: Option<SpoolId>,
        count: usize,
        bytes: u64,
        now: Instant,
    ) -> Vec<SpooledMessage> {
        let (mut messages, mut total) = (Vec::new(), 0);
        let mut after = after;
        // Until there is enough, or no more: what a read gives may all have left, without the disk's knowing.
        while messages.len() < count
            && total < bytes
            && let Some(disk) = &self.disk
        {
            let rows = (count - messages.len()).saturating_add(self.acknowledged.len());
            match disk.read_after(after, rows, bytes - total) {
                Ok(found) if found.is_empty() => break,
                Ok(found) => {
                    for message in found {
                        after = Some(message.id);
                        if self.acknowledged.contains(&message.id) {
                            continue;
                        }
                        total += message.size();
                        messages.push(message);
                        if messages.len() == count {
                            break;
                        }
                    }
                }
                Err(error) => self.fail(&error, self.next_id, now),
            }
        }
        if self.disk.is_none()
            && let Some(trouble) = &mut self.trouble
        {
            trouble.has_passed_over = true;
        }
        if messages.len() < count && total < bytes {
            match self.memory.read_after(after, count - messages.len(), bytes - total) {
                Ok(found) => messages.extend(found),
                Err(error) => tracing::error!(%error, "the spool in memory cannot be read"),
            }
        }
        messages
    }

    /// The notes of the daemon's earlier life; none where the disk fails, and then the next life finds them.
    pub(super) fn notes(&self) -> Vec<(String, Vec<u8>)> {
        let notes = self.disk.as_ref().map_or(Ok(Vec::new()), Spool::notes);
        if let Err(error) = &notes {
            tracing::error!(%error, "what the last run left open is not known");
        }
        notes.unwrap_or_default().into_iter().map(|note| (note.topic, note.payload)).collect()
    }

    /// The topics of the states that the earlier life left; none where the disk fails.
    pub(super) fn state_topics(&self) -> Vec<String> {
        let topics = self.disk.as_ref().map_or(Ok(Vec::new()), Spool::state_topics);
        if let Err(error) = &topics {
            tracing::error!(%error, "what the last run said last is not known");
        }
        topics.unwrap_or_default()
    }

    /// When the disk is to be tried again; `None` while there is no trouble.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.trouble.as_ref().map(|trouble| trouble.next_try)
    }

    /// Tries the disk again if it is time. True when messages on disk were passed over that can now be
    /// read: reading is to begin at the first one again.
    pub(super) fn recover(&mut self, now: Instant) -> bool {
        if self.next_try().is_none_or(|next_try| now < next_try) {
            return false;
        }
        match self.try_disk() {
            Ok(moved) => {
                tracing::info!(moved, "the spool is on disk again");
                self.trouble.take().is_some_and(|trouble| trouble.has_passed_over)
            }
            Err(error) => {
                tracing::debug!(%error, "the spool is still in memory only");
                if !error.is_of_the_disk() {
                    self.disk = None;
                }
                let Some(trouble) = &mut self.trouble else {
                    return false;
                };
                trouble.next_try = now + RETRY;
                // A disk that takes nothing may well be read.
                self.disk.is_some() && mem::take(&mut trouble.has_passed_over)
            }
        }
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> u64 {
        // Messages that have left and are still on disk do not wait.
        let unseen = self.trouble.as_ref().map_or(0, |trouble| trouble.on_disk);
        let on_disk = self.disk.as_ref().map_or(unseen, Spool::len);
        on_disk.saturating_sub(self.acknowledged.len() as u64) + self.memory.len()
    }

    /// How many messages a restart would lose.
    pub(super) fn in_memory_only(&self) -> u64 {
        self.memory.len()
    }

    /// What was dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> Dropped {
        let mut dropped = self.memory.take_dropped();
        if let Some(disk) = &mut self.disk {
            dropped.merge(disk.take_dropped());
        }
        dropped
    }

    /// Writes to the disk whatever it takes; how many messages moved there.
    fn try_disk(&mut self) -> Result<u64, SpoolError> {
        let Some((path, limits)) = &self.place else {
            return Ok(0);
        };
        if self.disk.is_none() {
            self.disk = Some(Spool::open(path, *limits)?);
        }
        let Some(disk) = &mut self.disk else {
            return Ok(0);
        };
        // By itself: it makes room.
        disk.write(self.acknowledged.iter(), &[])?;
        self.acknowledged.clear();
        let mut moving = self.memory.next_after(None, usize::MAX)?;
        let messages = moving.len() as u64;
        moving.extend(self.memory.notes()?);
        moving.sort_by_key(|message| message.id);
        let in_memory: Vec<SpoolId> = moving.iter().map(|message| message.id).collect();
        let mut next_id = self.next_id;
        if next_id >= PROVISIONAL {
            next_id = disk.next_id();
            for message in &mut moving {
                message.id = next_id;
                next_id = next_id.next();
            }
        }
        disk.write([].iter(), &moving)?;
        self.next_id = next_id;
        self.memory.write(in_memory.iter(), &[])?;
        Ok(messages)
    }

    /// The disk fails; messages from `memory_from` on will be in memory.
    fn fail(&mut self, error: &SpoolError, memory_from: SpoolId, now: Instant) {
        if self.trouble.is_none() {
            tracing::error!(
                %error,
                "alerts that wait for the broker are kept in memory only, and a restart would lose them"
            );
        }
        let on_disk = self.disk.as_ref().map_or(0, Spool::len);
        if !matches!(error, SpoolError::DiskFull { .. }) {
            // Opening it again finds out what is wrong with it.
            self.disk = None;
        }
        let has_passed_over = self.disk.is_none();
        let trouble = Trouble { next_try: now + RETRY, memory_from, has_passed_over, on_disk };
        self.trouble.get_or_insert(trouble);
    }

    fn write_memory(&mut self, acknowledged: &[SpoolId], new: &[SpooledMessage]) {
        if let Err(error) = self.memory.write(acknowledged.iter(), new) {
            tracing::error!(%error, lost = new.len(), "the spool in memory cannot be written");
        }
    }

    fn placed(&mut self, message: NewMessage) -> SpooledMessage {
        let id = self.next_id;
        self.next_id = id.next();
        let NewMessage { kind, topic, payload } = message;
        SpooledMessage { id, kind, topic, payload }
    }
}

#[cfg(test)]
mod tests;

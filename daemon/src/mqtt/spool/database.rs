//! One database of messages.

use std::mem;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row, Transaction, params};

use super::error::SpoolError;
use super::limits::{Dropped, SpoolLimits};
use super::message::{SpoolId, SpoolKind, SpooledMessage, size};
use super::{file, schema};

/// A bounded queue of messages in an SQLite database. What was accepted survives a crash and a power
/// cut; it leaves when it is acknowledged, when a newer retained message takes its place, or when there
/// is no room.
///
/// Every call waits for the disk: not for the threads of an async runtime.
#[derive(Debug)]
pub struct Spool {
    connection: Connection,
    path: PathBuf,
    limits: SpoolLimits,
    held: Held,
    next_id: SpoolId,
    dropped: Dropped,
    /// Whether an empty note stays, to be moved to where the note is that it takes away.
    keeps_empty_notes: bool,
}

/// How much is in the database.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    messages: u64,
    bytes: u64,
}

impl Spool {
    /// Opens the file, or begins one: readable to this user alone, as is its folder if that is new. A
    /// damaged file is renamed, with `.damaged` at its end, and a fresh one is begun; that is logged.
    ///
    /// # Errors
    /// Another process has the file open; a newer version or another program wrote it; the disk is full
    /// or fails, or the file must not be made or opened.
    pub fn open(path: &Path, limits: SpoolLimits) -> Result<Spool, SpoolError> {
        file::prepare(path)?;
        match Spool::open_file(path, limits) {
            Err(SpoolError::Damaged { reason, .. }) => {
                let aside = file::set_aside(path)?;
                tracing::error!(
                    spool = %path.display(),
                    reason,
                    set_aside = %aside.display(),
                    "the spool is damaged; what it held is not sent, and a fresh one is begun"
                );
                file::prepare(path)?;
                Spool::open_file(path, limits)
            }
            opened => opened,
        }
    }

    /// A spool that is lost with the process; everything else is the same.
    ///
    /// # Errors
    /// There is no memory.
    pub fn in_memory(limits: SpoolLimits) -> Result<Spool, SpoolError> {
        let path = PathBuf::from(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|source| SpoolError::new(path.clone(), source))?;
        Spool::with(connection, path, limits)
    }

    /// Puts a message in; it is on the disk when this returns. Where there is no room older messages are
    /// dropped, or, if they are all worth more, this one.
    ///
    /// # Errors
    /// The disk is full or fails. Nothing has changed then.
    pub fn append(&mut self, kind: SpoolKind, topic: &str, payload: &[u8]) -> Result<SpoolId, SpoolError> {
        let id = self.next_id();
        let message = SpooledMessage { id, kind, topic: topic.to_owned(), payload: payload.to_owned() };
        self.write([].iter(), std::slice::from_ref(&message))?;
        Ok(id)
    }

    /// At most `count` messages after `after`, or from the oldest on, in order.
    ///
    /// # Errors
    /// The disk fails.
    pub fn next_after(
        &self,
        after: Option<SpoolId>,
        count: usize,
    ) -> Result<Vec<SpooledMessage>, SpoolError> {
        self.read_after(after, count, u64::MAX)
    }

    /// Takes a message out that the broker has; one that is not there is no error.
    ///
    /// # Errors
    /// The disk is full or fails. The message is still there then.
    pub fn acknowledge(&mut self, id: SpoolId) -> Result<(), SpoolError> {
        self.write([id].iter(), &[])
    }

    /// The notes, in the order in which they were written.
    ///
    /// # Errors
    /// The disk fails.
    pub fn notes(&self) -> Result<Vec<SpooledMessage>, SpoolError> {
        let read = || -> rusqlite::Result<Vec<SpooledMessage>> {
            let sql = "SELECT id, kind, topic, payload FROM message WHERE kind = 3 ORDER BY id";
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut notes = Vec::new();
            while let Some(row) = rows.next()? {
                notes.push(read_message(row)?);
            }
            Ok(notes)
        };
        read().map_err(|source| self.error(source))
    }

    /// The topics of the states that wait.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn state_topics(&self) -> Result<Vec<String>, SpoolError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare("SELECT topic FROM message WHERE kind = 2")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|source| self.error(source))
    }

    /// From now on an empty note stays, for [`Spool::notes`] to tell that it takes another away.
    pub(super) fn keep_empty_notes(&mut self) {
        self.keeps_empty_notes = true;
    }

    /// How many messages wait.
    pub fn len(&self) -> u64 {
        self.held.messages
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What counts against the bound in bytes.
    pub fn bytes(&self) -> u64 {
        self.held.bytes
    }

    /// What has been dropped since the last call.
    pub fn take_dropped(&mut self) -> Dropped {
        mem::take(&mut self.dropped)
    }

    /// The place of a message that is yet to come.
    pub(super) fn next_id(&self) -> SpoolId {
        self.next_id
    }

    /// Like [`Spool::next_after`], and no more after so many bytes.
    pub(super) fn read_after(
        &self,
        after: Option<SpoolId>,
        count: usize,
        bytes: u64,
    ) -> Result<Vec<SpooledMessage>, SpoolError> {
        let read = || -> rusqlite::Result<Vec<SpooledMessage>> {
            let mut statement = self
                .connection
                .prepare("SELECT id, kind, topic, payload FROM message WHERE id > ?1 AND kind <> 3 ORDER BY id LIMIT ?2")?;
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![after.map_or(i64::MIN, |id| id.0), count])?;
            let mut messages = Vec::new();
            let mut total = 0;
            while total < bytes
                && let Some(row) = rows.next()?
            {
                let message = read_message(row)?;
                total += message.size();
                messages.push(message);
            }
            Ok(messages)
        };
        read().map_err(|source| self.error(source))
    }

    /// Takes messages out and puts messages in, whose places are given, as one commit: at its end either
    /// everything is on the disk or nothing has changed.
    pub(super) fn write<'a>(
        &mut self,
        acknowledged: impl Iterator<Item = &'a SpoolId>,
        new: &[SpooledMessage],
    ) -> Result<(), SpoolError> {
        let (mut held, mut dropped, limits) = (self.held, Dropped::default(), self.limits);
        let keeps_empty_notes = self.keeps_empty_notes;
        let commit = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for id in acknowledged {
                held.delete(&transaction, "id = ?1", &[&id.0])?;
            }
            for message in new {
                if message.kind == SpoolKind::Note {
                    write_note(&transaction, message, keeps_empty_notes)?;
                    continue;
                }
                if message.size() > limits.bytes {
                    dropped.add(message.kind);
                    continue;
                }
                held.insert(&transaction, message)?;
            }
            while held.messages > limits.messages || held.bytes > limits.bytes {
                let least = "id = (SELECT id FROM message WHERE kind <> 3 ORDER BY kind, id LIMIT 1)";
                match held.delete(&transaction, least, &[])? {
                    Some(kind) => dropped.add(kind),
                    None => break,
                }
            }
            transaction.commit()
        };
        commit().map_err(|source| SpoolError::new(self.path.clone(), source))?;
        self.held = held;
        self.dropped.merge(dropped);
        if let Some(last) = new.last() {
            self.next_id = self.next_id.max(last.id.next());
        }
        Ok(())
    }

    /// Makes the disk full once the database has so many pages more than now.
    #[cfg(test)]
    pub(super) fn allow_pages_more(&self, pages: i64) {
        let now: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.connection.pragma_update_and_check(None, "max_page_count", now + pages, |_| Ok(())).unwrap();
    }

    fn open_file(path: &Path, limits: SpoolLimits) -> Result<Spool, SpoolError> {
        let wrong = |source| SpoolError::new(path.to_owned(), source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
        schema::set_up(&connection).map_err(wrong)?;
        if let Some(reason) = schema::damage(&connection).map_err(wrong)? {
            return Err(SpoolError::Damaged { path: path.to_owned(), reason });
        }
        Spool::with(connection, path.to_owned(), limits)
    }

    fn with(mut connection: Connection, path: PathBuf, limits: SpoolLimits) -> Result<Spool, SpoolError> {
        schema::create(&mut connection, &path)?;
        let (messages, bytes, last): (i64, i64, i64) = connection
            .query_row(
                "SELECT count(*) FILTER (WHERE kind <> 3), ifnull(sum(size) FILTER (WHERE kind <> 3), 0), \
                 ifnull(max(id), 0) FROM message",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(|source| SpoolError::new(path.clone(), source))?;
        let held = Held { messages: messages.unsigned_abs(), bytes: bytes.unsigned_abs() };
        let next_id = SpoolId(last).next();
        let dropped = Dropped::default();
        Ok(Spool { connection, path, limits, held, next_id, dropped, keeps_empty_notes: false })
    }

    fn error(&self, source: rusqlite::Error) -> SpoolError {
        SpoolError::new(self.path.clone(), source)
    }
}

impl Held {
    /// Deletes at most one message; its kind, if there was one.
    fn delete(
        &mut self,
        transaction: &Transaction<'_>,
        which: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> rusqlite::Result<Option<SpoolKind>> {
        let sql = format!("DELETE FROM message WHERE {which} RETURNING kind, size");
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query(parameters)?;
        let mut deleted = None;
        while let Some(row) = rows.next()? {
            deleted = Some(read_kind(row.get(0)?)?);
            self.messages = self.messages.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(row.get::<_, i64>(1)?.unsigned_abs());
        }
        Ok(deleted)
    }

    /// Inserts a message in the place of the older one that it makes void, if there is one.
    fn insert(&mut self, transaction: &Transaction<'_>, message: &SpooledMessage) -> rusqlite::Result<()> {
        let SpooledMessage { kind, topic, payload, .. } = message;
        if kind.is_replaced() {
            self.delete(transaction, "topic = ?1 AND kind IN (0, 2)", &[topic])?;
        }
        let size = size(topic, payload);
        insert_row(transaction, message)?;
        self.messages += 1;
        self.bytes += size;
        Ok(())
    }
}

/// Puts a note in the place of the older one of its name.
fn write_note(
    transaction: &Transaction<'_>,
    note: &SpooledMessage,
    keeps_empty_notes: bool,
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM message WHERE topic = ?1 AND kind = 3", params![note.topic])?;
    if !note.payload.is_empty() || keeps_empty_notes {
        insert_row(transaction, note)?;
    }
    Ok(())
}

fn insert_row(transaction: &Transaction<'_>, message: &SpooledMessage) -> rusqlite::Result<()> {
    let SpooledMessage { id, kind, topic, payload } = message;
    let size = i64::try_from(message.size()).unwrap_or(i64::MAX);
    transaction.execute(
        "INSERT INTO message (id, kind, topic, size, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id.0, *kind as i64, topic, size, payload],
    )?;
    Ok(())
}

fn read_message(row: &Row<'_>) -> rusqlite::Result<SpooledMessage> {
    Ok(SpooledMessage {
        id: SpoolId(row.get(0)?),
        kind: read_kind(row.get(1)?)?,
        topic: row.get(2)?,
        payload: row.get(3)?,
    })
}

fn read_kind(number: i64) -> rusqlite::Result<SpoolKind> {
    SpoolKind::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))
}

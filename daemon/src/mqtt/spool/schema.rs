//! The spool's tables, and how their version is told.

use std::path::Path;

use rusqlite::Connection;

use super::error::SpoolError;

/// `PRAGMA user_version` of the files that this code writes.
pub(super) const VERSION: i64 = 1;
/// `PRAGMA application_id`: "Belv".
const APPLICATION_ID: i64 = 0x4265_6c76;

/// `kind` is a [`super::SpoolKind`]; 1 is an event, the only kind of which a topic has several; 3 is a
/// note, which is not for the broker. `size` stands before the payload, so that adding the sizes up does
/// not read the payloads.
const TABLES: &str = "
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
        topic TEXT NOT NULL,
        size INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX message_by_rank ON message (kind, id);
    CREATE UNIQUE INDEX newest_of_topic ON message (topic) WHERE kind <> 1;
";

/// Says how the database is to behave; takes the lock on the file that lasts as long as the connection.
///
/// The log is flushed to the disk at each commit (`FULL`): in the log's mode `NORMAL` keeps the file
/// sound through a power cut, but may lose the last commits, and those are accepted alerts.
pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    // Before the log is first used: then its index lies in memory and no file is shared.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // After a burst the log shrinks to this again.
    connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")
}

/// Makes the tables where there are none.
pub(super) fn create(connection: &mut Connection, path: &Path) -> Result<(), SpoolError> {
    let wrong = |source| SpoolError::new(path.to_owned(), source);
    let number =
        |connection: &Connection, name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
    let found: i64 = number(connection, "user_version").map_err(wrong)?;
    let application: i64 = number(connection, "application_id").map_err(wrong)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(wrong)?;
    if application != APPLICATION_ID && (application != 0 || found != 0 || tables != 0) {
        return Err(SpoolError::Foreign { path: path.to_owned() });
    }
    match found {
        VERSION => Ok(()),
        0 if tables == 0 => {
            let write = |connection: &mut Connection| {
                let transaction = connection.transaction()?;
                transaction.execute_batch(TABLES)?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()
            };
            write(connection).map_err(wrong)
        }
        _ => Err(SpoolError::Newer { path: path.to_owned(), found, known: VERSION }),
    }
}

/// Reads the whole file; the first damage that there is.
pub(super) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((answer != "ok").then_some(answer))
}

//! What both files have in common: opening, schema version, connections, and what errors mean.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use birdsong_domain::ports::PortError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// Version of both schemas; a change of either raises it.
const SCHEMA_VERSION: i64 = 1;
/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why work on a connection failed.
pub(crate) enum Failure {
    Sqlite(rusqlite::Error),
    Port(PortError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Failure {
    fn into_port_error(self, what: &'static str) -> PortError {
        match self {
            Self::Port(error) => error,
            Self::Sqlite(error) => explain(what, &error),
        }
    }
}

/// What an error of SQLite means for a caller of the ports.
fn explain(what: &'static str, error: &rusqlite::Error) -> PortError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    let reason = error.to_string();
    if matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)) {
        return PortError::Corrupt { what: what.to_owned(), reason };
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed,
        ) => PortError::Unavailable { what, reason },
        Some(ErrorCode::DatabaseCorrupt) => PortError::Corrupt { what: what.to_owned(), reason },
        _ => PortError::Refused { what, reason },
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// One file with a connection for writing and one for reading, so that readers do not wait for the
/// disk to take what is written.
#[derive(Debug)]
pub(crate) struct Db {
    what: &'static str,
    // Closed first: only a writer that is the last to close moves the WAL back into the file, so
    // that the file alone is the whole data.
    reader: Arc<Mutex<Connection>>,
    writer: Arc<Mutex<Connection>>,
}

/// What a file is and how it is laid out.
pub(crate) struct Layout {
    pub(crate) what: &'static str,
    pub(crate) file: &'static str,
    pub(crate) synchronous: &'static str,
    pub(crate) schema: &'static str,
}

impl Db {
    pub(crate) fn open(dir: &Path, layout: &Layout) -> Result<Self, PortError> {
        let what = layout.what;
        let path = dir.join(layout.file);
        let refused = |reason: String| PortError::Refused { what, reason: format!("{}: {reason}", path.display()) };
        std::fs::create_dir_all(dir).map_err(|e| refused(format!("cannot create the data directory: {e}")))?;
        let connect = |flags: OpenFlags| -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(connection)
        };
        let prepare = || -> Result<(Connection, Connection), Failure> {
            let mut writer = connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
            migrate(&mut writer, layout.schema, &refused)?;
            writer.pragma_update(None, "journal_mode", "WAL")?;
            writer.pragma_update(None, "synchronous", layout.synchronous)?;
            Ok((writer, connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?))
        };
        // SQLite does not wait by itself for another process that turns on the WAL or recovers it.
        let started = Instant::now();
        let prepared = loop {
            match prepare() {
                Err(Failure::Sqlite(error)) if is_busy(&error) && started.elapsed() < BUSY_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                prepared => break prepared,
            }
        };
        let (writer, reader) = prepared.map_err(|failure| match failure {
            Failure::Port(error) => error,
            Failure::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => {
                    refused("is not an SQLite database: move it away or choose another data directory".into())
                }
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                    refused(format!("{error}: may this user write here?"))
                }
                _ => explain(what, &error),
            },
        })?;
        Ok(Self { what, reader: Arc::new(Mutex::new(reader)), writer: Arc::new(Mutex::new(writer)) })
    }

    /// Writes on this thread, where there is no runtime yet.
    pub(crate) fn write_now<T>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure>,
    ) -> Result<T, PortError> {
        let connection = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        work(connection).map_err(|failure| failure.into_port_error(self.what))
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, PortError> {
        on(self.what, &self.writer, work).await
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, PortError> {
        on(self.what, &self.reader, work).await
    }
}

/// Works off the runtime's threads: the disk may take long, and the api answers on those threads.
async fn on<T: Send + 'static>(
    what: &'static str,
    connection: &Arc<Mutex<Connection>>,
    work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, PortError> {
    let connection = Arc::clone(connection);
    let task = tokio::task::spawn_blocking(move || {
        // Whoever panicked rolled its transaction back, so the connection is as good as before.
        work(connection.lock().unwrap_or_else(PoisonError::into_inner))
    });
    match task.await {
        Ok(result) => result.map_err(|failure| failure.into_port_error(what)),
        Err(error) => Err(PortError::Unavailable { what, reason: format!("the program is stopping: {error}") }),
    }
}

fn migrate(connection: &mut Connection, schema: &str, refused: &dyn Fn(String) -> PortError) -> Result<(), Failure> {
    // Immediate, so that of two processes which create the file one waits for the other.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    if version > SCHEMA_VERSION {
        return Err(Failure::Port(refused(format!(
            "was written by a newer program (schema {version}, this one knows up to {SCHEMA_VERSION}): run that \
             version, or move the file away to begin afresh"
        ))));
    }
    let is_empty: bool = transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if version != 0 || !is_empty {
        return Err(Failure::Port(refused("is the database of another program: choose another data directory".into())));
    }
    transaction.execute_batch(schema)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn errors_say_whether_a_retry_helps() {
        let meaning = |code| explain("store", &rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in
            [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_SNAPSHOT, ffi::SQLITE_LOCKED, ffi::SQLITE_FULL, ffi::SQLITE_IOERR_WRITE]
        {
            assert!(meaning(code).is_retryable(), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX] {
            assert!(matches!(meaning(code), PortError::Corrupt { .. }), "{code}");
        }
        for code in [ffi::SQLITE_READONLY, ffi::SQLITE_TOOBIG, ffi::SQLITE_CONSTRAINT, ffi::SQLITE_ERROR] {
            assert!(matches!(meaning(code), PortError::Refused { .. }), "{code}");
        }
    }
}

//! What both files have in common: opening, schema version, connections, and what errors mean.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use birdsong_domain::format;
use birdsong_domain::ports::PortError;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

/// Version of both schemas, and of all that is in them.
const SCHEMA_VERSION: i64 = format::VERSION as i64;
/// How long a statement waits for another process. Callers try again, and must notice within this time that they
/// are to stop.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long opening a file waits for another process.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

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
    fn into_port_error(self, what: &'static str, path: &Path) -> PortError {
        match self {
            Self::Port(error) => error,
            Self::Sqlite(error) => explain(what, path, &error),
        }
    }
}

/// Whether a row cannot be read for what is stored, be it in the tree or in a column's type.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    let is_of_column =
        matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..));
    is_of_column || error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

/// What an error of SQLite means for a caller of the ports.
pub(crate) fn explain(what: &'static str, path: &Path, error: &rusqlite::Error) -> PortError {
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free some space, and writing continues",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => "; may this user write there?",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another program has locked it",
        _ => "",
    };
    let reason = format!("{}: {error}{remedy}", path.display());
    if is_damage(error) {
        return PortError::Corrupt { what: what.to_owned(), reason };
    }
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed,
        ) => PortError::Unavailable { what, reason },
        Some(ErrorCode::NotADatabase) => PortError::Corrupt { what: what.to_owned(), reason },
        _ => PortError::Refused { what, reason },
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// One file with a connection for writing and one for reading, so that readers do not wait for
/// writes to disk.
#[derive(Debug)]
pub(crate) struct Db {
    what: &'static str,
    place: Arc<Place>,
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
        // SQLite does not wait for another process that turns on the WAL or recovers it.
        let started = Instant::now();
        let prepared = loop {
            match prepare() {
                Err(Failure::Sqlite(error)) if is_busy(&error) && started.elapsed() < OPEN_TIMEOUT => {
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
                _ => explain(what, &path, &error),
            },
        })?;
        let place = Place::of(path.clone()).map_err(|e| refused(e.to_string()))?;
        let (reader, writer) = (Arc::new(Mutex::new(reader)), Arc::new(Mutex::new(writer)));
        Ok(Self { what, place: Arc::new(place), reader, writer })
    }

    /// Writes on this thread, where there is no runtime yet.
    pub(crate) fn write_now<T>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure>,
    ) -> Result<T, PortError> {
        let connection = self.writer.lock();
        work(connection).map_err(|failure| failure.into_port_error(self.what, &self.place.path))
    }

    /// A text of the table `meta`, which each file has.
    pub(crate) async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        const SQL: &str = "SELECT value FROM meta WHERE key = ?1";
        let key = key.to_owned();
        self.read(move |connection| {
            Ok(connection.prepare_cached(SQL)?.query_row([key], |row| row.get(0)).optional()?)
        })
        .await
    }

    pub(crate) async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        const SQL: &str = "INSERT INTO meta (key, value) VALUES (?1, ?2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |connection| Ok(connection.prepare_cached(SQL)?.execute((key, value))?)).await.map(drop)
    }

    pub(crate) async fn replace_setting(
        &self,
        key: &str,
        expected: Option<&str>,
        value: &str,
    ) -> Result<bool, PortError> {
        const INSERT: &str = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        const UPDATE: &str = "UPDATE meta SET value = ?2 WHERE key = ?1 AND value = ?3";
        let (key, value, expected) = (key.to_owned(), value.to_owned(), expected.map(str::to_owned));
        let rows = self.write(move |connection| {
            Ok(match expected {
                None => connection.prepare_cached(INSERT)?.execute((key, value))?,
                Some(expected) => connection.prepare_cached(UPDATE)?.execute((key, value, expected))?,
            })
        });
        Ok(rows.await? == 1)
    }

    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, PortError> {
        on(self.what, &self.place, &self.writer, work).await
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, PortError> {
        on(self.what, &self.place, &self.reader, work).await
    }
}

/// The files under the connections. Whoever removes or replaces one of them leaves SQLite writing into a file that
/// has no name any more, without an error, and all of that is lost at the end of the process.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    file: FileId,
    /// SQLite makes the write-ahead log with the first write, and keeps it for as long as a connection is open.
    wal: OnceLock<FileId>,
}

type FileId = (u64, u64);

/// Device and number of a file; always the same where there is no such thing.
fn file_id(path: &Path) -> std::io::Result<FileId> {
    let metadata = std::fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        drop(metadata);
        Ok((0, 0))
    }
}

impl Place {
    fn of(path: PathBuf) -> std::io::Result<Self> {
        Ok(Self { file: file_id(&path)?, path, wal: OnceLock::new() })
    }

    fn check(&self, what: &'static str) -> Result<(), Failure> {
        let wal_path = PathBuf::from(format!("{}-wal", self.path.display()));
        let (file, wal) = (file_id(&self.path).ok(), file_id(&wal_path).ok());
        let is_wal_here = match (self.wal.get(), wal) {
            (Some(known), wal) => wal.as_ref() == Some(known),
            (None, wal) => wal.is_none_or(|wal| self.wal.set(wal).is_ok() || self.wal.get() == Some(&wal)),
        };
        let gone = match (file == Some(self.file), is_wal_here) {
            (true, true) => return Ok(()),
            (true, false) => &wal_path,
            (false, _) => &self.path,
        };
        let reason = format!(
            "{} was removed or replaced while this program has it open; stop the program, put the file back if you \
             can, and start again",
            gone.display()
        );
        Err(PortError::Unavailable { what, reason }.into())
    }
}

/// Works off the runtime's threads: the disk may be slow, and the api answers on those threads.
async fn on<T: Send + 'static>(
    what: &'static str,
    place: &Arc<Place>,
    connection: &Arc<Mutex<Connection>>,
    work: impl FnOnce(MutexGuard<'_, Connection>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, PortError> {
    let (connection, place, path) = (Arc::clone(connection), Arc::clone(place), place.path.clone());
    let task = tokio::task::spawn_blocking(move || {
        place.check(what)?;
        // Whoever panicked rolled its transaction back, so the connection is as good as before.
        work(connection.lock())
    });
    match task.await {
        Ok(result) => result.map_err(|failure| failure.into_port_error(what, &path)),
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
    if version != 0 {
        return Err(Failure::Port(refused(format::refusal(&version.to_string()))));
    }
    let is_empty: bool = transaction.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))?;
    if !is_empty {
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
    fn errors_state_whether_a_retry_helps() {
        let meaning =
            |code| explain("store", Path::new("s"), &rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in [
            ffi::SQLITE_READONLY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR_WRITE,
        ] {
            assert!(meaning(code).is_retryable(), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX] {
            assert!(matches!(meaning(code), PortError::Corrupt { .. }), "{code}");
        }
        for code in [ffi::SQLITE_TOOBIG, ffi::SQLITE_CONSTRAINT, ffi::SQLITE_ERROR] {
            assert!(matches!(meaning(code), PortError::Refused { .. }), "{code}");
        }
    }
}

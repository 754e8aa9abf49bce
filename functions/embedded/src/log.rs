//! The post log in a file.

use std::path::Path;
use std::sync::Arc;

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber, Settings};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use tokio::sync::Notify;

use crate::db::{Db, Failure, Layout, is_damage};
use crate::retention;
use crate::{SHARD, check_shard, never_assigned, system_ms};

const WHAT: &str = "post log";
pub(crate) const LAYOUT: Layout = Layout {
    what: WHAT,
    file: "log.sqlite",
    // Rule 2.1: a record that append acknowledged must survive a power cut.
    synchronous: "FULL",
    // AUTOINCREMENT keeps the number of a pruned record from being used again: a fence would mistake
    // the new record for the old one and skip it.
    schema: "
        CREATE TABLE record (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            lane TEXT NOT NULL,
            arrived_ms INTEGER NOT NULL,
            bytes BLOB NOT NULL
        ) STRICT;
        CREATE INDEX record_arrived ON record (arrived_ms);
        CREATE TABLE pruned (id INTEGER PRIMARY KEY CHECK (id = 0), before_ms INTEGER NOT NULL) STRICT;",
};
const REMEMBER_PRUNED: &str = "INSERT INTO pruned (id, before_ms) VALUES (0, ?1)
    ON CONFLICT (id) DO UPDATE SET before_ms = max(before_ms, excluded.before_ms)";
/// A read ends early when its records have this many bytes, to bound memory.
const READ_BYTES: usize = 16 << 20;
/// Records deleted in one transaction, so that an append does not wait long for a pruning.
const PRUNE_ROWS: usize = 1000;

/// A [`PostLog`] in the file `log.sqlite` of a data directory, with one shard named [`SHARD`].
/// Several handles and processes may use the file at once.
#[derive(Debug)]
pub struct SqliteLog {
    db: Db,
    now_ms: fn() -> i64,
    appended: Arc<Notify>,
}

impl SqliteLog {
    /// Opens the log in `dir`, and makes both when they are missing.
    ///
    /// # Errors
    /// [`PortError::Refused`] when the file is not ours, was written by a newer version or may not
    /// be written; [`PortError::Unavailable`] when it is locked or the disk is full.
    pub fn open(dir: &Path) -> Result<Self, PortError> {
        Self::open_with_clock(dir, system_ms)
    }

    /// Opens the log with a clock of milliseconds since the epoch; records are stamped with
    /// it, yet never with less than the record before. Stamps from a clock far in the future are
    /// corrected once the clock is back, see the module `retention`.
    ///
    /// # Errors
    /// As [`SqliteLog::open`].
    pub fn open_with_clock(dir: &Path, now_ms: fn() -> i64) -> Result<Self, PortError> {
        let is_new = !dir.join(LAYOUT.file).exists();
        let db = Db::open(dir, &LAYOUT)?;
        // Windows that are here already come from a log that is gone. This one does not have their
        // records, and must not be mistaken for one that does.
        // Added after the first version, and not worth a new version.
        db.write_now(|connection| {
            let sql =
                "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID";
            Ok(connection.execute(sql, [])?)
        })?;
        if is_new && crate::store::has_windows(dir) {
            db.write_now(|connection| Ok(connection.execute(REMEMBER_PRUNED, [now_ms()])?))?;
        }
        Ok(Self { db, now_ms, appended: Arc::default() })
    }

    /// Wakes one waiter after each append through this handle, or keeps one wake-up for it, so that
    /// "read until empty, then wait" misses nothing. Appends of other processes do not wake it.
    #[must_use]
    pub fn appended(&self) -> &Notify {
        &self.appended
    }

    /// The last number assigned, also when its record is pruned. `None` before the first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn newest_sequence(&self) -> Result<Option<SequenceNumber>, PortError> {
        let newest = self.db.read(|connection| newest(&connection)).await?;
        Ok(newest.map(number))
    }

    /// Deletes the records that are older than `for_ms` milliseconds and returns how many. Their numbers are
    /// not used again. Called about once an hour; the module `retention` defines age and
    /// explains why a wrong clock does not empty the log.
    ///
    /// # Errors
    /// When the file cannot be written; some records may be gone then.
    pub async fn retain(&self, for_ms: i64) -> Result<usize, PortError> {
        const ROWS: &str = "SELECT sequence FROM record WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2";
        let now_ms = self.now_ms;
        let look = move |mut connection: parking_lot::MutexGuard<'_, Connection>| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let newest = newest(&transaction)?.unwrap_or(0);
            let last = retention::look(&transaction, now_ms(), newest, for_ms)?;
            transaction.commit()?;
            Ok(last)
        };
        let Some(last) = self.db.write(look).await? else { return Ok(0) };
        let mut deleted = 0;
        loop {
            let rows = move |mut connection: parking_lot::MutexGuard<'_, Connection>| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let arrived: Option<i64> = transaction.query_row(
                    &format!("SELECT max(arrived_ms) FROM record WHERE sequence IN ({ROWS})"),
                    (last, PRUNE_ROWS as i64),
                    |row| row.get(0),
                )?;
                let Some(arrived_ms) = arrived else { return Ok(0) };
                let rows = transaction
                    .execute(&format!("DELETE FROM record WHERE sequence IN ({ROWS})"), (last, PRUNE_ROWS as i64))?;
                // Those that came in the same millisecond may be gone in part.
                transaction.execute(REMEMBER_PRUNED, [arrived_ms.saturating_add(1)])?;
                transaction.commit()?;
                Ok(rows)
            };
            match self.db.write(rows).await? {
                0 => return Ok(deleted),
                rows => deleted += rows,
            }
        }
    }
}

/// What must be known of the log itself, such as the key that its ids are hashed with.
impl Settings for SqliteLog {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        self.db.setting(key).await
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        self.db.set_setting(key, value).await
    }
}

fn number(rowid: i64) -> SequenceNumber {
    rowid.cast_unsigned().into()
}

fn newest(connection: &Connection) -> Result<Option<i64>, Failure> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'record'";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?)
}

/// [`PortError`] is not `Clone`, yet each frame of a failed transaction has the same error.
fn same(error: &PortError) -> PortError {
    match error {
        PortError::Unavailable { what, reason } => PortError::Unavailable { what, reason: reason.clone() },
        PortError::Corrupt { what, reason } => PortError::Corrupt { what: what.clone(), reason: reason.clone() },
        PortError::Refused { what, reason } => PortError::Refused { what, reason: reason.clone() },
    }
}

impl PostLog for SqliteLog {
    /// One transaction, so that one wait for the disk serves the whole call: the log has all frames
    /// or none.
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        if frames.is_empty() {
            return Vec::new();
        }
        let count = frames.len();
        let (frames, now_ms, appended) = (frames.to_vec(), self.now_ms, Arc::clone(&self.appended));
        let given = self.db.write(move |mut connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last_ms: Option<i64> = transaction
                .prepare_cached("SELECT arrived_ms FROM record ORDER BY sequence DESC LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()?;
            let now_ms = now_ms();
            let last_ms = last_ms.map(|last_ms| retention::correct(&transaction, now_ms, last_ms)).transpose()?;
            let arrived_ms = now_ms.max(last_ms.unwrap_or(i64::MIN));
            let mut given = Vec::with_capacity(frames.len());
            let mut insert =
                transaction.prepare_cached("INSERT INTO record (lane, arrived_ms, bytes) VALUES (?1, ?2, ?3)")?;
            for frame in &frames {
                given.push(insert.insert((frame.lane.to_string(), arrived_ms, &frame.bytes))?);
            }
            drop(insert);
            transaction.commit()?;
            // Here rather than by the caller, who may have stopped waiting for the answer.
            appended.notify_one();
            Ok(given)
        });
        match given.await {
            Ok(given) => given.into_iter().map(|rowid| Ok(number(rowid))).collect(),
            Err(error) => (0..count).map(|_| Err(same(&error))).collect(),
        }
    }

    fn keeps_prefix(&self) -> bool {
        true
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec![SHARD.to_owned()])
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        check_shard(WHAT, shard)?;
        self.db
            .read(|connection| {
                let sql = "SELECT before_ms FROM pruned";
                let before_ms = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
                Ok(before_ms.unwrap_or(i64::MIN))
            })
            .await
    }

    /// A record that is damaged in the file comes without bytes, so that it is not a frame, and hides no other.
    ///
    /// # Errors
    /// Also [`PortError::Refused`] when asked for records behind a number that this log never
    /// assigned.
    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        check_shard(WHAT, shard)?;
        let position = match from {
            ReadFrom::Oldest => 0,
            ReadFrom::Time(time_ms) => *time_ms,
            ReadFrom::After(after) => after.as_str().parse().map_err(|_| never_assigned(WHAT, after))?,
        };
        let from = from.clone();
        self.db
            .read(move |connection| {
                let rowids = |rowid: i64| {
                    let sql = "SELECT sequence, arrived_ms, bytes, lane FROM record WHERE sequence > ?1
                        ORDER BY sequence LIMIT ?2";
                    read_rows(&connection, sql, (rowid, i64::try_from(limit).unwrap_or(i64::MAX)))
                };
                let after = match from {
                    ReadFrom::Time(time_ms) => {
                        let sql = "SELECT sequence FROM record WHERE arrived_ms >= ?1
                            ORDER BY arrived_ms, sequence LIMIT 1";
                        let first =
                            connection.prepare_cached(sql)?.query_row([time_ms], |row| row.get(0)).optional()?;
                        let Some(first) = first else { return Ok(vec![]) };
                        let first: i64 = first;
                        first - 1
                    }
                    ReadFrom::Oldest | ReadFrom::After(_) => position,
                };
                let records = match rowids(after) {
                    Err(error) if is_damage(&error) => read_around_damage(&connection, after, limit)?,
                    records => records?,
                };
                if matches!(from, ReadFrom::After(_))
                    && records.is_empty()
                    && position > newest(&connection)?.unwrap_or(0)
                {
                    return Err(never_assigned(WHAT, &number(position)).into());
                }
                Ok(records)
            })
            .await
    }
}

fn read_rows(connection: &Connection, sql: &str, params: (i64, i64)) -> rusqlite::Result<Vec<LogRecord>> {
    let (mut records, mut size) = (Vec::new(), 0);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while size < READ_BYTES
        && let Some(row) = rows.next()?
    {
        let bytes: Vec<u8> = row.get(2)?;
        size += bytes.len();
        let lane = row.get_ref(3)?.as_str().ok().and_then(|lane| Lane::try_from(lane.to_owned()).ok());
        records.push(LogRecord { sequence: number(row.get(0)?), arrived_ms: row.get(1)?, lane, bytes });
    }
    Ok(records)
}

/// The records behind a number, one at a time, of a file that is damaged somewhere there. At least one, while
/// there is any.
fn read_around_damage(connection: &Connection, after: i64, limit: usize) -> Result<Vec<LogRecord>, Failure> {
    const ONE: &str = "SELECT sequence, arrived_ms, bytes, lane FROM record WHERE sequence = ?1 LIMIT ?2";
    const NEXT: &str = "SELECT min(sequence) FROM record WHERE sequence > ?1";
    let last = newest(connection)?.unwrap_or(0);
    let (mut records, mut at, mut arrived_ms): (Vec<LogRecord>, _, i64) = (vec![], after, 0);
    while records.len() < limit && at < last {
        // The next number, when the tree can be followed to it; else the one behind this.
        let next = connection.prepare_cached(NEXT)?.query_row([at], |row| row.get::<_, Option<i64>>(0));
        at = match next {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(_) => at + 1,
        };
        match read_rows(connection, ONE, (at, 1)) {
            Ok(mut found) => {
                arrived_ms = found.last().map_or(arrived_ms, |record| record.arrived_ms);
                records.append(&mut found);
            }
            Err(_) => {
                // Short values are in the tree itself and may be whole.
                let part = |column: &str| format!("SELECT {column} FROM record WHERE sequence = ?1");
                let time = connection.query_row(&part("arrived_ms"), [at], |row| row.get(0));
                arrived_ms = time.unwrap_or(arrived_ms);
                let lane = connection.query_row(&part("lane"), [at], |row| row.get::<_, String>(0));
                let lane = lane.ok().and_then(|lane| Lane::try_from(lane).ok());
                records.push(LogRecord { sequence: number(at), arrived_ms, lane, bytes: vec![] });
            }
        }
    }
    Ok(records)
}

//! The window store in a file.

use std::collections::BTreeMap;
use std::path::Path;

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{
    Expected, PartialKey, PortError, PutOutcome, Row, RowVersion, SequenceNumber, Settings, WindowStore,
};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::Partial;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::db::{Db, Layout};
use crate::system_ms;

pub(crate) const WHAT: &str = "window store";
pub(crate) const LAYOUT: Layout = Layout {
    what: WHAT,
    file: "store.sqlite",
    // A power cut may lose the last commits but not their order, and the checkpoint is in the same
    // file: what is lost was not checkpointed, and is folded again from the log.
    synchronous: "NORMAL",
    // With a rowid, unlike its neighbours: a state of a KiB and more inside the tree of the key
    // would leave but a few keys to a page (loads took a third longer).
    schema: "
        CREATE TABLE partial (
            region TEXT NOT NULL,
            window_start INTEGER NOT NULL,
            lane TEXT NOT NULL,
            generation INTEGER NOT NULL,
            fence TEXT NOT NULL,
            state BLOB NOT NULL,
            stored_ms INTEGER NOT NULL,
            PRIMARY KEY (region, window_start, lane)
        ) STRICT;
        CREATE TABLE rollup (
            region TEXT NOT NULL,
            period TEXT NOT NULL,
            start INTEGER NOT NULL,
            lane TEXT NOT NULL,
            revision INTEGER NOT NULL,
            state BLOB NOT NULL,
            stored_ms INTEGER NOT NULL,
            PRIMARY KEY (region, period, start, lane)
        ) STRICT;
        CREATE TABLE change (
            region TEXT NOT NULL,
            period TEXT NOT NULL,
            start INTEGER NOT NULL,
            stamp INTEGER NOT NULL,
            PRIMARY KEY (region, period, start)
        ) STRICT, WITHOUT ROWID;
        -- Part of the same transaction, whoever writes. Random stamps, so that no two changes of an hour have the same.
        CREATE TRIGGER partial_inserted AFTER INSERT ON partial BEGIN
            INSERT INTO change VALUES
                (NEW.region, 'hour', NEW.window_start - ((NEW.window_start % 3600000) + 3600000) % 3600000, random())
                ON CONFLICT DO UPDATE SET stamp = excluded.stamp;
        END;
        CREATE TRIGGER partial_updated AFTER UPDATE ON partial BEGIN
            INSERT INTO change VALUES
                (NEW.region, 'hour', NEW.window_start - ((NEW.window_start % 3600000) + 3600000) % 3600000, random())
                ON CONFLICT DO UPDATE SET stamp = excluded.stamp;
        END;
        CREATE TRIGGER rollup_deleted AFTER DELETE ON rollup BEGIN
            INSERT INTO change VALUES
                (OLD.region, OLD.period, OLD.start - ((OLD.start % 3600000) + 3600000) % 3600000, random())
                ON CONFLICT DO UPDATE SET stamp = excluded.stamp;
        END;
        CREATE TRIGGER partial_deleted AFTER DELETE ON partial BEGIN
            INSERT INTO change VALUES
                (OLD.region, 'hour', OLD.window_start - ((OLD.window_start % 3600000) + 3600000) % 3600000, random())
                ON CONFLICT DO UPDATE SET stamp = excluded.stamp;
        END;
        CREATE TABLE document (
            kind TEXT NOT NULL,
            region TEXT NOT NULL,
            start INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            body BLOB NOT NULL,
            PRIMARY KEY (kind, region, start)
        ) STRICT;
        CREATE TABLE checkpoint (shard TEXT PRIMARY KEY, sequence TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;",
};

/// Every stored partial: its generation and its encoded state. Equal dumps are equal stores.
pub type Dump = BTreeMap<PartialKey, (u32, Vec<u8>)>;

/// A [`WindowStore`] in the file `store.sqlite` of a data directory, which also has the
/// aggregator's checkpoint and a few settings. Several handles and processes may use the file at
/// once.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) db: Db,
}

/// A row of `partial` as it is stored.
struct Stored {
    window: i64,
    /// [`Lane::within_region`].
    lane: String,
    generation: i64,
    fence: String,
    state: Vec<u8>,
    stored_ms: i64,
}

impl Stored {
    const COLUMNS: &str = "window_start, lane, generation, fence, state, stored_ms";

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            window: row.get(0)?,
            lane: row.get(1)?,
            generation: row.get(2)?,
            fence: row.get(3)?,
            state: row.get(4)?,
            stored_ms: row.get(5)?,
        })
    }

    /// # Errors
    /// When no lane is written as the column is.
    fn key(&self, region: &str) -> rusqlite::Result<PartialKey> {
        match Lane::parse_within(region, &self.lane) {
            Some(lane) => Ok(PartialKey { lane, window: WindowStart(self.window) }),
            None => Err(no_lane(1, region, &self.lane)),
        }
    }

    fn decode(&self, region: &str) -> Result<Partial, PortError> {
        let corrupt = |reason: String| PortError::Corrupt {
            what: format!("{WHAT}, lane {region}#{}, window {}", self.lane, rfc3339(self.window)),
            reason,
        };
        let generation =
            u32::try_from(self.generation).map_err(|_| corrupt(format!("{} is no generation", self.generation)))?;
        let mut partial = Partial::decode(generation, &self.state).map_err(|e| corrupt(e.to_string()))?;
        partial.stored_ms = self.stored_ms;
        // Puts compare the column; if it differed from the state's, no put would ever succeed.
        if partial.fence.as_str() != self.fence {
            return Err(corrupt(format!("the fence is {} in the state but {} beside it", partial.fence, self.fence)));
        }
        Ok(partial)
    }
}

impl SqliteStore {
    /// Opens the store in `dir`, and makes both when they are missing.
    ///
    /// # Errors
    /// [`PortError::Refused`] when the file is not ours, was written by a newer version or may not
    /// be written; [`PortError::Unavailable`] when it is locked or the disk is full.
    pub fn open(dir: &Path) -> Result<Self, PortError> {
        Ok(Self { db: Db::open(dir, &LAYOUT)? })
    }

    /// The last record of a shard all of whose windows are stored.
    ///
    /// # Errors
    /// When the file cannot be read, or the entry is not a number.
    pub async fn checkpoint(&self, shard: &str) -> Result<Option<SequenceNumber>, PortError> {
        let digits = self.text("SELECT sequence FROM checkpoint WHERE shard = ?1", shard).await?;
        let Some(digits) = digits else { return Ok(None) };
        let corrupt = || PortError::Corrupt {
            what: format!("{WHAT}, checkpoint of shard {shard}"),
            reason: format!("{digits:?} is not a sequence number"),
        };
        SequenceNumber::parse(&digits).map(Some).ok_or_else(corrupt)
    }

    /// Moves the checkpoint of a shard forwards; one behind the present one changes
    /// nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn set_checkpoint(&self, shard: &str, sequence: &SequenceNumber) -> Result<(), PortError> {
        // Numbers without leading zeros are ordered by length, then as text.
        const SQL: &str = "INSERT INTO checkpoint (shard, sequence) VALUES (?1, ?2)
            ON CONFLICT (shard) DO UPDATE SET sequence = excluded.sequence
            WHERE (length(excluded.sequence), excluded.sequence) > (length(sequence), sequence)";
        self.execute(SQL, (shard.to_owned(), sequence.as_str().to_owned())).await.map(drop)
    }

    /// Deletes a partial, damaged or not, and returns whether there was one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn delete(&self, key: &PartialKey) -> Result<bool, PortError> {
        const SQL: &str = "DELETE FROM partial WHERE region = ?1 AND window_start = ?2 AND lane = ?3";
        Ok(self.execute(SQL, (key.lane.region().to_owned(), key.window.0, key.lane.within_region())).await? > 0)
    }

    /// Everything stored, to be compared with another store.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn dump(&self) -> Result<Dump, PortError> {
        const SQL: &str = "SELECT region, window_start, lane, generation, state FROM partial";
        self.db
            .read(|connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let rows = statement.query_map([], |row| {
                    let (region, lane): (String, String) = (row.get(0)?, row.get(2)?);
                    let lane = Lane::parse_within(&region, &lane).ok_or_else(|| no_lane(2, &region, &lane))?;
                    Ok((PartialKey { lane, window: WindowStart(row.get(1)?) }, (row.get(3)?, row.get(4)?)))
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn text(&self, sql: &'static str, key: &str) -> Result<Option<String>, PortError> {
        let key = key.to_owned();
        self.db
            .read(move |connection| {
                Ok(connection.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?)
            })
            .await
    }

    pub(crate) async fn execute<P: rusqlite::Params + Send + 'static>(
        &self,
        sql: &'static str,
        params: P,
    ) -> Result<usize, PortError> {
        self.db.write(move |connection| Ok(connection.prepare_cached(sql)?.execute(params)?)).await
    }
}

/// The order of a query's rows.
pub(crate) fn by_window(a: &PartialKey, b: &PartialKey) -> std::cmp::Ordering {
    (a.window, &a.lane).cmp(&(b.window, &b.lane))
}

/// The error of a column that is not a lane.
pub(crate) fn no_lane(column: usize, region: &str, lane: &str) -> rusqlite::Error {
    let error = Lane::try_from(format!("{region}#{lane}")).err().map(Into::into);
    rusqlite::Error::FromSqlConversionFailure(
        column,
        rusqlite::types::Type::Text,
        error.unwrap_or_else(|| "no lane".into()),
    )
}

/// Whether there is a store with windows in this folder. One that cannot be read counts as having some.
pub(crate) fn has_windows(dir: &Path) -> bool {
    let path = dir.join(LAYOUT.file);
    let look = || -> rusqlite::Result<bool> {
        let store = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        store.busy_timeout(std::time::Duration::from_secs(10))?;
        let has_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'partial')";
        Ok(store.query_row(has_table, [], |row| row.get(0))?
            && store.query_row("SELECT EXISTS (SELECT 1 FROM partial)", [], |row| row.get(0))?)
    };
    path.exists() && look().unwrap_or(true)
}

/// The version of a row with these columns: they are kept as they are.
fn version(generation: i64, fence: Vec<u8>) -> RowVersion {
    let mut token = generation.to_le_bytes().to_vec();
    token.extend_from_slice(&fence);
    RowVersion {
        generation: u32::try_from(generation).ok(),
        fence: String::from_utf8(fence).ok().and_then(|digits| SequenceNumber::parse(&digits)),
        token: token.into(),
    }
}

/// The columns of a row of this version.
fn columns(version: &RowVersion) -> Result<(i64, Vec<u8>), PortError> {
    let (generation, fence) = version
        .token
        .split_first_chunk()
        .ok_or_else(|| PortError::Refused { what: WHAT, reason: "the version is that of another store".to_owned() })?;
    Ok((i64::from_le_bytes(*generation), fence.to_vec()))
}

impl Settings for SqliteStore {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        self.db.setting(key).await
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        self.db.set_setting(key, value).await
    }
}

impl WindowStore for SqliteStore {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        let key = key.clone();
        self.db
            .read(move |connection| {
                let sql = format!(
                    "SELECT {} FROM partial WHERE region = ?1 AND window_start = ?2 AND lane = ?3",
                    Stored::COLUMNS
                );
                let stored = connection
                    .prepare_cached(&sql)?
                    .query_row((key.lane.region(), key.window.0, key.lane.within_region()), Stored::read)
                    .optional()?;
                drop(connection);
                Ok(stored.map(|stored| stored.decode(key.lane.region())).transpose()?)
            })
            .await
    }

    /// The condition and the write are one statement, so that no other write comes in between.
    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        const INSERT: &str = "INSERT INTO partial (region, window_start, lane, generation, fence, state, stored_ms)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
        const UPDATE: &str = "UPDATE partial SET generation = ?4, fence = ?5, state = ?6, stored_ms = ?7
            WHERE region = ?1 AND window_start = ?2 AND lane = ?3 AND generation = ?8 AND fence = ?9";
        // By its columns as they are, so that a damaged state or column can be replaced.
        const REPLACE: &str = "UPDATE partial SET generation = ?4, fence = ?5, state = ?6, stored_ms = ?7
            WHERE region = ?1 AND window_start = ?2 AND lane = ?3 AND generation = ?8 AND CAST(fence AS BLOB) = ?9";
        let state = partial.encode().map_err(PortError::cannot_encode)?;
        let (region, window, lane) = (key.lane.region().to_owned(), key.window.0, key.lane.within_region());
        let (generation, fence, now) = (partial.generation, partial.fence.as_str().to_owned(), system_ms());
        let rows = match expected {
            Expected::Absent => self.execute(INSERT, (region, window, lane, generation, fence, state, now)).await,
            Expected::Row(version) => {
                let (old, old_fence) = columns(version)?;
                self.execute(REPLACE, (region, window, lane, generation, fence, state, now, old, old_fence)).await
            }
            Expected::At { generation: old, fence: old_fence } => {
                let old_fence = old_fence.as_str().to_owned();
                self.execute(UPDATE, (region, window, lane, generation, fence, state, now, *old, old_fence)).await
            }
        };
        Ok(if rows? == 1 { PutOutcome::Stored } else { PutOutcome::Conflict })
    }

    /// A row whose region and lane no key can have is skipped.
    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        const SQL: &str = "SELECT CAST(region AS BLOB), CAST(lane AS BLOB), window_start FROM partial
            WHERE window_start >= ?1 AND window_start < ?2";
        self.db
            .read(move |connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let mut rows = statement.query((from.0, to.0))?;
                let mut keys = Vec::new();
                while let Some(row) = rows.next()? {
                    let (region, lane): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
                    let (region, lane) = (std::str::from_utf8(&region), std::str::from_utf8(&lane));
                    if let Some(lane) = region.ok().zip(lane.ok()).and_then(|(at, lane)| Lane::parse_within(at, lane)) {
                        keys.push(PartialKey { lane, window: WindowStart(row.get(2)?) });
                    }
                }
                Ok(keys)
            })
            .await
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        const SQL: &str = "SELECT generation, CAST(fence AS BLOB) FROM partial
            WHERE region = ?1 AND window_start = ?2 AND lane = ?3";
        let key = key.clone();
        self.db
            .read(move |connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let row = statement.query_row((key.lane.region(), key.window.0, key.lane.within_region()), |row| {
                    Ok(version(row.get(0)?, row.get(1)?))
                });
                Ok(row.optional()?)
            })
            .await
    }

    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        const DELETE: &str = "DELETE FROM partial WHERE region = ?1 AND window_start = ?2 AND lane = ?3
            AND generation = ?4 AND CAST(fence AS BLOB) = ?5";
        const IS_THERE: &str =
            "SELECT EXISTS (SELECT 1 FROM partial WHERE region = ?1 AND window_start = ?2 AND lane = ?3)";
        let (generation, fence) = columns(version)?;
        let key = key.clone();
        self.db
            .write(move |connection| {
                let (region, window, lane) = (key.lane.region(), key.window.0, key.lane.within_region());
                let rows = connection.prepare_cached(DELETE)?.execute((region, window, &lane, generation, fence))?;
                // Another writer may have deleted it, which is fine.
                let is_there =
                    || connection.prepare_cached(IS_THERE)?.query_row((region, window, lane), |row| row.get(0));
                Ok(rows > 0 || !is_there()?)
            })
            .await
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
        let name = region.to_owned();
        let rows = self
            .db
            .read(move |connection| {
                let region = name;
                let sql = format!(
                    "SELECT {} FROM partial WHERE region = ?1 AND window_start >= ?2 AND window_start < ?3
                     ORDER BY window_start",
                    Stored::COLUMNS
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let rows =
                    statement.query_map((&region, from.0, to.0), Stored::read)?.collect::<Result<Vec<_>, _>>()?;
                drop(statement);
                // Decoding is slower than reading, and the next reader need not wait for it.
                drop(connection);
                let mut keyed = Vec::with_capacity(rows.len());
                for stored in &rows {
                    keyed.push((stored.key(&region)?, stored.decode(&region)));
                }
                keyed.sort_by(|a, b| by_window(&a.0, &b.0));
                Ok(keyed)
            })
            .await;
        if !matches!(rows, Err(PortError::Corrupt { .. })) {
            return rows;
        }
        // The file is damaged somewhere there: one by one, so that the rest can be read.
        let mut keys: Vec<_> =
            self.keys(from, to).await?.into_iter().filter(|key| key.lane.region() == region).collect();
        keys.sort_by(by_window);
        let mut rows = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(row) = self.load(&key).await.transpose() {
                rows.push((key, row));
            }
        }
        Ok(rows)
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        let region = region.to_owned();
        self.db
            .read(move |connection| {
                let mut statement =
                    connection.prepare_cached("SELECT max(window_start) FROM partial WHERE region = ?1")?;
                let newest: Option<i64> = statement.query_row([region], |row| row.get(0))?;
                Ok(newest.map(WindowStart))
            })
            .await
    }
}

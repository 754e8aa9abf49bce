//! Roll-ups in the file of the window store.
//!
//! Triggers of the table `partial` keep the list of changes, so that it is a part of each transaction.

use std::collections::BTreeMap;

use birdsong_domain::lane::Lane;
use birdsong_domain::ports::{Change, Live, LiveWindow, PortError, PutOutcome, RollupRow, RollupStore, WindowStore};
use birdsong_domain::rollup::{HOUR_MS, Period, Rollup, RollupKey};
use birdsong_domain::time::{WindowStart, rfc3339};

use crate::store::{SqliteStore, WHAT, no_lane};
use crate::system_ms;

/// Changes that one look at the store lists. More are there only while archives are replayed.
const LIVE_CHANGES: usize = 10_000;
/// Windows that are older than this before the newest one are not live.
const LIVE_MS: i64 = 26 * HOUR_MS;

/// Every stored roll-up: its encoded state. Equal dumps are equal roll-ups.
pub type RollupDump = BTreeMap<RollupKey, Vec<u8>>;

impl SqliteStore {
    /// All roll-ups, to be compared with those of another store.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn dump_rollups(&self) -> Result<RollupDump, PortError> {
        const SQL: &str = "SELECT region, lane, period, start, state FROM rollup";
        self.db
            .read(|connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let rows = statement.query_map([], |row| {
                    let (region, lane): (String, String) = (row.get(0)?, row.get(1)?);
                    let lane = Lane::parse_within(&region, &lane).ok_or_else(|| no_lane(1, &region, &lane))?;
                    let key = RollupKey { lane, period: period(2, &row.get::<_, String>(2)?)?, start_ms: row.get(3)? };
                    Ok((key, row.get(4)?))
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }
}

fn period(column: usize, name: &str) -> rusqlite::Result<Period> {
    let error = || format!("{name:?} is no period").into();
    Period::parse(name)
        .ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error()))
}

impl RollupStore for SqliteStore {
    async fn rollups(
        &self,
        region: &str,
        period: Period,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<RollupRow>, PortError> {
        const SQL: &str = "SELECT start, lane, revision, state, stored_ms FROM rollup
            WHERE region = ?1 AND period = ?2 AND start >= ?3 AND start < ?4";
        let region = region.to_owned();
        self.db
            .read(move |connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let stored = statement
                    .query_map((&region, period.as_str(), from_ms, to_ms), |row| {
                        let lane: String = row.get(1)?;
                        let lane = Lane::parse_within(&region, &lane).ok_or_else(|| no_lane(1, &region, &lane))?;
                        let key = RollupKey { lane, period, start_ms: row.get(0)? };
                        Ok((key, row.get::<_, u32>(2)?, row.get::<_, Vec<u8>>(3)?, row.get::<_, i64>(4)?))
                    })?
                    .collect::<Result<Vec<_>, _>>()?;
                drop(statement);
                // Decoding is slower than reading, and the next reader need not wait for it.
                drop(connection);
                let mut rows: Vec<_> = stored
                    .into_iter()
                    .map(|(key, revision, state, stored_ms)| {
                        let rollup = Rollup::decode(&state).map(|rollup| Rollup { stored_ms, ..rollup });
                        let rollup = rollup.map_err(|error| PortError::Corrupt {
                            what: format!("{WHAT}, {} of {}, {}", period.as_str(), key.lane, rfc3339(key.start_ms)),
                            reason: error.to_string(),
                        });
                        RollupRow { key, revision: revision.into(), rollup }
                    })
                    .collect();
                rows.sort_by(|a, b| a.key.cmp(&b.key));
                Ok(rows)
            })
            .await
    }

    async fn put_rollup(
        &self,
        key: &RollupKey,
        rollup: Option<&Rollup>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        const INSERT: &str = "INSERT INTO rollup (region, period, start, lane, revision, state, stored_ms)
            VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6) ON CONFLICT DO NOTHING";
        const UPDATE: &str = "UPDATE rollup SET revision = revision + 1, state = ?5, stored_ms = ?6
            WHERE region = ?1 AND period = ?2 AND start = ?3 AND lane = ?4 AND revision = ?7";
        const DELETE: &str =
            "DELETE FROM rollup WHERE region = ?1 AND period = ?2 AND start = ?3 AND lane = ?4 AND revision = ?5";
        let (region, lane) = (key.lane.region().to_owned(), key.lane.within_region());
        let (period, start) = (key.period.as_str(), key.start_ms);
        let state = rollup.map(Rollup::encode).transpose().map_err(PortError::cannot_encode)?;
        // Revisions are counted up by one and never get near the end of the type.
        let revision = expected.map(|revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let rows = match (state, revision) {
            (Some(state), None) => self.execute(INSERT, (region, period, start, lane, state, system_ms())).await,
            (Some(state), Some(revision)) => {
                self.execute(UPDATE, (region, period, start, lane, state, system_ms(), revision)).await
            }
            (None, Some(revision)) => self.execute(DELETE, (region, period, start, lane, revision)).await,
            (None, None) => return Ok(PutOutcome::Stored),
        };
        Ok(if rows? == 1 { PutOutcome::Stored } else { PutOutcome::Conflict })
    }

    async fn changes(&self, limit: usize) -> Result<Vec<Change>, PortError> {
        const SQL: &str =
            "SELECT region, period, start, stamp FROM change ORDER BY period = 'day', start, region LIMIT ?1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db
            .read(move |connection| {
                let mut statement = connection.prepare_cached(SQL)?;
                let rows = statement.query_map([limit], |row| {
                    Ok(Change {
                        region: row.get(0)?,
                        period: period(1, &row.get::<_, String>(1)?)?,
                        start_ms: row.get(2)?,
                        stamp: row.get::<_, i64>(3)?.to_string(),
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn add_change(&self, region: &str, period: Period, start_ms: i64) -> Result<(), PortError> {
        const SQL: &str = "INSERT INTO change VALUES (?1, ?2, ?3, random())
            ON CONFLICT DO UPDATE SET stamp = excluded.stamp";
        self.execute(SQL, (region.to_owned(), period.as_str(), start_ms)).await.map(drop)
    }

    async fn settle(&self, change: &Change) -> Result<bool, PortError> {
        const SQL: &str = "DELETE FROM change WHERE region = ?1 AND period = ?2 AND start = ?3 AND stamp = ?4";
        let Ok(stamp) = change.stamp.parse::<i64>() else { return Ok(false) };
        let rows = self.execute(SQL, (change.region.clone(), change.period.as_str(), change.start_ms, stamp));
        Ok(rows.await? == 1)
    }

    async fn live(&self, regions: &[&str], from: WindowStart) -> Result<Live, PortError> {
        let mut changes = self.changes(LIVE_CHANGES + 1).await?;
        let has_more = changes.len() > LIVE_CHANGES;
        changes.truncate(LIVE_CHANGES);
        let mut newest = None;
        for region in regions {
            newest = newest.max(self.newest(region).await?);
        }
        let Some(newest) = newest else { return Ok(Live { windows: vec![], changes, has_more, settle_ms: 0 }) };
        let mut windows = vec![];
        // While an archive is replayed, a day has many windows: some at a time, so that memory is bounded.
        let mut at = from.max(WindowStart(newest.0.saturating_sub(LIVE_MS)));
        while at <= newest {
            let next = WindowStart(at.0.saturating_add(2 * HOUR_MS));
            for region in regions {
                let rows = self.query(region, at, next).await?;
                windows.extend(rows.into_iter().map(LiveWindow::from));
            }
            at = next;
        }
        Ok(Live { windows, changes, has_more, settle_ms: 0 })
    }

    async fn replace_setting(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, PortError> {
        self.db.replace_setting(key, expected, value).await
    }
}

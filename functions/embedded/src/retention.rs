//! How long records of the log are kept, and how arrival times are corrected when the clock was wrong.
//!
//! A clock may jump: a machine whose battery is empty starts in 1970, a wrong time server reports 2100. Two
//! rules keep such a jump from emptying the log, and from keeping records forever:
//!
//! - **Age is counted in steps.** Each look at the log adds the clock's advance since the
//!   last one to its age, a day at most. Any more counts once the clock has run for another day
//!   without going back; when it goes back, it was wrong. Records are deleted by the age at which they came
//!   ([`Age`]), independent of their arrival time. So a wrong clock costs a day of the log at most, and a
//!   machine that was switched off for a month removes old records a day later.
//! - **Arrival times are bounded by the clock that comes back.** They never go back from one record to
//!   the next, so one from the year 2100 would be that of all later records. When the clock is more than
//!   thirty days behind the newest record, and the log shows where it jumped, the records behind the
//!   jump get the present time ([`correct`]). That is never less than when they came, so that a reader
//!   from a time on misses nothing.

use rusqlite::{Connection, OptionalExtension};

/// Counts at once of any step of the clock, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// Records further ahead of the clock than this, in milliseconds, were stamped by a wrong one.
const WRONG_MS: i64 = 30 * DAY_MS;
/// 2026-01-01: no clock of a machine that runs this program can be right before.
const PLAUSIBLE_SINCE_MS: i64 = 1_767_225_600_000;
/// Marks within the time that records are kept for: they may stay longer by one part in this many.
const MARKS: i64 = 168;

/// Kept beside the records. An older program leaves them alone.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS age (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        lived_ms INTEGER NOT NULL,
        clock_ms INTEGER NOT NULL,
        doubted_ms INTEGER NOT NULL,
        doubted_at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS mark (lived_ms INTEGER PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;";

/// How old a log is. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    /// What counts.
    lived_ms: i64,
    /// The clock at the last look.
    clock_ms: i64,
    /// What the clock has jumped and does not count yet, and the clock behind that jump.
    doubted_ms: i64,
    doubted_at_ms: i64,
}

impl Age {
    fn begin(now_ms: i64) -> Self {
        Self { lived_ms: 0, clock_ms: now_ms, doubted_ms: 0, doubted_at_ms: now_ms }
    }

    /// A look at the clock.
    fn advance(&mut self, now_ms: i64) {
        let step_ms = now_ms.saturating_sub(self.clock_ms);
        self.clock_ms = now_ms;
        if step_ms < 0 {
            self.doubted_ms = 0;
            return;
        }
        if self.doubted_ms > 0 && now_ms.saturating_sub(self.doubted_at_ms) >= DAY_MS {
            self.lived_ms = self.lived_ms.saturating_add(self.doubted_ms);
            self.doubted_ms = 0;
        }
        self.lived_ms = self.lived_ms.saturating_add(step_ms.min(DAY_MS));
        if step_ms > DAY_MS {
            (self.doubted_ms, self.doubted_at_ms) = (step_ms - DAY_MS, now_ms);
        }
    }
}

/// Notes how old the log is and how far it has come. Gives the last record that is older than `for_ms`.
pub(crate) fn look(connection: &Connection, now_ms: i64, newest: i64, for_ms: i64) -> rusqlite::Result<Option<i64>> {
    connection.execute_batch(TABLES)?;
    let stored = connection.query_row("SELECT lived_ms, clock_ms, doubted_ms, doubted_at_ms FROM age", [], |row| {
        Ok(Age { lived_ms: row.get(0)?, clock_ms: row.get(1)?, doubted_ms: row.get(2)?, doubted_at_ms: row.get(3)? })
    });
    let mut age = stored.optional()?.unwrap_or_else(|| Age::begin(now_ms));
    age.advance(now_ms);
    let Age { lived_ms, clock_ms, doubted_ms, doubted_at_ms } = age;
    connection.execute(
        "INSERT OR REPLACE INTO age (id, lived_ms, clock_ms, doubted_ms, doubted_at_ms) VALUES (0, ?1, ?2, ?3, ?4)",
        (lived_ms, clock_ms, doubted_ms, doubted_at_ms),
    )?;
    let last: Option<i64> = connection.query_row("SELECT max(lived_ms) FROM mark", [], |row| row.get(0))?;
    if last.is_none_or(|last| lived_ms - last >= for_ms / MARKS) {
        connection.execute("INSERT OR REPLACE INTO mark (lived_ms, sequence) VALUES (?1, ?2)", (lived_ms, newest))?;
    }
    let old_ms = lived_ms - for_ms;
    let last =
        connection.query_row("SELECT max(sequence) FROM mark WHERE lived_ms <= ?1", [old_ms], |row| row.get(0))?;
    // The records up to the last one of these are removed next, and after a crash with the next mark.
    connection
        .execute("DELETE FROM mark WHERE lived_ms < (SELECT max(lived_ms) FROM mark WHERE lived_ms <= ?1)", [old_ms])?;
    Ok(last)
}

/// Corrects the arrival times from a wrong clock, when the clock is far behind the newest
/// one. Returns the newest one.
pub(crate) fn correct(connection: &Connection, now_ms: i64, newest_ms: i64) -> rusqlite::Result<i64> {
    let right_ms = now_ms.saturating_add(WRONG_MS);
    if newest_ms <= right_ms || now_ms < PLAUSIBLE_SINCE_MS {
        return Ok(newest_ms);
    }
    let stamp = |sql: &str| connection.query_row(sql, [right_ms], |row| row.get::<_, Option<i64>>(0));
    let before = stamp("SELECT max(arrived_ms) FROM record WHERE arrived_ms <= ?1")?;
    let behind = stamp("SELECT min(arrived_ms) FROM record WHERE arrived_ms > ?1")?;
    // Records without a jump between them: it is the present clock that is wrong.
    if before.zip(behind).is_some_and(|(before, behind)| behind - before <= WRONG_MS) {
        return Ok(newest_ms);
    }
    let newest_ms = before.map_or(now_ms, |before| before.max(now_ms));
    tracing::warn!("the clock was wrong when records of the log arrived; they count as arrived now");
    connection.execute("UPDATE record SET arrived_ms = ?1 WHERE arrived_ms > ?2", (newest_ms, right_ms))?;
    // A mark that a pruning under the wrong clock set for the records that are left.
    connection.execute(
        "UPDATE pruned SET before_ms = min(before_ms, (SELECT coalesce(min(arrived_ms), ?1) FROM record))",
        [newest_ms],
    )?;
    Ok(newest_ms)
}

// Rule 3.10.
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const YEARS_74_MS: i64 = 74 * 365 * DAY_MS;

    #[test]
    fn a_clock_that_was_in_2100_for_a_moment_ages_the_log_by_a_day() {
        let mut age = Age::begin(PLAUSIBLE_SINCE_MS);
        age.advance(PLAUSIBLE_SINCE_MS + 1000 + YEARS_74_MS);
        age.advance(PLAUSIBLE_SINCE_MS + 9000 + YEARS_74_MS);
        age.advance(PLAUSIBLE_SINCE_MS + 9000);
        age.advance(PLAUSIBLE_SINCE_MS + 10_000);
        assert_eq!(age.lived_ms, DAY_MS + 8000 + 1000);
    }

    #[test]
    fn a_month_switched_off_counts_in_full_a_day_later() {
        let mut age = Age::begin(0);
        for hours in [0, 30 * 24, 30 * 24 + 12, 31 * 24 + 1] {
            age.advance(hours * 3_600_000);
        }
        assert_eq!(age.lived_ms, (31 * 24 + 1) * 3_600_000);
    }

    proptest! {
        /// Whatever the clock shows, no step ages a log by more than a day and the time it confirmed; a right clock
        /// is followed exactly.
        #[test]
        fn the_age_never_goes_back_and_follows_a_right_clock(steps in prop::collection::vec((1..DAY_MS, any::<bool>()), 1..60)) {
            let mut age = Age::begin(0);
            let (mut now_ms, mut wrong) = (0, 0);
            for (step_ms, is_wrong) in steps {
                now_ms += step_ms;
                let before = age.lived_ms;
                // Short excursions only: two wrong looks in a row are less than a day apart.
                let is_wrong = is_wrong && wrong == 0;
                wrong = i64::from(is_wrong);
                age.advance(now_ms + wrong * YEARS_74_MS);
                prop_assert!(age.lived_ms >= before && age.lived_ms - before <= DAY_MS);
            }
        }

        #[test]
        fn a_right_clock_is_followed_to_the_millisecond(steps in prop::collection::vec(1..40 * DAY_MS, 1..40)) {
            let mut age = Age::begin(0);
            let mut now_ms = 0;
            for step_ms in steps {
                now_ms += step_ms;
                age.advance(now_ms);
                prop_assert_eq!(age.lived_ms + age.doubted_ms, now_ms);
            }
        }
    }
}

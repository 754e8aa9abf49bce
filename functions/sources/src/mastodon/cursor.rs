//! The position in a stream of statuses, and how it is stored.

use std::fmt;

use super::status::is_newer;

/// The cursor is at least this far behind the newest status, and at most twice: statuses from
/// other servers arrive late and under ids that encode when they were written. In milliseconds.
const REWIND_MS: i64 = 15_000;

/// A resume position: the last status, and when it was seen, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) id: String,
    pub(super) at_ms: i64,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, at_ms) = text.split_once(' ')?;
        Some(Self { id: id.to_owned(), at_ms: at_ms.parse().ok()? })
    }
}

impl fmt::Display for Cursor {
    /// As it is stored. Mastodon's ids have milliseconds in front of 16 bits that distinguish the statuses of one
    /// millisecond. Without these the id names no status, and what comes again for it is a duplicate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.parse::<u64>() {
            Ok(id) if self.id.len() >= SNOWFLAKE_DIGITS => write!(f, "{} {}", id >> 16 << 16, self.at_ms),
            _ => write!(f, "{} {}", self.id, self.at_ms),
        }
    }
}

/// The id of the time [`REWIND_MS`] before that of an id with milliseconds in it.
fn earlier_by_rewind(id: &str) -> Option<String> {
    let number: u64 = id.parse().ok().filter(|_| id.len() >= SNOWFLAKE_DIGITS)?;
    Some(number.saturating_sub((REWIND_MS as u64) << 16).to_string())
}

/// Fewest digits of an id with milliseconds in it: those of 2017, when Mastodon began with them, have 17.
const SNOWFLAKE_DIGITS: usize = 17;

/// The position in the stream: the newest status, and the position of some seconds ago.
#[derive(Debug, Default)]
pub(super) struct Position {
    newest: Option<Cursor>,
    /// Older and younger of the points in the past, and the time of the younger.
    cursors: Option<(Cursor, Cursor, i64)>,
    /// Since when, in milliseconds, there has been neither a status nor a timeline to show the position.
    pub(super) blind_since_ms: Option<i64>,
}

impl Position {
    /// What came between the cursors is handed on. For a while the older one still counts: what arrives
    /// late may have an id between them.
    pub(super) fn filled(&mut self, from: Cursor, to: Cursor, now_ms: i64) {
        self.newest = Some(Cursor { id: to.id.clone(), at_ms: now_ms });
        self.cursors = Some((from, to, now_ms));
    }

    /// What came before this time is lost and reported: the next status is a new start.
    pub(super) fn lose(&mut self, since_ms: i64) {
        *self = Self { blind_since_ms: Some(since_ms), ..Self::default() };
    }

    pub(super) fn set(&mut self, cursor: Cursor) {
        self.blind_since_ms = None;
        self.cursors = Some((cursor.clone(), cursor.clone(), cursor.at_ms));
        self.newest = Some(cursor);
    }

    /// A status was handed on.
    pub(super) fn saw(&mut self, id: String, now_ms: i64) {
        let Some(newest) = &mut self.newest else {
            // What arrives late may have an id before the very first one.
            let id = earlier_by_rewind(&id).unwrap_or(id);
            return self.set(Cursor { id, at_ms: now_ms });
        };
        if let Some((older, younger, taken_ms)) = &mut self.cursors
            && now_ms - *taken_ms >= REWIND_MS
        {
            // After a long silence both are what was newest before it.
            let is_silence_over = now_ms - newest.at_ms > 2 * REWIND_MS;
            *older = if is_silence_over { newest.clone() } else { younger.clone() };
            *younger = newest.clone();
            *taken_ms = now_ms;
        }
        newest.at_ms = now_ms;
        if is_newer(&id, &newest.id) {
            newest.id = id;
        }
    }

    pub(super) fn resume(&self) -> Option<Cursor> {
        self.cursors.as_ref().map(|(older, ..)| older.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_cursor_names_no_status_and_lies_before_its_own() {
        let cursor = Cursor { id: "114567890123456789".into(), at_ms: 7 };
        let stored = Cursor::parse(&cursor.to_string()).unwrap();
        assert_ne!(stored.id, cursor.id);
        assert!(is_newer(&cursor.id, &stored.id));
        let text = Cursor { id: "AqLmXyZ".into(), at_ms: 7 };
        assert_eq!(Cursor::parse(&text.to_string()), Some(text));
    }

    #[test]
    fn the_resume_point_is_some_seconds_back_and_no_further() {
        let mut position = Position::default();
        assert_eq!(position.resume(), None);
        let id = |second: i64| format!("{}", 1000 + second);
        for second in (0..300).chain(5000..5300) {
            position.saw(id(second), second * 1000);
            let back = second * 1000 - position.resume().unwrap().at_ms;
            let is_warm = (40..300).contains(&second) || second > 5040;
            assert!(!is_warm || (15_000..=31_000).contains(&back), "{back} at {second}");
        }
        assert_eq!(Cursor::parse(&position.resume().unwrap().to_string()), position.resume());
        // A status that is late does not move the position back.
        position.saw(id(10), 5_300_000);
        assert_eq!(position.newest.unwrap().id, id(5299));
    }

    #[test]
    fn a_long_silence_is_not_gone_back_over() {
        let mut position = Position::default();
        for second in 0..100 {
            position.saw(format!("{}", 1000 + second), second * 1000);
        }
        position.saw("2000".into(), 9_000_000);
        assert_eq!(position.resume(), Some(Cursor { id: "1099".into(), at_ms: 99_000 }));
    }
}

//! The position in the stream, gaps, and messages that break connections.

use birdsong_domain::time::is_future;
use serde::Deserialize;

use crate::intake::{Change, Resume};
use crate::json::{self, is_too_deep};

use super::ended::Ended;
use super::message::MAX_MESSAGE_BYTES;

/// How far each connection goes back, in microseconds: the hosts' clocks differ a little, and events
/// are ordered by author only.
const REWIND_US: i64 = 5_000_000;
/// The event where the last connection stopped comes again at the start of the next one; when the
/// first event is this far behind it, in microseconds, the host has lost what was between.
const GAP_US: i64 = 60_000_000;
/// A message that breaks the connection each time is passed over after this many times.
const STUCK_AFTER: u32 = 3;

/// The position in the stream. Times are in microseconds.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// Newest event that was handed on, but never later than our own clock: a host that is ahead must
    /// not make us skip, as a cursor in the future means "from now on".
    pub(super) newest_us: Option<i64>,
    /// On this connection.
    last_us: Option<i64>,
    /// How far behind `newest_us` the connection's first event may be without a gap; `None` behind it.
    tolerance_us: Option<i64>,
    /// What happened before this was received before the connection began; `None` when the host has come
    /// up to it.
    old_before_us: Option<i64>,
    /// Such events that came once more and are not reported yet.
    pub(super) replayed: u64,
    /// Number of the last events in a row that were too far in the future.
    pub(super) ahead: u32,
    /// Event before the message that broke the last connection, and how often it did so there.
    poison: Option<(Option<i64>, u32)>,
}

/// The part of a message that has its time.
#[derive(Deserialize)]
struct Seen {
    time_us: Option<i64>,
}

impl Position {
    /// A connection starts: its cursor.
    pub(super) fn start(&mut self, now_us: i64) -> Option<i64> {
        (self.last_us, self.old_before_us, self.ahead) = (None, None, 0);
        let cursor_us = self.cursor(now_us)?;
        // The hosts' clocks differ a little.
        self.old_before_us = Some(cursor_us.saturating_sub(REWIND_US));
        Some(cursor_us)
    }

    fn cursor(&mut self, now_us: i64) -> Option<i64> {
        let newest_us = self.newest_us?;
        if let Some((Some(before_us), times)) = self.poison
            && times >= STUCK_AFTER
        {
            self.tolerance_us = Some(0);
            let step_us = 1_000_000 << (times - STUCK_AFTER).min(12);
            return Some((before_us + step_us).min(now_us));
        }
        self.tolerance_us = Some(GAP_US);
        // A clock that is behind must not have us read hours again.
        Some((newest_us - REWIND_US).max(0))
    }

    /// Whether this message is one from before the cursor that was asked for. Looked at only until the
    /// host has come up to the cursor, so that it costs nothing later.
    pub(super) fn is_old(&mut self, message: &[u8], now_us: i64) -> bool {
        let Some(before_us) = self.old_before_us else { return false };
        // What cannot be read here is reported as unreadable later.
        if message.len() > MAX_MESSAGE_BYTES || is_too_deep(message) {
            return false;
        }
        let Some(time_us) = json::read_exact::<Seen>(message).ok().and_then(|seen| seen.time_us) else { return false };
        if time_us < before_us {
            self.last_us = Some(time_us);
            self.replayed += 1;
            return true;
        }
        if !is_future(time_us.div_euclid(1000), now_us / 1000) {
            self.old_before_us = None;
        }
        false
    }

    /// Nothing is received before it has happened, so that the rewind bounds what comes again, however
    /// long the stream was blocked or how far it is behind.
    pub(super) fn resume(&self, now_us: i64) -> Option<Resume> {
        let newest_us = self.newest_us?;
        let since_ms = (newest_us.min(now_us) - REWIND_US).div_euclid(1000);
        Some(Resume { cursor: newest_us.to_string(), since_ms })
    }

    /// An event was handed on. Gives the gap before it, if there is one.
    pub(super) fn saw(&mut self, time_us: i64, now_us: i64) -> Option<Change> {
        self.last_us = Some(time_us);
        let gap = match (self.tolerance_us.take(), self.newest_us) {
            (Some(tolerance_us), Some(newest_us)) if time_us > newest_us.saturating_add(tolerance_us) => {
                let reason = if tolerance_us == 0 {
                    "a message that breaks the connection was passed over"
                } else {
                    "the host no longer had what came after the last event"
                };
                Some(Change::Gap {
                    from_ms: newest_us.div_euclid(1000),
                    to_ms: time_us.min(now_us).div_euclid(1000),
                    reason: reason.into(),
                })
            }
            _ => None,
        };
        self.newest_us = self.newest_us.max(Some(time_us.min(now_us)));
        gap
    }

    /// Whether the message that broke this connection is met for the first time.
    pub(super) fn is_new_poison(&self) -> bool {
        self.poison.is_none_or(|(before_us, _)| before_us != self.last_us)
    }

    pub(super) fn ended(&mut self, end: &Ended) {
        self.poison = match (end, self.poison) {
            (Ended::Poison(_), Some((before_us, times))) if before_us == self.last_us => Some((before_us, times + 1)),
            // Passing over was not enough: further.
            (Ended::Poison(_), Some((before_us, times))) if self.last_us.is_none() => Some((before_us, times + 1)),
            (Ended::Poison(_), _) => Some((self.last_us, 1)),
            (_, poison) if self.last_us.is_none() => poison,
            _ => None,
        };
    }
}

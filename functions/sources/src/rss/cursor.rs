//! What is known of a feed between two polls, and how it is stored.

use std::collections::HashSet;

use birdsong_domain::post::PostId;
use serde::{Deserialize, Serialize};

use crate::intake::Resume;

use super::message::Entry;

/// Entries that are remembered, the newest poll's.
const MAX_SEEN: usize = 1000;
/// Longest validator of a server that is sent back.
const MAX_VALIDATOR_BYTES: usize = 512;

/// The state of a feed at its last poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// When the feed was last read, in milliseconds.
    pub(super) polled_ms: i64,
    /// The server's validators, which it may be asked with.
    pub(super) etag: Option<String>,
    pub(super) modified: Option<String>,
    /// The entries that the feed had then: 64 bits of each id, which is a keyed hash.
    seen: Vec<u64>,
}

/// What is new in a feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct News<'e> {
    /// Entries that have appeared, oldest first, with the times at which they count, in milliseconds.
    pub(super) entries: Vec<(&'e Entry, i64)>,
    /// Entries may have come and gone between these times, in milliseconds.
    pub(super) gap: Option<(i64, i64)>,
}

fn short(id: PostId) -> u64 {
    id.0 as u64
}

impl Cursor {
    /// The feed was read at `now_ms` and has these entries, the newest first, as feeds do.
    pub(super) fn poll<'e>(&mut self, entries: &'e [Entry], now_ms: i64) -> News<'e> {
        let is_first = self.polled_ms == 0;
        let from_ms = self.polled_ms.min(now_ms);
        let seen: HashSet<_> = self.seen.iter().copied().collect();
        let mut news = News { entries: vec![], gap: None };
        if !is_first {
            let is_new = |entry: &&Entry| !seen.contains(&short(entry.id));
            let time_ms = |entry: &Entry| entry.claimed_ms.map_or(now_ms, |time_ms| time_ms.clamp(from_ms, now_ms));
            news.entries = entries.iter().rev().filter(is_new).map(|entry| (entry, time_ms(entry))).collect();
            let is_all_new = !entries.is_empty() && news.entries.len() == entries.len();
            news.gap = (is_all_new && !seen.is_empty()).then_some((from_ms, now_ms));
        }
        self.polled_ms = now_ms;
        // An empty answer says nothing about what comes again.
        if !entries.is_empty() {
            self.seen = entries.iter().take(MAX_SEEN).map(|entry| short(entry.id)).collect();
        }
        news
    }

    /// The feed is as it was.
    pub(super) fn is_unchanged(&mut self, now_ms: i64) {
        self.polled_ms = now_ms;
    }

    /// Keeps what the server said about this version of the feed.
    pub(super) fn validate(&mut self, etag: Option<&str>, modified: Option<&str>) {
        let bounded = |text: &str| (text.len() <= MAX_VALIDATOR_BYTES).then(|| text.to_owned());
        (self.etag, self.modified) = (etag.and_then(bounded), modified.and_then(bounded));
    }

    pub(super) fn resume(&self) -> Option<Resume> {
        // What this poll handed on may come again from the one before; the log has it from now on.
        Some(Resume { cursor: serde_json::to_string(self).ok()?, since_ms: self.polled_ms })
    }
}

#[cfg(test)]
mod tests {
    use birdsong_domain::post::InstallationKey;

    use super::super::message::read_feed;
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;

    /// A feed with entries of these numbers, the newest first.
    fn entries(numbers: impl DoubleEndedIterator<Item = u64>) -> Vec<Entry> {
        let items: String =
            numbers.rev().map(|n| format!("<item><guid>{n}</guid><title>t{n}</title></item>")).collect();
        let feed = format!("<rss version=\"2.0\"><channel><title>f</title>{items}</channel></rss>");
        read_feed("https://a.example/feed", feed.as_bytes(), &InstallationKey([1; 16])).unwrap().entries
    }

    #[test]
    fn an_entry_counts_when_it_appears_and_once() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.poll(&entries(0..5), NOW_MS).entries, [], "nobody saw these appear");
        let now = entries(2..7);
        let news = cursor.poll(&now, NOW_MS + 60_000);
        let wanted: Vec<_> = now[..2].iter().rev().map(|entry| (entry, NOW_MS + 60_000)).collect();
        assert_eq!((news.entries, news.gap), (wanted, None));
        assert_eq!(cursor.poll(&now, NOW_MS + 120_000).entries, []);
        let stored = cursor.resume().unwrap().cursor;
        let mut cursor: Cursor = serde_json::from_str(&stored).unwrap();
        assert_eq!(cursor.poll(&now, NOW_MS + 180_000).entries, [], "after a restart, too");
    }

    #[test]
    fn a_feed_without_anything_of_the_last_poll_has_a_gap() {
        let mut cursor = Cursor::default();
        cursor.poll(&entries(0..5), NOW_MS);
        assert_eq!(cursor.poll(&[], NOW_MS + 1000), News { entries: vec![], gap: None });
        let now = entries(10..15);
        let news = cursor.poll(&now, NOW_MS + 60_000);
        assert_eq!((news.entries.len(), news.gap), (5, Some((NOW_MS + 1000, NOW_MS + 60_000))));
    }

    #[test]
    fn a_claimed_time_is_used_only_between_two_polls() {
        let mut cursor = Cursor::default();
        cursor.poll(&entries(0..1), NOW_MS);
        let mut now = entries(0..4);
        for (entry, claimed_ms) in now.iter_mut().zip([Some(NOW_MS + 30_000), Some(0), Some(i64::MAX)]) {
            entry.claimed_ms = claimed_ms;
        }
        let news = cursor.poll(&now, NOW_MS + 60_000);
        let times: Vec<_> = news.entries.iter().map(|(_, time_ms)| time_ms - NOW_MS).collect();
        assert_eq!(times, [60_000, 0, 30_000], "oldest first");
    }
}

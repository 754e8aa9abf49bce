//! The current status of all sources, for the API, metrics and the health check.

use birdsong_domain::frame::Ledger;
use birdsong_domain::status::{SourceState, SourceStatus};
use parking_lot::Mutex;

/// Current status of all sources of a streamer.
#[derive(Debug, Default)]
pub struct StatusRegistry(Mutex<Vec<SourceEntry>>);

/// Current status of one source.
#[derive(Clone, Debug, Default)]
pub struct SourceEntry {
    /// As the API shows it.
    pub state: SourceState,
    /// Newest event time of its posts, in milliseconds.
    pub newest_ms: Option<i64>,
    /// Since the start. What a full spool dropped counts as dropped, and as sent before that.
    pub ledger: Ledger,
    /// Bytes of frames that the log does not have yet.
    pub waiting_bytes: u64,
    /// Heartbeat: when the source's pipeline last went round, in milliseconds, as it does many times a second. 0 before
    /// and after.
    pub beat_ms: i64,
}

impl StatusRegistry {
    /// All sources, in the order in which they first reported something.
    #[must_use]
    pub fn entries(&self) -> Vec<SourceEntry> {
        self.0.lock().clone()
    }

    /// The states alone.
    #[must_use]
    pub fn states(&self) -> Vec<SourceState> {
        self.entries().into_iter().map(|entry| entry.state).collect()
    }

    /// Changes the state of `source`.
    pub fn update(&self, source: &str, change: impl FnOnce(&mut SourceState)) {
        self.change(source, |entry| change(&mut entry.state));
    }

    /// Marks a source as stopped until the next start: it refuses access, or it failed.
    pub fn stopped(&self, source: &str, reason: String) {
        self.change(source, |entry| {
            entry.state.status = SourceStatus::Stopped;
            entry.state.reason = Some(reason);
            entry.state.connected_since_ms = None;
        });
    }

    pub(crate) fn change(&self, source: &str, change: impl FnOnce(&mut SourceEntry)) {
        let mut all = self.0.lock();
        let at = all.iter().position(|entry| entry.state.source == source).unwrap_or_else(|| {
            let state = SourceState { source: source.into(), ..SourceState::default() };
            all.push(SourceEntry { state, ..SourceEntry::default() });
            all.len() - 1
        });
        change(&mut all[at]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_stopped_is_not_connected_and_others_are_as_before() {
        let all = StatusRegistry::default();
        for source in ["a", "b"] {
            all.update(source, |state| {
                (state.status, state.connected_since_ms) = (SourceStatus::Connected, Some(1));
            });
        }
        all.stopped("b", "no access".into());
        let of = |state: SourceState| (state.source, state.status, state.reason, state.connected_since_ms);
        let states: Vec<_> = all.states().into_iter().map(of).collect();
        let stopped = ("b".into(), SourceStatus::Stopped, Some("no access".into()), None);
        assert_eq!(states, [("a".into(), SourceStatus::Connected, None, Some(1)), stopped]);
    }
}

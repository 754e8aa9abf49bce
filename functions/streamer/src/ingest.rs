//! Receives what a source reads: matches posts, logs changes of the connection, and keeps the status.

use std::sync::Arc;

use birdsong_domain::network::Network;
use birdsong_domain::post::SourcePost;
use birdsong_domain::region::Regions;
use birdsong_domain::status::SourceStatus;
use birdsong_domain::time::{is_future, rfc3339};
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::source::Clock;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::mpsc;

use crate::originals::Originals;
use crate::prepare::{Batch, Lanes};
use crate::status::StatusRegistry;
use crate::unreadable::Unreadable;

/// Flushes between source and cutter; behind them the source waits.
const INBOX: usize = 8;

/// A change of a source's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Connected since this time in milliseconds.
    Since(i64),
    /// Not connected.
    Lost,
}

/// What a source handed on with one flush.
#[derive(Debug, Default)]
pub struct Gathered {
    pub(crate) batch: Batch,
    pub(crate) resume: Option<Resume>,
    /// Times in which posts may have been missed, in milliseconds.
    pub(crate) gaps: Vec<(i64, i64)>,
    /// Shares of the posts that are requested, and since when, in milliseconds.
    pub(crate) shares: Vec<(f64, i64)>,
    /// The last change of the connection.
    pub(crate) connection: Option<Connection>,
}

/// The end of the pipeline that a source fills.
pub struct Ingest {
    source: Arc<str>,
    regions: Arc<Regions>,
    lanes: Lanes,
    clock: Clock,
    status: Arc<StatusRegistry>,
    gathered: Gathered,
    originals: Originals,
    unreadable: u64,
    was_connected: bool,
    /// On this connection.
    is_replay_logged: bool,
    out: mpsc::Sender<Gathered>,
}

/// The ingest of the source of this name, whose posts are of `network`, and the inbox that its
/// [pipeline](crate::pipeline) reads. `originals` are those of the [start](crate::recovery::start).
#[must_use]
pub fn ingest(
    source: &str,
    network: Network,
    regions: &Arc<Regions>,
    clock: &Clock,
    status: &Arc<StatusRegistry>,
    originals: Originals,
) -> (Ingest, mpsc::Receiver<Gathered>) {
    let (out, inbox) = mpsc::channel(INBOX);
    let now_ms = clock();
    status.update(source, |state| _ = state.waiting_since_ms.get_or_insert(now_ms));
    let ingest = Ingest {
        source: source.into(),
        regions: regions.clone(),
        lanes: Lanes::new(regions, network),
        clock: clock.clone(),
        status: status.clone(),
        gathered: Gathered::default(),
        originals,
        unreadable: 0,
        was_connected: false,
        is_replay_logged: false,
        out,
    };
    (ingest, inbox)
}

impl Ingest {
    /// The source has stopped until the next start and is disconnected from now on. Keep the ingest, so that the
    /// windows of this time show it.
    pub async fn is_over(&mut self) {
        self.gathered.connection = Some(Connection::Lost);
        let now_ms = (self.clock)();
        self.status.update(&self.source, |state| _ = state.waiting_since_ms.get_or_insert(now_ms));
        self.flush(None).await;
    }
}

impl Intake for Ingest {
    fn post(&mut self, post: &SourcePost<'_>) {
        if is_future(post.time_ms, (self.clock)()) {
            let time = rfc3339(post.time_ms);
            return self.unreadable(format!("its time {time} is more than ten minutes ahead of our clock"), b"");
        }
        self.gathered.batch.add_with(&self.regions, &self.lanes, post, &mut self.originals);
    }

    fn notice(&mut self) {
        self.gathered.batch.add_notice();
    }

    fn unreadable(&mut self, reason: String, bytes: &[u8]) {
        self.unreadable += 1;
        let line = Unreadable::new(&self.source, self.unreadable, reason, bytes);
        self.gathered.batch.add_unreadable(line);
    }

    fn flush(&mut self, resume: Option<Resume>) -> BoxFuture<'_, ()> {
        self.gathered.resume = resume;
        let gathered = std::mem::take(&mut self.gathered);
        if let Some(newest_ms) = gathered.batch.newest_ms() {
            self.status.change(&self.source, |entry| {
                let newest_ms = entry.newest_ms.map_or(newest_ms, |before| before.max(newest_ms));
                entry.newest_ms = Some(newest_ms);
                entry.state.last_post_ms = Some(newest_ms);
            });
        }
        async move {
            if self.out.send(gathered).await.is_err() {
                // The pipeline is gone and reports why.
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }

    fn change(&mut self, change: Change) {
        let now_ms = (self.clock)();
        let source = &*self.source;
        match &change {
            Change::Connected => {
                tracing::info!(source, "connected");
                self.is_replay_logged = false;
                self.gathered.connection = Some(Connection::Since(now_ms));
            }
            Change::Waiting { reason, retry_in } => {
                let retry_in_secs = (retry_in.as_secs_f64() * 10.0).round() / 10.0;
                tracing::warn!(source, retry_in_secs, "not connected: {reason}");
                self.gathered.connection = Some(Connection::Lost);
            }
            Change::Gap { from_ms, to_ms, reason } => {
                let (from, to) = (rfc3339(*from_ms), rfc3339(*to_ms));
                tracing::warn!(source, from, to, "posts may be missing: {reason}");
                self.gathered.gaps.push((*from_ms, *to_ms));
            }
            Change::Sampling { share } => {
                if *share < 1.0 {
                    tracing::warn!(source, share, "only a share of the posts is requested");
                } else {
                    tracing::info!(source, "all posts are requested");
                }
                self.gathered.shares.push((*share, now_ms));
            }
            Change::Replayed { events } => {
                if !std::mem::replace(&mut self.is_replay_logged, true) {
                    tracing::warn!(source, events, "the host sends events from before the cursor, they are dropped");
                }
            }
            Change::Trouble { reason: Some(reason) } => tracing::warn!(source, "{reason}"),
            Change::Trouble { reason: None } => tracing::info!(source, "what failed beside the stream works again"),
            Change::Paused { .. } | Change::Spent { .. } => (),
        }
        let is_reconnect = self.was_connected;
        self.was_connected |= change == Change::Connected;
        self.status.update(source, |state| match change {
            Change::Connected => {
                state.status = SourceStatus::Connected;
                state.reason = None;
                state.connected_since_ms = Some(now_ms);
                state.waiting_since_ms = None;
                state.paused_until_ms = None;
                state.reconnects += u64::from(is_reconnect);
            }
            Change::Waiting { reason, .. } => {
                state.status = SourceStatus::Waiting;
                state.reason = Some(reason);
                state.connected_since_ms = None;
                state.waiting_since_ms.get_or_insert(now_ms);
            }
            Change::Gap { .. } => state.gaps += 1,
            Change::Replayed { events } => state.replayed += events,
            Change::Sampling { share } => state.sampled = (share < 1.0).then_some(share),
            Change::Trouble { reason } => state.reason = reason,
            Change::Paused { until_ms } => state.paused_until_ms = Some(until_ms),
            Change::Spent { dollars } => state.spent_dollars = Some(dollars),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use birdsong_domain::status::SourceState;

    use super::*;

    /// An ingest, its inbox, the states, and its clock in milliseconds.
    fn test_ingest() -> (Ingest, mpsc::Receiver<Gathered>, Arc<StatusRegistry>, Arc<AtomicI64>) {
        let (now, status) = (Arc::new(AtomicI64::new(1000)), Arc::<StatusRegistry>::default());
        let shared = now.clone();
        let clock: Clock = Arc::new(move || shared.load(Ordering::Relaxed));
        let regions = Arc::new(Regions::everything("all"));
        let (ingest, inbox) = ingest("test", Network::X, &regions, &clock, &status, Originals::default());
        (ingest, inbox, status, now)
    }

    #[test]
    fn the_state_is_what_the_last_changes_said() {
        let (mut ingest, _inbox, status, now) = test_ingest();
        let waiting = || Change::Waiting { reason: "closed".into(), retry_in: Duration::from_secs(1) };
        let gap = || Change::Gap { from_ms: 0, to_ms: 1, reason: "no backfill".into() };
        let mut after = |changes: Vec<Change>| {
            now.fetch_add(1000, Ordering::Relaxed);
            changes.into_iter().for_each(|change| ingest.change(change));
            status.states()[0].clone()
        };
        let state = after(vec![waiting()]);
        assert_eq!((state.status, state.waiting_since_ms, state.reconnects), (SourceStatus::Waiting, Some(1000), 0));
        let state = after(vec![Change::Connected]);
        assert_eq!((state.status, state.reason, state.reconnects), (SourceStatus::Connected, None, 0));
        assert_eq!((state.connected_since_ms, state.waiting_since_ms), (Some(3000), None));
        let state = after(vec![waiting(), waiting()]);
        assert_eq!((state.reason.as_deref(), state.connected_since_ms), (Some("closed"), None));
        assert_eq!(state.waiting_since_ms, Some(4000));
        let of = |state: &SourceState| (state.reconnects, state.gaps, state.replayed, state.sampled);
        let replayed = |events| Change::Replayed { events };
        let state =
            after(vec![Change::Connected, gap(), gap(), replayed(3), replayed(4), Change::Sampling { share: 0.5 }]);
        assert_eq!(of(&state), (1, 2, 7, Some(0.5)));
        let state = after(vec![Change::Connected, Change::Sampling { share: 1.0 }]);
        assert_eq!(of(&state), (2, 2, 7, None));
    }

    #[tokio::test]
    async fn a_flush_hands_on_what_was_gathered_since_the_last_one() {
        let (mut ingest, mut inbox, status, now) = test_ingest();
        ingest.change(Change::Connected);
        ingest.notice();
        (0..2).for_each(|_| ingest.unreadable("broken".into(), b"{"));
        ingest.post(&SourcePost { time_ms: 900, ..SourcePost::default() });
        ingest.post(&SourcePost { time_ms: 700, ..SourcePost::default() });
        ingest.flush(Some(Resume { cursor: "here".into(), since_ms: 1 })).await;
        let gathered = inbox.recv().await.unwrap();
        assert_eq!(gathered.connection, Some(Connection::Since(1000)));
        let lines: Vec<_> = gathered.batch.quarantined().iter().map(|line| line.line).collect();
        let filtered: u64 = gathered.batch.unsent.iter().map(|unsent| unsent.filtered).sum();
        assert_eq!((lines, filtered, gathered.batch.posts.len()), (vec![1, 2], 1, 2));
        assert_eq!(gathered.resume.map(|resume| resume.cursor), Some("here".into()));
        assert_eq!(status.states()[0].last_post_ms, Some(900));
        // The source stopped: it is disconnected from now on.
        now.store(5000, Ordering::Relaxed);
        ingest.is_over().await;
        let gathered = inbox.recv().await.unwrap();
        assert_eq!((gathered.connection, gathered.batch.posts.len()), (Some(Connection::Lost), 0));
        assert_eq!(status.states()[0].waiting_since_ms, Some(5000));
    }
}

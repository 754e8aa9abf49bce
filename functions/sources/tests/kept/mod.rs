//! Keeps what a source hands on, in simulated time.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use birdsong_domain::post::{PostId, SourcePost};
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::source::Clock;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::{Instant, sleep};

pub(crate) const START_MS: i64 = 1_700_000_000_000;
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Keeps everything that a source hands on. One flush may be slow.
#[derive(Clone)]
pub(crate) struct Kept {
    began: Instant,
    slow_flush: Duration,
    all: Arc<Mutex<All>>,
}

#[derive(Default, Debug)]
pub(crate) struct All {
    pub(crate) posts: Vec<(PostId, i64)>,
    pub(crate) notices: u64,
    pub(crate) unreadable: Vec<String>,
    flushes: u64,
    /// With the second of the report.
    pub(crate) changes: Vec<(u64, Change)>,
    pub(crate) resume: Option<Resume>,
}

impl Kept {
    pub(crate) fn new(slow_flush: Duration) -> Self {
        Self { began: Instant::now(), slow_flush, all: Arc::default() }
    }

    pub(crate) fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap()
    }

    /// Of the posts, each once.
    pub(crate) fn ids(&self) -> Vec<PostId> {
        let mut ids: Vec<_> = self.all().posts.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Why it waited.
    pub(crate) fn waits(&self) -> Vec<String> {
        let reason = |(_, change): &(u64, Change)| match change {
            Change::Waiting { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.all().changes.iter().filter_map(reason).collect()
    }

    pub(crate) fn gaps(&self) -> Vec<Change> {
        let all = self.all();
        all.changes.iter().map(|(_, change)| change).filter(|c| matches!(c, Change::Gap { .. })).cloned().collect()
    }
}

impl Intake for Kept {
    fn post(&mut self, post: &SourcePost<'_>) {
        self.all().posts.push((post.id, post.time_ms));
    }

    fn notice(&mut self) {
        self.all().notices += 1;
    }

    fn unreadable(&mut self, reason: String, _bytes: &[u8]) {
        self.all().unreadable.push(reason);
    }

    fn flush(&mut self, resume: Option<Resume>) -> BoxFuture<'_, ()> {
        async move {
            let flushes = self.all().flushes;
            if flushes == 20 {
                sleep(self.slow_flush).await;
            }
            let mut all = self.all();
            all.flushes += 1;
            all.resume = resume.or(all.resume.take());
        }
        .boxed()
    }

    fn change(&mut self, change: Change) {
        let second = self.began.elapsed().as_secs();
        self.all().changes.push((second, change));
    }
}

/// Begins at [`START_MS`] and goes with tokio's time.
pub(crate) fn clock() -> Clock {
    let began = Instant::now();
    Arc::new(move || START_MS + began.elapsed().as_millis() as i64)
}

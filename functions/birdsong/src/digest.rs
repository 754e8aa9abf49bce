//! The digest on this machine: a thread that runs it every few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use birdsong_alerts::{Alerts, KnownEvents};
use birdsong_digest::Digest;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::SqliteStore;
use tokio::sync::watch;

use crate::now_ms;

/// Pause between runs: at least this, and nine times as long as the last run took.
const PAUSE: Duration = Duration::from_secs(4);
const PAUSE_TIMES: u32 = 9;
/// How long a run works before the overview is written again.
const WORK: Duration = Duration::from_secs(2);

/// What the digest has done since the start.
#[derive(Debug, Default)]
pub(crate) struct Digested {
    /// Runs that ended, and runs that failed.
    pub(crate) runs: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// Hours and days that were looked at, and roll-ups that were stored.
    pub(crate) redone: AtomicU64,
    pub(crate) rollups: AtomicU64,
    /// Puts that were repeated.
    pub(crate) conflicts: AtomicU64,
    /// How long the last run took, in milliseconds.
    pub(crate) duration_ms: AtomicU64,
    /// When a run ended last, in milliseconds since 1970; 0 before the first one.
    pub(crate) ended_ms: AtomicI64,
}

/// Runs the digest of the regions of these alerts, and the alerts, until `stop` is true. Failures are logged when they are news, and the next run
/// continues.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn start(
    store: Arc<SqliteStore>,
    rules: FoldRules,
    alerts: Alerts,
    stop: watch::Receiver<bool>,
) -> Result<Arc<Digested>> {
    let digested = Arc::new(Digested::default());
    let counts = digested.clone();
    std::thread::Builder::new().name("digest".into()).spawn(move || {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(work(store, rules, &alerts, stop, &counts));
                // A call that waits for a locked file does not delay the end.
                runtime.shutdown_background();
            }
            Err(error) => tracing::error!("there will be no roll-ups: {error}"),
        }
    })?;
    Ok(digested)
}

async fn work(
    store: Arc<SqliteStore>,
    rules: FoldRules,
    alerts: &Alerts,
    mut stop: watch::Receiver<bool>,
    counts: &Digested,
) {
    let regions: Vec<_> = alerts.regions().iter().map(|region| &*region.id).collect();
    let mut digest = Digest::new(store.clone(), rules);
    let mut events = KnownEvents::default();
    let mut is_news = true;
    let mut alerting = None;
    let mut problem = None;
    loop {
        let started = Instant::now();
        let is_over = || started.elapsed() > WORK || *stop.borrow();
        let outcome = digest.run(&regions, now_ms(), is_over).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        counts.duration_ms.store(duration_ms, Ordering::Relaxed);
        let mut pause = PAUSE.max(started.elapsed() * PAUSE_TIMES);
        let now = match outcome {
            Ok(outcome) => {
                is_news |= outcome.watched > 0;
                counts.runs.fetch_add(1, Ordering::Relaxed);
                counts.redone.fetch_add(outcome.redone, Ordering::Relaxed);
                counts.rollups.fetch_add(outcome.stored, Ordering::Relaxed);
                counts.conflicts.fetch_add(outcome.conflicts, Ordering::Relaxed);
                counts.ended_ms.store(now_ms(), Ordering::Relaxed);
                if outcome.has_more {
                    pause = Duration::from_millis(100);
                }
                None
            }
            Err(error) => {
                counts.failures.fetch_add(1, Ordering::Relaxed);
                Some(error.to_string())
            }
        };
        if now != problem {
            match &now {
                Some(problem) => tracing::warn!("the hours cannot be rolled up: {problem}; trying again"),
                None => tracing::info!("the hours are rolled up again"),
            }
            problem = now;
        }
        // Also after a run that failed: deliveries may wait.
        if !*stop.borrow() {
            let sent = alerts.run_latest(&*store, &mut events, is_news, now_ms()).await;
            is_news &= sent.is_err();
            let now = sent.err().map(|error| error.to_string());
            if now != alerting
                && let Some(problem) = &now
            {
                tracing::warn!("alerts cannot be sent: {problem}; trying again");
            }
            alerting = now;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => (),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

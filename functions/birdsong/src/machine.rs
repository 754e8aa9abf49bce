//! The two ports on this machine, on disk or in memory, and the aggregation that follows the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use birdsong_aggregator::dead_letter::{DeadLetter, DeadLetters};
use birdsong_aggregator::{Aggregator, FoldError};
use birdsong_domain::ports::{PortError, PostLog, ReadFrom, SequenceNumber, WindowStore};
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{MemoryLog, MemoryWindows, SHARD, SqliteLog, SqliteStore};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::now_ms;

/// Log records folded at a time.
const BATCH: usize = 64;
/// Partials kept warm.
const WARM_PARTIALS: usize = 512;
/// Longest time until a record that another process appended is seen.
const POLL: Duration = Duration::from_millis(250);
/// First and longest pause before a failed step is retried.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long the log is kept.
const RETENTION_MS: i64 = 7 * 86_400_000;
/// How often it is looked for what is older; by a timer, as the clock may be set.
const RETAIN_EVERY: Duration = Duration::from_secs(3600);

/// A log and a store that belong together, and how far the one is folded into the other.
pub(crate) trait Machine: Send + Sync + 'static {
    type Log: PostLog + 'static;
    type Store: WindowStore + 'static;
    fn log(&self) -> &Arc<Self::Log>;
    fn store(&self) -> &Arc<Self::Store>;
    fn appended(&self) -> &Notify;
    fn checkpoint(&self) -> impl Future<Output = Result<Option<SequenceNumber>, PortError>> + Send;
    fn set_checkpoint(&self, sequence: &SequenceNumber) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Removes records that are older than this, in milliseconds.
    fn retain(&self, for_ms: i64) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// On SQLite.
pub(crate) struct Disk {
    pub(crate) log: Arc<SqliteLog>,
    pub(crate) store: Arc<SqliteStore>,
}

impl Machine for Disk {
    type Log = SqliteLog;
    type Store = SqliteStore;

    fn log(&self) -> &Arc<SqliteLog> {
        &self.log
    }

    fn store(&self) -> &Arc<SqliteStore> {
        &self.store
    }

    fn appended(&self) -> &Notify {
        self.log.appended()
    }

    async fn checkpoint(&self) -> Result<Option<SequenceNumber>, PortError> {
        self.store.checkpoint(SHARD).await
    }

    async fn set_checkpoint(&self, sequence: &SequenceNumber) -> Result<(), PortError> {
        self.store.set_checkpoint(SHARD, sequence).await
    }

    async fn retain(&self, for_ms: i64) -> Result<(), PortError> {
        self.log.retain(for_ms).await.map(|_| ())
    }
}

/// In memory, for one replay: what is folded is forgotten at once.
pub(crate) struct Memory {
    log: Arc<MemoryLog>,
    store: Arc<MemoryWindows>,
    checkpoint: Mutex<Option<SequenceNumber>>,
}

impl Memory {
    pub(crate) fn new(max_log_bytes: usize) -> Self {
        let log = Arc::new(MemoryLog::new(max_log_bytes));
        Self { log, store: Arc::new(MemoryWindows::default()), checkpoint: Mutex::default() }
    }
}

impl Machine for Memory {
    type Log = MemoryLog;
    type Store = MemoryWindows;

    fn log(&self) -> &Arc<MemoryLog> {
        &self.log
    }

    fn store(&self) -> &Arc<MemoryWindows> {
        &self.store
    }

    fn appended(&self) -> &Notify {
        self.log.appended()
    }

    async fn checkpoint(&self) -> Result<Option<SequenceNumber>, PortError> {
        Ok(self.checkpoint.lock().clone())
    }

    async fn set_checkpoint(&self, sequence: &SequenceNumber) -> Result<(), PortError> {
        self.log.trim(sequence);
        *self.checkpoint.lock() = Some(sequence.clone());
        Ok(())
    }

    async fn retain(&self, _for_ms: i64) -> Result<(), PortError> {
        Ok(())
    }
}

/// The progress of the aggregation, readable while it continues.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// Posts on time, and late ones.
    pub(crate) aggregated: AtomicU64,
    pub(crate) late: AtomicU64,
    /// Log records.
    pub(crate) records: AtomicU64,
    /// Puts that were repeated, and partials that were stored.
    pub(crate) conflicts: AtomicU64,
    pub(crate) stored: AtomicU64,
    /// Dead letters that were kept.
    pub(crate) dead: AtomicU64,
    /// Age of the oldest record of the last batch when its windows were stored, in milliseconds; 0 before the first one.
    pub(crate) lag_ms: AtomicI64,
    /// Set to make [`follow`] end when it has folded all there is, or at the latest at this time.
    end: watch::Sender<Option<Option<Instant>>>,
    /// What blocks it, for as long as it does.
    problem: Mutex<Option<String>>,
}

impl Folded {
    /// Lets [`follow`] end when it has folded all there is; at this time it ends anyway.
    pub(crate) fn drain(&self, by: Option<Instant>) {
        self.end.send_replace(Some(by));
    }

    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// Notes what went wrong, and logs it when it is news.
    fn note(&self, problem: Option<String>) {
        let mut noted = self.problem.lock();
        if *noted != problem {
            match &problem {
                Some(problem) => tracing::error!("{problem}; trying again"),
                None => tracing::info!("the windows are stored again"),
            }
            *noted = problem;
        }
    }

    /// When the time to end has come.
    async fn is_over(&self) {
        let mut end = self.end.subscribe();
        // The sender lives as long as we do.
        let by = end.wait_for(Option::is_some).await.ok().and_then(|end| end.flatten());
        match by {
            Some(by) => tokio::time::sleep_until(by.into()).await,
            None => std::future::pending().await,
        }
    }
}

/// How [`follow`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Every record of the log is in the windows.
    Whole,
    /// Time was up. The next start continues where this one ended.
    Behind,
}

/// Folds the log into the store from the checkpoint on, until it is asked to drain.
///
/// Every failure is retried without limit: an operator can repair a full disk, and until then the rest
/// of the program continues.
///
/// # Errors
/// When the log or the store refuses from the first call on: then no retry helps.
pub(crate) async fn follow<M: Machine, D: DeadLetters>(
    machine: &M,
    rules: FoldRules,
    folded: &Folded,
    letters: &D,
) -> Result<Followed> {
    tokio::select! {
        followed = follow_to_the_end(machine, rules, folded, letters) => followed,
        // Like a crash at this point: what is stored has its fence.
        () = folded.is_over() => Ok(Followed::Behind),
    }
}

async fn follow_to_the_end<M: Machine, D: DeadLetters>(
    machine: &M,
    rules: FoldRules,
    folded: &Folded,
    letters: &D,
) -> Result<Followed> {
    let mut follower = Follower {
        machine,
        letters,
        aggregator: Aggregator::new(machine.store().clone(), rules, WARM_PARTIALS),
        from: None,
        pending: BTreeMap::new(),
    };
    let (mut wait, mut has_begun) = (RETRY.0, false);
    let mut retained: Option<Instant> = None;
    loop {
        // Read before the log is: what is appended before the end is announced, is folded.
        let is_draining = folded.end.borrow().is_some();
        let has_more = match follower.step(folded).await {
            Ok(has_more) => {
                (wait, has_begun) = (RETRY.0, true);
                folded.note(None);
                has_more
            }
            Err(error) => {
                let is_final = !error.is_retryable() && !has_begun;
                if is_final {
                    return Err(error.into());
                }
                folded.note(Some(error.to_string()));
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY.1);
                continue;
            }
        };
        if has_more {
            continue;
        }
        if is_draining {
            return Ok(Followed::Whole);
        }
        if retained.is_none_or(|at| at.elapsed() >= RETAIN_EVERY) {
            if let Err(error) = machine.retain(RETENTION_MS).await {
                tracing::warn!("old records cannot be removed from the log: {error}");
            }
            retained = Some(Instant::now());
        }
        let _ = tokio::time::timeout(POLL, machine.appended().notified()).await;
    }
}

/// Why a step could not be done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the log cannot be read: {0}")]
    Log(PortError),
    #[error("windows cannot be stored: {0}")]
    Fold(#[from] FoldError),
    #[error("the checkpoint cannot be read or stored: {0}")]
    Checkpoint(PortError),
    #[error("a dead letter cannot be kept: {0}")]
    DeadLetter(PortError),
}

impl StepError {
    fn is_retryable(&self) -> bool {
        match self {
            Self::Fold(FoldError::Contended { .. }) => true,
            Self::Fold(FoldError::Store(error))
            | Self::Log(error)
            | Self::Checkpoint(error)
            | Self::DeadLetter(error) => error.is_retryable(),
        }
    }
}

struct Follower<'m, M: Machine, D> {
    machine: &'m M,
    letters: &'m D,
    aggregator: Aggregator<M::Store>,
    /// `None` before the checkpoint is read.
    from: Option<ReadFrom>,
    /// Dead letters that are not kept yet.
    pending: BTreeMap<String, DeadLetter>,
}

impl<M: Machine, D: DeadLetters> Follower<'_, M, D> {
    /// Folds the next records; `false` when there are none.
    async fn step(&mut self, folded: &Folded) -> Result<bool, StepError> {
        let from = match &self.from {
            Some(from) => from,
            None => {
                let checkpoint = match self.machine.checkpoint().await {
                    // Every record is folded again, and the fences skip what the windows have.
                    Err(PortError::Corrupt { what, reason }) => {
                        tracing::error!("{what} is damaged ({reason}): reading the log from its beginning");
                        None
                    }
                    checkpoint => checkpoint.map_err(StepError::Checkpoint)?,
                };
                self.from.insert(checkpoint.map_or(ReadFrom::Oldest, ReadFrom::After))
            }
        };
        let records = self.machine.log().read(SHARD, from, BATCH).await.map_err(StepError::Log)?;
        let Some(last) = records.last().map(|record| record.sequence.clone()) else { return Ok(false) };
        let outcome = self.aggregator.fold_batch(SHARD, &records).await?;
        folded.aggregated.fetch_add(outcome.aggregated, Ordering::Relaxed);
        folded.late.fetch_add(outcome.late, Ordering::Relaxed);
        folded.records.fetch_add(records.len() as u64, Ordering::Relaxed);
        folded.conflicts.fetch_add(outcome.conflicts, Ordering::Relaxed);
        folded.stored.fetch_add(outcome.stored, Ordering::Relaxed);
        let oldest_ms = records.iter().map(|record| record.arrived_ms).min().unwrap_or_else(now_ms);
        folded.lag_ms.store(now_ms() - oldest_ms, Ordering::Relaxed);
        for letter in outcome.dead {
            let (reason, lane, window) = (&letter.reason, &letter.lane, &letter.window);
            let file = letter.key();
            match window {
                Some(window) => tracing::error!(lane, window, file, "a stored window is damaged: {reason}"),
                None => tracing::error!(lane, file, "log record {} is damaged: {reason}", letter.sequence_number),
            }
            self.pending.insert(letter.key(), letter);
        }
        while let Some(letter) = self.pending.first_entry() {
            self.letters.keep(letter.get()).await.map_err(StepError::DeadLetter)?;
            letter.remove();
            folded.dead.fetch_add(1, Ordering::Relaxed);
        }
        self.machine.set_checkpoint(&last).await.map_err(StepError::Checkpoint)?;
        self.from = Some(ReadFrom::After(last));
        Ok(true)
    }
}

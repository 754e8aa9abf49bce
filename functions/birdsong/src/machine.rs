//! The two ports on this machine, on disk or in memory, and the aggregation that follows the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use birdsong_aggregator::Aggregator;
use birdsong_domain::ports::{PortError, PostLog, ReadFrom, SequenceNumber, WindowStore};
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{MemoryLog, MemoryWindows, SHARD, SqliteLog, SqliteStore};
use tokio::sync::Notify;

/// Log records folded at a time.
const BATCH: usize = 64;
/// Partials kept warm.
const WARM_PARTIALS: usize = 512;
/// Longest time until a record that another process appended is seen.
const POLL: Duration = Duration::from_millis(250);
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
    checkpoint: std::sync::Mutex<Option<SequenceNumber>>,
}

impl Memory {
    pub(crate) fn new(max_log_bytes: usize) -> Self {
        let log = Arc::new(MemoryLog::new(max_log_bytes));
        Self { log, store: Arc::new(MemoryWindows::default()), checkpoint: std::sync::Mutex::default() }
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
        Ok(self.checkpoint.lock().ok().and_then(|at| at.clone()))
    }

    async fn set_checkpoint(&self, sequence: &SequenceNumber) -> Result<(), PortError> {
        self.log.trim(sequence);
        if let Ok(mut at) = self.checkpoint.lock() {
            *at = Some(sequence.clone());
        }
        Ok(())
    }

    async fn retain(&self, _for_ms: i64) -> Result<(), PortError> {
        Ok(())
    }
}

/// What the aggregation has done, readable while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) aggregated: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    /// Set to make [`follow`] end when it has folded all there is.
    pub(crate) drain: AtomicBool,
}

/// Folds the log into the store from the checkpoint on, until told to drain.
pub(crate) async fn follow<M: Machine>(machine: &M, rules: FoldRules, folded: &Folded) -> Result<()> {
    let mut aggregator = Aggregator::new(machine.store().clone(), rules, WARM_PARTIALS);
    let mut from = machine.checkpoint().await?.map_or(ReadFrom::Oldest, ReadFrom::After);
    let mut retained: Option<std::time::Instant> = None;
    loop {
        // Read before the log is: what is appended before draining is told, is folded.
        let is_draining = folded.drain.load(Ordering::Acquire);
        let records = match machine.log().read(SHARD, &from, BATCH).await {
            Err(error @ PortError::Unavailable { .. }) if !is_draining => {
                tracing::warn!("the log cannot be read just now: {error}");
                tokio::time::sleep(POLL).await;
                continue;
            }
            other => other?,
        };
        let Some(last) = records.last() else {
            if is_draining {
                return Ok(());
            }
            if retained.is_none_or(|at| at.elapsed() >= RETAIN_EVERY) {
                machine.retain(RETENTION_MS).await?;
                retained = Some(std::time::Instant::now());
            }
            let _ = tokio::time::timeout(POLL, machine.appended().notified()).await;
            continue;
        };
        let last = last.sequence.clone();
        let outcome = aggregator.fold_batch(&records).await.with_context(|| {
            format!("the windows of log record {last} could not be stored; nothing is lost, it will be tried again at the next start")
        })?;
        for (sequence, error) in &outcome.quarantined {
            tracing::error!("log record {sequence} is left out: {error}");
        }
        machine.set_checkpoint(&last).await?;
        from = ReadFrom::After(last);
        folded.aggregated.fetch_add(outcome.aggregated, Ordering::Relaxed);
        folded.late.fetch_add(outcome.late, Ordering::Relaxed);
        folded.unreadable.fetch_add(outcome.quarantined.len() as u64, Ordering::Relaxed);
    }
}

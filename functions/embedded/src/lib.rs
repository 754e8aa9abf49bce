//! The post log and the window store on SQLite and in memory, for one machine.
//!
//! A data directory contains two files: `log.sqlite`, synchronized to the disk at each append since
//! what it acknowledges must never be lost (rule 2.1 of `docs/INVARIANTS.md`), and `store.sqlite`,
//! which may lose its last moments in a power cut since they can be folded again.
//!
//! ```
//! use birdsong_domain::frame::Lane;
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::{FrameRecord, PostLog, ReadFrom};
//! use birdsong_embedded::{SHARD, SqliteLog};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let log = SqliteLog::open(dir.path())?;
//! let frame = FrameRecord { lane: Lane::posts("fog", Network::X, 0), bytes: b"a frame".to_vec() };
//! let outcomes = log.append(&[frame]).await;
//! assert!(outcomes.iter().all(Result::is_ok));
//!
//! let records = log.read(SHARD, &ReadFrom::Oldest, 100).await?;
//! assert_eq!(records[0].bytes, b"a frame");
//! let next = ReadFrom::After(records[0].sequence.clone());
//! assert!(log.read(SHARD, &next, 100).await?.is_empty());
//! # Ok(())
//! # }
//! ```

mod backup;
mod db;
mod documents;
mod log;
mod memory;
mod retention;
mod rollups;
mod store;

pub use backup::back_up;
pub use log::SqliteLog;
pub use memory::{MemoryLog, MemoryWindows};
pub use rollups::RollupDump;
pub use store::{Dump, SqliteStore};

use birdsong_domain::ports::PortError;

/// Name of the only shard of the logs of this crate.
pub const SHARD: &str = "0";

fn system_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn check_shard(what: &'static str, shard: &str) -> Result<(), PortError> {
    if shard == SHARD {
        return Ok(());
    }
    Err(PortError::Refused { what, reason: format!("there is no shard {shard:?}, only {SHARD:?}") })
}

/// The answer to a reader that is ahead of the log. Giving it nothing would let it wait in silence
/// while new records pass below its position.
fn never_assigned(what: &'static str, after: &birdsong_domain::ports::SequenceNumber) -> PortError {
    let reason = format!(
        "it never assigned number {after}: the log was replaced or is not the one of the checkpoint. \
         Restore the old log, or move the window store away, too, and start afresh"
    );
    PortError::Refused { what, reason }
}

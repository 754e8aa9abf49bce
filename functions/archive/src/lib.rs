//! The log archive: days of the post log, kept longer than the log keeps them.
//!
//! ```text
//! region=montreal/day=2026-05-23/0.0001.ndjson.zst    records of one region that arrived on one day, in one shard
//! manifests/2026-05-23.json                           what the day has; written last, so that a day is whole or not there
//! ```
//!
//! A day is a UTC day of **arrival** in the log, so that it is complete once it is over. Each shard of the log is cut
//! between two days at the first record that arrived on a later one; the next day begins behind the last record of the day
//! before it. So each record is in one day, whatever the clocks show, and a day that is written again has the same bytes.
//!
//! A file is zstd frames of JSON lines: one line for each record with its header, and its post lines behind it, byte for byte as they
//! are in the log. [`ArchivedLog`] reads the archive and the log behind it as one
//! [`PostLog`](birdsong_domain::ports::PostLog), with the same sequence numbers. So a window that is folded from it has the
//! bytes that it has when it is folded from the log.
//!
//! ```
//! use birdsong_archive::{ArchivedLog, MemoryFiles, Day, write};
//! use birdsong_domain::frame::{self, FrameHeader, Lane};
//! use birdsong_domain::network::Network;
//! use birdsong_domain::ports::{FrameRecord, PostLog};
//! use birdsong_domain::time::WindowStart;
//! use birdsong_embedded::MemoryLog;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let log = MemoryLog::new(1 << 20);
//! let lane = Lane::posts("fog", Network::X, 0);
//! let header = FrameHeader { lane: lane.clone(), run: "run".into(), counter: 1, ..FrameHeader::default() };
//! for outcome in log.append(&[FrameRecord { lane, bytes: frame::encode(&header, b"")? }]).await {
//!     outcome?;
//! }
//! let files = MemoryFiles::default();
//! // Two days later, the day is over.
//! let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as i64 + 2 * 86_400_000;
//! let written = write(&log, &files, "1", Day::MIN..Day::MAX, now_ms, |_| ()).await?;
//! assert_eq!(written[0].records(), 1);
//! let archived = ArchivedLog::open(&log, &files, "1", WindowStart(i64::MIN)..WindowStart(i64::MAX)).await?;
//! assert_eq!(archived.shards().await?.len(), 2, "the archive's, and the rest of the log's");
//! # Ok(())
//! # }
//! ```

mod day;
mod files;
mod manifest;
mod read;
mod records;
mod verify;
mod write;

pub use day::Day;
pub use files::{Files, MemoryFiles, list_all, prune};
pub use manifest::{FORMAT, FileEntry, MANIFESTS, Manifest, ShardEnd, manifests};
pub use read::ArchivedLog;
pub use verify::{Verified, verify};
pub use write::{GRACE_MS, write};

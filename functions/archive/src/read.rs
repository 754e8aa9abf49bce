//! The archive and the log behind it, read as one log.

use std::collections::BTreeMap;
use std::io::{BufReader, Cursor};
use std::ops::Range;

use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::time::{WindowStart, rfc3339};
use tokio::sync::Mutex;
use zstd::stream::read::Decoder;

use crate::Day;
use crate::files::Files;
use crate::manifest::{FileEntry, check_log, damaged, days, manifest, read_file};
use crate::records::Records;

/// A read ends early when its records have this many bytes, to bound memory.
const READ_BYTES: usize = 16 << 20;

/// A [`PostLog`] whose first shards are those of the archive, one for each region and shard of the log, followed by the
/// shards of the log, as far as they are not in the archive. So the records of a lane come in their order, and each once.
///
/// It has the records of some windows alone: files without any are not read. It cannot be appended to.
#[derive(Debug)]
pub struct ArchivedLog<'a, L, F> {
    log: &'a L,
    files: &'a F,
    shards: Vec<ArchivedShard>,
    /// The last archived record of each shard of the log, if it has any; of all shards of the newest day.
    ends: BTreeMap<String, Option<SequenceNumber>>,
    /// End of the newest day.
    until_ms: i64,
    since_ms: i64,
    open: Mutex<Option<Open>>,
}

/// The files of one region and shard, in order.
#[derive(Debug)]
struct ArchivedShard {
    name: String,
    files: Vec<(Day, FileEntry)>,
}

/// The records of a file, which is in memory and decompressed bit by bit.
type OpenRecords = Records<BufReader<Decoder<'static, BufReader<Cursor<Vec<u8>>>>>>;

/// A file that is being read.
struct Open {
    shard: usize,
    file: usize,
    /// The last record that was read of this shard.
    last: Option<SequenceNumber>,
    records: OpenRecords,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "file {} of shard {} behind {:?}", self.file, self.shard, self.last)
    }
}

impl<'a, L: PostLog, F: Files> ArchivedLog<'a, L, F> {
    /// The archive in `files` and the log that it is of, for windows that start in `windows`. Of the archive, the
    /// days are used that follow each other up to the newest one.
    ///
    /// # Errors
    /// When the archive is empty, damaged or of another log; when the log lacks records between the archive's last day
    /// and its own first record; when log or archive cannot be read.
    pub async fn open(log: &'a L, files: &'a F, log_id: &str, windows: Range<WindowStart>) -> Result<Self, PortError> {
        let refused = |reason: String| PortError::Refused { what: "the archive", reason };
        let days = days(files).await?;
        let Some(newest) = days.last().copied() else {
            return Err(refused("no day is in it; `birdsong archive write` writes days that are over".into()));
        };
        let (mut day, mut manifests) = (newest, vec![]);
        while days.contains(&day)
            && let Some(manifest) = manifest(files, day).await?
        {
            check_log(&manifest, log_id)?;
            manifests.push(manifest);
            if day == Day::MIN {
                break;
            }
            day = day.previous();
        }
        let until_ms = newest.end_ms();
        for shard in log.shards().await? {
            let since_ms = log.complete_since(&shard).await?;
            if since_ms > until_ms {
                return Err(refused(format!(
                    "it ends with {newest}, and the log begins at {}: the records between are lost",
                    rfc3339(since_ms)
                )));
            }
        }
        let since_ms = manifests.last().and_then(|first| first.since_ms).unwrap_or(i64::MIN);
        let ends = manifests.first().map(|newest| {
            newest.shards.iter().map(|end| (end.name.clone(), end.last.as_ref().map(|last| last.0.clone()))).collect()
        });
        let mut shards: Vec<ArchivedShard> = vec![];
        for manifest in manifests.into_iter().rev() {
            for file in manifest.files.into_iter().filter(|file| file.touches(&windows)) {
                let name = format!("archive of shard {}, region {}", file.shard, file.region);
                let at = shards.iter().position(|shard| shard.name == name).unwrap_or_else(|| {
                    shards.push(ArchivedShard { name, files: vec![] });
                    shards.len() - 1
                });
                shards[at].files.push((manifest.day, file));
            }
        }
        Ok(Self { log, files, shards, ends: ends.unwrap_or_default(), until_ms, since_ms, open: Mutex::default() })
    }

    /// Reads on in a file of the archive. `None` behind the last one.
    async fn record(&self, open: &mut Open) -> Result<Option<LogRecord>, PortError> {
        loop {
            let (day, entry) = &self.shards[open.shard].files[open.file];
            let record = open.records.next().map_err(|reason| damaged(&entry.name(*day), reason))?;
            if let Some(record) = record {
                open.last = Some(record.sequence.clone());
                return Ok(Some(record));
            }
            if open.file + 1 == self.shards[open.shard].files.len() {
                return Ok(None);
            }
            open.file += 1;
            open.records = self.open_file(open.shard, open.file).await?;
        }
    }

    async fn open_file(&self, shard: usize, file: usize) -> Result<OpenRecords, PortError> {
        let (day, entry) = &self.shards[shard].files[file];
        let bytes = read_file(self.files, *day, entry).await?;
        let decoder =
            Decoder::new(Cursor::new(bytes)).map_err(|error| damaged(&entry.name(*day), error.to_string()))?;
        Ok(Records::new(BufReader::new(decoder)))
    }

    async fn read_archived(&self, shard: usize, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        let mut kept = self.open.lock().await;
        let is_next = |open: &Open| {
            open.shard == shard && matches!((from, &open.last), (ReadFrom::After(after), Some(last)) if after == last)
        };
        let mut open = match kept.take() {
            Some(open) if is_next(&open) => open,
            _ => {
                let is_passed = |(day, file): &(Day, FileEntry)| match from {
                    ReadFrom::Oldest => false,
                    ReadFrom::Time(time_ms) => day.end_ms() <= *time_ms,
                    ReadFrom::After(after) => file.last.0 <= *after,
                };
                let file = self.shards[shard].files.partition_point(is_passed);
                if file == self.shards[shard].files.len() {
                    return Ok(vec![]);
                }
                Open { shard, file, last: None, records: self.open_file(shard, file).await? }
            }
        };
        let (mut records, mut size) = (vec![], 0);
        while records.len() < limit && size < READ_BYTES {
            let Some(record) = self.record(&mut open).await? else { break };
            let is_before = records.is_empty()
                && match from {
                    ReadFrom::Oldest => false,
                    ReadFrom::Time(time_ms) => record.arrived_ms < *time_ms,
                    ReadFrom::After(after) => record.sequence <= *after,
                };
            if !is_before {
                size += record.bytes.len();
                records.push(record);
            }
        }
        *kept = Some(open);
        Ok(records)
    }

    fn archived(&self, shard: &str) -> Option<usize> {
        self.shards.iter().position(|archived| archived.name == shard)
    }
}

impl<L: PostLog, F: Files> PostLog for ArchivedLog<'_, L, F> {
    /// # Errors
    /// Always: an archive is written from the log.
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let refused =
            |_| Err(PortError::Refused { what: "the archive", reason: "posts are appended to the log".into() });
        frames.iter().map(refused).collect()
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        let mut shards: Vec<_> = self.shards.iter().map(|shard| shard.name.clone()).collect();
        shards.extend(self.log.shards().await?);
        Ok(shards)
    }

    async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
        Ok(self.since_ms)
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        if let Some(shard) = self.archived(shard) {
            return self.read_archived(shard, from, limit).await;
        }
        let behind = self.ends.get(shard).and_then(Option::as_ref);
        let is_archived = match from {
            ReadFrom::Oldest => true,
            ReadFrom::Time(time_ms) => *time_ms < self.until_ms,
            ReadFrom::After(after) => behind.is_some_and(|last| after < last),
        };
        match behind.filter(|_| is_archived) {
            Some(last) => self.log.read(shard, &ReadFrom::After(last.clone()), limit).await,
            None => self.log.read(shard, from, limit).await,
        }
    }
}

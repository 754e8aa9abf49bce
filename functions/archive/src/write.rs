//! Writes days that are over.

use std::collections::BTreeMap;
use std::ops::Range;

use birdsong_domain::frame::Frame;
use birdsong_domain::ports::{LogRecord, PortError, PostLog, ReadFrom};
use zstd::bulk::Compressor;

use crate::Day;
use crate::files::Files;
use crate::manifest::{FORMAT, FileEntry, Manifest, Sequence, ShardEnd, check_log, days, manifest, manifest_name};
use crate::records::put_record;

/// A day is over when this many milliseconds of the next one have gone: the clock of the log may be behind.
pub const GRACE_MS: i64 = 600_000;
/// Records read at a time.
const PAGE: usize = 256;
/// Where files are cut.
const SIZES: Sizes = Sizes { chunk_bytes: 1 << 20, part_bytes: 64 << 20 };
/// Level of compression.
const LEVEL: i32 = 9;

/// Where files are cut, in bytes of lines. What they are must not change: a day that is written again has the same bytes.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Lines that are compressed together: each is a zstd frame, so that a writer needs little memory.
    chunk_bytes: usize,
    /// Lines of a file; a region and day with more has several files.
    part_bytes: usize,
}

/// Writes those of the days that are over at `now_ms` and not in the archive yet, oldest first. A day whose first
/// records the log no longer has is left out. Returns the manifests of the days that were written, each of which
/// `on_day` has seen before.
///
/// # Errors
/// When the log or the archive fails, or the archive is of another log. The day that was being written is then not in
/// the archive; calling it again continues with that day.
pub async fn write<L: PostLog, F: Files>(
    log: &L,
    files: &F,
    log_id: &str,
    asked: Range<Day>,
    now_ms: i64,
    on_day: impl FnMut(&Manifest),
) -> Result<Vec<Manifest>, PortError> {
    write_sized(log, files, log_id, asked, now_ms, on_day, SIZES).await
}

async fn write_sized<L: PostLog, F: Files>(
    log: &L,
    files: &F,
    log_id: &str,
    asked: Range<Day>,
    now_ms: i64,
    mut on_day: impl FnMut(&Manifest),
    sizes: Sizes,
) -> Result<Vec<Manifest>, PortError> {
    let shards = log.shards().await?;
    let mut since_ms = i64::MIN;
    for shard in &shards {
        since_ms = since_ms.max(log.complete_since(shard).await?);
    }
    let present = days(files).await?;
    // Whatever is there must be of this log, before anything is added.
    if let Some(day) = present.last() {
        let newest = manifest(files, *day).await?;
        newest.map_or(Ok(()), |manifest| check_log(&manifest, log_id))?;
    }
    let mut since = (since_ms > i64::MIN).then_some(since_ms);
    let first = match since {
        Some(since_ms) if Day::of(since_ms).start_ms() < since_ms => Day::of(since_ms).next(),
        Some(since_ms) => Day::of(since_ms),
        None => match oldest(log, &shards).await? {
            Some(arrived_ms) => Day::of(arrived_ms),
            None => return Ok(vec![]),
        },
    };
    let end = Day::of(now_ms.saturating_sub(GRACE_MS)).min(asked.end);
    let mut day = first.max(asked.start);
    // Earlier records are left out.
    if day > first {
        since = Some(day.start_ms());
    }
    let mut written = vec![];
    while day < end {
        if !present.contains(&day) {
            let before = manifest(files, day.previous()).await?;
            let manifest = Manifest {
                format: FORMAT,
                log: log_id.to_owned(),
                day,
                since_ms: since,
                shards: vec![],
                files: vec![],
            };
            let manifest = write_day(log, files, &shards, before.as_ref(), manifest, sizes).await?;
            on_day(&manifest);
            written.push(manifest);
        }
        since = Some(day.end_ms());
        day = day.next();
    }
    Ok(written)
}

/// When the oldest record of the log arrived.
async fn oldest<L: PostLog>(log: &L, shards: &[String]) -> Result<Option<i64>, PortError> {
    let mut oldest_ms: Option<i64> = None;
    for shard in shards {
        let first = log.read(shard, &ReadFrom::Oldest, 1).await?;
        let arrived_ms = first.first().map(|record| record.arrived_ms);
        oldest_ms = [oldest_ms, arrived_ms].into_iter().flatten().min();
    }
    Ok(oldest_ms)
}

async fn write_day<L: PostLog, F: Files>(
    log: &L,
    files: &F,
    shards: &[String],
    before: Option<&Manifest>,
    mut manifest: Manifest,
    sizes: Sizes,
) -> Result<Manifest, PortError> {
    let day = manifest.day;
    for shard in shards {
        let behind = before.and_then(|before| before.last_of(shard)).cloned();
        let mut next = match (&behind, manifest.since_ms) {
            (Some(last), _) => ReadFrom::After(last.clone()),
            (None, Some(_)) => ReadFrom::Time(day.start_ms()),
            (None, None) => ReadFrom::Oldest,
        };
        let mut last = behind;
        let mut parts = Parts { files, day, shard, sizes, open: BTreeMap::new(), closed: vec![] };
        'shard: loop {
            let records = log.read(shard, &next, PAGE).await?;
            let Some(newest) = records.last() else { break };
            next = ReadFrom::After(newest.sequence.clone());
            for record in &records {
                if record.arrived_ms >= day.end_ms() {
                    break 'shard;
                }
                parts.add(record).await?;
                last = Some(record.sequence.clone());
            }
        }
        manifest.files.append(&mut parts.finish().await?);
        manifest.shards.push(ShardEnd { name: shard.clone(), last: last.map(Sequence) });
    }
    files.put(&manifest_name(day), manifest.encode()?).await?;
    Ok(manifest)
}

/// The files of a shard and day that are being written, by region.
struct Parts<'a, F> {
    files: &'a F,
    day: Day,
    shard: &'a str,
    sizes: Sizes,
    open: BTreeMap<String, Part>,
    closed: Vec<FileEntry>,
}

/// A file that is being written.
struct Part {
    entry: FileEntry,
    /// Lines that are not compressed yet.
    lines: Vec<u8>,
    /// Bytes of all lines.
    line_bytes: usize,
    /// Zstd frames.
    packed: Vec<u8>,
}

impl<F: Files> Parts<'_, F> {
    async fn add(&mut self, record: &LogRecord) -> Result<(), PortError> {
        let frame = Frame::of(record);
        let region = frame.header.lane.region().to_owned();
        let part = match self.open.remove(&region) {
            Some(mut part) if part.line_bytes >= self.sizes.part_bytes => {
                let number = part.entry.part + 1;
                part.pack()?;
                self.close(part).await?;
                Part::begin(self.shard, number, record, &frame)
            }
            Some(mut part) => {
                part.entry.add(record, &frame);
                part
            }
            None => Part::begin(self.shard, 1, record, &frame),
        };
        let part = self.open.entry(region).or_insert(part);
        let before = part.lines.len();
        put_record(&mut part.lines, record, &frame);
        part.line_bytes += part.lines.len() - before;
        if part.lines.len() >= self.sizes.chunk_bytes {
            part.pack()?;
        }
        Ok(())
    }

    async fn close(&mut self, part: Part) -> Result<(), PortError> {
        let Part { mut entry, packed, .. } = part;
        entry.finish(&packed);
        self.files.put(&entry.name(self.day), packed).await?;
        self.closed.push(entry);
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<FileEntry>, PortError> {
        while let Some((_, mut part)) = self.open.pop_first() {
            part.pack()?;
            self.close(part).await?;
        }
        self.closed.sort_by(|a, b| (&a.region, a.part).cmp(&(&b.region, b.part)));
        Ok(self.closed)
    }
}

impl Part {
    fn begin(shard: &str, number: u32, record: &LogRecord, frame: &Frame) -> Self {
        let entry = FileEntry::begin(shard, number, record, frame);
        Self { entry, lines: vec![], line_bytes: 0, packed: vec![] }
    }

    /// Compresses the lines.
    fn pack(&mut self) -> Result<(), PortError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let packed = Compressor::new(LEVEL).and_then(|mut zstd| {
            zstd.include_checksum(true)?;
            zstd.compress(&self.lines)
        });
        let failed = |error: std::io::Error| PortError::Unavailable { what: "compression", reason: error.to_string() };
        self.packed.append(&mut packed.map_err(failed)?);
        self.lines.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArchivedLog, MemoryFiles, verify};
    use birdsong_domain::frame::{self, FrameHeader, Lane};
    use birdsong_domain::network::Network;
    use birdsong_domain::ports::FrameRecord;
    use birdsong_domain::time::WindowStart;
    use birdsong_embedded::MemoryLog;

    #[tokio::test]
    async fn files_of_any_size_have_every_record_once_and_in_order() {
        let log = MemoryLog::new(1 << 20);
        let lane = |n: u64| Lane::posts(["a", "b"][n as usize % 2], Network::X, (n % 3) as u16);
        for n in 0..300 {
            let header = FrameHeader { lane: lane(n), counter: n, ..FrameHeader::default() };
            let bytes = frame::encode(&header, b"").unwrap();
            log.append(&[FrameRecord { lane: lane(n), bytes }]).await.pop().unwrap().unwrap();
        }
        let expected = log.read("0", &ReadFrom::Oldest, 1000).await.unwrap();
        let later_ms = expected.last().unwrap().arrived_ms + 172_800_000;
        let windows = WindowStart(i64::MIN)..WindowStart(i64::MAX);
        for (chunk_bytes, part_bytes) in [(1, 1), (1, 1000), (700, 2000), (1 << 20, 1 << 20)] {
            let (files, sizes) = (MemoryFiles::default(), Sizes { chunk_bytes, part_bytes });
            write_sized(&log, &files, "1", Day::MIN..Day::MAX, later_ms, |_| (), sizes).await.unwrap();
            let verified = verify(&files, |_| ()).await.unwrap();
            assert_eq!((verified.records, verified.damaged, verified.left_over), (300, vec![], vec![]));
            let archived = ArchivedLog::open(&log, &files, "1", windows.clone()).await.unwrap();
            for limit in [1, 7, 1000] {
                let mut read = vec![];
                for shard in archived.shards().await.unwrap() {
                    let (mut next, mut last) = (ReadFrom::Oldest, None);
                    loop {
                        let records = archived.read(&shard, &next, limit).await.unwrap();
                        let Some(newest) = records.last() else { break };
                        next = ReadFrom::After(newest.sequence.clone());
                        assert!(last < Some(records[0].sequence.clone()));
                        last = Some(newest.sequence.clone());
                        read.extend(records);
                    }
                }
                read.sort_by(|a, b| a.sequence.cmp(&b.sequence));
                let frames = |records: &[LogRecord]| records.iter().map(Frame::of).collect::<Vec<_>>();
                assert_eq!(frames(&read), frames(&expected));
            }
        }
    }
}

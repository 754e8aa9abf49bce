//! Cuts on their way into the log, oldest first: in bounded memory, or all of them in bounded files.
//!
//! While the log is unavailable the files grow. At their limit, the oldest cut loses its posts.
//! Its ledger stays and counts them as dropped, so that their window shows as incomplete.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use birdsong_domain::frame::{self, FrameError, FrameHeader, Lane, Ledger};
use birdsong_domain::ports::FrameRecord;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::originals::Originals;
use crate::sent::{Learner, SentPosts};

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// In memory, in bytes of encoded frames.
    pub memory_bytes: usize,
    /// In files, in bytes. Without a folder nothing waits in files.
    pub spool_bytes: u64,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { memory_bytes: 8 << 20, spool_bytes: 1 << 30 }
    }
}

/// Where a source resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// In the source's format; `None` before the source had one.
    pub resume: Option<String>,
    /// What the source repeats from there did not reach the log much before this time, in milliseconds.
    pub at_ms: i64,
}

/// Encoded frames of one cut, and where its source resumes behind it.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// In the order of the log.
    pub records: Vec<FrameRecord>,
    /// Where the source resumes, when everything before that is in this cut or an earlier one.
    pub resume: Option<ResumePoint>,
}

impl Cut {
    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len() + 64).sum::<usize>() + 128
    }
}

/// First line of a spool file; the frames follow, one behind the other.
#[derive(Serialize, Deserialize)]
struct FileHeader {
    resume: Option<ResumePoint>,
    /// Checksum of the frames' bytes.
    crc: u32,
    frames: Vec<(Lane, usize)>,
}

/// A cut that waits in a file.
#[derive(Debug)]
struct Spooled {
    number: u64,
    bytes: u64,
    /// Whether its posts were dropped already.
    is_emptied: bool,
}

/// What was pushed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Posts dropped.
    pub posts: u64,
}

/// The cuts that the log does not have yet, oldest first.
#[derive(Debug)]
pub struct Outbox {
    limits: OutboxLimits,
    dir: Option<PathBuf>,
    /// Newer than everything in files. A source that resumes from a file's resume point after a crash must
    /// find everything older in the log or in files, so once one cut is in a file, all are. The only exception is a
    /// disk that accepts no write.
    memory: VecDeque<Cut>,
    memory_bytes: usize,
    spooled: VecDeque<Spooled>,
    spooled_bytes: u64,
    /// The oldest cut, when it is in a file and was looked at.
    front: Option<(u64, Cut)>,
    next_number: u64,
    /// Files that could not be read.
    damaged: u64,
}

const SUFFIX: &str = "cut";

impl Outbox {
    /// An outbox that continues with what an earlier one left in `dir`. Without a folder all waits in
    /// memory, and [`has_room`](Self::has_room) reports when to stop reading the source.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(dir: Option<PathBuf>, limits: OutboxLimits) -> io::Result<Self> {
        let mut spooled = vec![];
        if let Some(dir) = &dir {
            fs::create_dir_all(dir)?;
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let path = entry.path();
                let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
                if let (Some(number), Some(SUFFIX)) = (number, path.extension().and_then(|e| e.to_str())) {
                    spooled.push(Spooled { number, bytes: entry.metadata()?.len(), is_emptied: false });
                }
            }
        }
        spooled.sort_by_key(|file| file.number);
        Ok(Self {
            limits,
            dir,
            memory: VecDeque::new(),
            memory_bytes: 0,
            spooled_bytes: spooled.iter().map(|file| file.bytes).sum(),
            next_number: spooled.last().map_or(1, |file| file.number + 1),
            spooled: spooled.into(),
            front: None,
            damaged: 0,
        })
    }

    /// Whether another cut fits without dropping anything. With a folder it does, unless the folder is
    /// not writable: then the source has to wait, as memory is bounded.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.memory_bytes < self.limits.memory_bytes.max(1)
    }

    /// Whether adding `cut`, or with `None` any work on what waits, may touch files, which may block.
    pub(crate) fn touches_files(&self, cut: Option<&Cut>) -> bool {
        let fits = cut.is_none_or(|cut| self.memory_bytes + cut.bytes() <= self.limits.memory_bytes);
        self.dir.is_some() && (!fits || !self.spooled.is_empty())
    }

    /// Number of files that could not be read since the last call. Their content is unknown.
    pub(crate) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// Bytes that wait in memory alone.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes as u64
    }

    /// Remembers the posts that wait in files, and returns the newest resume point among them: everything
    /// that the source has before it is in the log or waits here.
    ///
    /// # Errors
    /// When a file cannot be read for another reason than damage.
    pub fn learn(
        &self,
        learner: &mut Learner,
        sent: &mut SentPosts,
        originals: &mut Originals,
        now_ms: i64,
    ) -> io::Result<Option<ResumePoint>> {
        let mut newest = None;
        for file in &self.spooled {
            let cut = match read(&self.path(file.number)?) {
                // `front` reports it.
                Err(error) if is_gone(&error) => continue,
                cut => cut?,
            };
            for frame in cut.records.iter().filter_map(|record| frame::decode(&record.bytes).ok()) {
                originals.learn(&frame);
                learner.read(&frame, sent, now_ms)?;
            }
            newest = cut.resume.or(newest);
        }
        Ok(newest)
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.spooled.is_empty()
    }

    /// Bytes that wait in memory and in files.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.memory_bytes as u64 + self.spooled_bytes
    }

    /// Takes a cut in behind all others.
    ///
    /// # Errors
    /// When it cannot be written to a file; it is kept in memory then, so nothing is lost.
    pub fn push(&mut self, cut: Cut) -> io::Result<Dropped> {
        let goes_to_file = self.touches_files(Some(&cut));
        self.remember(cut);
        if !goes_to_file {
            return Ok(Dropped::default());
        }
        self.park()?;
        self.make_room()
    }

    fn remember(&mut self, cut: Cut) {
        self.memory_bytes += cut.bytes();
        self.memory.push_back(cut);
    }

    /// The oldest cut. A file that is damaged is renamed to `.damaged` and passed over; `None` when one cannot be read
    /// just now.
    pub fn front(&mut self) -> Option<&Cut> {
        while self.front.is_none() {
            let Some(file) = self.spooled.front() else { return self.memory.front() };
            let number = file.number;
            match self.path(number).and_then(|path| read(&path)) {
                Ok(cut) => self.front = Some((number, cut)),
                Err(error) if is_gone(&error) => self.quarantine_file(0, &error),
                Err(error) => {
                    tracing::warn!("a spooled cut cannot be read just now: {error}");
                    return None;
                }
            }
        }
        self.front.as_ref().map(|(_, cut)| cut)
    }

    /// Says which frames of the oldest cut the log still does not have. Gives the cut's resume point
    /// when it has all of them.
    pub fn settle(&mut self, left: Vec<FrameRecord>) -> Option<ResumePoint> {
        let Some((number, mut cut)) = self.front.take() else {
            let mut cut = self.memory.pop_front()?;
            self.memory_bytes -= cut.bytes();
            cut.records = left;
            if cut.records.is_empty() {
                return cut.resume;
            }
            self.memory_bytes += cut.bytes();
            self.memory.push_front(cut);
            return None;
        };
        cut.records = left;
        if !cut.records.is_empty() {
            self.front = Some((number, cut));
            return None;
        }
        if let Ok(path) = self.path(number)
            && let Err(error) = fs::remove_file(&path)
        {
            // It would be sent once more at the next start, which the aggregator notices.
            tracing::warn!("{} cannot be removed: {error}", path.display());
        }
        self.forget_file(0);
        cut.resume
    }

    /// Writes all that waits in memory to files, for the next start. Without a folder it stays.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn park(&mut self) -> io::Result<()> {
        if self.dir.is_none() {
            return Ok(());
        }
        while let Some(cut) = self.memory.front() {
            let number = self.next_number;
            let bytes = self.write(number, cut)?;
            self.next_number += 1;
            self.memory_bytes -= cut.bytes();
            let is_oldest = self.spooled.is_empty();
            self.spooled.push_back(Spooled { number, bytes, is_emptied: false });
            self.spooled_bytes += bytes;
            // It may be on its way to the log just now.
            self.front = match self.memory.pop_front() {
                Some(cut) if is_oldest => Some((number, cut)),
                _ => self.front.take(),
            };
        }
        Ok(())
    }

    /// Takes posts out of the oldest files until the limit is kept.
    fn make_room(&mut self) -> io::Result<Dropped> {
        let mut dropped = Dropped::default();
        let read_number = self.front.as_ref().map(|(number, _)| *number);
        let mut at = 0;
        while at < self.spooled.len() && self.spooled_bytes > self.limits.spool_bytes {
            let file = &self.spooled[at];
            // What is just being sent is not touched.
            if file.is_emptied || Some(file.number) == read_number {
                at += 1;
                continue;
            }
            let number = file.number;
            let cut = match read(&self.path(number)?) {
                Err(error) if is_gone(&error) => {
                    self.quarantine_file(at, &error);
                    continue;
                }
                cut => cut?,
            };
            let (posts, cut) = without_posts(cut).map_err(io::Error::other)?;
            // A file for each cut would fill the disk too, only slower.
            let older = self.emptied_before(at, read_number)?;
            let joined = older.and_then(|(path, older)| Some((Some(path), join(&older, &cut)?)));
            let (gone, cut) = joined.unwrap_or((None, cut));
            let bytes = self.write(number, &cut)?;
            let file = &mut self.spooled[at];
            self.spooled_bytes = self.spooled_bytes - file.bytes + bytes;
            (file.bytes, file.is_emptied) = (bytes, true);
            dropped.posts += posts;
            match gone {
                Some(path) => {
                    // Should this fail, some posts are counted as dropped twice.
                    fs::remove_file(path)?;
                    self.forget_file(at - 1);
                }
                None => at += 1,
            }
        }
        Ok(dropped)
    }

    /// The file in front of `at` and its content, when its posts were dropped, too.
    fn emptied_before(&self, at: usize, read_number: Option<u64>) -> io::Result<Option<(PathBuf, Cut)>> {
        let older = at.checked_sub(1).map(|at| &self.spooled[at]);
        let Some(older) = older.filter(|older| older.is_emptied && Some(older.number) != read_number) else {
            return Ok(None);
        };
        let path = self.path(older.number)?;
        Ok(read(&path).ok().map(|cut| (path, cut)))
    }

    fn quarantine_file(&mut self, at: usize, error: &io::Error) {
        let number = self.spooled[at].number;
        tracing::error!("the spooled cut {number} cannot be read, its posts are lost: {error}");
        self.damaged += 1;
        if let Ok(path) = self.path(number) {
            let _ = fs::rename(&path, path.with_extension("damaged"));
        }
        self.forget_file(at);
    }

    fn forget_file(&mut self, at: usize) {
        if let Some(file) = self.spooled.remove(at) {
            self.spooled_bytes -= file.bytes;
        }
    }

    fn path(&self, number: u64) -> io::Result<PathBuf> {
        let dir = self.dir.as_ref().ok_or_else(|| io::Error::other("there is no spool folder"))?;
        Ok(dir.join(format!("{number:020}.{SUFFIX}")))
    }

    fn write(&self, number: u64, cut: &Cut) -> io::Result<u64> {
        let path = self.path(number)?;
        let mut crc = crc32fast::Hasher::new();
        cut.records.iter().for_each(|record| crc.update(&record.bytes));
        let frames = cut.records.iter().map(|record| (record.lane.clone(), record.bytes.len())).collect();
        let header = FileHeader { resume: cut.resume.clone(), crc: crc.finalize(), frames };
        let mut bytes = serde_json::to_vec(&header)?;
        bytes.push(b'\n');
        cut.records.iter().for_each(|record| bytes.extend_from_slice(&record.bytes));
        durable::write(&path, &bytes)?;
        Ok(bytes.len() as u64)
    }
}

/// Whether a file will never be readable; other errors may pass.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound)
}

fn read(path: &Path) -> io::Result<Cut> {
    let bytes = fs::read(path)?;
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| wrong("has no header"))?;
    let header: FileHeader = serde_json::from_slice(&bytes[..end]).map_err(|error| wrong(&error.to_string()))?;
    let mut rest = &bytes[end + 1..];
    if crc32fast::hash(rest) != header.crc {
        // Each frame has checksums of its own. A damaged one goes to the log too, where its posts count
        // as corrupt in the windows that they belong to.
        tracing::error!("{}: its checksum is wrong, so some of its posts may be lost", path.display());
    }
    let mut records = Vec::with_capacity(header.frames.len());
    for (lane, length) in header.frames {
        let (frame, after) = rest.split_at_checked(length).ok_or_else(|| wrong("is too short"))?;
        records.push(FrameRecord { lane, bytes: frame.to_vec() });
        rest = after;
    }
    Ok(Cut { records, resume: header.resume })
}

/// The cut with nothing but its ledger, in which what was sent is dropped.
fn without_posts(cut: Cut) -> Result<(u64, Cut), FrameError> {
    let mut posts = 0;
    let mut records = vec![];
    for record in cut.records.into_iter().filter(|record| record.lane.is_ledger()) {
        let mut header = frame::decode(&record.bytes)?.header;
        for ledger in std::iter::once(&mut header.ledger).chain(header.ledgers.iter_mut().map(|(_, ledger)| ledger)) {
            posts += ledger.sent;
            ledger.dropped += std::mem::take(&mut ledger.sent);
        }
        records.push(FrameRecord { lane: record.lane, bytes: frame::encode(&header, b"")? });
    }
    Ok((posts, Cut { records, resume: cut.resume }))
}

/// Both cuts in one, when each is one ledger of the same run and minute, and so cut in the same window.
fn join(older: &Cut, newer: &Cut) -> Option<Cut> {
    let ledger_of = |cut: &Cut| match &cut.records[..] {
        [record] => frame::decode(&record.bytes).ok().map(|frame| (record.lane.clone(), frame.header)),
        _ => None,
    };
    let ((_, older), (lane, mut header)) = (ledger_of(older)?, ledger_of(newer)?);
    let key = |header: &FrameHeader| (header.run.clone(), header.cut_ms.div_euclid(60_000), header.connected_ms);
    if key(&older) != key(&header) {
        return None;
    }
    header.ledger.add(&older.ledger);
    let mut windows: BTreeMap<i64, Ledger> = BTreeMap::new();
    for (window_ms, ledger) in older.ledgers.iter().chain(&header.ledgers) {
        windows.entry(*window_ms).or_default().add(ledger);
    }
    header.ledgers = windows.into_iter().collect();
    let record = FrameRecord { lane, bytes: frame::encode(&header, b"").ok()? };
    Some(Cut { records: vec![record], resume: newer.resume.clone() })
}

// Rule 4.8.
#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::network::Network;
    use std::collections::BTreeMap;

    use birdsong_domain::frame::Ledger;
    use birdsong_domain::post::{Located, PostId, SourcePost};

    use crate::sent::{SentRules, SharedSent};

    fn cut(number: u64, posts: u64) -> Cut {
        let header = |lane: Lane, ledger| FrameHeader {
            lane,
            source: "test".into(),
            run: "run".into(),
            counter: number,
            cut_ms: number as i64 * 10_000,
            cut: 1,
            live: true,
            ledger,
            ..FrameHeader::default()
        };
        let ledger = Ledger { received: posts, sent: posts, ..Ledger::default() };
        let frames = [
            (Lane::posts("oslo", Network::X, 0), Ledger::default(), line(number)),
            (Lane::ledger(Network::X, "test"), ledger, String::new()),
        ];
        let record = |(lane, ledger, lines): (Lane, Ledger, String)| FrameRecord {
            bytes: frame::encode(&header(lane.clone(), ledger), lines.as_bytes()).unwrap(),
            lane,
        };
        Cut { records: frames.map(record).into(), resume: Some(point(number)) }
    }

    fn point(number: u64) -> ResumePoint {
        ResumePoint { resume: Some(format!("after {number}")), at_ms: number as i64 }
    }

    /// A post's line that does not compress.
    fn line(seed: u64) -> String {
        let mut x = seed.wrapping_add(1);
        let tag = (0..2000).map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (x >> 59) as u8 % 26)
        });
        let post = SourcePost {
            id: PostId(u128::from(seed)),
            author: Some(1),
            lang: "en".into(),
            hashtags: vec![tag.collect::<String>().into()],
            ..SourcePost::default()
        };
        let mut line = vec![];
        frame::put_line(&mut line, &post, Located::All, false);
        String::from_utf8(line).unwrap()
    }

    fn drain(outbox: &mut Outbox) -> Vec<ResumePoint> {
        let mut all = vec![];
        while outbox.front().is_some() {
            all.extend(outbox.settle(vec![]));
        }
        all
    }

    fn numbers(range: std::ops::Range<u64>) -> Vec<ResumePoint> {
        range.map(point).collect()
    }

    #[test]
    fn cuts_leave_in_order_even_when_some_wait_in_files() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 8000, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        for n in 0..20 {
            assert_eq!(outbox.push(cut(n, 1)).unwrap(), Dropped::default());
        }
        assert!(outbox.memory.is_empty() && outbox.spooled.len() == 20);
        // One is sent in part, and a new one comes in between.
        let left = outbox.front().unwrap().records[1..].to_vec();
        assert_eq!(outbox.settle(left), None);
        assert_eq!(outbox.front().unwrap().records.len(), 1);
        outbox.push(cut(20, 1)).unwrap();
        assert_eq!(drain(&mut outbox), numbers(0..21));
        assert_eq!((outbox.waiting_bytes(), fs::read_dir(dir.path()).unwrap().count()), (0, 0));
    }

    #[test]
    fn what_is_parked_comes_first_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 8000, ..OutboxLimits::default() };
        for (from, to) in [(0, 9), (9, 12)] {
            let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
            (from..to).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
            outbox.park().unwrap();
            assert!(outbox.memory.is_empty());
        }
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        let sent = SharedSent::new(SentRules::archive(None));
        let (mut learner, mut index) = (Learner::default(), sent.lock());
        let learned = outbox.learn(&mut learner, &mut index, &mut Originals::default(), 0).unwrap();
        assert_eq!(learned, Some(point(11)));
        let region = index.sets.region("oslo");
        let region = index.sets.of(&mut vec![region]);
        assert!((0..12u64).all(|n| index.add(PostId(u128::from(n)), region, 0).unwrap().is_empty()));
        assert_eq!(index.add(PostId(12), region, 0).unwrap(), region);
        assert_eq!(drain(&mut outbox), numbers(0..12));
    }

    /// Sends all that waits: the sum of its ledgers, by minute, and the resume points.
    fn sent_all(outbox: &mut Outbox) -> (BTreeMap<i64, Ledger>, Vec<ResumePoint>) {
        let (mut minutes, mut order) = (BTreeMap::<_, Ledger>::new(), vec![]);
        while let Some(cut) = outbox.front() {
            for record in &cut.records {
                let header = frame::decode(&record.bytes).unwrap().header;
                minutes.entry(header.cut_ms / 60_000).or_default().add(&header.ledger);
            }
            order.extend(outbox.settle(vec![]));
        }
        (minutes, order)
    }

    #[test]
    fn a_full_spool_drops_the_oldest_posts_and_counts_them() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, spool_bytes: 12_000 };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        let dropped: u64 = (0..30).map(|n| outbox.push(cut(n, 10 + n)).unwrap().posts).sum();
        assert!(outbox.spooled_bytes <= 12_000 && dropped > 0);
        // The oldest is on its way already.
        let newest = outbox.spooled.iter().filter(|file| !file.is_emptied).count() as u64 - 1;
        assert!(newest >= 2, "{newest}");
        let (minutes, order) = sent_all(&mut outbox);
        for (minute, sum) in &minutes {
            let cuts = *minute as u64 * 6..*minute as u64 * 6 + 6;
            assert_eq!(sum.received, cuts.clone().map(|n| 10 + n).sum::<u64>(), "{minute}");
            assert_eq!(
                sum.dropped,
                cuts.filter(|n| *n > 0 && n + newest < 30).map(|n| 10 + n).sum::<u64>(),
                "{minute}"
            );
            assert!(sum.balances());
        }
        assert_eq!((minutes.len(), minutes.values().map(|sum| sum.dropped).sum::<u64>()), (5, dropped));
        // Those of one minute leave as one.
        assert!(order.is_sorted_by_key(|point| point.at_ms) && order.last() == Some(&point(29)), "{order:?}");
    }

    #[test]
    fn a_spool_that_stays_full_keeps_a_file_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, spool_bytes: 12_000 };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        let mut dropped = 0;
        for n in 0..120 {
            // The log comes and goes.
            if n % 17 == 0 {
                outbox.front();
            }
            dropped += outbox.push(cut(n, 1)).unwrap().posts;
        }
        let emptied = outbox.spooled.iter().filter(|file| file.is_emptied).count();
        assert!((19..40).contains(&emptied), "{emptied}");
        let bytes: u64 = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert_eq!((outbox.waiting_bytes(), fs::read_dir(dir.path()).unwrap().count()), (bytes, outbox.spooled.len()));
        let (minutes, _) = sent_all(&mut outbox);
        let sum = |count: fn(&Ledger) -> u64| minutes.values().map(count).sum::<u64>();
        assert_eq!((sum(|ledger| ledger.received), sum(|ledger| ledger.dropped)), (120, dropped));
        assert!(minutes.values().all(|ledger| ledger.received == 6), "{minutes:?}");
    }

    #[test]
    fn a_damaged_file_does_not_keep_a_full_spool_from_making_room() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, spool_bytes: 12_000 };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..2).for_each(|n| _ = outbox.push(cut(n, 1)).unwrap());
        let damaged = outbox.path(outbox.spooled[1].number).unwrap();
        // Half a header is no end of a file.
        fs::write(&damaged, b"{\n").unwrap();
        (2..30).for_each(|n| _ = outbox.push(cut(n, 1)).unwrap());
        assert!(outbox.spooled_bytes <= 12_000 && damaged.with_extension("damaged").exists());
    }

    #[test]
    fn a_file_that_is_not_a_cut_is_counted_and_the_rest_continues() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..4).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
        let damaged = outbox.path(outbox.spooled[1].number).unwrap();
        let bytes = fs::read(&damaged).unwrap();
        fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(drain(&mut outbox), [point(0), point(2), point(3)]);
        assert!(damaged.with_extension("damaged").exists());
        assert_eq!((outbox.take_damaged(), outbox.take_damaged()), (1, 0));
    }

    #[test]
    fn a_damaged_frame_in_a_file_goes_to_the_log_which_reports_the_missing_posts() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..2).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
        let damaged = outbox.path(outbox.spooled[1].number).unwrap();
        let mut bytes = fs::read(&damaged).unwrap();
        // In the lines of the post, which do not compress.
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(&damaged, &bytes).unwrap();
        outbox.front();
        assert_eq!(outbox.settle(vec![]), Some(point(0)));
        let frames = outbox.front().unwrap().records.iter().map(|record| frame::decode(&record.bytes).unwrap());
        let damages: Vec<_> = frames.map(|frame| frame.damage.is_some()).collect();
        assert_eq!(damages, [true, false]);
        assert_eq!((outbox.settle(vec![]), outbox.take_damaged()), (Some(point(1)), 0));
    }

    #[test]
    fn without_a_folder_the_source_has_to_wait() {
        let limits = OutboxLimits { memory_bytes: 5000, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(None, limits).unwrap();
        assert!(outbox.has_room());
        (0..3).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
        assert!(!outbox.has_room());
        assert_eq!(drain(&mut outbox), numbers(0..3));
    }
}

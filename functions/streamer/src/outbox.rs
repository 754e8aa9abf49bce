//! Cuts on their way into the log, oldest first: in bounded memory, or all of them in bounded files.
//!
//! While the log is unavailable the files grow. At their limit, the oldest cut loses its posts.
//! Its ledger stays and counts them as dropped, so that their window shows as incomplete.

mod file;
mod shed;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;

use birdsong_domain::frame;
use birdsong_domain::ports::FrameRecord;
use serde::{Deserialize, Serialize};

use crate::originals::Originals;
use crate::sent::{Learner, SentPosts};

pub use shed::Dropped;

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

/// A cut that waits in a file.
#[derive(Debug)]
struct Spooled {
    number: u64,
    bytes: u64,
    /// Whether its posts were dropped already.
    is_emptied: bool,
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
        for spooled in &self.spooled {
            let cut = match file::read(&self.path(spooled.number)?) {
                // `front` reports it.
                Err(error) if file::is_gone(&error) => continue,
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
            let Some(spooled) = self.spooled.front() else { return self.memory.front() };
            let number = spooled.number;
            match self.path(number).and_then(|path| file::read(&path)) {
                Ok(cut) => self.front = Some((number, cut)),
                Err(error) if file::is_gone(&error) => self.quarantine_file(0, &error),
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
            let bytes = file::write(&self.path(number)?, cut)?;
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
}

// Rule 4.8.
#[cfg(test)]
mod tests {
    use birdsong_domain::frame::{FrameHeader, Lane, Ledger};
    use birdsong_domain::network::Network;
    use birdsong_domain::post::{Located, PostId, SourcePost};

    use super::*;
    use crate::sent::{SentRules, SharedSent};

    pub(super) fn cut(number: u64, posts: u64) -> Cut {
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

    pub(super) fn point(number: u64) -> ResumePoint {
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

    pub(super) fn drain(outbox: &mut Outbox) -> Vec<ResumePoint> {
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

    #[test]
    fn without_a_folder_the_source_has_to_wait() {
        let limits = OutboxLimits { memory_bytes: 5000, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(None, limits).unwrap();
        assert!(outbox.has_room());
        (0..3).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
        assert!(!outbox.has_room());
        assert_eq!(drain(&mut outbox), numbers(0..3));
        assert!(outbox.has_room() && outbox.waiting_bytes() == 0);
    }

    #[test]
    fn what_waits_in_memory_is_about_as_large_as_its_frames() {
        let records = cut(0, 1).records;
        let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
        let mut outbox = Outbox::open(None, OutboxLimits::default()).unwrap();
        outbox.push(cut(0, 1)).unwrap();
        let waiting = outbox.waiting_bytes() as usize;
        assert!((bytes..bytes * 4 / 3).contains(&waiting), "{waiting} for {bytes}");
        assert_eq!(outbox.memory_bytes(), outbox.waiting_bytes());
        // One of both frames is in the log.
        assert_eq!(outbox.settle(records[1..].to_vec()), None);
        let rest = outbox.waiting_bytes() as usize;
        assert!((records[1].bytes.len()..waiting - records[0].bytes.len()).contains(&rest), "{rest}");
        // Full is full to the last byte.
        let limits = OutboxLimits { memory_bytes: rest, ..OutboxLimits::default() };
        assert!(!Outbox { limits, ..outbox }.has_room());
    }

    #[test]
    fn files_are_touched_once_memory_is_full_and_until_they_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = cut(0, 1).bytes();
        let open = |dir: Option<&std::path::Path>| {
            let limits = OutboxLimits { memory_bytes: bytes + 10, ..OutboxLimits::default() };
            Outbox::open(dir.map(Into::into), limits).unwrap()
        };
        let (mut outbox, mut without) = (open(Some(dir.path())), open(None));
        let large = Cut { records: [cut(0, 1).records, cut(1, 1).records].concat(), resume: None };
        let touches = |outbox: &Outbox| {
            [None, Some(cut(0, 1)), Some(large.clone())].map(|cut| outbox.touches_files(cut.as_ref()))
        };
        assert_eq!(touches(&outbox), [false, false, true]);
        outbox.push(cut(0, 1)).unwrap();
        assert_eq!(touches(&outbox), [false, true, true]);
        outbox.push(cut(1, 1)).unwrap();
        assert_eq!(touches(&outbox), [true; 3]);
        (0..3).for_each(|n| _ = without.push(cut(n, 1)).unwrap());
        assert_eq!(touches(&without), [false; 3], "there is no folder");
        assert_eq!(drain(&mut outbox), numbers(0..2));
        assert_eq!(touches(&outbox), [false, false, true]);
    }

    /// Damage is passed over. A disk that does not answer is not damage: what is there must not be given up.
    #[test]
    fn a_file_that_cannot_be_read_just_now_is_not_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..3).for_each(|n| _ = outbox.push(cut(n, 1)).unwrap());
        assert!(outbox.front().is_some());
        let learned = |outbox: &Outbox| {
            let sent = SharedSent::new(SentRules::archive(None));
            outbox.learn(&mut Learner::default(), &mut sent.lock(), &mut Originals::default(), 0)
        };
        let path = outbox.path(outbox.spooled[1].number).unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, b"damaged").unwrap();
        assert_eq!(learned(&outbox).unwrap(), Some(point(2)));
        // A folder cannot be read as a file.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(learned(&outbox).is_err());
        assert_eq!(outbox.settle(vec![]), Some(point(0)));
        assert!(outbox.front().is_none() && outbox.take_damaged() == 0 && path.exists());
        let full = OutboxLimits { spool_bytes: 0, ..limits };
        outbox.limits = full;
        assert!(outbox.make_room().is_err() && path.exists());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        outbox.limits = limits;
        assert_eq!(drain(&mut outbox), numbers(1..3));
    }
}

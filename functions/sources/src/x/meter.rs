//! What was delivered and has to be paid for: each post once a UTC day, as X bills it, also when X sends it again
//! after a restart or a crash.
//!
//! The [`Meter`] counts in memory. Before posts are handed on, the [`Journal`] has their count on disk,
//! so that a crash at any moment leaves no post that was handed on and not counted. Of posts it has only
//! hashes under the key of the installation.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use birdsong_domain::post::{InstallationKey, PostId};
use serde::{Deserialize, Serialize};

pub(super) const DAY_MS: i64 = 86_400_000;
/// Posts that are remembered: X repeats posts of five minutes at most, and this is a quarter of an hour at
/// 1,000 a second. A repetition counts again when this many others came between.
const REMEMBERED_POSTS: usize = 1 << 20;
/// A month, and room for days of a clock that was wrong.
const REMEMBERED_DAYS: usize = 62;

/// What was spent: posts by UTC day since 1970.
///
/// A clock that is set wrong for a while spends of another day, and finds this one again after that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spent(BTreeMap<i64, u64>);

impl Spent {
    /// Posts by UTC day since 1970.
    #[must_use]
    pub fn days(&self) -> &BTreeMap<i64, u64> {
        &self.0
    }

    /// Posts of a period of milliseconds, from its start to its end.
    pub(super) fn posts(&self, (begin_ms, end_ms): (i64, i64)) -> u64 {
        self.0.range(begin_ms.div_euclid(DAY_MS)..end_ms.div_euclid(DAY_MS)).map(|(_, posts)| posts).sum()
    }

    /// Of a day.
    fn of(&mut self, day: i64) -> &mut u64 {
        while self.0.len() >= REMEMBERED_DAYS && !self.0.contains_key(&day) {
            self.0.pop_first();
        }
        self.0.entry(day).or_default()
    }

    /// Raises a day to at least this many posts; returns whether that is more than before.
    fn raise(&mut self, day: i64, posts: u64) -> bool {
        let counted = self.of(day);
        let is_more = posts > *counted;
        *counted = posts.max(*counted);
        is_more
    }
}

/// A post of a day, as a hash of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Metered {
    day: i64,
    hash: u64,
}

/// Counts posts, each once a day.
#[derive(Debug)]
pub struct Meter {
    key: InstallationKey,
    spent: Spent,
    known: HashSet<u64>,
    /// The same, oldest first.
    order: VecDeque<Metered>,
    /// What the journal does not have yet.
    fresh: Vec<Metered>,
    raised: Vec<i64>,
    /// Day of the last post, after which the journal is shortened.
    day: Option<i64>,
    /// The journal has to be rewritten.
    is_stale: bool,
    /// Bytes that were appended since then, and that it had then.
    appended: usize,
    snapshot: usize,
}

impl Meter {
    /// Continues with the earlier spending and with the content of a journal; `key` hashes the ids of posts.
    #[must_use]
    pub fn new(key: InstallationKey, spent: Spent, recorded: Recorded) -> Self {
        let mut meter = Self {
            key,
            spent,
            known: HashSet::new(),
            order: VecDeque::new(),
            fresh: vec![],
            raised: vec![],
            day: None,
            is_stale: true,
            appended: 0,
            snapshot: 0,
        };
        // Both are what was counted up to some moment.
        for (day, posts) in recorded.spent.0 {
            meter.spent.raise(day, posts);
        }
        for post in recorded.posts {
            meter.remember(post);
        }
        meter
    }

    /// What was spent.
    #[must_use]
    pub fn spent(&self) -> &Spent {
        &self.spent
    }

    /// Counts a post that was delivered, unless it was counted this UTC day; returns whether it was new.
    pub fn count(&mut self, id: PostId, now_ms: i64) -> bool {
        let day = now_ms.div_euclid(DAY_MS);
        let post = Metered { day, hash: self.key.hash("metered", &format!("{day}/{}", id.0)) };
        if !self.remember(post) {
            return false;
        }
        *self.spent.of(day) += 1;
        self.fresh.push(post);
        if self.day.replace(day).is_some_and(|before| before != day) {
            self.is_stale = true;
        }
        true
    }

    fn remember(&mut self, post: Metered) -> bool {
        if !self.known.insert(post.hash) {
            return false;
        }
        self.order.push_back(post);
        if self.order.len() > REMEMBERED_POSTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest.hash);
        }
        true
    }

    /// Raises a day to at least this many delivered posts, X's count.
    pub fn raise(&mut self, day: i64, posts: u64) {
        if self.spent.raise(day, posts) {
            self.raised.push(day);
        }
    }

    /// The entry that brings the journal up to date; `None` when it is.
    #[must_use]
    pub fn unrecorded(&mut self) -> Option<Entry> {
        // The first of a day, and whenever there is twice as much as is needed.
        if self.is_stale || self.appended > self.snapshot.max(1 << 20) {
            self.forget_old_days();
            let mut bytes = vec![];
            self.spent.0.iter().for_each(|(day, posts)| put(&mut bytes, TOTAL, *day, &[*posts]));
            let posts: Vec<_> = self.order.iter().copied().collect();
            put_posts(&mut bytes, KNOWN, &posts);
            return Some(Entry { bytes, is_all: true });
        }
        if self.fresh.is_empty() && self.raised.is_empty() {
            return None;
        }
        let mut bytes = vec![];
        put_posts(&mut bytes, POSTS, &self.fresh);
        for day in &self.raised {
            put(&mut bytes, TOTAL, *day, &[*self.spent.of(*day)]);
        }
        Some(Entry { bytes, is_all: false })
    }

    /// The journal has this entry, and nothing was counted since it was made.
    pub fn recorded(&mut self, entry_bytes: usize, is_all: bool) {
        self.fresh.clear();
        self.raised.clear();
        if is_all {
            (self.is_stale, self.appended, self.snapshot) = (false, 0, entry_bytes);
        } else {
            self.appended += entry_bytes;
        }
    }

    /// X restarts its count each day. The posts of the day before are kept for a clock that is set back.
    fn forget_old_days(&mut self) {
        let Some(today) = self.day else { return };
        let before = self.order.iter().rev().map(|post| post.day).find(|day| *day != today);
        let known = &mut self.known;
        self.order.retain(|post| {
            let stays = post.day == today || Some(post.day) == before;
            if !stays {
                known.remove(&post.hash);
            }
            stays
        });
    }
}

/// Bytes for the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    bytes: Vec<u8>,
    /// In place of all that the journal has.
    is_all: bool,
}

impl Entry {
    /// Number of bytes, and whether they are all.
    #[must_use]
    pub fn extent(&self) -> (usize, bool) {
        (self.bytes.len(), self.is_all)
    }
}

/// The content of a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    spent: Spent,
    posts: Vec<Metered>,
}

// A record is its length, its payload, and the CRC-32 of the payload, all little-endian. A payload is a kind,
// a day, and numbers of 64 bits: the posts of the day, or hashes of posts.
/// This many posts of the day, at least.
const TOTAL: u8 = 1;
/// These posts are counted and not in a total before.
const POSTS: u8 = 2;
/// These posts are counted in a total before.
const KNOWN: u8 = 3;
/// Hashes in one record at most.
const RECORD_POSTS: usize = 8192;
const HEAD_BYTES: usize = 4;
const SUM_BYTES: usize = 4;

fn put_posts(out: &mut Vec<u8>, kind: u8, posts: &[Metered]) {
    for of_day in posts.chunk_by(|a, b| a.day == b.day) {
        for part in of_day.chunks(RECORD_POSTS) {
            let hashes: Vec<_> = part.iter().map(|post| post.hash).collect();
            put(out, kind, part[0].day, &hashes);
        }
    }
}

fn put(out: &mut Vec<u8>, kind: u8, day: i64, numbers: &[u64]) {
    let mut payload = Vec::with_capacity(9 + numbers.len() * 8);
    payload.push(kind);
    payload.extend(day.to_le_bytes());
    numbers.iter().for_each(|number| payload.extend(number.to_le_bytes()));
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend(&payload);
    out.extend(crc32fast::hash(&payload).to_le_bytes());
}

/// The payload of the first record, and what follows it; nothing when there is no whole record.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let (payload, rest) = rest.split_at_checked(u32::from_le_bytes(*head) as usize)?;
    let (sum, rest) = rest.split_first_chunk::<SUM_BYTES>()?;
    (payload.len() >= 9 && crc32fast::hash(payload) == u32::from_le_bytes(*sum)).then_some((payload, rest))
}

/// Reads records up to the first incomplete one, and returns their size in bytes.
fn read(bytes: &[u8]) -> (Recorded, usize) {
    let (mut recorded, mut known, mut rest) = (Recorded::default(), HashSet::new(), bytes);
    while let Some((payload, behind)) = split(rest) {
        rest = behind;
        let (kind, payload) = (payload[0], &payload[1..]);
        let Some((day, payload)) = payload.split_first_chunk::<8>() else { continue };
        let day = i64::from_le_bytes(*day);
        let numbers = payload.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
        match kind {
            TOTAL => numbers.for_each(|posts| _ = recorded.spent.raise(day, posts)),
            POSTS | KNOWN => {
                for hash in numbers.filter(|hash| known.insert(*hash)) {
                    *recorded.spent.of(day) += u64::from(kind == POSTS);
                    recorded.posts.push(Metered { day, hash });
                }
            }
            _ => (),
        }
    }
    (recorded, bytes.len() - rest.len())
}

/// A file that only grows, until it is rewritten in one step. Readable by its owner only.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Behind this there may be the rest of a write that failed.
    good_bytes: u64,
}

impl Journal {
    /// Opens or creates a journal. Waits for the disk.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn open(path: &Path) -> io::Result<(Self, Recorded)> {
        let mut file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes)?;
        let (recorded, good) = read(&bytes);
        // A crash leaves a record that is not whole, or zeros. What has whole records behind it is damaged.
        let rest = &bytes[good..];
        let has_more = (1..rest.len()).any(|at| split(&rest[at..]).is_some());
        if has_more {
            tracing::error!(
                "{} is damaged at byte {good}: what was spent at X since then may be too low",
                path.display()
            );
        }
        Ok((Self { path: path.to_owned(), file, good_bytes: good as u64 }, recorded))
    }

    /// Writes an entry, which is durable when this returns. Waits for the disk. After an error the same entry may
    /// be written again.
    ///
    /// # Errors
    /// When the disk rejects it.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        if entry.is_all {
            let new = self.path.with_extension("new");
            let mut file = private(OpenOptions::new().read(true).write(true).create(true).truncate(true)).open(&new)?;
            file.write_all(&entry.bytes)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            // The name is durable with its folder.
            if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                File::open(folder)?.sync_all()?;
            }
            (self.file, self.good_bytes) = (file, entry.bytes.len() as u64);
            return Ok(());
        }
        self.file.set_len(self.good_bytes)?;
        self.file.seek(SeekFrom::Start(self.good_bytes))?;
        self.file.write_all(&entry.bytes)?;
        self.file.sync_data()?;
        self.good_bytes += entry.bytes.len() as u64;
        Ok(())
    }
}

fn private(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

// Rule 7.5.
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: InstallationKey = InstallationKey([7; 16]);
    const NOON_MS: i64 = 1_779_537_600_000; // 2026-05-23T12:00:00Z
    const DAY: i64 = NOON_MS / DAY_MS;

    fn record(meter: &mut Meter, journal: &mut Journal) {
        if let Some(entry) = meter.unrecorded() {
            journal.write(&entry).unwrap();
            let (bytes, is_all) = entry.extent();
            meter.recorded(bytes, is_all);
        }
    }

    fn restart(path: &Path) -> (Meter, Journal) {
        let (journal, recorded) = Journal::open(path).unwrap();
        (Meter::new(KEY, Spent::default(), recorded), journal)
    }

    #[test]
    fn a_post_counts_once_a_day_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metered");
        for run in 0..5 {
            let (mut meter, mut journal) = restart(&path);
            for id in run * 10..run * 10 + 30 {
                let is_new = meter.count(PostId(id), NOON_MS);
                assert_eq!(is_new, run == 0 || id >= run * 10 + 20, "post {id} in run {run}");
                if id % 7 == 0 {
                    record(&mut meter, &mut journal);
                }
            }
            record(&mut meter, &mut journal);
        }
        let (mut meter, mut journal) = restart(&path);
        assert_eq!(meter.spent().0, BTreeMap::from([(DAY, 70)]));
        // The next day it is paid for again.
        assert!(meter.count(PostId(69), NOON_MS + DAY_MS));
        meter.raise(DAY, 100);
        record(&mut meter, &mut journal);
        meter.raise(DAY, 120);
        meter.raise(DAY, 110);
        record(&mut meter, &mut journal);
        assert_eq!(restart(&path).0.spent().0, BTreeMap::from([(DAY, 120), (DAY + 1, 1)]));
    }

    #[test]
    fn the_day_ends_with_a_short_journal_without_ids_in_clear() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metered");
        let id = 2_058_060_636_507_602_944u64;
        let (mut meter, mut journal) = restart(&path);
        for day in 0..4 {
            for n in 0..5000 {
                meter.count(PostId(u128::from(id + n)), NOON_MS + day * DAY_MS);
            }
            record(&mut meter, &mut journal);
        }
        meter.count(PostId(u128::from(id)), NOON_MS + 4 * DAY_MS);
        record(&mut meter, &mut journal);
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() < 5001 * 8 + 500, "{} bytes", bytes.len());
        assert_eq!((meter.known.len(), meter.order.len()), (5001, 5001));
        let ids: HashSet<_> = (0..5000).map(|n| (id + n).to_le_bytes()).collect();
        assert!(!bytes.windows(8).any(|eight| eight.try_into().is_ok_and(|eight: [u8; 8]| ids.contains(&eight))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_a_crash_left_of_a_record_is_ignored_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metered");
        let (mut meter, mut journal) = restart(&path);
        meter.count(PostId(1), NOON_MS);
        record(&mut meter, &mut journal);
        let whole = std::fs::metadata(&path).unwrap().len() as usize;
        meter.count(PostId(2), NOON_MS);
        record(&mut meter, &mut journal);
        let bytes = std::fs::read(&path).unwrap();
        for cut in whole..bytes.len() {
            for tail in [&[][..], &[0; 100]] {
                std::fs::write(&path, [&bytes[..cut], tail].concat()).unwrap();
                let (mut again, mut journal) = restart(&path);
                assert_eq!(again.spent().0[&DAY], 1, "cut at {cut}");
                assert!(!again.count(PostId(1), NOON_MS));
                assert!(again.count(PostId(2), NOON_MS), "it was not handed on");
                // As after a write that failed half-way.
                again.is_stale = false;
                record(&mut again, &mut journal);
                assert_eq!(restart(&path).0.spent().0[&DAY], 2, "cut at {cut}");
            }
        }
    }

    proptest! {
        /// A crash at any byte: what was recorded before is there, and each post counts once.
        #[test]
        fn any_cut_leaves_a_prefix(batches in prop::collection::vec(prop::collection::vec(0u64..50, 0..20), 1..12), cut in 0.0..1.0f64) {
            let mut meter = Meter::new(KEY, Spent::default(), Recorded::default());
            let (mut bytes, mut sums) = (vec![], vec![(0, 0)]);
            for ids in &batches {
                ids.iter().for_each(|id| _ = meter.count(PostId(u128::from(*id)), NOON_MS));
                if let Some(entry) = meter.unrecorded() {
                    // A snapshot at the start only.
                    prop_assert_eq!(entry.is_all, sums.len() == 1);
                    bytes.extend(&entry.bytes);
                    let (size, is_all) = entry.extent();
                    meter.recorded(size, is_all);
                    sums.push((bytes.len(), meter.spent().0.get(&DAY).copied().unwrap_or(0)));
                }
            }
            let first = sums.get(1).map_or(0, |(size, _)| *size);
            let cut = first + ((bytes.len() - first) as f64 * cut) as usize;
            let (recorded, _) = read(&bytes[..cut]);
            let expected = sums.iter().rev().find(|(size, _)| *size <= cut).map_or(0, |(_, sum)| *sum);
            prop_assert_eq!(recorded.spent.0.get(&DAY).copied().unwrap_or(0), expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}

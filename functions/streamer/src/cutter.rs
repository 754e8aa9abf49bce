//! The ordered half of the streamer: drops duplicates, gathers lines by lane, cuts frames, keeps the
//! ledger.
//!
//! All lanes are cut together and the ledger's frame comes last, so that the ledger never counts
//! a post as sent whose frame is behind it in the log. A ledger counts what was received up to its cut and
//! nothing else, so that it balances: a cut in the middle of a batch counts the batch up to there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use birdsong_domain::frame::{self, FrameError, FrameHeader, Lane, Ledger, PostCount};
use birdsong_domain::ports::FrameRecord;
use birdsong_domain::time::WindowSize;

use crate::prepare::{Batch, LaneLine, Lanes, Unsent};
use crate::sent::{RegionSet, RegionSets, SharedSent};

/// A ledger of this many windows causes a cut, so that no header becomes too long: posts of an archive may be of
/// as many times as there are posts.
const MAX_WINDOWS: usize = 512;

/// When frames are cut.
#[derive(Clone, Copy, Debug)]
pub struct CutRules {
    /// A lane's buffer of this many bytes causes a cut.
    pub max_bytes: usize,
    /// So does a post that has waited this long, in milliseconds. Live sources only.
    pub max_age_ms: i64,
    /// Without any post a heartbeat is cut this often, in milliseconds. Live sources only.
    pub heartbeat_ms: i64,
}

impl Default for CutRules {
    fn default() -> Self {
        Self { max_bytes: 256 << 10, max_age_ms: 1000, heartbeat_ms: 10_000 }
    }
}

/// Who cuts.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Name of the source.
    pub source: String,
    /// A fresh id of this cutter: its frames are numbered from 1, and the aggregator counts each number
    /// of a run once.
    pub run: String,
    /// Whether the source is live, so that the time of a cut is real time.
    pub live: bool,
    /// Since when the source has been connected, in milliseconds.
    pub connected_ms: i64,
}

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    newest_ms: i64,
    counter: u64,
    /// Of the lines, by window in order.
    windows: Vec<PostCount>,
}

impl Buffer {
    /// Counts a line. Most belong to the same window as the one before, or to a later one.
    fn count(&mut self, window_ms: i64, is_primary: bool) {
        let at = match self.windows.last() {
            Some(last) if last.window_ms == window_ms => self.windows.len() - 1,
            _ => self.windows.binary_search_by_key(&window_ms, |count| count.window_ms).unwrap_or_else(|at| {
                self.windows.insert(at, PostCount { window_ms, posts: 0, primary: 0 });
                at
            }),
        };
        let count = &mut self.windows[at];
        count.posts += 1;
        count.primary += u64::from(is_primary);
    }
}

/// A frame that is cut and not yet encoded.
#[derive(Debug)]
pub struct CutFrame {
    header: FrameHeader,
    lines: Vec<u8>,
}

impl CutFrame {
    /// Compresses it into a record of the log.
    ///
    /// # Errors
    /// When compression runs out of memory.
    pub fn encode(&self) -> Result<FrameRecord, FrameError> {
        Ok(FrameRecord { lane: self.header.lane.clone(), bytes: frame::encode(&self.header, &self.lines)? })
    }

    /// The same without compression, for a log in memory.
    ///
    /// # Errors
    /// When the frame is larger than its limits.
    pub fn encode_stored(&self) -> Result<FrameRecord, FrameError> {
        let bytes = frame::encode_stored(&self.header, &self.lines)?;
        Ok(FrameRecord { lane: self.header.lane.clone(), bytes })
    }

    /// First line of the frame.
    #[must_use]
    pub fn header(&self) -> &FrameHeader {
        &self.header
    }
}

/// What became of lines, by the start of the window that they belong to.
#[derive(Debug, Default)]
struct ByWindow {
    past: BTreeMap<i64, Ledger>,
    /// Lines come mostly in order of time.
    current: (i64, Ledger),
}

impl ByWindow {
    fn of(&mut self, window_ms: i64) -> &mut Ledger {
        if self.current.0 != window_ms {
            self.close();
            self.current.0 = window_ms;
        }
        &mut self.current.1
    }

    fn close(&mut self) {
        let ledger = std::mem::take(&mut self.current.1);
        if !ledger.is_empty() {
            self.past.entry(self.current.0).or_default().add(&ledger);
        }
    }

    fn len(&self) -> usize {
        self.past.len() + 1
    }

    fn sum(&self) -> Ledger {
        self.past.values().fold(self.current.1, |mut sum, ledger| {
            sum.add(ledger);
            sum
        })
    }

    fn take(&mut self) -> Vec<(i64, Ledger)> {
        self.close();
        std::mem::take(&mut self.past).into_iter().collect()
    }
}

/// Gathers prepared posts and cuts frames. Times are milliseconds since 1970.
#[derive(Debug)]
pub struct Cutter {
    origin: Origin,
    rules: CutRules,
    size: WindowSize,
    lanes: Lanes,
    buffers: Vec<Buffer>,
    sent: SharedSent,
    /// Number of each lane's region in `sent`, and the set of that region alone.
    regions: Vec<(u32, RegionSet)>,
    /// Since the last ledger frame.
    unsent: ByWindow,
    total: Ledger,
    /// Windows that posts belong to, as (lane, start); repeated posts, too.
    touched: BTreeSet<(u32, i64)>,
    last_touched: Option<(u32, i64)>,
    newest_ms: Option<i64>,
    /// Time of the last post.
    last_ms: Option<i64>,
    /// The source's last count of posts that it withheld.
    withheld: u64,
    oldest_wait_ms: Option<i64>,
    last_cut_ms: i64,
    ledger_counter: u64,
    cut_counter: u64,
    /// Whether the source is connected; heartbeats report it.
    is_listening: bool,
    /// Of 1000 posts of the source, those that it is not asked for.
    unasked_permille: u64,
}

impl Cutter {
    /// A cutter for the lanes that sends nothing that `sent` has.
    #[must_use]
    pub fn new(origin: Origin, rules: CutRules, size: WindowSize, lanes: Lanes, sent: SharedSent) -> Self {
        let regions = {
            let sets = &mut sent.lock().sets;
            let mut numbered = |lane: &Lane| {
                let region = sets.region(lane.region());
                (region, sets.of(&mut vec![region]))
            };
            lanes.all().iter().map(&mut numbered).collect()
        };
        Self {
            regions,
            last_cut_ms: origin.connected_ms,
            origin,
            rules,
            size,
            buffers: lanes.all().iter().map(|_| Buffer::default()).collect(),
            lanes,
            sent,
            unsent: ByWindow::default(),
            total: Ledger::default(),
            touched: BTreeSet::new(),
            last_touched: None,
            newest_ms: None,
            last_ms: None,
            withheld: 0,
            oldest_wait_ms: None,
            ledger_counter: 0,
            cut_counter: 0,
            is_listening: true,
            unasked_permille: 0,
        }
    }

    /// Takes a batch in and cuts when a buffer is full. Frames to send are appended to `out`.
    ///
    /// # Errors
    /// When the index of posts that were sent cannot be read.
    pub fn take(&mut self, batch: &Batch, now_ms: i64, out: &mut Vec<CutFrame>) -> io::Result<()> {
        self.place(batch, now_ms, out);
        self.newest_ms = self.newest_ms.max(batch.newest_ms());
        let (shared, mut scratch) = (self.sent.clone(), vec![]);
        let mut index = shared.lock();
        for post in &batch.posts {
            let copies = &batch.copies[post.copies.0 as usize..post.copies.1 as usize];
            let window = self.size.start_of(post.time_ms).0;
            for copy in copies {
                if self.last_touched != Some((copy.lane, window)) {
                    self.touched.insert((copy.lane, window));
                    self.last_touched = Some((copy.lane, window));
                }
            }
            let regions = self.regions_of(copies, &mut index.sets, &mut scratch);
            let missing = index.add(post.id, regions, now_ms)?;
            let is_repeated = missing.is_empty();
            let ledger = self.unsent.of(window);
            ledger.received += 1;
            ledger.sent += u64::from(!is_repeated);
            ledger.duplicates += u64::from(is_repeated);
            let mut is_full = self.unsent.len() >= MAX_WINDOWS;
            let is_whole = missing == regions;
            // The first copy of a post that is sent now counts as primary.
            let mut is_primary = true;
            for copy in if is_repeated { &[] } else { copies } {
                if !is_whole && !index.sets.has(missing, self.regions[copy.lane as usize].0) {
                    continue;
                }
                let buffer = &mut self.buffers[copy.lane as usize];
                let newest_ms = if buffer.lines.is_empty() { post.time_ms } else { buffer.newest_ms.max(post.time_ms) };
                buffer.newest_ms = newest_ms;
                buffer.count(window, is_primary);
                let line = &batch.lines[copy.from as usize..copy.to as usize];
                if std::mem::take(&mut is_primary) && !is_whole {
                    frame::put_first_copy(&mut buffer.lines, line);
                } else {
                    buffer.lines.extend_from_slice(line);
                }
                is_full |= buffer.lines.len() >= self.rules.max_bytes;
            }
            if !is_repeated {
                self.oldest_wait_ms.get_or_insert(now_ms);
            }
            if is_full {
                self.cut(now_ms, out);
            }
        }
        drop(index);
        self.tick(now_ms, out);
        Ok(())
    }

    /// Counts the lines that go nowhere in the windows that they belong to.
    fn place(&mut self, batch: &Batch, now_ms: i64, out: &mut Vec<CutFrame>) {
        // A batch has lines without a time only when it has no post: a live one is of now, that of an archive is
        // next to the one before it.
        let beside_ms = self.last_ms.filter(|_| !self.origin.live).unwrap_or(now_ms);
        let timeless = Unsent { at_ms: beside_ms, ..batch.timeless };
        for unsent in batch.unsent.iter().chain([&timeless]).filter(|unsent| !unsent.is_empty()) {
            let Unsent { at_ms, filtered, quarantined, withheld: total } = *unsent;
            let mut withheld = 0;
            if total > 0 {
                // The source counts from its connection on; a lower number is a new connection.
                withheld = total.checked_sub(self.withheld).unwrap_or(total);
                self.withheld = total;
            }
            let ledger = self.unsent.of(self.size.start_of(at_ms).0);
            ledger.received += filtered + quarantined;
            ledger.filtered += filtered;
            ledger.quarantined += quarantined;
            ledger.withheld += withheld;
            if self.unsent.len() >= MAX_WINDOWS {
                self.cut(now_ms, out);
            }
        }
        self.last_ms = batch.last_ms.or(self.last_ms);
    }

    fn regions_of(&self, copies: &[LaneLine], sets: &mut RegionSets, scratch: &mut Vec<u32>) -> RegionSet {
        let region = |copy: &LaneLine| self.regions[copy.lane as usize];
        if let [copy] = copies {
            return region(copy).1;
        }
        scratch.clear();
        scratch.extend(copies.iter().map(|copy| region(copy).0));
        sets.of(scratch)
    }

    /// Cuts when posts have waited long enough, or when a heartbeat is due.
    pub fn tick(&mut self, now_ms: i64, out: &mut Vec<CutFrame>) {
        let is_old = self.oldest_wait_ms.is_some_and(|since| now_ms - since >= self.rules.max_age_ms);
        let is_beat_due = self.is_listening && now_ms - self.last_cut_ms >= self.rules.heartbeat_ms;
        if self.origin.live && (is_old || is_beat_due) {
            self.cut(now_ms, out);
        }
    }

    /// The source is connected since this time; heartbeats report it.
    pub fn connected(&mut self, since_ms: i64) {
        self.origin.connected_ms = since_ms;
        self.is_listening = true;
    }

    /// The source is not connected: no heartbeats until it is.
    pub fn disconnected(&mut self) {
        self.is_listening = false;
    }

    /// Posts of this time (milliseconds) were missed for good. Says so in each window of it, by a
    /// ledger frame.
    pub fn gap(&mut self, from_ms: i64, to_ms: i64, out: &mut Vec<CutFrame>) {
        let mut at_ms = from_ms;
        while at_ms < to_ms {
            let window_end_ms = self.size.start_of(at_ms).0 + self.size.ms();
            let end_ms = window_end_ms.min(to_ms);
            self.note(at_ms, Ledger { missed_ms: (end_ms - at_ms) as u64, ..Ledger::default() }, out);
            at_ms = end_ms;
        }
    }

    /// From this time (milliseconds) on the source is asked for this share of its posts only, from 0
    /// to 1. Every ledger states the share from now on. The window of the change gets an extra ledger, because its
    /// last ledger may be cut already, or the next one may fall into a later window.
    pub fn sampling(&mut self, share: f64, at_ms: i64, out: &mut Vec<CutFrame>) {
        // A share of almost one is not all.
        let least = u64::from(share < 1.0);
        let unasked_permille = (1000 - ((share * 1000.0).round() as u64).min(1000)).max(least);
        let most = self.unasked_permille.max(unasked_permille);
        // A frame sent while disconnected would mark the window as observed.
        if unasked_permille != self.unasked_permille && (self.is_listening || !self.is_drained()) {
            self.note(at_ms, Ledger { unasked_permille: most, ..Ledger::default() }, out);
        }
        self.unasked_permille = unasked_permille;
    }

    /// A frame that only carries a ledger note for the window of `at_ms`.
    fn note(&mut self, at_ms: i64, ledger: Ledger, out: &mut Vec<CutFrame>) {
        self.ledger_counter += 1;
        let header = FrameHeader {
            lane: Lane::ledger(self.lanes.network(), &self.origin.source),
            source: self.origin.source.clone(),
            run: self.origin.run.clone(),
            counter: self.ledger_counter,
            cut_ms: at_ms,
            connected_ms: self.origin.connected_ms,
            live: self.origin.live,
            ledger,
            ..FrameHeader::default()
        };
        self.total.add(&header.ledger);
        out.push(CutFrame { header, lines: vec![] });
    }

    /// Whether every post that was added is cut.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.oldest_wait_ms.is_none()
    }

    /// Cuts everything that is pending. A live source's frame is cut even when it is empty: that is the
    /// heartbeat.
    pub fn cut(&mut self, now_ms: i64, out: &mut Vec<CutFrame>) {
        let ledgers = self.unsent.take();
        if !self.origin.live && ledgers.is_empty() {
            return;
        }
        let ledger = Ledger { unasked_permille: self.unasked_permille, ..Ledger::default() };
        let archive_ms = self.newest_ms.unwrap_or(now_ms);
        self.cut_counter += 1;
        let header = |lane: Lane, counter, cut_ms| FrameHeader {
            lane,
            source: self.origin.source.clone(),
            run: self.origin.run.clone(),
            counter,
            cut_ms: if self.origin.live { now_ms } else { cut_ms },
            connected_ms: self.origin.connected_ms,
            live: self.origin.live,
            cut: self.cut_counter,
            ..FrameHeader::default()
        };
        for (lane, buffer) in self.lanes.all().iter().zip(&mut self.buffers) {
            if !buffer.lines.is_empty() {
                buffer.counter += 1;
                let room = Vec::with_capacity(buffer.lines.len());
                let lines = std::mem::replace(&mut buffer.lines, room);
                let windows = std::mem::take(&mut buffer.windows);
                let header = header(lane.clone(), buffer.counter, buffer.newest_ms);
                out.push(CutFrame { header: FrameHeader { windows, ..header }, lines });
            }
        }
        self.ledger_counter += 1;
        let header = header(Lane::ledger(self.lanes.network(), &self.origin.source), self.ledger_counter, archive_ms);
        let header = FrameHeader { ledger, ledgers, ..header };
        header.ledgers().for_each(|(_, ledger)| self.total.add(ledger));
        out.push(CutFrame { header, lines: vec![] });
        self.oldest_wait_ms = None;
        self.last_cut_ms = now_ms;
    }

    /// The ledger since the start, with what is not cut yet.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.total;
        ledger.add(&self.unsent.sum());
        ledger
    }

    /// Region and window start (milliseconds) of every window that a post belongs to.
    #[must_use]
    pub fn touched(&self) -> BTreeSet<(&str, i64)> {
        let lanes = self.lanes.all();
        self.touched.iter().map(|(lane, window)| (lanes[*lane as usize].region(), *window)).collect()
    }

    /// Newest event time seen.
    #[must_use]
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }
}

#[cfg(test)]
mod tests;

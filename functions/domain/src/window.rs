//! The aggregate of one window, and the stored item that holds it with its fence.

use crate::frame::{Frame, Ledger, SlimPost};
use crate::hashtag;
use crate::languages::Languages;
use crate::ports::SequenceNumber;
use crate::seen::SeenFrames;
use crate::time::{WindowSize, WindowStart};
use crate::topk::TopK;
use crate::uniques::{Estimate, Uniques};
use crate::unzstd;
use crate::wire::{self, DecodeError, Reader};

/// Hashtags with a counter in one partial.
pub const HASHTAG_COUNTERS: usize = 96;
/// Link hosts with a counter in one partial.
pub const HOST_COUNTERS: usize = 32;
/// Where posts without a language are counted (BCP 47's code for undetermined).
pub const NO_LANGUAGE: &str = "und";

/// Most bytes of a partial's state, uncompressed, that is written or read.
pub const MAX_PARTIAL_BYTES: usize = 1 << 20;

const VERSION: u8 = 4;
/// Still read: spellings without the key itself, at most 64 languages.
const OLD_VERSION: u8 = 3;

/// What folding depends on besides the log. Two runs with the same rules give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldRules {
    /// Length of a window.
    pub size: WindowSize,
    /// How long after its end a window still takes posts as on time, in milliseconds.
    pub lateness_ms: i64,
}

impl Default for FoldRules {
    fn default() -> Self {
        Self { size: WindowSize::FIVE_MINUTES, lateness_ms: 120_000 }
    }
}

/// Everything counted of one lane in one window. A pure function of the frames folded, in lane
/// order.
#[derive(Clone, Debug, Default)]
pub struct Aggregate {
    /// Posts by kind, in the order of [`crate::post::Kind::ALL`].
    pub kinds: [u64; 4],
    /// Posts in each minute of the window.
    pub per_minute: Vec<u64>,
    /// Posts by language.
    pub languages: Languages,
    /// Distinct authors, of the posts whose source names one.
    pub authors: Uniques,
    /// Posts whose source names no author.
    pub authorless: u64,
    /// Hashtags by folded key.
    pub hashtags: Option<TopK>,
    /// Hashtags that were longer than the limit and so are not among `hashtags`.
    pub long_hashtags: u64,
    /// Mentions of accounts.
    pub mentions: u64,
    /// Hosts of links.
    pub hosts: Option<TopK>,
    /// Posts by how the region was decided, in the order of [`crate::post::Located::ALL`].
    pub located: [u64; 5],
    /// Sum, maximum and number of lags between a post and the cut of its frame, in milliseconds;
    /// live sources only.
    pub lag: Lag,
    /// Frames that touched this window, heartbeats among them. None means that nobody looked.
    pub frames: u64,
    /// Posts that came when the window was final already; they are counted all the same.
    pub late: u64,
    /// Posts of which no earlier region has a copy: the sum over all regions counts each post once.
    pub primary: u64,
    /// Late posts among them.
    pub primary_late: u64,
    /// Newest event time, in milliseconds; 0 when there was no post.
    pub newest_ms: i64,
    /// What the streamer says of the lines that it received (lane `_stream` only).
    pub ledger: Ledger,
    /// Log records that cannot be read; each counts in the first window that it has posts of.
    pub corrupt_records: u64,
    /// Posts of this window in records that cannot be read, as far as their headers can.
    pub corrupt_posts: u64,
    /// Those among them of which no earlier region has a copy.
    pub corrupt_primary: u64,
    /// How often the stored window could not be read and was begun anew. A reprocess restores it.
    pub resets: u64,
    /// Frames taken, so that one that the log holds twice counts once.
    seen: SeenFrames,
}

/// Lags between post and frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Sum in milliseconds.
    pub sum_ms: u64,
    /// Largest, in milliseconds.
    pub max_ms: u64,
    /// Number of posts with a lag.
    pub count: u64,
}

impl Aggregate {
    /// An empty window in the place of a stored one that cannot be read.
    #[must_use]
    pub fn begun_anew() -> Self {
        Self { resets: 1, ..Self::default() }
    }

    /// Posts of any kind.
    #[must_use]
    pub fn posts(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Whether posts are missing since records or the stored window were damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.corrupt_records + self.corrupt_posts + self.resets > 0
    }

    /// How many people wrote the posts, with the bounds in which the number lies with 95 %
    /// probability; exact when the bounds are equal. There are never more authors than posts, and never
    /// fewer than in a part that was merged into this. Posts without author may each be of somebody of
    /// their own or all of authors that are known: they widen the bounds.
    #[must_use]
    pub fn distinct_authors(&self) -> Estimate {
        let with_author = self.posts().saturating_sub(self.authorless);
        let known = self.authors.estimate().at_most(with_author);
        let least = u64::from(self.posts() > 0);
        Estimate { value: known.value.max(least), low: known.low.max(least), high: known.high + self.authorless }
    }

    /// Folds those posts and ledgers of `frame` that lie in `window`, and, when the frame was cut in it, its
    /// heartbeat. A frame whose run and number were folded before changes
    /// nothing.
    pub fn fold(&mut self, rules: FoldRules, window: WindowStart, frame: &Frame) {
        let header = &frame.header;
        // Of a record without a header nobody knows whether it is a repetition.
        if !header.run.is_empty() && !self.seen.take(&header.run, header.counter) {
            return;
        }
        if frame.damage.is_some() {
            let first_ms = header.windows.first().map_or(header.cut_ms, |count| count.window_ms);
            self.corrupt_records += u64::from(rules.size.start_of(first_ms) == window);
            for count in header.windows.iter().filter(|count| count.window_ms == window.0) {
                self.corrupt_posts += count.posts;
                self.corrupt_primary += count.primary;
            }
        }
        let end_ms = window.0 + rules.size.ms();
        let is_late = header.live && header.cut_ms >= end_ms + rules.lateness_ms;
        for (at_ms, ledger) in header.ledgers() {
            if rules.size.start_of(at_ms) == window {
                self.ledger.add(ledger);
            }
        }
        self.frames += 1;
        self.per_minute.resize(rules.size.minutes(), 0);
        for post in frame.posts.iter().filter(|post| rules.size.start_of(post.time_ms) == window) {
            self.count(post, window);
            self.late += u64::from(is_late);
            self.primary_late += u64::from(is_late && !post.is_copy);
            if header.live {
                // A negative lag is clock skew between the source and us.
                let lag = u64::try_from(header.cut_ms - post.time_ms).unwrap_or(0);
                self.lag.sum_ms += lag;
                self.lag.max_ms = self.lag.max_ms.max(lag);
                self.lag.count += 1;
            }
        }
    }

    fn count(&mut self, post: &SlimPost, window: WindowStart) {
        self.kinds[post.kind as usize] += 1;
        self.primary += u64::from(!post.is_copy);
        self.newest_ms = self.newest_ms.max(post.time_ms);
        self.located[post.located as usize] += 1;
        if let Some(minute) = self.per_minute.get_mut(((post.time_ms - window.0) / 60_000) as usize) {
            *minute += 1;
        }
        let language = if post.lang.is_empty() { NO_LANGUAGE } else { &post.lang };
        self.languages.add(language, 1);
        match post.author {
            Some(author) => self.authors.add(author),
            None => self.authorless += 1,
        }
        self.long_hashtags += u64::from(post.long_hashtags);
        self.mentions += u64::from(post.mentions);
        for written in &post.hashtags {
            match hashtag::key(written) {
                Some(key) => self.hashtags.get_or_insert_with(|| TopK::new(HASHTAG_COUNTERS)).add(&key, written),
                // Too long and not merely empty: a frame of before there was a limit at the source.
                None => self.long_hashtags += u64::from(written.contains(char::is_alphanumeric)),
            }
        }
        for host in &post.hosts {
            self.hosts.get_or_insert_with(|| TopK::new(HOST_COUNTERS)).add(host, host);
        }
    }

    /// Takes in the aggregate of another lane, or of another window when windows are merged into
    /// longer steps. Minutes are kept only when both have the same number and `same_window`.
    pub fn merge(&mut self, other: &Self, same_window: bool) {
        for (ours, theirs) in self.kinds.iter_mut().zip(other.kinds) {
            *ours += theirs;
        }
        for (ours, theirs) in self.located.iter_mut().zip(other.located) {
            *ours += theirs;
        }
        if same_window {
            if self.per_minute.len() < other.per_minute.len() {
                self.per_minute.resize(other.per_minute.len(), 0);
            }
            for (ours, theirs) in self.per_minute.iter_mut().zip(&other.per_minute) {
                *ours += theirs;
            }
        } else {
            self.per_minute.extend(&other.per_minute);
        }
        self.languages.merge(&other.languages);
        self.authors.merge(&other.authors);
        self.authorless += other.authorless;
        self.long_hashtags += other.long_hashtags;
        self.mentions += other.mentions;
        merge_top(&mut self.hashtags, other.hashtags.as_ref(), MERGED_COUNTERS);
        merge_top(&mut self.hosts, other.hosts.as_ref(), MERGED_COUNTERS);
        self.lag.sum_ms += other.lag.sum_ms;
        self.lag.max_ms = self.lag.max_ms.max(other.lag.max_ms);
        self.lag.count += other.lag.count;
        self.frames += other.frames;
        self.late += other.late;
        self.primary += other.primary;
        self.primary_late += other.primary_late;
        self.newest_ms = self.newest_ms.max(other.newest_ms);
        self.ledger.add(&other.ledger);
        self.corrupt_records += other.corrupt_records;
        self.corrupt_posts += other.corrupt_posts;
        self.corrupt_primary += other.corrupt_primary;
        self.resets += other.resets;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Ledger {
            received,
            sent,
            filtered,
            quarantined,
            duplicates,
            dropped,
            missed_ms,
            unasked_permille,
            withheld,
        } = self.ledger;
        let counts = [self.mentions, self.frames, self.late, self.primary, self.primary_late];
        let lag = [self.lag.sum_ms, self.lag.max_ms, self.lag.count];
        let ledger = [received, sent, filtered, quarantined, duplicates, dropped, missed_ms];
        for count in self.kinds.iter().chain(&self.located).chain(&counts).chain(&lag).chain(&ledger) {
            wire::put_u64(out, *count);
        }
        wire::put_i64(out, self.newest_ms);
        wire::put_u64(out, self.per_minute.len() as u64);
        self.per_minute.iter().for_each(|n| wire::put_u64(out, *n));
        self.languages.encode(out);
        self.authors.encode(out);
        for top in [&self.hashtags, &self.hosts] {
            out.push(u8::from(top.is_some()));
            if let Some(top) = top {
                top.encode(out);
            }
        }
        self.seen.encode(out);
        // Counts that are rarely other than zero, up to the last one that is.
        let corrupt = [self.corrupt_records, self.corrupt_posts, self.corrupt_primary, self.resets];
        let rare = [[unasked_permille, self.authorless, self.long_hashtags, withheld].as_slice(), &corrupt].concat();
        let said = rare.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        rare[..said].iter().for_each(|count| wire::put_u64(out, *count));
    }

    fn decode(version: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let is_old = version == OLD_VERSION;
        let mut aggregate = Self::default();
        for count in aggregate.kinds.iter_mut().chain(&mut aggregate.located) {
            *count = reader.u64()?;
        }
        aggregate.mentions = reader.u64()?;
        aggregate.frames = reader.u64()?;
        aggregate.late = reader.u64()?;
        aggregate.primary = reader.u64()?;
        aggregate.primary_late = reader.u64()?;
        aggregate.lag = Lag { sum_ms: reader.u64()?, max_ms: reader.u64()?, count: reader.u64()? };
        aggregate.ledger = Ledger {
            received: reader.u64()?,
            sent: reader.u64()?,
            filtered: reader.u64()?,
            quarantined: reader.u64()?,
            duplicates: reader.u64()?,
            dropped: reader.u64()?,
            missed_ms: reader.u64()?,
            ..Ledger::default()
        };
        aggregate.newest_ms = reader.i64()?;
        for _ in 0..reader.u64()? {
            aggregate.per_minute.push(reader.u64()?);
        }
        aggregate.languages = if is_old { Languages::decode_v3(reader) } else { Languages::decode(reader) }?;
        aggregate.authors = Uniques::decode(reader)?;
        let top = if is_old { TopK::decode_v3 } else { TopK::decode };
        if reader.u8()? == 1 {
            aggregate.hashtags = Some(top(HASHTAG_COUNTERS, reader)?);
        }
        if reader.u8()? == 1 {
            aggregate.hosts = Some(top(HOST_COUNTERS, reader)?);
        }
        aggregate.seen = SeenFrames::decode(reader)?;
        let ledger = &mut aggregate.ledger;
        let rare = [
            &mut ledger.unasked_permille,
            &mut aggregate.authorless,
            &mut aggregate.long_hashtags,
            &mut ledger.withheld,
            &mut aggregate.corrupt_records,
            &mut aggregate.corrupt_posts,
            &mut aggregate.corrupt_primary,
            &mut aggregate.resets,
        ];
        for count in rare {
            if reader.rest().is_empty() {
                break;
            }
            *count = reader.u64()?;
            if *count == 0 && reader.rest().is_empty() {
                return Err(reader.error("no trailing zero"));
            }
        }
        Ok(aggregate)
    }
}

/// Counters of a merged answer: large, since it is never stored.
const MERGED_COUNTERS: usize = 2048;

fn merge_top(ours: &mut Option<TopK>, theirs: Option<&TopK>, capacity: usize) {
    if let Some(theirs) = theirs {
        ours.get_or_insert_with(|| TopK::new(capacity)).merge(theirs);
    }
}

/// The windows that a frame touches, in order: those of its posts and its ledgers, and the one in which it was
/// cut.
#[must_use]
pub fn touched(rules: FoldRules, frame: &Frame) -> Vec<WindowStart> {
    let mut windows: Vec<_> = frame.header.ledgers().map(|(at_ms, _)| rules.size.start_of(at_ms)).collect();
    if frame.damage.is_some() {
        windows.extend(frame.header.windows.iter().map(|count| rules.size.start_of(count.window_ms)));
    }
    for post in &frame.posts {
        let window = rules.size.start_of(post.time_ms);
        if windows.last() != Some(&window) {
            windows.push(window);
        }
    }
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// The stored item of one (region, window, lane).
#[derive(Clone, Debug)]
pub struct Partial {
    /// Which computation wrote it: live is 1, each reprocess takes the next.
    pub generation: u32,
    /// The last log record folded into it.
    pub fence: SequenceNumber,
    /// What was counted.
    pub aggregate: Aggregate,
}

impl Partial {
    /// The one byte form of this partial's state: version, fence, aggregate, CRC-32; zstd-compressed. The
    /// generation is not part of it (stores keep it beside): who computed a window must not show in
    /// its bytes (rule 1).
    ///
    /// # Errors
    /// When it is larger than [`MAX_PARTIAL_BYTES`], which the bounds of what is counted exclude, or zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = vec![VERSION];
        wire::put_bytes(&mut out, self.fence.as_str().as_bytes());
        self.aggregate.encode(&mut out);
        // Neither zstd nor every store notices a flipped bit.
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        if out.len() > MAX_PARTIAL_BYTES {
            return Err(std::io::Error::other(format!("a window of {} bytes exceeds {MAX_PARTIAL_BYTES}", out.len())));
        }
        zstd::bulk::compress(&out, 3)
    }

    /// Reads what [`Partial::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged: our own corruption, to be reported and never skipped (rule 4).
    pub fn decode(generation: u32, bytes: &[u8]) -> Result<Self, DecodeError> {
        let plain = unzstd::decompress(bytes, MAX_PARTIAL_BYTES)
            .map_err(|_| DecodeError { at: 0, what: "a zstd frame of at most 1 MiB" })?;
        let Some((plain, sum)) = plain.split_last_chunk::<4>() else {
            return Err(DecodeError { at: 0, what: "a checksum" });
        };
        if crc32fast::hash(plain) != u32::from_le_bytes(*sum) {
            return Err(DecodeError { at: plain.len(), what: "the checksum of what is stored" });
        }
        let mut reader = Reader::new(plain);
        let version = reader.u8()?;
        if ![VERSION, OLD_VERSION].contains(&version) {
            return Err(reader.error("version 3 or 4 of the stored window"));
        }
        let fence = SequenceNumber::parse(reader.text()?).ok_or(reader.error("a sequence number"))?;
        let aggregate = Aggregate::decode(version, &mut reader)?;
        reader.finish()?;
        Ok(Self { generation, fence, aggregate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameHeader, Lane};
    use crate::network::Network;
    use crate::post::{Kind, Located};
    use proptest::prelude::*;

    fn frame(counter: u64, cut_ms: i64, live: bool, posts: Vec<SlimPost>) -> Frame {
        let header = FrameHeader {
            lane: Lane::posts("r", Network::X, 0),
            source: "test".into(),
            run: "run".into(),
            counter,
            cut_ms,
            cut: 1,
            live,
            ledger: Ledger { received: 1, filtered: 1, ..Ledger::default() },
            ..FrameHeader::default()
        };
        Frame { header, posts, damage: None }
    }

    fn post(t: i64, author: u64) -> SlimPost {
        SlimPost {
            id: u128::from(author),
            time_ms: t,
            author: Some(author),
            kind: Kind::Repost,
            located: Located::Place,
            lang: "fr".into(),
            hashtags: vec!["Tag".into(), format!("t{}", author % 150)],
            mentions: 1,
            hosts: vec![format!("host{}.example", author % 40)],
            ..SlimPost::default()
        }
    }

    fn partial(aggregate: Aggregate) -> Partial {
        Partial { generation: 1, fence: 7u64.into(), aggregate }
    }

    #[test]
    fn a_frame_counts_in_each_window_that_its_posts_lie_in() {
        let rules = FoldRules::default();
        let frame = frame(1, 310_000, true, vec![post(299_999, 1), post(300_000, 2), post(305_000, 2)]);
        assert_eq!(touched(rules, &frame), [WindowStart(0), WindowStart(300_000)]);
        let (mut first, mut second) = (Aggregate::default(), Aggregate::default());
        first.fold(rules, WindowStart(0), &frame);
        second.fold(rules, WindowStart(300_000), &frame);
        assert_eq!((first.posts(), second.posts()), (1, 2));
        assert_eq!((first.ledger.received, second.ledger.received), (0, 1), "the ledger belongs to the cut's window");
        assert_eq!(first.per_minute, [0, 0, 0, 0, 1]);
        assert_eq!(second.authors.estimate().value, 1);
        assert_eq!(second.lag, Lag { sum_ms: 15_000, max_ms: 10_000, count: 2 });
        assert_eq!((first.late, second.late), (0, 0));
    }

    #[test]
    fn a_post_is_late_when_its_window_was_final_at_the_cut() {
        let rules = FoldRules::default();
        let posts = vec![post(1, 1)];
        for (cut, live, late) in [(419_999, true, 0), (420_000, true, 1), (9_420_000, false, 0)] {
            let mut aggregate = Aggregate::default();
            aggregate.fold(rules, WindowStart(0), &frame(1, cut, live, posts.clone()));
            assert_eq!((aggregate.posts(), aggregate.late), (1, late), "cut at {cut}");
        }
    }

    #[test]
    fn a_window_keeps_the_smallest_share_that_was_asked_for_and_one_that_was_not_sampled_its_bytes() {
        let rules = FoldRules::default();
        let plain = |shares: &[u64]| {
            let mut aggregate = Aggregate::default();
            for (n, share) in shares.iter().enumerate() {
                let mut frame = frame(n as u64 + 1, 1, true, vec![post(1, 1)]);
                frame.header.ledger.unasked_permille = *share;
                aggregate.fold(rules, WindowStart(0), &frame);
            }
            let bytes = partial(aggregate).encode().unwrap();
            let read = Partial::decode(1, &bytes).unwrap();
            assert_eq!(read.encode().unwrap(), bytes);
            let plain = zstd::bulk::decompress(&bytes, 1 << 20).unwrap();
            (read.aggregate.ledger.unasked_permille, plain[..plain.len() - 4].to_vec())
        };
        let (never, before) = plain(&[0, 0, 0]);
        let (worst, bytes) = plain(&[100, 750, 0]);
        assert_eq!((never, worst), (0, 750));
        assert_eq!(bytes, [&before[..], &[0xee, 0x05]].concat(), "750 behind the bytes of the same window in full");
        // Zero is never written; whoever did would store two forms of one window.
        let mut odd = [&before[..], &[0]].concat();
        odd.extend(crc32fast::hash(&odd).to_le_bytes());
        assert!(Partial::decode(1, &zstd::bulk::compress(&odd, 3).unwrap()).is_err());
    }

    /// Posts by `authors`, one each, and further ones without author.
    fn of_authors(authors: impl Iterator<Item = u64>, authorless: u64) -> Aggregate {
        let scattered = authors.map(|n| post(1, n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)));
        let nobodys = (0..authorless).map(|n| SlimPost { author: None, ..post(1, n) });
        let mut aggregate = Aggregate::default();
        let frame = frame(1, 1, true, scattered.chain(nobodys).collect());
        aggregate.fold(FoldRules::default(), WindowStart(0), &frame);
        aggregate
    }

    #[test]
    fn there_are_never_more_authors_than_posts() {
        for n in [1, 224, 225, 400, 1000, 1300, 5000] {
            for from in 0..20 {
                let authors = of_authors(from * 10_000..from * 10_000 + n, 0).distinct_authors();
                assert!(authors.value <= n && authors.low <= authors.value, "{authors:?} of {n}");
                assert!(authors.high <= n && authors.high >= authors.value, "{authors:?} of {n}");
            }
        }
    }

    #[test]
    fn posts_without_author_are_of_one_author_or_of_as_many_as_there_are_posts() {
        let of = |authors, authorless| of_authors(0..authors, authorless).distinct_authors();
        assert_eq!(of(0, 0), Estimate::exact(0));
        assert_eq!(of(0, 300), Estimate { value: 1, low: 1, high: 300 });
        assert_eq!(of(7, 0), Estimate::exact(7));
        assert_eq!(of(7, 3), Estimate { value: 7, low: 7, high: 10 });
        let window = of_authors(0..7, 3);
        let bytes = partial(window).encode().unwrap();
        let read = Partial::decode(1, &bytes).unwrap();
        assert_eq!((read.aggregate.authorless, read.aggregate.distinct_authors().high), (3, 10));
        assert_eq!(read.encode().unwrap(), bytes);
    }

    #[test]
    fn an_hour_has_as_many_authors_as_any_of_its_windows() {
        // The same authors in each window, in another order: each window has an estimate of its own.
        for n in [1000, 1300, 3000] {
            let windows: Vec<_> = (0..12).map(|w| of_authors((0..n).map(|a| (a * 7 + w * 101) % n), 0)).collect();
            let mut hour = Aggregate::default();
            for window in &windows {
                hour.merge(window, false);
            }
            let hour = hour.distinct_authors();
            for window in windows.iter().map(Aggregate::distinct_authors) {
                assert!(window.value <= hour.value && window.low <= hour.low, "{window:?} {hour:?}");
            }
        }
    }

    /// A window as the version before this one wrote it.
    #[test]
    fn a_window_of_the_old_form_is_read() {
        let mut aggregate = of_authors(0..3, 0);
        aggregate.ledger.unasked_permille = 250;
        let bytes = partial(aggregate).encode().unwrap();
        let mut plain = zstd::bulk::decompress(&bytes, 1 << 20).unwrap();
        plain.truncate(plain.len() - 4);
        plain[0] = OLD_VERSION;
        // One language (fr, 3 posts), and no count of others behind it; spellings leave out the key.
        let languages = plain.windows(5).position(|five| five == [1, 2, b'f', b'r', 3]).unwrap();
        assert_eq!(plain.remove(languages + 5), 0);
        let tag = plain.windows(4).position(|four| four == b"\x03tag").unwrap();
        assert_eq!(plain[tag + 4..tag + 7], [3, 2, 0], "three sights, one other spelling, none of the key");
        plain[tag + 5] = 1;
        plain.remove(tag + 6);
        plain.extend(crc32fast::hash(&plain).to_le_bytes());
        let read = Partial::decode(1, &zstd::bulk::compress(&plain, 3).unwrap()).unwrap();
        assert_eq!(read.encode().unwrap(), bytes);
    }

    #[test]
    fn hashtags_that_are_too_long_are_counted_as_such() {
        let posts = vec![
            SlimPost { long_hashtags: 2, ..post(1, 1) },
            SlimPost { hashtags: vec!["x".repeat(5000), " # ".into()], ..post(1, 2) },
        ];
        let mut aggregate = Aggregate::default();
        aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 1, true, posts));
        assert_eq!(aggregate.long_hashtags, 3);
        let bytes = partial(aggregate).encode().unwrap();
        let read = Partial::decode(1, &bytes).unwrap();
        assert_eq!((read.aggregate.long_hashtags, read.aggregate.authorless), (3, 0));
        assert_eq!(read.encode().unwrap(), bytes);
    }

    #[test]
    fn a_typical_partial_is_at_most_four_kib() {
        let posts = (0..1500).map(|n| post(n * 199, (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let mut aggregate = Aggregate::default();
        aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 299_000, true, posts));
        let bytes = partial(aggregate).encode().unwrap();
        assert!(bytes.len() <= 4096, "{} bytes", bytes.len());
    }

    /// `DynamoDB` takes items of 400 KB, and a partial of more than 1 MiB in plain is not read.
    #[test]
    fn the_largest_partial_can_be_stored_and_read() {
        let mut dice = 1u64;
        let mut next = move |below: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        // Deseret has cases and four bytes a letter. Each tag comes in more spellings than are kept.
        let mut posts = vec![];
        for n in 0..2000 {
            let letters: Vec<u32> = (0..hashtag::MAX_HASHTAG_BYTES / 4).map(|_| next(40) as u32).collect();
            for _ in 0..if n < 200 { 8 } else { 1 } {
                let tag: String = letters
                    .iter()
                    .filter_map(|letter| char::from_u32(0x10400 + letter + 40 * next(2) as u32))
                    .collect();
                let host: String = (0..253).map(|_| char::from(b'a' + next(26) as u8)).collect();
                let language: String = (0..35).map(|_| char::from(b'a' + next(26) as u8)).collect();
                posts.push(SlimPost {
                    hashtags: vec![tag],
                    hosts: vec![host],
                    lang: language,
                    ..post(1, next(1 << 40))
                });
            }
        }
        let mut aggregate = Aggregate::default();
        aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 1, true, posts));
        let bytes = partial(aggregate).encode().unwrap();
        assert!(bytes.len() < 300_000, "{} bytes", bytes.len());
        assert_eq!(Partial::decode(1, &bytes).unwrap().encode().unwrap(), bytes);
    }

    #[test]
    fn damaged_partials_are_errors() {
        let mut aggregate = Aggregate::default();
        aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 1, true, vec![post(1, 1)]));
        let bytes = partial(aggregate).encode().unwrap();
        assert!(Partial::decode(1, &bytes).is_ok());
        for cut in 0..bytes.len() {
            assert!(Partial::decode(1, &bytes[..cut]).is_err(), "cut at {cut}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[cut] ^= 1 << bit;
                // A flip may hit what zstd does not use; then the state must be the very same.
                if let Ok(read) = Partial::decode(1, &flipped) {
                    assert_eq!(read.encode().unwrap(), bytes, "bit {bit} of byte {cut}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// However windows are grouped into steps and a total, the total has one estimate of authors, which is
        /// not above the posts and not below that of any step or window.
        #[test]
        fn authors_add_up_the_same_in_any_order(
            spans in prop::collection::vec((0u64..2000, 0u64..700, 0u64..4), 1..8), turn in 0usize..8, size in 1usize..5,
        ) {
            let merged = |parts: &[Aggregate]| parts.iter().fold(Aggregate::default(), |mut sum, part| {
                sum.merge(part, false);
                sum
            });
            let mut windows: Vec<_> = spans.iter().map(|(from, n, nobodys)| of_authors(*from..from + n, *nobodys)).collect();
            let total = merged(&windows).distinct_authors();
            windows.rotate_left(turn % spans.len());
            prop_assert_eq!(merged(&windows).distinct_authors(), total);
            let steps: Vec<_> = windows.chunks(size).map(merged).collect();
            prop_assert_eq!(merged(&steps).distinct_authors(), total);
            prop_assert!(total.high <= steps.iter().map(Aggregate::posts).sum());
            for part in steps.iter().chain(&windows) {
                let authors = part.distinct_authors();
                prop_assert!(authors.value <= total.value && authors.low <= total.low, "{:?} {:?}", authors, total);
                prop_assert!(authors.low <= authors.value && authors.value <= authors.high);
                prop_assert!(authors.high <= part.posts());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// A restart between any two frames must not show in the stored bytes.
        #[test]
        fn a_reload_between_frames_changes_no_byte(posts in prop::collection::vec((0i64..300_000, 0u64..700), 0..900), every in 1usize..60) {
            let rules = FoldRules::default();
            let (mut straight, mut reloaded) = (Aggregate::default(), Aggregate::default());
            for (n, chunk) in posts.chunks(every).enumerate() {
                let frame = frame(n as u64 + 1, 299_999, true, chunk.iter().map(|(t, a)| post(*t, a * 7919)).collect());
                straight.fold(rules, WindowStart(0), &frame);
                reloaded.fold(rules, WindowStart(0), &frame);
                reloaded = Partial::decode(1, &partial(reloaded).encode().unwrap()).unwrap().aggregate;
            }
            prop_assert_eq!(partial(straight).encode().unwrap(), partial(reloaded).encode().unwrap());
        }
    }
}

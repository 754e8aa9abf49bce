//! What trends are found from: the counts of each window of a region on one day, with its most frequent hashtags and hosts
//! and who wrote them. A pure function of the windows (rule 1.1), small enough to read weeks of it.
//!
//! The ledgers of all sources have such a day, too ([`crate::lane::STREAM`]): which networks were watched, and whether posts
//! are missing.
//!
//! ```
//! use birdsong_domain::frame::Lane;
//! use birdsong_domain::network::Network;
//! use birdsong_domain::rollup::Rollup;
//! use birdsong_domain::series::{DaySeries, WindowSeries};
//! use birdsong_domain::time::WindowSize;
//!
//! let mut window = Rollup::default();
//! window.aggregate.frames.0 = 1;
//! let lane = Lane::posts("fog", Network::X, 0);
//! let window = WindowSeries::new([(&lane, &window)], WindowSize::FIVE_MINUTES);
//! assert_eq!(window.posts(None), 0);
//!
//! let mut day = DaySeries::default();
//! day.set(0..12, [(3, window)]);
//! assert_eq!(DaySeries::decode(&day.encode()?)?, day);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeBounds};

use crate::crowd::{self, Crowd, SIGNS};
use crate::lane::Lane;
use crate::network::Network;
use crate::reference::ReferenceDay;
use crate::rollup::{DAY_MS, Rollup};
use crate::sealed;
use crate::time::WindowSize;
use crate::topk::{TopItem, TopK};
use crate::window::metric::{Authors as Writers, Metric};
use crate::wire::{self, DecodeError, Reader};

/// Hashtags and hosts of one window that are kept.
pub const KEPT: [usize; 2] = [20, 10];
/// Hashes of authors that are kept of one hashtag or host in one window.
const AUTHORS: usize = 3;
/// Largest encoded day, in bytes; hashtags and hosts with few posts are left out of a larger one.
const MAX_BYTES: usize = 120_000;
/// A share of a window of one part in this many may be missing without making it unusable.
const MISSED_PARTS: i64 = 20;
/// Version 1 had no authors of networks, and version 2 one spelling of a hashtag for all windows.
const VERSION: u8 = 4;

/// Whether a name is a hashtag or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A hashtag; the key is folded.
    Hashtag,
    /// A host of links.
    Host,
}

impl Item {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hashtag, Self::Host];
}

/// How a network was watched in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Whether a record of the log says anything about the window.
    pub is_known: bool,
    /// Whether a source had no connection for a noticeable time, and its posts of that time are lost.
    pub is_missed: bool,
    /// Whether posts were dropped or not delivered.
    pub is_lost: bool,
    /// Whether records or windows are damaged.
    pub is_damaged: bool,
    /// Whether a streamer started.
    pub is_restart: bool,
    /// Of 1,000 posts, those that a source was not asked for.
    pub unasked_permille: u64,
}

impl Watch {
    /// Whether the counts can be compared with those of other windows.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.is_missed && !self.is_lost && !self.is_damaged && self.unasked_permille == 0
    }

    fn add(&mut self, other: Self) {
        self.is_known |= other.is_known;
        self.is_missed |= other.is_missed;
        self.is_lost |= other.is_lost;
        self.is_damaged |= other.is_damaged;
        self.is_restart |= other.is_restart;
        self.unasked_permille = self.unasked_permille.max(other.unasked_permille);
    }

    fn bits(self) -> u64 {
        let flags = [self.is_known, self.is_missed, self.is_lost, self.is_damaged, self.is_restart];
        flags.into_iter().enumerate().map(|(n, flag)| u64::from(flag) << n).sum::<u64>() | self.unasked_permille << 5
    }

    fn from_bits(bits: u64) -> Self {
        let flag = |n: u32| bits >> n & 1 == 1;
        Self {
            is_known: flag(0),
            is_missed: flag(1),
            is_lost: flag(2),
            is_damaged: flag(3),
            is_restart: flag(4),
            unasked_permille: bits >> 5,
        }
    }
}

/// A network in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkWindow {
    /// Posts; of a ledger 0.
    pub posts: u64,
    /// How many people wrote them, about; 0 when that is not known.
    pub authors: u64,
    /// How it was watched.
    pub watch: Watch,
}

/// Who wrote the posts with a hashtag or host in one window, as far as it decides whether they are a trend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authors {
    /// How many, about.
    pub count: u64,
    /// Some of them: hashes, in order.
    some: Vec<u16>,
    /// Posts whose author is known, and signed sums of them ([`Crowd`]).
    known: u64,
    sums: [i64; SIGNS],
}

impl Authors {
    fn of(crowd: &Crowd) -> Self {
        let some = crowd.some(AUTHORS).to_vec();
        Self { count: crowd.authors().value, some, known: crowd.posts(), sums: crowd.sums() }
    }
}

/// Posts with one hashtag or host in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Posts, at least.
    pub posts: u64,
    /// Who wrote them.
    pub authors: Authors,
}

/// Posts that came after a window was final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// How many.
    pub posts: u64,
    /// When the last of them came, in milliseconds.
    pub last_ms: Option<i64>,
}

/// A window of a region, or of the ledgers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowSeries {
    /// The networks that anything is known of.
    pub networks: BTreeMap<Network, NetworkWindow>,
    /// Whether it changed after it was final.
    pub is_revised: bool,
    /// Posts that came after it was final.
    pub late: Late,
    /// Posts that a hashtag, or a host, that is not listed may have, at most.
    pub floors: [u64; 2],
    /// The most frequent hashtags and hosts: by key, as people write it, and posts.
    items: BTreeMap<(Item, Box<str>), (Box<str>, Entry)>,
}

impl WindowSeries {
    /// A window from its lanes.
    pub fn new<'a>(lanes: impl IntoIterator<Item = (&'a Lane, &'a Rollup)>, size: WindowSize) -> Self {
        let mut window = Self::default();
        let mut tops: [Option<TopK>; 2] = [None, None];
        let mut writers = BTreeMap::<Network, Writers>::new();
        for (lane, rollup) in lanes {
            let aggregate = &rollup.aggregate;
            window.is_revised |= rollup.is_revised && !lane.is_ledger();
            window.late.posts += aggregate.lateness.posts;
            window.late.last_ms = window.late.last_ms.max(aggregate.last_late.0);
            let network = window.networks.entry(lane.network()).or_default();
            network.posts += aggregate.posts();
            writers.entry(lane.network()).or_default().merge(&aggregate.authors, true);
            let ledger = &aggregate.ledger;
            network.watch.add(Watch {
                is_known: rollup.known.contains(0),
                is_missed: i64::try_from(ledger.missed_ms).unwrap_or(i64::MAX) > size.ms() / MISSED_PARTS,
                is_lost: ledger.dropped > 0 || ledger.withheld > 0,
                is_damaged: rollup.is_damaged(),
                is_restart: lane.is_ledger() && aggregate.has_run_start(),
                unasked_permille: ledger.unasked_permille,
            });
            TopK::merge_into(&mut tops[0], aggregate.hashtags.top.as_ref());
            TopK::merge_into(&mut tops[1], aggregate.hosts.top.as_ref());
        }
        for (network, of) in &mut window.networks {
            // Posts of sources without authors show nothing.
            let known = writers.get(network).filter(|writers| writers.authorless < of.posts);
            of.authors = known.map_or(0, |writers| writers.distinct(of.posts).value);
        }
        for (item, top) in Item::ALL.into_iter().zip(tops) {
            let Some(top) = top else { continue };
            let kept = KEPT[item as usize];
            let mut list = top.top(kept + 1);
            // Those that are as frequent as the first one left out may be left out as well; nothing depends on it.
            let next = if list.len() > kept { list.pop().map_or(0, |next| next.count) } else { 0 };
            window.floors[item as usize] = next + top.error();
            for TopItem { key, shown, count, crowd, .. } in list {
                let entry = Entry { posts: count, authors: Authors::of(&crowd) };
                window.items.insert((item, key.into()), (shown.into(), entry));
            }
        }
        window
    }

    /// Posts of a network, or of all.
    #[must_use]
    pub fn posts(&self, network: Option<Network>) -> u64 {
        let of = self.networks.iter().filter(|(name, _)| network.is_none_or(|network| network == **name));
        of.map(|(_, network)| network.posts).sum()
    }
}

/// A hashtag or host on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayItem {
    /// As people write it: the spelling of the window with the most posts, the first one of equals.
    shown: Box<str>,
    /// The windows in which it was among the most frequent ones, by position.
    pub entries: BTreeMap<u16, Entry>,
    /// The spellings of the windows that have another one. So the day follows from its windows alone, also when one of
    /// them is replaced.
    others: BTreeMap<u16, Box<str>>,
}

impl DayItem {
    fn posts(&self) -> u64 {
        self.entries.values().map(|entry| entry.posts).sum()
    }

    /// As people write it in these windows: the spelling of the one with the most posts, the first one of equals.
    #[must_use]
    pub fn spelling(&self, positions: impl RangeBounds<u16>) -> &str {
        let mut most: Option<(u16, u64)> = None;
        for (position, entry) in self.entries.range(positions) {
            if most.is_none_or(|(_, posts)| entry.posts > posts) {
                most = Some((*position, entry.posts));
            }
        }
        most.and_then(|(position, _)| self.others.get(&position)).unwrap_or(&self.shown)
    }

    fn insert(&mut self, position: u16, shown: Box<str>, entry: Entry) {
        if self.entries.is_empty() {
            self.shown = shown;
        } else if shown != self.shown {
            self.others.insert(position, shown);
        }
        self.entries.insert(position, entry);
        self.respell();
    }

    fn remove(&mut self, positions: &[u16]) {
        let count = self.entries.len();
        for position in positions {
            self.entries.remove(position);
            self.others.remove(position);
        }
        if self.entries.len() < count {
            self.respell();
        }
    }

    /// Brings `shown` and `others` into their one form.
    fn respell(&mut self) {
        let shown = self.spelling(..);
        if *shown == *self.shown {
            return;
        }
        let shown = shown.into();
        let before = std::mem::replace(&mut self.shown, shown);
        let mut others = std::mem::take(&mut self.others);
        for position in self.entries.keys() {
            let spelling = others.remove(position).unwrap_or_else(|| before.clone());
            if spelling != self.shown {
                self.others.insert(*position, spelling);
            }
        }
    }
}

/// Hashtags and hosts by key.
pub type DayItems = BTreeMap<(Item, Box<str>), DayItem>;

/// A window of a day without its hashtags and hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayWindow {
    /// As [`WindowSeries::networks`].
    pub networks: BTreeMap<Network, NetworkWindow>,
    /// As [`WindowSeries::is_revised`].
    pub is_revised: bool,
    /// As [`WindowSeries::late`].
    pub late: Late,
    /// As [`WindowSeries::floors`].
    pub floors: [u64; 2],
    /// Whether it holds a reference count instead of posts that were counted here ([`DaySeries::stand_in`]).
    pub is_reference: bool,
}

/// The windows of one region on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaySeries {
    /// The windows that anything is known of, by position in the day.
    pub windows: BTreeMap<u16, DayWindow>,
    /// The hashtags and hosts.
    pub items: DayItems,
}

impl DaySeries {
    /// Replaces the windows at these positions.
    pub fn set(&mut self, positions: Range<u16>, windows: impl IntoIterator<Item = (u16, WindowSeries)>) {
        let old: Vec<_> = self.windows.range(positions).map(|(position, _)| *position).collect();
        if !old.is_empty() {
            old.iter().for_each(|position| drop(self.windows.remove(position)));
            self.items.retain(|_, item| {
                item.remove(&old);
                !item.entries.is_empty()
            });
        }
        for (position, window) in windows {
            let WindowSeries { networks, is_revised, late, floors, items } = window;
            self.windows.insert(position, DayWindow { networks, is_revised, late, floors, is_reference: false });
            for (key, (shown, entry)) in items {
                self.items.entry(key).or_default().insert(position, shown, entry);
            }
        }
    }

    /// Lets the counts of another place stand in for a day of which nothing is known: its windows are those of `network`,
    /// without hashtags, hosts and authors.
    pub fn stand_in(&mut self, network: Network, reference: &ReferenceDay, size: WindowSize) {
        if !self.is_empty() {
            return;
        }
        let watch = Watch { is_known: true, ..Watch::default() };
        for position in 0..(DAY_MS / size.ms()) as u16 {
            if let Some(posts) = reference.window(usize::from(position), size) {
                let networks = BTreeMap::from([(network, NetworkWindow { posts, watch, authors: 0 })]);
                self.windows.insert(position, DayWindow { networks, is_reference: true, ..DayWindow::default() });
            }
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// The one byte form: version, windows, hashtags and hosts; CRC-32; zstd-compressed. The rarest hashtags and hosts are
    /// left out of a day that would be too large; what they may have is in the floors, then.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let bytes = sealed::seal(self.plain());
        match bytes {
            Ok(bytes) if bytes.len() <= MAX_BYTES => Ok(bytes),
            Ok(_) | Err(_) if !self.items.is_empty() => self.with_fewer_items().encode(),
            bytes => bytes,
        }
    }

    fn with_fewer_items(&self) -> Self {
        let mut posts: Vec<_> = self.items.iter().map(|(key, item)| (item.posts(), key)).collect();
        posts.sort_by(|a, b| b.cmp(a));
        let dropped: BTreeSet<_> = posts.split_off(posts.len() / 2).into_iter().map(|(_, key)| key).collect();
        let mut fewer = Self { windows: self.windows.clone(), items: BTreeMap::new() };
        for (key, item) in &self.items {
            if !dropped.contains(key) {
                fewer.items.insert(key.clone(), item.clone());
                continue;
            }
            for (position, entry) in &item.entries {
                if let Some(window) = fewer.windows.get_mut(position) {
                    let floor = &mut window.floors[key.0 as usize];
                    *floor = (*floor).max(entry.posts);
                }
            }
        }
        fewer
    }

    /// A hash of the windows before `until`, by position, and of all that decides what they are: equal ones give the same
    /// events.
    #[must_use]
    pub fn fingerprint(&self, until: u16) -> u64 {
        let mut before = self.clone();
        before.set(until..u16::MAX, []);
        siphasher::sip::SipHasher13::new().hash(&before.plain())
    }

    fn plain(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let networks: BTreeSet<_> = self.windows.values().flat_map(|window| window.networks.keys()).collect();
        let networks: Vec<_> = networks.into_iter().collect();
        wire::put_u64(&mut out, networks.len() as u64);
        networks.iter().for_each(|network| wire::put_bytes(&mut out, network.as_str().as_bytes()));
        wire::put_u64(&mut out, self.windows.len() as u64);
        let mut next = 0;
        for (position, window) in &self.windows {
            wire::put_u64(&mut out, u64::from(position - next));
            next = position + 1;
            wire::put_u64(&mut out, (window.networks.len() as u64) << 1 | u64::from(window.is_revised));
            if window.is_revised {
                let Late { posts, last_ms } = window.late;
                wire::put_u64(&mut out, posts << 1 | u64::from(last_ms.is_some()));
                last_ms.into_iter().for_each(|last_ms| wire::put_i64(&mut out, last_ms));
            }
            for (n, network) in networks.iter().enumerate() {
                if let Some(of_network) = window.networks.get(network) {
                    wire::put_u64(&mut out, n as u64);
                    wire::put_u64(&mut out, of_network.posts);
                    wire::put_u64(&mut out, of_network.watch.bits());
                    wire::put_u64(&mut out, of_network.authors);
                }
            }
            window.floors.iter().for_each(|floor| wire::put_u64(&mut out, *floor));
        }
        for ((kind, key), item) in &self.items {
            out.push(*kind as u8);
            wire::put_bytes(&mut out, key.as_bytes());
            wire::put_bytes(&mut out, if item.shown == *key { b"" } else { item.shown.as_bytes() });
            wire::put_u64(&mut out, item.entries.len() as u64);
            let mut next = 0;
            for (position, Entry { posts, authors }) in &item.entries {
                wire::put_u64(&mut out, u64::from(position - next));
                next = position + 1;
                wire::put_u64(&mut out, *posts);
                wire::put_u64(&mut out, authors.count << 2 | authors.some.len() as u64);
                authors.some.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
                // One author's signs follow from the hash.
                if authors.count > 1 {
                    authors.sums.iter().for_each(|sum| wire::put_i64(&mut out, *sum));
                }
                if authors.count > 0 {
                    wire::put_u64(&mut out, authors.known);
                }
            }
            wire::put_u64(&mut out, item.others.len() as u64);
            let mut next = 0;
            for (position, spelling) in &item.others {
                wire::put_u64(&mut out, u64::from(position - next));
                next = position + 1;
                wire::put_bytes(&mut out, spelling.as_bytes());
            }
        }
        out
    }

    /// Reads what [`DaySeries::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, or another release wrote them in another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let plain = sealed::open(bytes)?;
        let mut reader = Reader::new(&plain);
        let reader = &mut reader;
        let version = reader.u8()?;
        if !(1..=VERSION).contains(&version) {
            return Err(reader.error("version 1 to 4 of a day's series"));
        }
        let mut day = Self::default();
        let mut networks = vec![];
        for _ in 0..reader.u64()? {
            let error = reader.error("the name of a network");
            networks.push(Network::parse(reader.text()?).map_err(|_| error)?);
        }
        let mut next = 0u64;
        for _ in 0..reader.u64()? {
            let position = position(reader, &mut next)?;
            let head = reader.u64()?;
            let mut window = DayWindow { is_revised: head & 1 == 1, ..DayWindow::default() };
            if window.is_revised && version > 3 {
                let late = reader.u64()?;
                let last_ms = if late & 1 == 1 { Some(reader.i64()?) } else { None };
                window.late = Late { posts: late >> 1, last_ms };
            }
            for _ in 0..head >> 1 {
                let n = usize::try_from(reader.u64()?).unwrap_or(usize::MAX);
                let network = *networks.get(n).ok_or(reader.error("a network of the list"))?;
                let (posts, watch) = (reader.u64()?, Watch::from_bits(reader.u64()?));
                let authors = if version > 1 { reader.u64()? } else { 0 };
                let of_network = NetworkWindow { posts, watch, authors };
                window.networks.insert(network, of_network);
            }
            window.floors = [reader.u64()?, reader.u64()?];
            day.windows.insert(position, window);
        }
        while !reader.rest().is_empty() {
            let kind = reader.u8()?;
            let kind = *Item::ALL.get(usize::from(kind)).ok_or(reader.error("a hashtag or a host"))?;
            let key: Box<str> = reader.text()?.into();
            let shown = reader.text()?;
            let shown = if shown.is_empty() { key.clone() } else { shown.into() };
            let mut item = DayItem { shown, ..DayItem::default() };
            let mut next = 0u64;
            for _ in 0..reader.u64()? {
                let position = position(reader, &mut next)?;
                let posts = reader.u64()?;
                let head = reader.u64()?;
                let hash =
                    |reader: &mut Reader<'_>| Ok::<_, DecodeError>(u16::from_le_bytes([reader.u8()?, reader.u8()?]));
                let mut authors = Authors { count: head >> 2, ..Authors::default() };
                for _ in 0..head & 3 {
                    authors.some.push(hash(reader)?);
                }
                if authors.count > 1 {
                    for sum in &mut authors.sums {
                        *sum = reader.i64()?;
                    }
                }
                if authors.count > 0 {
                    authors.known = reader.u64()?;
                }
                if authors.count == 1 {
                    let [only] = authors.some[..] else { return Err(reader.error("one author")) };
                    let known = i64::try_from(authors.known).map_err(|_| reader.error("a number of posts"))?;
                    authors.sums = crowd::signs(only).map(|sign| sign * known);
                }
                item.entries.insert(position, Entry { posts, authors });
            }
            let mut next = 0u64;
            for _ in 0..if version > 2 { reader.u64()? } else { 0 } {
                let position = position(reader, &mut next)?;
                item.others.insert(position, reader.text()?.into());
            }
            day.items.insert((kind, key), item);
        }
        Ok(day)
    }
}

fn position(reader: &mut Reader<'_>, next: &mut u64) -> Result<u16, DecodeError> {
    let at = next.checked_add(reader.u64()?).and_then(|position| u16::try_from(position).ok());
    let at = at.filter(|position| *position < 1440).ok_or(reader.error("a window of the day"))?;
    *next = u64::from(at) + 1;
    Ok(at)
}

/// Who wrote the posts of several windows: distinct authors at least, and the share of the largest one in thousandths, as
/// far as that is known.
#[must_use]
pub fn evidence<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> (u64, Option<u64>) {
    let (mut some, mut sums) = (BTreeSet::<u16>::new(), [0i64; SIGNS]);
    let (mut most, mut known) = (0, 0);
    for Entry { authors, .. } in entries {
        known += authors.known;
        most = most.max(authors.count);
        some.extend(&authors.some);
        sums.iter_mut().zip(authors.sums).for_each(|(sum, of)| *sum = sum.saturating_add(of));
    }
    let authors = most.max(some.len() as u64);
    (authors, (known > 0).then(|| crowd::top_share(known, sums, authors).1))
}

#[cfg(test)]
mod tests;

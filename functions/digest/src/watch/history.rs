//! The counts of a region over the last weeks, window by window, as the rules of trends want them.

use std::collections::BTreeMap;
use std::sync::Arc;

use birdsong_domain::event::{GapReason, Subject};
use birdsong_domain::network::Network;
use birdsong_domain::revision::Revision;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::series::{DaySeries, DayWindow, Entry, Item, Watch};
use birdsong_domain::time::WindowSize;

/// A day of a region, and of the ledgers.
pub type Day = (Arc<DaySeries>, Arc<DaySeries>);

/// The days of a region and of the ledgers, from one midnight UTC on.
#[derive(Debug)]
pub struct History {
    size: WindowSize,
    /// Start of the first day, in milliseconds.
    first_ms: i64,
    /// Windows before this one are known.
    len: usize,
    /// The region's windows, and those of the ledgers, by day.
    days: Vec<Day>,
    /// Posts of each window of the region; `None` when they cannot be compared.
    total: Vec<Option<u32>>,
    /// The first window that has posts of the region; before it nobody may have looked for them.
    first_own: usize,
}

/// What is known of a network in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known of it, and nothing was before.
    Unknown,
    /// All posts are there.
    Whole,
    /// Posts are missing.
    Gap(GapReason),
    /// Only a share of the posts was asked for.
    Sampled(u64),
}

impl History {
    /// The days from `first_ms` on, which is midnight UTC; windows that start at `until_ms` or later are not known yet.
    #[must_use]
    pub fn new(size: WindowSize, first_ms: i64, until_ms: i64, days: Vec<Day>) -> Self {
        let len = usize::try_from((until_ms - first_ms) / size.ms()).unwrap_or(0);
        let mut history = Self { size, first_ms, len, days, total: vec![], first_own: 0 };
        history.first_own = history.first_own().unwrap_or(len);
        history.total = (0..len).map(|at| history.posts(at, None)).collect();
        history
    }

    /// Number of windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Start of a window, in milliseconds.
    #[must_use]
    pub fn start_ms(&self, at: usize) -> i64 {
        self.first_ms + at as i64 * self.size.ms()
    }

    /// The window that starts at a time; windows beyond the ends are those at the ends.
    #[must_use]
    pub fn position(&self, start_ms: i64) -> usize {
        usize::try_from((start_ms - self.first_ms).div_euclid(self.size.ms())).unwrap_or(0).min(self.len)
    }

    fn per_day(&self) -> usize {
        (DAY_MS / self.size.ms()) as usize
    }

    /// The first window with posts of the region that were counted here.
    fn first_own(&self) -> Option<usize> {
        self.days.iter().enumerate().find_map(|(day, (own, _))| {
            let (position, _) = own.windows.iter().find(|(_, window)| !window.is_reference)?;
            Some(day * self.per_day() + usize::from(*position))
        })
    }

    fn window(&self, at: usize) -> (Option<&DayWindow>, Option<&DayWindow>) {
        let position = (at % self.per_day()) as u16;
        let day = self.days.get(at / self.per_day());
        (day.and_then(|(own, _)| own.windows.get(&position)), day.and_then(|(_, all)| all.windows.get(&position)))
    }

    /// How the windows of the region, and the ledgers of one network or all, were watched.
    fn watches(&self, at: usize, network: Option<Network>) -> impl Iterator<Item = Watch> {
        let (own, ledgers) = self.window(at);
        let of = own.into_iter().chain(ledgers).flat_map(|window| &window.networks);
        // A damaged record of an unknown network may be of any.
        of.filter(move |(name, _)| network.is_none_or(|network| network == **name || **name == Network::UNKNOWN))
            .map(|(_, of_network)| of_network.watch)
    }

    /// Posts of the region, or of one network in it; `None` when they cannot be compared with those of other windows.
    fn posts(&self, at: usize, network: Option<Network>) -> Option<u32> {
        let own = self.window(at).0;
        if at < self.first_own {
            // The ledgers cannot show whether the region was looked for. A reference count stands in for its posts.
            let stands_in = |window: &&DayWindow| {
                window.is_reference && network.is_none_or(|network| window.networks.contains_key(&network))
            };
            let posts = |window: &DayWindow| window.networks.values().map(|of| of.posts).sum::<u64>();
            return own.filter(stands_in).map(|window| u32::try_from(posts(window)).unwrap_or(u32::MAX));
        }
        let mut is_known = false;
        for watch in self.watches(at, network) {
            is_known |= watch.is_known;
            if !watch.is_whole() {
                return None;
            }
        }
        if !is_known {
            return None;
        }
        let networks = own.into_iter().flat_map(|window| &window.networks);
        let of = networks.filter(|(name, _)| network.is_none_or(|network| network == **name));
        Some(u32::try_from(of.map(|(_, of)| of.posts).sum::<u64>()).unwrap_or(u32::MAX))
    }

    /// Posts of each window of the region; `None` when they cannot be compared.
    #[must_use]
    pub fn total(&self) -> &[Option<u32>] {
        &self.total
    }

    /// Posts of each window of a series, as [`History::total`]. A hashtag or host that is not among the most frequent ones
    /// of a window counts half of what it may have at most.
    #[must_use]
    pub fn series(&self, subject: &Subject) -> Vec<Option<u32>> {
        match subject {
            Subject::Region => self.total.clone(),
            Subject::Network { network } => (0..self.len).map(|at| self.posts(at, Some(*network))).collect(),
            Subject::Hashtag { key, .. } => self.item(Item::Hashtag, key),
            Subject::Host { host } => self.item(Item::Host, host),
        }
    }

    fn item(&self, kind: Item, key: &str) -> Vec<Option<u32>> {
        let mut counts = self.total.clone();
        let per_day = self.per_day();
        let key = (kind, key.into());
        for (day, (own, _)) in self.days.iter().enumerate() {
            let entries = own.items.get(&key).map(|item| &item.entries);
            let from = (day * per_day).min(self.len);
            for (position, count) in counts[from..self.len.min(from + per_day)].iter_mut().enumerate() {
                let Some(posts) = count else { continue };
                if own.windows.get(&(position as u16)).is_some_and(|window| window.is_reference) {
                    *count = None;
                    continue;
                }
                let entry = entries.and_then(|entries| entries.get(&(position as u16)));
                let of_item = match entry {
                    Some(entry) => entry.posts,
                    None => own.windows.get(&(position as u16)).map_or(0, |window| window.floors[kind as usize] / 2),
                };
                *posts = u32::try_from(of_item).unwrap_or(u32::MAX);
            }
        }
        counts
    }

    /// Posts of a hashtag or host in the windows `from..to`, at least and at most; `None` where the window is not known.
    #[must_use]
    pub fn bounds(&self, (kind, key): (Item, &str), from: usize, to: usize) -> Vec<Option<(u64, u64)>> {
        let key = (kind, key.into());
        let bounds = |at: usize| {
            let (position, day) = ((at % self.per_day()) as u16, self.days.get(at / self.per_day())?);
            let window = self.window(at).0;
            if let Some(entry) = day.0.items.get(&key).and_then(|item| item.entries.get(&position)) {
                return Some((entry.posts, entry.posts));
            }
            match window {
                Some(window) if window.is_reference => None,
                Some(window) => Some((0, window.floors[kind as usize])),
                // Without posts of the region.
                None => self.watches(at, None).any(|watch| watch.is_known).then_some((0, 0)),
            }
        };
        (from..to.min(self.len)).map(bounds).collect()
    }

    /// Hashtags and hosts with at least `posts` posts in the windows `from..=at`, by key; and the posts.
    pub(super) fn items(&self, from: usize, at: usize, posts: u64) -> Vec<(Subject, u64)> {
        let mut sums = BTreeMap::<(Item, &str), (&str, u64)>::new();
        let per_day = self.per_day();
        for day in from / per_day..=at / per_day {
            let Some((own, _)) = self.days.get(day) else { continue };
            let low = from.saturating_sub(day * per_day) as u16;
            let high = (at - day * per_day).min(per_day - 1) as u16;
            for ((kind, key), item) in &own.items {
                let sum: u64 = item.entries.range(low..=high).map(|(_, entry)| entry.posts).sum();
                if sum > 0 {
                    let known = sums.entry((*kind, key)).or_insert_with(|| (item.spelling(low..=high), 0));
                    known.1 += sum;
                }
            }
        }
        let subject = |((kind, key), (shown, sum)): ((Item, &str), (&str, u64))| {
            let subject = match kind {
                Item::Hashtag => Subject::Hashtag { key: key.to_owned(), shown: shown.to_owned() },
                Item::Host => Subject::Host { host: key.to_owned() },
            };
            (subject, sum)
        };
        sums.into_iter().filter(|(_, (_, sum))| *sum >= posts).map(subject).collect()
    }

    /// What is known of a hashtag or host in the windows `from..=at`, one by one.
    pub(super) fn entries(&self, subject: &Subject, from: usize, at: usize) -> Vec<&Entry> {
        let Some(key) = key_of(subject) else { return vec![] };
        let entry = |at: usize| {
            let item = self.days.get(at / self.per_day())?.0.items.get(&key)?;
            item.entries.get(&((at % self.per_day()) as u16))
        };
        (from..=at).filter_map(entry).collect()
    }

    /// How many people wrote the posts of the region, or of one network in it, in the windows `from..=at`, at least; `None`
    /// when no window shows any.
    pub(super) fn authors(&self, network: Option<Network>, from: usize, at: usize) -> Option<u64> {
        let of_window = |at: usize| {
            let networks = self.window(at).0.into_iter().flat_map(|window| &window.networks);
            let of = networks.filter(|(name, _)| network.is_none_or(|network| network == **name));
            of.map(|(_, of)| of.authors).sum::<u64>()
        };
        (from..=at).map(of_window).max().filter(|authors| *authors > 0)
    }

    /// Whether a hashtag or host was among the most frequent ones of any window before `at`, a day back or more, or since
    /// the start of the day before.
    pub(super) fn was_seen_before(&self, subject: &Subject, at: usize) -> bool {
        let Some(key) = key_of(subject) else { return true };
        let day = at / self.per_day();
        self.days.iter().take(day).any(|(own, _)| own.items.contains_key(&key))
    }

    /// Networks that anything is known of in the region, of the days before and of that of window `at`.
    pub(super) fn networks(&self, at: usize) -> Vec<Network> {
        let days = self.days.iter().take(at / self.per_day() + 1);
        let windows = days.flat_map(|(own, _)| own.windows.values());
        let mut networks: Vec<_> = windows.flat_map(|window| window.networks.keys().copied()).collect();
        networks.sort();
        networks.dedup();
        networks.retain(|network| *network != Network::UNKNOWN);
        networks
    }

    /// How a network was watched in a window: of the ledgers' own history.
    pub(super) fn state(&self, at: usize, network: Network) -> State {
        let mut all = Watch::default();
        for watch in self.watches(at, Some(network)) {
            all.is_known |= watch.is_known;
            all.is_missed |= watch.is_missed;
            all.is_lost |= watch.is_lost;
            all.is_damaged |= watch.is_damaged;
            all.unasked_permille = all.unasked_permille.max(watch.unasked_permille);
        }
        match all {
            Watch { is_damaged: true, .. } => State::Gap(GapReason::Damaged),
            Watch { is_missed: true, .. } => State::Gap(GapReason::Missed),
            Watch { is_lost: true, .. } => State::Gap(GapReason::Lost),
            Watch { is_known: true, unasked_permille: 0, .. } => State::Whole,
            Watch { is_known: true, unasked_permille, .. } => State::Sampled(unasked_permille),
            _ => State::Unknown,
        }
    }

    /// Whether a streamer started in a window.
    pub(super) fn is_restart(&self, at: usize, network: Network) -> bool {
        self.watches(at, Some(network)).any(|watch| watch.is_restart)
    }

    /// Whether the ledgers show that all sources were connected in a window.
    pub(super) fn is_alive(&self, at: usize, network: Option<Network>) -> bool {
        let ledgers = self.window(at).1;
        let known = ledgers.into_iter().flat_map(|window| &window.networks);
        let mut of = known.filter(|(name, _)| network.is_none_or(|network| network == **name)).peekable();
        of.peek().is_some() && of.all(|(_, of)| of.watch.is_known && of.watch.is_whole())
    }

    /// Whether windows `from..to` of the region changed after they were final, and the posts that came late.
    #[must_use]
    pub fn revised(&self, from: usize, to: usize) -> (bool, Revision) {
        let (mut is_revised, mut all) = (false, Revision::NONE);
        for window in (from..to.min(self.len)).filter_map(|at| self.window(at).0) {
            is_revised |= window.is_revised;
            all.add(&Revision::late(window.late.posts, window.late.last_ms));
        }
        (is_revised, all)
    }
}

fn key_of(subject: &Subject) -> Option<(Item, Box<str>)> {
    match subject {
        Subject::Hashtag { key, .. } => Some((Item::Hashtag, key.as_str().into())),
        Subject::Host { host } => Some((Item::Host, host.as_str().into())),
        Subject::Region | Subject::Network { .. } => None,
    }
}

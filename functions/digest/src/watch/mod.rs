//! What is going on in the regions: events, and what rises. Found from the series of days ([`birdsong_domain::series`]) by
//! the rules of [`birdsong_domain::trend`], window by window, when windows are final.
//!
//! Events are a pure function of the series. So when a window of the past changes, its day and those behind it are gone
//! through again, from the state that was noted at the start of that day. [`Watched::consumed`] shows what was gone through.

mod fold;
mod history;
mod rising;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use birdsong_domain::event::{Event, decode_all, encode_all};
use birdsong_domain::lane::{Lane, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{
    Change, Document, DocumentKey, DocumentKind, DocumentStore, PortError, PutOutcome, WindowStore,
};
use birdsong_domain::reference::ReferenceDay;
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollup, windows_of};
use birdsong_domain::sealed;
use birdsong_domain::series::{DaySeries, WindowSeries};
use birdsong_domain::time::{WindowSize, WindowStart, rfc3339};
use birdsong_domain::trend::{Past, Scale, Sensitivity};
use birdsong_domain::window::FoldRules;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

pub use fold::State;
pub use history::{Day, History};
pub use rising::{Detail, MAX_RISING, ProfileOf, Rising, Standing};

use fold::Fold;

use crate::{AT_ONCE, reference};

/// The network whose posts reference counts are.
pub const REFERENCE_NETWORK: Network = Network::X;
/// Days before a window that its score depends on, and the day itself.
pub const BASELINE_DAYS: i64 = 15;
/// How far back changes of the past are gone through again, in days.
const REACH_DAYS: i64 = 60;
/// How long series that were read are used again, in milliseconds. Only other digests can change them meanwhile.
const KEPT_MS: i64 = HOUR_MS;
/// Most events of a region that start on one day; those with the highest scores are kept.
const MAX_EVENTS: usize = 300;
/// Windows behind the last final one for which the usual number of posts is known.
const AHEAD: usize = 4;

/// How far a region was gone through, and what was found. The body of its document of the kind
/// [`DocumentKind::Watch`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Watched {
    /// Windows that start before this were gone through.
    pub scored_to_ms: i64,
    /// What the next window needs.
    pub state: State,
    /// What was gone through of each day, by its start: a hash of the region's series and of that of the ledgers.
    pub consumed: BTreeMap<i64, u64>,
    /// What rises at the last window.
    pub rising: Vec<Rising>,
    /// Posts in an hour as usual, by the end of the hour, in milliseconds: expected, and the ends of the range in which
    /// the number is on four of five days, in thousandths.
    pub usual: BTreeMap<i64, (u64, u64, u64)>,
}

impl Watched {
    /// Reads a document; `None` when it is damaged or of another release.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(&sealed::open(body).ok()?).ok()
    }

    /// The most unusual comparison that goes on.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        let least = Sensitivity::Balanced.theta_milli();
        let of = self.state.open().filter(|event| event.kind.is_comparison() && event.score_milli >= least);
        // The first by id of equals.
        of.max_by(|a, b| a.score_milli.cmp(&b.score_milli).then_with(|| b.id.cmp(&a.id)))
    }

    /// The body of the document.
    ///
    /// # Errors
    /// When it is larger than 1 MiB uncompressed, or zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        sealed::seal(serde_json::to_vec(self)?)
    }
}

/// Windows that are final, but whose hour is not: of the hours that were read for the overview.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    /// Hours that replace what is stored, by start: windows.
    pub(crate) hours: BTreeMap<i64, BTreeMap<i64, Arc<WindowSeries>>>,
    /// More about the windows of the last hours, by start.
    pub(crate) details: BTreeMap<i64, Arc<Detail>>,
}

/// Series that were read.
#[derive(Debug, Default)]
struct Kept {
    loaded_ms: i64,
    /// Start of the first day that is here.
    from_ms: i64,
    days: BTreeMap<i64, Vec<u8>>,
    /// Counts of another place, which stand in for days before the region was watched.
    reference: BTreeMap<i64, ReferenceDay>,
}

/// Days of a region of which it is known that what was gone through is what is stored.
#[derive(Debug, Default)]
struct Checked {
    /// When the series of the region and of the ledgers were read.
    loaded_ms: [i64; 2],
    days: BTreeSet<i64>,
}

/// Goes through the regions of one store. It keeps some series between runs.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    kept: HashMap<String, Kept>,
    checked: HashMap<String, Checked>,
    /// What was found last, with the revision of its document.
    watched: HashMap<String, (Option<u64>, Watched)>,
}

/// What the watcher needs to know of a run.
pub(crate) struct Run<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) rules: FoldRules,
    pub(crate) now_ms: i64,
    /// Windows that start before this are final.
    pub(crate) until_ms: i64,
    /// Hours that were rolled up in this run.
    pub(crate) done: &'a [Change],
}

fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS) * DAY_MS
}

fn corrupt(error: std::io::Error) -> PortError {
    PortError::cannot_encode(error)
}

/// The series of a day as it is stored, to be changed and put again.
pub(crate) struct StoredDay {
    key: DocumentKey,
    stored: Option<Document>,
    series: DaySeries,
}

impl StoredDay {
    /// Reads it. A damaged one is made again from its windows.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn load<S: WindowStore + DocumentStore>(
        store: &S,
        size: WindowSize,
        region: &str,
        day_ms: i64,
    ) -> Result<Self, PortError> {
        let key = DocumentKey { kind: DocumentKind::Series, region: region.to_owned(), start_ms: day_ms };
        let stored = one(store, &key).await?;
        let series = match stored.as_ref().map(|document| DaySeries::decode(&document.body)) {
            Some(Ok(series)) => series,
            None => DaySeries::default(),
            Some(Err(error)) => {
                tracing::error!("the series of {region}, {}: {error}; it is made again", rfc3339(day_ms));
                whole_day(store, size, region, day_ms).await?
            }
        };
        Ok(Self { key, stored, series })
    }

    /// Replaces the windows that start in `from_ms..to_ms`.
    pub(crate) fn set(
        &mut self,
        (from_ms, to_ms): (i64, i64),
        windows: BTreeMap<i64, Arc<WindowSeries>>,
        size: WindowSize,
    ) {
        let position = |time_ms: i64| ((time_ms - self.key.start_ms) / size.ms()) as u16;
        let windows = windows.into_iter().map(|(at, of)| (position(at), Arc::unwrap_or_clone(of)));
        self.series.set(position(from_ms)..position(to_ms - 1) + 1, windows.collect::<Vec<_>>());
    }

    /// Stores it if it changed. `false` when another digest was faster.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn put<S: DocumentStore>(self, store: &S) -> Result<bool, PortError> {
        let body = self.series.encode().map_err(corrupt)?;
        let is_same = match &self.stored {
            Some(document) => document.body == body,
            None => self.series.is_empty(),
        };
        let revision = self.stored.map(|document| document.revision);
        Ok(is_same || store.put_document(&self.key, Some(&body), revision).await? == PutOutcome::Stored)
    }
}

/// The series of a day from its windows.
async fn whole_day<S: WindowStore>(
    store: &S,
    size: WindowSize,
    region: &str,
    day_ms: i64,
) -> Result<DaySeries, PortError> {
    let mut day = DaySeries::default();
    for hour in (0..24).map(|hour| day_ms + hour * HOUR_MS) {
        let rows = store.query(region, WindowStart(hour), WindowStart(hour + HOUR_MS)).await?;
        let position = |time_ms: i64| ((time_ms - day_ms) / size.ms()) as u16;
        let series = series_of(&windows_of(rows), size);
        let windows = series.into_iter().map(|(at, of)| (position(at), Arc::unwrap_or_clone(of)));
        day.set(position(hour)..position(hour + HOUR_MS), windows);
    }
    Ok(day)
}

/// Windows by start, from their lanes.
pub(crate) fn series_of(windows: &BTreeMap<(i64, Lane), Rollup>, size: WindowSize) -> BTreeMap<i64, Arc<WindowSeries>> {
    by_start(windows).into_iter().map(|(at, lanes)| (at, Arc::new(WindowSeries::new(lanes, size)))).collect()
}

type Lanes<'a> = Vec<(&'a Lane, &'a Rollup)>;

/// The lanes of each window, by its start.
pub(crate) fn by_start(windows: &BTreeMap<(i64, Lane), Rollup>) -> BTreeMap<i64, Lanes<'_>> {
    let mut by_start = BTreeMap::<i64, Lanes<'_>>::new();
    for ((at, lane), rollup) in windows {
        by_start.entry(*at).or_default().push((lane, rollup));
    }
    by_start
}

async fn one<S: DocumentStore>(store: &S, key: &DocumentKey) -> Result<Option<Document>, PortError> {
    let found = store.documents(key.kind, &key.region, key.start_ms, key.start_ms + 1).await?;
    Ok(found.into_iter().next())
}

impl Watcher {
    /// What was found in a region that was gone through.
    pub(crate) fn watched(&self, region: &str) -> Option<&Watched> {
        self.watched.get(region).map(|(_, watched)| watched)
    }

    /// Goes through the windows that are final, of the ledgers and of these regions. Returns how many were gone
    /// through, and whether some are left.
    ///
    /// # Errors
    /// When the store fails. The next run continues.
    pub(crate) async fn run<S: WindowStore + DocumentStore>(
        &mut self,
        run: &Run<'_, S>,
        regions: &[&str],
        recent: &HashMap<String, Recent>,
        is_over: &impl Fn() -> bool,
    ) -> Result<(u64, bool), PortError> {
        if run.until_ms <= 0 {
            return Ok((0, false));
        }
        self.load_ahead(run, regions).await?;
        let none = Recent::default();
        let (mut watched, mut has_more) = (0, false);
        for region in std::iter::once(&STREAM).chain(regions) {
            if is_over() {
                return Ok((watched, true));
            }
            let own = recent.get(*region).unwrap_or(&none);
            if let Some(is_cut) = self.region(run, region, own, recent, is_over).await? {
                watched += 1;
                has_more |= is_cut;
            }
        }
        Ok((watched, has_more))
    }

    /// Reads the series of regions that will be needed, and the days that changed of those that are known. Several at a time,
    /// because one after the other takes long in a network.
    async fn load_ahead<S: DocumentStore>(&mut self, run: &Run<'_, S>, regions: &[&str]) -> Result<(), PortError> {
        // A day more than what is gone through needs, so that midnight is no reason to read again.
        let from_ms = day_of(run.until_ms - 1) - (BASELINE_DAYS + 1) * DAY_MS;
        let (mut old, mut changed) = (vec![], vec![]);
        for region in std::iter::once(&STREAM).chain(regions) {
            if self.is_old(run, region, from_ms) {
                old.push(read_series(run, region, from_ms));
            }
        }
        let days: BTreeSet<_> = run.done.iter().map(|change| (&*change.region, day_of(change.start_ms))).collect();
        for (region, day_ms) in days {
            let kept = self.kept.get(region).filter(|kept| day_ms >= kept.from_ms);
            if kept.is_some() && !self.is_old(run, region, from_ms) {
                changed.push(read_day(run, region, day_ms));
            }
        }
        let mut reading = stream::iter(old).buffered(AT_ONCE);
        while let Some((region, kept)) = reading.try_next().await? {
            self.kept.insert(region.to_owned(), kept);
        }
        let mut reading = stream::iter(changed).buffered(AT_ONCE);
        while let Some((region, documents)) = reading.try_next().await? {
            if let Some(kept) = self.kept.get_mut(region) {
                kept.days.extend(documents.into_iter().map(|document| (document.start_ms, document.body)));
            }
        }
        Ok(())
    }

    /// Whether the series of a region from `from_ms` on have to be read, because they are not known or may have changed.
    fn is_old<S>(&self, run: &Run<'_, S>, region: &str, from_ms: i64) -> bool {
        self.kept.get(region).is_none_or(|kept| run.now_ms - kept.loaded_ms > KEPT_MS || kept.from_ms > from_ms)
    }

    /// Reads the series of a region from `from_ms` on, where they are not known.
    async fn load<S: DocumentStore>(&mut self, run: &Run<'_, S>, region: &str, from_ms: i64) -> Result<(), PortError> {
        if self.is_old(run, region, from_ms) {
            let (_, kept) = read_series(run, region, from_ms).await?;
            self.kept.insert(region.to_owned(), kept);
        }
        Ok(())
    }

    /// The series of a day as it is known now: the stored one, with the hours that were read since.
    fn day(&self, size: WindowSize, region: &str, day_ms: i64, recent: &Recent) -> DaySeries {
        let stored = self.kept.get(region).and_then(|kept| kept.days.get(&day_ms));
        // A damaged one is made again when its next hour is rolled up.
        let mut day = stored.and_then(|body| DaySeries::decode(body).ok()).unwrap_or_default();
        let position = |time_ms: i64| ((time_ms - day_ms) / size.ms()) as u16;
        for (hour, windows) in recent.hours.range(day_ms..day_ms + DAY_MS) {
            let to_ms = (hour + Period::Hour.ms(size)).min(day_ms + DAY_MS);
            let of_hour = windows.iter().map(|(at, of)| (position(*at), (**of).clone()));
            day.set(position(*hour)..position(to_ms - 1) + 1, of_hour);
        }
        day
    }

    /// Goes through the final windows of a region. Returns whether some are left; `None` when nothing is new.
    async fn region<S: WindowStore + DocumentStore>(
        &mut self,
        run: &Run<'_, S>,
        region: &str,
        own: &Recent,
        recent: &HashMap<String, Recent>,
        is_over: &impl Fn() -> bool,
    ) -> Result<Option<bool>, PortError> {
        let size = run.rules.size;
        let last_day = day_of(run.until_ms - 1);
        let watch_key = |start_ms: i64| DocumentKey { kind: DocumentKind::Watch, region: region.to_owned(), start_ms };
        let is_touched = run.done.iter().any(|change| change.region == region || change.region == STREAM);
        if let Some((_, watched)) = self.watched.get(region)
            && watched.scored_to_ms >= run.until_ms
            && !is_touched
        {
            return Ok(None);
        }
        if !self.watched.contains_key(region) {
            let stored = one(run.store, &watch_key(0)).await?;
            let revision = stored.as_ref().map(|document| document.revision);
            let watched = stored.and_then(|document| Watched::decode(&document.body)).unwrap_or_default();
            self.watched.insert(region.to_owned(), (revision, watched));
        }
        let Some((revision, mut watched)) = self.watched.get(region).cloned() else { return Ok(None) };
        let scored_before_ms = watched.scored_to_ms;
        // The first day that may have to be gone through.
        let changed = run.done.iter().filter(|change| change.region == region || change.region == STREAM);
        let changed =
            changed.map(|change| day_of(change.start_ms)).filter(|day| *day >= last_day - REACH_DAYS * DAY_MS);
        let mut first_day = day_of(watched.scored_to_ms).min(changed.min().unwrap_or(i64::MAX)).min(last_day);
        first_day = first_day.max(last_day - REACH_DAYS * DAY_MS);
        let from_ms = first_day - BASELINE_DAYS * DAY_MS;
        self.load(run, STREAM, from_ms).await?;
        self.load(run, region, from_ms).await?;
        let none = Recent::default();
        let all = recent.get(STREAM).unwrap_or(&none);
        let mut days = BTreeMap::<i64, Day>::new();
        let day = |watcher: &Self, day_ms: i64| -> Day {
            let ledgers = Arc::new(watcher.day(size, STREAM, day_ms, all));
            let own = match region {
                STREAM => ledgers.clone(),
                _ => Arc::new(watcher.day(size, region, day_ms, own)),
            };
            (own, ledgers)
        };
        // What was gone through, and is another now.
        let scored_day = day_of(watched.scored_to_ms);
        let loaded_ms = [region, STREAM].map(|name| self.kept.get(name).map_or(0, |kept| kept.loaded_ms));
        let mut checked = self.checked.remove(region).filter(|known| known.loaded_ms == loaded_ms).unwrap_or_default();
        checked.loaded_ms = loaded_ms;
        let touched = run.done.iter().filter(|change| change.region == region || change.region == STREAM);
        for change in touched {
            checked.days.remove(&day_of(change.start_ms));
        }
        for day_ms in (0..).map(|n| from_ms + n * DAY_MS).take_while(|day_ms| *day_ms <= last_day) {
            days.insert(day_ms, day(self, day_ms));
        }
        let no_reference = BTreeMap::new();
        let reference = self.kept.get(region).map_or(&no_reference, |kept| &kept.reference);
        let own_from_ms = stand_in(&mut days, reference, size);
        for (day_ms, of) in &days {
            let (day_ms, stands_in) = (*day_ms, of.0.windows.values().any(|window| window.is_reference));
            // A day from before the first one may have got windows.
            let is_new = !of.0.is_empty() && day_ms >= last_day - REACH_DAYS * DAY_MS;
            let is_consumed = watched.consumed.contains_key(&day_ms) || day_ms >= first_day || stands_in || is_new;
            if day_ms < watched.scored_to_ms && is_consumed && !checked.days.contains(&day_ms) {
                let until = ((watched.scored_to_ms - day_ms).clamp(0, DAY_MS) / size.ms()) as u16;
                let now = fingerprint(of, until);
                if watched.consumed.get(&day_ms).copied() != Some(now) {
                    // Reference counts are not gone through, but what follows is compared with them.
                    self.rewind(run, region, if stands_in { own_from_ms } else { day_ms }, &mut watched).await?;
                }
            }
        }
        // The hours of the last days may still come in another form: from windows, and then from the series.
        checked.days.extend(days.keys().filter(|day_ms| **day_ms < scored_day - DAY_MS));
        self.checked.insert(region.to_owned(), checked);
        if watched.scored_to_ms == 0 {
            watched.scored_to_ms = own_from_ms.min(last_day).max(first_day);
        }
        for (day_ms, of) in days.iter().filter(|(day_ms, _)| **day_ms < own_from_ms) {
            if of.0.windows.values().any(|window| window.is_reference) {
                watched.consumed.insert(*day_ms, fingerprint(of, (DAY_MS / size.ms()) as u16));
            }
        }
        let rewound_to = watched.scored_to_ms;
        // Nothing that was found starts later.
        let events_to_ms = run.until_ms.max(scored_before_ms);
        let mut events = BTreeMap::new();
        let mut is_cut = false;
        // Nothing goes back further. A region that was silent for years has as many days to go through, and none to store.
        let kept_from_ms = last_day - (REACH_DAYS + BASELINE_DAYS) * DAY_MS;
        let mut snapshots = vec![];
        let mut at_ms = day_of(watched.scored_to_ms);
        while at_ms <= last_day && watched.scored_to_ms < run.until_ms {
            if watched.scored_to_ms == at_ms && at_ms >= kept_from_ms {
                snapshots.push((at_ms, watched.state.clone()));
            }
            let until_ms = (at_ms + DAY_MS).min(run.until_ms);
            let first_ms = at_ms - BASELINE_DAYS * DAY_MS;
            let of_history: Vec<Day> = (0..=BASELINE_DAYS)
                .map(|n| first_ms + n * DAY_MS)
                .map(|day_ms| days.get(&day_ms).cloned().unwrap_or_default())
                .collect();
            let history = History::new(size, first_ms, until_ms, of_history);
            let from = history.position(watched.scored_to_ms);
            let mut fold = Fold::new(&history, region, size, history.len() - from);
            for at in from..history.len() {
                fold.advance(at, &mut watched.state, &mut events);
            }
            watched.scored_to_ms = until_ms;
            let until = ((until_ms - at_ms) / size.ms()) as u16;
            if let Some(of) = days.get(&at_ms) {
                watched.consumed.insert(at_ms, fingerprint(of, until));
            }
            if until_ms == run.until_ms && region != STREAM {
                let last = history.len().saturating_sub(1);
                watched.rising = rising::rising(&mut fold, &history, &watched.state, last, &own.details);
                watched.usual = usual_hours(&history, size);
            }
            at_ms += DAY_MS;
            is_cut = is_over() && watched.scored_to_ms < run.until_ms;
            if is_cut {
                break;
            }
        }
        watched.consumed.retain(|day, _| *day >= last_day - REACH_DAYS * DAY_MS);
        let mut puts = event_puts(run.store, region, (rewound_to, events_to_ms), &watched.state, events).await?;
        for (day_ms, state) in snapshots {
            let snapshot = Watched { scored_to_ms: day_ms, state, ..Watched::default() };
            puts.extend(Put::of(run.store, watch_key(day_ms), snapshot.encode().map_err(corrupt)?).await?);
        }
        // Another digest goes on; what it knows is read at the next run.
        let lost = |watcher: &mut Self| {
            watcher.watched.remove(region);
            watcher.kept.remove(region);
            Ok(Some(true))
        };
        let mut revision = revision;
        if !puts.is_empty() {
            // The same content under the next revision: whoever read the one before, and went on from there, loses. Of two
            // digests that come this far one after the other, the later one finds that the other's events changed, or has them.
            let Some((_, before)) = self.watched.get(region) else { return Ok(None) };
            let before = before.encode().map_err(corrupt)?;
            match run.store.put_document(&watch_key(0), Some(&before), revision).await? {
                PutOutcome::Stored => revision = Some(revision.unwrap_or(0) + 1),
                PutOutcome::Conflict => return lost(self),
            }
            for put in puts {
                if run.store.put_document(&put.key, put.body.as_deref(), put.revision).await? == PutOutcome::Conflict {
                    return lost(self);
                }
            }
        }
        let body = watched.encode().map_err(corrupt)?;
        match run.store.put_document(&watch_key(0), Some(&body), revision).await? {
            PutOutcome::Stored => {
                self.watched.insert(region.to_owned(), (Some(revision.unwrap_or(0) + 1), watched));
                Ok(Some(is_cut))
            }
            PutOutcome::Conflict => lost(self),
        }
    }

    /// Goes back to the start of a day.
    async fn rewind<S: DocumentStore>(
        &self,
        run: &Run<'_, S>,
        region: &str,
        day_ms: i64,
        watched: &mut Watched,
    ) -> Result<(), PortError> {
        let key = DocumentKey { kind: DocumentKind::Watch, region: region.to_owned(), start_ms: day_ms };
        let snapshot = one(run.store, &key).await?.and_then(|document| Watched::decode(&document.body));
        watched.state = snapshot.unwrap_or_default().state;
        watched.scored_to_ms = day_ms;
        watched.consumed.retain(|day, _| *day < day_ms);
        Ok(())
    }
}

/// The series of a region, and the counts that stand in for them, from a day on.
async fn read_series<'r, S: DocumentStore>(
    run: &Run<'_, S>,
    region: &'r str,
    from_ms: i64,
) -> Result<(&'r str, Kept), PortError> {
    let mut kept = Kept { loaded_ms: run.now_ms, from_ms, ..Kept::default() };
    for document in run.store.documents(DocumentKind::Series, region, from_ms, run.until_ms).await? {
        kept.days.insert(document.start_ms, document.body);
    }
    if region != STREAM {
        kept.reference = reference::days(run.store, region, from_ms, run.until_ms).await?;
    }
    Ok((region, kept))
}

/// The stored series of one day of a region.
async fn read_day<'r, S: DocumentStore>(
    run: &Run<'_, S>,
    region: &'r str,
    day_ms: i64,
) -> Result<(&'r str, Vec<Document>), PortError> {
    Ok((region, run.store.documents(DocumentKind::Series, region, day_ms, day_ms + 1).await?))
}

/// Lets reference counts stand in for the days before the first one on which posts of a region were counted, if that day has
/// posts of [`REFERENCE_NETWORK`]. Returns the start of that day; `i64::MAX` when there is none.
pub fn stand_in(days: &mut BTreeMap<i64, Day>, reference: &BTreeMap<i64, ReferenceDay>, size: WindowSize) -> i64 {
    let first = days.iter().find(|(_, (own, _))| !own.is_empty());
    let Some((own_from_ms, (own, _))) = first else { return i64::MAX };
    let (own_from_ms, mut networks) = (*own_from_ms, own.windows.values().flat_map(|window| window.networks.keys()));
    if networks.any(|network| *network == REFERENCE_NETWORK) {
        for (day_ms, counts) in reference.range(..own_from_ms) {
            if let Some((own, _)) = days.get_mut(day_ms) {
                Arc::make_mut(own).stand_in(REFERENCE_NETWORK, counts, size);
            }
        }
    }
    own_from_ms
}

fn fingerprint((own, ledgers): &Day, until: u16) -> u64 {
    own.fingerprint(until).rotate_left(1) ^ ledgers.fingerprint(until)
}

/// Posts in the hours that end at the last windows, and at some that come, as usual.
fn usual_hours(history: &History, size: WindowSize) -> BTreeMap<i64, (u64, u64, u64)> {
    let past = Past::new(Scale::from(size), history.total());
    let windows = usize::try_from((HOUR_MS + size.ms() - 1) / size.ms()).unwrap_or(1);
    let milli = |value: i64| u64::try_from(value).unwrap_or(0);
    let mut usual = BTreeMap::new();
    for to in history.len().saturating_sub(1)..=history.len() + AHEAD {
        let from = to.saturating_sub(windows);
        if let Ok(of) = past.usual(from, to) {
            let of = (milli(of.expected_milli), milli(of.low_milli), milli(of.high_milli));
            usual.insert(history.start_ms(to), of);
        }
    }
    usual
}

/// A document that is to be put in place of the one that was read.
struct Put {
    key: DocumentKey,
    body: Option<Vec<u8>>,
    /// Revision of the one that was read.
    revision: Option<u64>,
}

impl Put {
    /// A document in place of the stored one; `None` when that is the same.
    async fn of<S: DocumentStore>(store: &S, key: DocumentKey, body: Vec<u8>) -> Result<Option<Self>, PortError> {
        let stored = one(store, &key).await?;
        let is_same = stored.as_ref().is_some_and(|document| document.body == body);
        let revision = stored.map(|document| document.revision);
        Ok((!is_same).then_some(Self { key, body: Some(body), revision }))
    }
}

/// Events by the day on which they start, where they differ from the stored ones. Those that were found between `rewound_to` and
/// `to_ms` before are replaced.
async fn event_puts<S: DocumentStore>(
    store: &S,
    region: &str,
    (rewound_to, to_ms): (i64, i64),
    state: &State,
    events: BTreeMap<String, Event>,
) -> Result<Vec<Put>, PortError> {
    let mut puts = vec![];
    let rewound_day = day_of(rewound_to);
    let is_whole_day = rewound_day == rewound_to;
    let mut by_day = BTreeMap::<i64, BTreeMap<String, Event>>::new();
    // What was open, and is as it was.
    for event in state.open().cloned().chain(events.into_values()) {
        by_day.entry(day_of(event.start_ms)).or_default().insert(event.id.clone(), event);
    }
    let first = by_day.keys().next().copied().unwrap_or(rewound_day).min(rewound_day - DAY_MS);
    let mut stored: BTreeMap<i64, Document> = store
        .documents(DocumentKind::Events, region, first, to_ms)
        .await?
        .into_iter()
        .map(|of| (of.start_ms, of))
        .collect();
    let days: BTreeSet<i64> = by_day.keys().chain(stored.keys()).copied().collect();
    for day_ms in days {
        let document = stored.remove(&day_ms);
        let before = document.as_ref().and_then(|document| decode_all(&document.body).ok()).unwrap_or_default();
        // Events of this day that were found later than what was gone back to.
        let is_kept = |event: &Event| match is_whole_day {
            true => day_ms < rewound_day && event.peak_ms <= rewound_to,
            false => true,
        };
        let mut of_day: BTreeMap<String, Event> =
            before.into_iter().filter(is_kept).map(|event| (event.id.clone(), event)).collect();
        of_day.extend(by_day.remove(&day_ms).unwrap_or_default());
        let mut of_day: Vec<_> = of_day.into_values().collect();
        if of_day.len() > MAX_EVENTS {
            of_day.sort_by(|a, b| b.score_milli.cmp(&a.score_milli).then_with(|| a.id.cmp(&b.id)));
            of_day.truncate(MAX_EVENTS);
        }
        of_day.sort_by(|a, b| (a.start_ms, &a.id).cmp(&(b.start_ms, &b.id)));
        let body = encode_all(&of_day).map_err(corrupt)?;
        if document.as_ref().is_some_and(|document| document.body == body) || (document.is_none() && of_day.is_empty())
        {
            continue;
        }
        let key = DocumentKey { kind: DocumentKind::Events, region: region.to_owned(), start_ms: day_ms };
        let revision = document.map(|document| document.revision);
        puts.push(Put { key, body: (!of_day.is_empty()).then_some(body), revision });
    }
    Ok(puts)
}

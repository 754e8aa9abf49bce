//! What must be stored, computed from what was published and from the log alone.
//!
//! It shares with the program: reading a frame of the log, folding frames and windows into the bytes of one window, roll-up or day
//! ([`Aggregate::fold`], [`merge`], [`DaySeries::set`]), and writing these bytes. All that decides *what* is folded *where* is
//! computed here anew: regions, windows, hours, days, order, and what counts once. Events are compared with those that
//! one undisturbed digest finds in the same windows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use birdsong_digest::Digest;
use birdsong_digest::revisions;
use birdsong_digest::watch::Watched;
use birdsong_domain::frame::{self, Frame, Lane, STREAM};
use birdsong_domain::ports::{DocumentKind, DocumentStore, PartialKey};
use birdsong_domain::post::Kind;
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollup, RollupKey, merge};
use birdsong_domain::series::{DaySeries, WindowSeries};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::MemoryStore;

use crate::world::{World, region_of};

/// Counts of a region in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    kinds: [u64; 4],
    mentions: u64,
    media: u64,
    authors: u64,
}

/// Fails with the first difference.
fn same<K: Ord + Debug, V: PartialEq>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    show: impl Fn(&V) -> String,
) -> Result<(), String> {
    for key in expected.keys().chain(found.keys()) {
        let (is, should) = (found.get(key), expected.get(key));
        if is != should {
            let show = |of: Option<&V>| of.map_or("nothing".to_owned(), &show);
            return Err(format!("{what} {key:?}:\n   found {}\nexpected {}", show(is), show(should)));
        }
    }
    Ok(())
}

/// The reference of all counts: each post once in each region whose word it has, in the window of its time.
fn tallies(world: &World) -> BTreeMap<(usize, i64), Tally> {
    let size_ms = world.rules.size.ms();
    let (mut tallies, mut authors) = (BTreeMap::<_, Tally>::new(), BTreeSet::new());
    for published in world.published() {
        let post = published.post;
        let window = post.time_ms.div_euclid(size_ms) * size_ms;
        for region in published.regions {
            let tally = tallies.entry((region, window)).or_default();
            tally.kinds[post.kind as usize] += 1;
            tally.mentions += u64::from(post.mentions);
            tally.media += u64::from(post.has_media);
            tally.authors += u64::from(authors.insert((region, window, post.author)));
        }
    }
    tallies
}

/// The counts of stored windows or hours, by region and start. Authors of a lane are in no other.
fn stored_tallies<'a>(rows: impl Iterator<Item = (&'a Lane, i64, Aggregate)>) -> BTreeMap<(usize, i64), Tally> {
    let mut tallies = BTreeMap::<_, Tally>::new();
    for (lane, start_ms, aggregate) in rows.filter(|(.., aggregate)| aggregate.posts() > 0) {
        let tally = tallies.entry((region_of(lane).unwrap_or(usize::MAX), start_ms)).or_default();
        tally.kinds.iter_mut().zip(Kind::ALL).for_each(|(sum, kind)| *sum += aggregate.kinds.of(kind));
        tally.mentions += aggregate.mentions.0;
        tally.media += aggregate.media.0;
        tally.authors += aggregate.distinct_authors().value;
    }
    tallies
}

/// The states of all windows, by the records of the log in their order.
fn windows(rules: FoldRules, frames: &[(String, Frame)]) -> Result<BTreeMap<PartialKey, Vec<u8>>, String> {
    let size_ms = rules.size.ms();
    let mut windows = BTreeMap::<PartialKey, Partial>::new();
    for (sequence, frame) in frames {
        let header = &frame.header;
        let times = frame.posts.iter().map(|post| post.time_ms).chain([header.cut_ms]);
        let times = times.chain(header.ledgers.iter().map(|(at_ms, _)| *at_ms));
        for start_ms in times.map(|ms| ms.div_euclid(size_ms) * size_ms).collect::<BTreeSet<_>>() {
            let key = PartialKey { lane: header.lane.clone(), window: WindowStart(start_ms) };
            let fence: u64 = sequence.parse().unwrap_or(0);
            let (fence, window) = (fence.into(), key.window);
            let aggregate = Aggregate::default();
            let row = windows.entry(key).or_insert(Partial { generation: 1, fence, aggregate, stored_ms: 0 });
            row.fence = sequence.parse::<u64>().unwrap_or(0).into();
            row.aggregate.fold(rules, window, frame);
        }
    }
    windows.into_iter().map(|(key, row)| Ok((key, row.encode().map_err(|error| error.to_string())?))).collect()
}

fn decoded(generation: u32, state: &[u8]) -> Result<Partial, String> {
    Partial::decode(generation, state).map_err(|error| error.to_string())
}

fn show_window(state: &[u8]) -> String {
    Partial::decode(1, state).map_or_else(
        |error| format!("{error}"),
        |row| {
            format!(
                "fence {}, {} frames, {:?}, {:?}",
                row.fence, row.aggregate.frames.0, row.aggregate.kinds, row.aggregate.ledger
            )
        },
    )
}

fn show_rollup(state: &[u8]) -> String {
    let rollup = Rollup::decode(state);
    rollup.map_or_else(
        |error| format!("{error}"),
        |of| {
            format!(
                "{:?}, {} frames, revised: {}, {:?}",
                of.aggregate.kinds, of.aggregate.frames.0, of.is_revised, of.aggregate.ledger
            )
        },
    )
}

/// Windows of a lane without its bucket.
type ByLane = BTreeMap<(Lane, i64), Rollup>;

/// Windows of whole lanes.
fn whole_lanes(rows: &BTreeMap<PartialKey, (u32, Vec<u8>)>) -> Result<ByLane, String> {
    let mut by_lane = BTreeMap::<_, Vec<Rollup>>::new();
    for (key, (generation, state)) in rows {
        let lane = match &key.lane {
            Lane::Posts { region, network, .. } => Lane::posts(region, *network, 0),
            ledger @ Lane::Ledger { .. } => ledger.clone(),
        };
        let rollup = Rollup::of_window(Ok(decoded(*generation, state)?));
        by_lane.entry((lane, key.window.0)).or_default().push(rollup);
    }
    let whole = by_lane.into_iter().map(|(key, buckets)| {
        let mut buckets = buckets.into_iter();
        let first = buckets.next().unwrap_or_default();
        let merged = buckets.fold(first, |so_far, bucket| {
            let mut merged = Rollup::default();
            merged.add_lane(&so_far);
            merged.add_lane(&bucket);
            merged
        });
        (key, merged)
    });
    Ok(whole.collect())
}

/// The roll-ups of all hours and days.
fn rollups(world: &World, windows: &ByLane) -> Result<BTreeMap<RollupKey, Vec<u8>>, String> {
    let size = world.rules.size;
    let mut all = BTreeMap::new();
    for lane in windows.keys().map(|(lane, _)| lane).collect::<BTreeSet<_>>() {
        let of_lane = windows.iter().filter(|((of, _), _)| of == lane);
        let hours = merge(of_lane.map(|((lane, at_ms), window)| (*at_ms, lane.clone(), window)), Period::Hour, size);
        let days = merge(hours.iter().map(|(key, hour)| (key.start_ms, key.lane.clone(), hour)), Period::Day, size);
        for (key, rollup) in hours.into_iter().chain(days) {
            all.insert(key, rollup.encode().map_err(|error| error.to_string())?);
        }
    }
    Ok(all)
}

/// The series of all days of a region.
fn series(world: &World, region: &str, windows: &ByLane) -> Result<BTreeMap<i64, Vec<u8>>, String> {
    let size = world.rules.size;
    let mut starts = BTreeMap::<i64, Vec<(&Lane, &Rollup)>>::new();
    for ((lane, start_ms), window) in windows.iter().filter(|((lane, _), _)| lane.region() == region) {
        starts.entry(*start_ms).or_default().push((lane, window));
    }
    let mut days = BTreeMap::<i64, Vec<(u16, WindowSeries)>>::new();
    for (start_ms, lanes) in starts {
        let position = start_ms.rem_euclid(DAY_MS) / size.ms();
        let position = u16::try_from(position).map_err(|error| error.to_string())?;
        let of_day = days.entry(start_ms.div_euclid(DAY_MS) * DAY_MS).or_default();
        of_day.push((position, WindowSeries::new(lanes, size)));
    }
    let encoded = days.into_iter().map(|(day_ms, windows)| {
        let mut day = DaySeries::default();
        day.set(0..u16::MAX, windows);
        Ok((day_ms, day.encode().map_err(|error| error.to_string())?))
    });
    encoded.collect()
}

async fn documents(store: &MemoryStore, kind: DocumentKind, region: &str) -> Result<BTreeMap<i64, Vec<u8>>, String> {
    let found = store.documents(kind, region, 0, i64::MAX).await.map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|document| (document.start_ms, document.body)).collect())
}

/// How far a region was gone through and what is known at the end, without the days on the way.
async fn watched(store: &MemoryStore, region: &str) -> Result<String, String> {
    let found = documents(store, DocumentKind::Watch, region).await?;
    let Some(body) = found.get(&0) else { return Ok("nothing".to_owned()) };
    let watched = Watched::decode(body).ok_or("the state of the watcher is damaged")?;
    Ok(format!("{} {:?} {:?} {:?}", watched.scored_to_ms, watched.state, watched.rising, watched.usual))
}

/// Each window that a reprocess wrote has a record of that, wherever the reprocess crashed.
pub(crate) async fn check_corrections(world: &World) -> Result<(), String> {
    for (key, (generation, _)) in world.store.dump() {
        let region = key.lane.region();
        if generation == 1 || key.lane.is_ledger() {
            continue;
        }
        let window_ms = key.window.0;
        let known = revisions::read(&*world.store, region, window_ms, window_ms + 1).await;
        let known = known.map_err(|error| error.to_string())?;
        if known.of(window_ms, window_ms + 1, |network| network == key.lane.network()).is_none() {
            return Err(format!("window {window_ms} of {} was corrected without a record", key.lane));
        }
    }
    Ok(())
}

/// Compares the windows, and the log that they come from.
pub(crate) fn check_windows(world: &World) -> Result<(), String> {
    let mut frames = vec![];
    for record in world.records() {
        let frame = frame::decode(&record.bytes).map_err(|error| error.to_string())?;
        frames.push((record.sequence.to_string(), frame));
    }
    check_ledgers(&frames)?;
    let rows = world.store.dump();
    let mut partials = vec![];
    for (key, (generation, state)) in &rows {
        partials.push((&key.lane, key.window.0, decoded(*generation, state)?.aggregate));
    }
    let found = stored_tallies(partials.into_iter().filter(|(lane, ..)| !lane.is_ledger()));
    same("counts of region and window", &found, &tallies(world), |tally| format!("{tally:?}"))?;
    let states = rows.into_iter().map(|(key, (_, state))| (key, state)).collect();
    same("window", &states, &windows(world.rules, &frames)?, |state| show_window(state))
}

/// The ledgers balance, and in every prefix of the log they count no more posts than it has.
fn check_ledgers(frames: &[(String, Frame)]) -> Result<(), String> {
    let (mut counted, mut in_log, mut seen) = (0, 0, BTreeSet::new());
    for (sequence, frame) in frames {
        let header = &frame.header;
        if !seen.insert((&header.lane, &header.run, header.counter)) {
            continue;
        }
        in_log += frame.posts.iter().filter(|post| !post.is_copy).count() as u64;
        for (_, ledger) in header.ledgers() {
            if !ledger.balances() {
                return Err(format!("the ledger in record {sequence} does not balance: {ledger:?}"));
            }
            counted += ledger.sent;
        }
        if counted > in_log {
            return Err(format!(
                "up to record {sequence}, the ledgers count {counted} posts, and the log has {in_log}"
            ));
        }
    }
    if counted < in_log {
        return Err(format!("the ledgers count {counted} posts, and the log has {in_log}"));
    }
    Ok(())
}

/// No hour and no day is rolled up before all its windows are final.
pub(crate) fn check_early(world: &World) -> Result<(), String> {
    let size_ms = world.rules.size.ms();
    let mut lengths_ms = (1..).map(|windows| windows * size_ms);
    let hour_ms = lengths_ms.find(|ms| *ms >= HOUR_MS && DAY_MS % ms == 0).unwrap_or(DAY_MS);
    for key in world.store.dump_rollups().into_keys() {
        let length_ms = if key.period == Period::Hour { hour_ms } else { DAY_MS };
        if key.start_ms + length_ms > world.final_ms() {
            return Err(format!("{key:?} is rolled up {} ms too early", key.start_ms + length_ms - world.final_ms()));
        }
    }
    Ok(())
}

/// Compares all that the digests made of the windows by `until_ms`.
pub(crate) async fn check_digest(world: &Arc<World>, until_ms: i64) -> Result<(), String> {
    let rows = world.store.dump();
    let whole = whole_lanes(&rows)?;
    same("roll-up", &world.store.dump_rollups(), &rollups(world, &whole)?, |state| show_rollup(state))?;
    let twin = Arc::new(MemoryStore::default());
    for (key, (generation, state)) in rows {
        twin.overwrite(key, generation, state);
    }
    let regions: Vec<&str> = world.region_ids.iter().map(String::as_str).collect();
    Digest::new(twin.clone(), world.rules)
        .run(&regions, until_ms, || false)
        .await
        .map_err(|error| format!("undisturbed digest: {error}"))?;
    let show = |body: &Vec<u8>| format!("{:?}", DaySeries::decode(body));
    let show_events = |body: &Vec<u8>| format!("{:?}", birdsong_domain::event::decode_all(body));
    for region in regions.into_iter().chain([STREAM]) {
        let mut found = documents(&world.store, DocumentKind::Series, region).await?;
        found.retain(|_, body| DaySeries::decode(body).map_or(true, |day| !day.is_empty()));
        same(&format!("series of {region}"), &found, &series(world, region, &whole)?, show)?;
        let kind = DocumentKind::Events;
        let (found, expected) = (documents(&world.store, kind, region).await?, documents(&twin, kind, region).await?);
        same(&format!("events of {region}"), &found, &expected, show_events)?;
        let (found, expected) = (watched(&world.store, region).await?, watched(&twin, region).await?);
        if found != expected {
            return Err(format!("what is known of {region}:\n   found {found}\nexpected {expected}"));
        }
    }
    Ok(())
}

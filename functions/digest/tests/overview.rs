//! Rules 1.15, 3.3 and 8.1. What an overview counts, what it leaves out, and what a run reads again.

use std::sync::{Arc, Mutex};

use birdsong_digest::Digest;
use birdsong_digest::overview::{Counts, Overview};
use birdsong_domain::event::{Event, EventKind, Subject};
use birdsong_domain::frame::{Frame, FrameError, FrameHeader, Lane, Ledger, PostCount, STREAM, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, Live, PartialKey, PortError, RollupStore, SequenceNumber, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS};
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowSize, WindowStart};
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore};
use serde_json::json;

use crate::{DAY, overview};

const SIZE: WindowSize = WindowSize::FIVE_MINUTES;
const WINDOW_MS: i64 = 300_000;

fn x(region: &str) -> Lane {
    Lane::posts(region, Network::X, 0)
}

/// A window with some posts, sent a second before the cut, on top of what is there.
async fn put(store: &impl WindowStore, lane: Lane, start_ms: i64, posts: u64, header: FrameHeader) {
    let key = PartialKey { lane: lane.clone(), window: WindowStart(start_ms) };
    let (expected, mut aggregate, last) = match store.load(&key).await.unwrap() {
        Some(Partial { generation, fence, aggregate, .. }) => {
            let last: u64 = fence.as_str().parse().unwrap();
            (Expected::At { generation, fence }, aggregate, last)
        }
        None => (Expected::Absent, Aggregate::default(), 0),
    };
    let post = |n: u64| SlimPost {
        id: u128::from(last * 1000 + n),
        time_ms: start_ms,
        is_copy: n % 3 == 2,
        ..SlimPost::default()
    };
    let posts: Vec<_> = (0..posts).map(post).collect();
    let damage = (!header.windows.is_empty()).then_some(FrameError::Checksum);
    let header = FrameHeader { lane, run: "run".into(), counter: last + 2, cut_ms: start_ms + 1000, ..header };
    aggregate.fold(FoldRules::default(), key.window, &Frame { header, posts, damage });
    let partial = Partial { generation: 1, fence: SequenceNumber::from(last + 1), aggregate, stored_ms: 0 };
    store.put(&key, &partial, &expected).await.unwrap();
}

async fn posts(store: &impl WindowStore, region: &str, start_ms: i64, count: u64) {
    put(store, x(region), start_ms, count, FrameHeader { live: true, ..FrameHeader::default() }).await;
}

async fn ledger(store: &impl WindowStore, start_ms: i64, sent: u64) {
    let ledger = Ledger { received: sent, sent, ..Ledger::default() };
    put(store, Lane::ledger(Network::X, "x"), start_ms, 0, FrameHeader { ledger, ..FrameHeader::default() }).await;
}

async fn live(store: &impl RollupStore, regions: &[&str]) -> Live {
    store.live(regions, WindowStart(0)).await.unwrap()
}

#[test]
fn counts_add_up_one_by_one() {
    let of = |n: u64| Counts {
        posts: n,
        primary: 10 * n,
        late: 100 * n,
        corrupt: 1000 * n,
        corrupt_records: 10_000 * n,
        corrupt_windows: 100_000 * n,
    };
    let mut sum = of(3);
    sum.add(&of(4));
    assert_eq!(sum, of(7));
}

/// What is damaged explains what is missing: its hour is not one whose posts are still to come.
#[tokio::test]
async fn damage_is_counted_in_its_hour_and_explains_what_is_missing() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let at = |hour: i64| DAY + hour * HOUR_MS;
    for hour in 0..6 {
        posts(&*store, "a", at(hour), 6).await;
        // Four of six posts are no copies.
        ledger(&*store, at(hour), if hour == 4 { 5 } else { 4 }).await;
    }
    // A record of which nothing but its counts can be read, one without even those, and windows that cannot be read.
    let windows = vec![PostCount { window_ms: at(1), posts: 3, primary: 2 }];
    put(&*store, x("a"), at(1), 0, FrameHeader { windows, ..FrameHeader::default() }).await;
    ledger(&*store, at(1), 3).await;
    for (lane, hour) in [(x("a"), 2), (Lane::ledger(Network::X, "x"), 3)] {
        store.overwrite(PartialKey { lane, window: WindowStart(at(hour)) }, 1, b"damaged".to_vec());
    }
    let now_ms = at(8);
    Digest::new(store.clone(), rules).run(&["a"], now_ms, || false).await.unwrap();
    let overview = overview(&*store).await;
    let hours = &overview.regions["a"].hours;
    let plain = Counts { posts: 6, primary: 4, ..Counts::default() };
    assert_eq!(hours[&at(0)], plain);
    assert_eq!(hours[&at(1)], Counts { corrupt: 2, corrupt_records: 1, ..plain });
    assert_eq!(hours[&at(2)], Counts { corrupt_windows: 1, ..Counts::default() });
    let all = live(&*store, &[STREAM, "a"]).await;
    let glance = overview.with_live(&all, &["a"], SIZE, now_ms);
    assert_eq!(Vec::from_iter(glance.behind(i64::MAX, SIZE)), [at(4)]);
    let (of_ledgers, counts) = glance.totals();
    assert_eq!((of_ledgers.sent, counts.posts, counts.corrupt, counts.corrupt_windows), (24, 30, 2, 2));
    assert_eq!(glance.arrival(i64::MAX, SIZE), (24, 22));
}

/// The same in windows that no digest has seen.
#[tokio::test]
async fn damage_of_the_newest_windows_is_seen_at_once() {
    let store = Arc::new(MemoryStore::default());
    posts(&*store, "a", DAY, 6).await;
    let windows = vec![PostCount { window_ms: DAY + WINDOW_MS, posts: 3, primary: 2 }];
    put(&*store, x("a"), DAY + WINDOW_MS, 0, FrameHeader { windows, ..FrameHeader::default() }).await;
    store.overwrite(PartialKey { lane: x("a"), window: WindowStart(DAY) }, 1, b"damaged".to_vec());
    let now_ms = DAY + 2 * WINDOW_MS;
    let glance = Overview::default().with_live(&live(&*store, &["a"]).await, &["a"], SIZE, now_ms);
    let expected = Counts { corrupt: 2, corrupt_records: 1, corrupt_windows: 1, ..Counts::default() };
    assert_eq!(glance.overview.regions["a"].hours[&DAY], expected);
    // What is left out of a comparison: the newest window, and all.
    assert_eq!([DAY + 2 * WINDOW_MS, DAY].map(|by_ms| glance.arrival(by_ms, SIZE)), [(0, 2), (0, 0)]);
}

#[tokio::test]
async fn only_windows_of_these_regions_up_to_the_present_are_shown() {
    let store = Arc::new(MemoryStore::default());
    let now_ms = DAY + 10 * WINDOW_MS;
    for (region, start_ms) in
        [("a", DAY), ("b", DAY), ("a", now_ms + FUTURE_LIMIT_MS), ("a", now_ms + FUTURE_LIMIT_MS + WINDOW_MS)]
    {
        posts(&*store, region, start_ms, 3).await;
    }
    let all = live(&*store, &["a", "b"]).await;
    let glance = Overview::default().with_live(&all, &["a"], SIZE, now_ms);
    assert_eq!(Vec::from_iter(glance.overview.regions.keys()), ["a"]);
    assert_eq!(glance.overview.regions["a"].newest_window_ms, Some(now_ms + FUTURE_LIMIT_MS));
    assert_eq!((glance.to_ms, glance.ended_ms), (now_ms + FUTURE_LIMIT_MS + WINDOW_MS, now_ms));
}

/// Of windows without posts, nothing is in the lists of the last hour; and an archive's posts have no lag.
#[tokio::test]
async fn the_last_hour_lists_windows_with_posts() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    for at in 0..36 {
        let live = at % 4 != 1;
        let count = if at % 4 == 2 { 0 } else { 5 };
        put(&*store, x("a"), DAY + at * WINDOW_MS, count, FrameHeader { live, ..FrameHeader::default() }).await;
    }
    let now_ms = DAY + 36 * WINDOW_MS + 180_000;
    Digest::new(store.clone(), rules).run(&["a"], now_ms, || false).await.unwrap();
    let overview = overview(&*store).await;
    assert_eq!(overview.until_ms, DAY + 36 * WINDOW_MS);
    let positions = |starts: Vec<i64>| starts.into_iter().map(|start| (start - DAY) / WINDOW_MS).collect::<Vec<_>>();
    let with_posts = positions(overview.regions["a"].windows.keys().copied().collect());
    assert_eq!(with_posts, [24, 25, 27, 28, 29, 31, 32, 33, 35]);
    let value = serde_json::to_value(&overview).unwrap();
    let lags = value["lag"].as_object().unwrap().keys().map(|start| start.parse().unwrap()).collect();
    let mut lags = positions(lags);
    lags.sort_unstable();
    assert_eq!(lags, [24, 27, 28, 31, 32, 35]);
    // Live windows come to the same.
    let all = live(&*store, &["a"]).await;
    let glance = Overview::default().with_live(&all, &["a"], SIZE, now_ms);
    assert_eq!(serde_json::to_value(&glance.overview).unwrap()["lag"], value["lag"]);
    assert_eq!(glance.lag(), overview.with_live(&all, &["a"], SIZE, now_ms).lag());
    assert_eq!(glance.lag().count, 30);
}

#[test]
fn an_event_is_shown_for_three_hours_after_its_end() {
    let to_ms = DAY + 5 * HOUR_MS;
    for (end_ms, is_shown) in [(to_ms - 3 * HOUR_MS, true), (to_ms - 3 * HOUR_MS - 1, false), (to_ms, true)] {
        let mut event = Event::new("a", EventKind::Spike, Subject::Region, DAY);
        event.end_ms = end_ms;
        let overview: Overview =
            serde_json::from_value(json!({"until_ms": to_ms, "regions": {"a": {"event": event}}})).unwrap();
        let glance = overview.with_live(&Live::default(), &["a"], SIZE, to_ms + HOUR_MS);
        assert_eq!(glance.overview.regions["a"].event.is_some(), is_shown, "{}", to_ms - end_ms);
    }
}

/// Two changes within a millisecond, and a clock that goes back.
#[tokio::test]
async fn each_change_leads_to_a_later_version() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let mut digest = Digest::new(store.clone(), rules);
    let now_ms = DAY + 5 * HOUR_MS;
    let mut versions = vec![];
    for now_ms in [now_ms, now_ms, now_ms - 10_000] {
        posts(&*store, "a", DAY, 2).await;
        digest.run(&["a"], now_ms, || false).await.unwrap();
        let version = overview(&*store).await.version;
        digest.run(&["a"], now_ms, || false).await.unwrap();
        assert_eq!(overview(&*store).await.version, version, "nothing changed");
        versions.push(i64::from_str_radix(&version, 16).unwrap());
    }
    assert!(versions.is_sorted_by(|a, b| a < b) && versions[0] >= now_ms, "{versions:?}");
}

/// The post is in a window from before the hours of the overview; the newest windows have none.
#[tokio::test]
async fn the_newest_post_is_found_however_old_it_is() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    posts(&*store, "a", DAY + 2 * WINDOW_MS, 2).await;
    posts(&*store, "b", DAY + WINDOW_MS, 2).await;
    let later_ms = DAY + 3 * DAY_MS;
    ledger(&*store, later_ms, 0).await;
    Digest::new(store.clone(), rules).run(&["a", "b"], later_ms + HOUR_MS, || false).await.unwrap();
    let overview = overview(&*store).await;
    assert_eq!((overview.newest_post_ms, overview.until_ms), (Some(DAY + 2 * WINDOW_MS), later_ms + WINDOW_MS));
}

/// A clock that was wrong opened a window a year ahead.
#[tokio::test]
async fn a_window_of_the_far_future_is_not_the_newest() {
    for newest_ms in [DAY, DAY + 5 * HOUR_MS] {
        let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
        posts(&*store, "a", newest_ms, 2).await;
        let now_ms = DAY + 6 * HOUR_MS;
        posts(&*store, "b", now_ms + 365 * DAY_MS, 2).await;
        Digest::new(store.clone(), rules).run(&["a", "b"], now_ms, || false).await.unwrap();
        let overview = overview(&*store).await;
        // Of a window that is older than two hours, the store knows the future one only.
        let is_recent = newest_ms > now_ms - 2 * HOUR_MS;
        let until_ms = if is_recent { newest_ms + WINDOW_MS } else { now_ms - WINDOW_MS };
        assert_eq!(overview.until_ms, until_ms);
        assert_eq!(overview.regions["a"].hours.len(), 1);
    }
}

/// Counts reads of roll-ups, and notes the hours of which windows are read.
#[derive(Debug, Default)]
struct Reads(Mutex<Vec<String>>);

impl Hook for Reads {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        let read = match call {
            Call::Query("a", from, to) => format!("{}..{}", (from.0 - DAY) / WINDOW_MS, (to.0 - DAY) / WINDOW_MS),
            Call::Rollups => "rollups".into(),
            _ => return Ok(()),
        };
        self.0.lock().unwrap().push(read);
        Ok(())
    }
}

/// What costs money on AWS: a run reads what changed, and what has become final since the last one.
#[tokio::test]
async fn a_run_reads_what_is_new() {
    let store = Arc::new(Hooked { rows: Arc::new(MemoryStore::default()), hook: Reads::default() });
    let mut digest = Digest::new(store.clone(), FoldRules::default());
    let mut run = async |now_ms: i64| {
        digest.run(&["a"], now_ms, || false).await.unwrap();
        let mut reads = std::mem::take(&mut *store.hook.0.lock().unwrap());
        reads.dedup();
        reads
    };
    for at in 0..40 * 12 {
        posts(&*store, "a", DAY + at * WINDOW_MS, 1).await;
    }
    let now_ms = DAY + 40 * HOUR_MS;
    run(now_ms).await;
    assert_eq!(run(now_ms + 1000).await, [""; 0]);
    // Five minutes later, one more window is final, and with it an hour: it is rolled up, and the day, and then read once more
    // since it has another stamp.
    posts(&*store, "a", now_ms, 1).await;
    let next = run(now_ms + WINDOW_MS).await;
    assert_eq!(next, ["rollups", "468..480", "rollups", "479..480", "rollups", "468..480"]);
    // A late post in an hour that is over: it is rolled up again, and the overview takes it from there.
    posts(&*store, "a", DAY + 30 * HOUR_MS, 1).await;
    let late = run(now_ms + WINDOW_MS + 1000).await;
    assert_eq!(late, ["rollups", "360..372", "rollups"]);
    let overview = overview(&*store).await;
    assert_eq!(overview.regions["a"].hours[&(DAY + 30 * HOUR_MS)].posts, 13);
    assert_eq!(overview.regions["a"].hours.values().map(|of| of.posts).sum::<u64>(), 24 * 12 + 1);
}

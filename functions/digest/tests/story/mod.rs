//! Rules 1.15, 1.17 and 3.5. Two weeks of a region in which everything happens that a digest can find: what it writes is in the
//! snapshots beside this file, field by field.

mod shown;
mod weeks;

use std::fmt::Write as _;
use std::sync::Arc;

use birdsong_digest::Digest;
use birdsong_digest::overview::Glance;
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::RollupStore;
use birdsong_domain::rollup::{DAY_MS, HOUR_MS};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::FoldRules;
use birdsong_testkit::MemoryStore;
use serde_json::{Value, json};

use crate::{DAY, events, overview, watched};
use shown::{lines, named};
use weeks::{DAYS, Weeks};

const REGIONS: [&str; 2] = ["a", "b"];

fn rules(minutes: u32) -> FoldRules {
    FoldRules { size: WindowSize::from_secs(minutes * 60).unwrap(), ..FoldRules::default() }
}

/// A time on one of the days, in milliseconds.
fn at(day: i64, hour: i64, minute: i64) -> i64 {
    DAY + day * DAY_MS + hour * HOUR_MS + minute * 60_000
}

/// All that can be asked of an overview up to now.
fn asked(glance: &Glance, size: WindowSize) -> Value {
    let (ledger, counts) = glance.totals();
    let behind = |by_ms: i64| json!([glance.behind(by_ms, size), glance.arrival(by_ms, size)]);
    let of_region = |region: &str| json!([glance.posts_last_hour(region), glance.usual(region)]);
    let lag = glance.lag();
    json!({
        "to": glance.to_ms, "ended": glance.ended_ms, "last_hour_ms": glance.last_hour_ms, "hour_ms": glance.hour_ms,
        "totals": [ledger, counts], "lag": [lag.sum_ms, lag.max_ms, lag.count],
        "behind": [behind(i64::MAX), behind(glance.ended_ms), behind(glance.to_ms - HOUR_MS)],
        "a": of_region("a"), "b": of_region("b"), "none": of_region("none"),
        "overview": glance.overview,
    })
}

/// A store with the windows since a day, and a digest that ran at these times.
async fn ran(minutes: u32, from_day: i64, runs: &[i64]) -> (Arc<MemoryStore>, Digest<MemoryStore>) {
    let (store, rules) = (Arc::new(MemoryStore::default()), rules(minutes));
    let mut weeks = Weeks::new(&store, rules, at(from_day, 0, 0));
    let mut digest = Digest::new(store.clone(), rules);
    for now_ms in runs {
        weeks.put_until(*now_ms).await;
        while digest.run(&REGIONS, *now_ms, || false).await.unwrap().has_more {}
    }
    (store, digest)
}

/// Half past eleven on the last day: a burst goes on.
fn end_ms() -> i64 {
    at(DAYS - 1, 11, 30)
}

async fn all_events(store: &MemoryStore) -> String {
    let mut all = vec![];
    for region in [STREAM, "a", "b"] {
        all.extend(events(store, region).await);
    }
    lines(&all)
}

#[tokio::test]
async fn the_events_of_two_weeks() {
    for minutes in [15, 60] {
        let (store, _) = ran(minutes, 0, &[end_ms()]).await;
        insta::assert_snapshot!(format!("events-{minutes}"), all_events(&store).await);
    }
}

/// One run at the end finds what many runs find.
#[tokio::test]
async fn events_do_not_depend_on_when_a_digest_runs() {
    let (once, _) = ran(60, 0, &[end_ms()]).await;
    let runs: Vec<_> = (0..=24).map(|n| end_ms() - (24 - n) * 5 * HOUR_MS).collect();
    let (often, _) = ran(60, 0, &runs).await;
    assert_eq!(all_events(&often).await, all_events(&once).await);
    for region in REGIONS {
        assert_eq!(watched(&often, region).await.rising, watched(&once, region).await.rising, "{region}");
        assert_eq!(watched(&often, region).await.usual, watched(&once, region).await.usual, "{region}");
    }
}

#[tokio::test]
async fn what_rises_and_what_is_usual() {
    let evening = at(DAYS - 2, 23, 50);
    for (minutes, name, now_ms) in [(15, "burst", end_ms()), (45, "burst", end_ms()), (60, "evening", evening)] {
        let (store, _) = ran(minutes, 2, &[now_ms]).await;
        let mut shown = String::new();
        for region in REGIONS {
            let watched = watched(&store, region).await;
            let event = watched.event().map(|event| &event.id);
            let usual: Vec<_> = watched.usual.iter().collect();
            let rising: Vec<_> = watched.rising.iter().map(|rising| named(rising).to_string()).collect();
            write!(shown, "event {}\nusual {}\n{}\n", named(&event), named(&usual), rising.join("\n")).unwrap();
        }
        insta::assert_snapshot!(format!("{name}-{minutes}"), shown);
    }
}

#[tokio::test]
async fn the_overview_and_what_is_asked_of_it() {
    for minutes in [5, 45] {
        let size = rules(minutes).size;
        let (store, mut digest) = ran(minutes, DAYS - 3, &[end_ms() - 40 * 60_000, end_ms()]).await;
        // Twelve minutes later, with windows that the digest has not seen.
        let now_ms = end_ms() + 12 * 60_000;
        Weeks::new(&store, rules(minutes), end_ms()).put_until(now_ms).await;
        let glance = async |regions: &[&str]| {
            let all: Vec<_> = std::iter::once(STREAM).chain(regions.iter().copied()).collect();
            let live = store.live(&all, WindowStart(now_ms - 2 * HOUR_MS)).await.unwrap();
            overview(&*store).await.with_live(&live, regions, size, now_ms)
        };
        let shown = |glance: &Glance| {
            let mut asked = asked(glance, size);
            asked["overview"]["version"].take();
            shown::pretty(&asked)
        };
        let both = glance(&REGIONS).await;
        insta::assert_snapshot!(format!("overview-{minutes}"), shown(&both));
        // A region is removed: its posts were sent all the same, and are in windows.
        digest.run(&REGIONS[..1], now_ms, || false).await.unwrap();
        let one = glance(&REGIONS[..1]).await;
        assert_eq!(one.behind(i64::MAX, size), both.behind(i64::MAX, size));
        insta::assert_snapshot!(format!("overview-without-b-{minutes}"), shown(&one));
    }
}

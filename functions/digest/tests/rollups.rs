//! Rules 1.1 and 8.1. Roll-ups are a pure function of the windows, in whatever order and by whomever they are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use birdsong_digest::read::{Grain, Part, Parts, Reader, Stale};
use birdsong_digest::{Digest, MARGIN_MS};
use birdsong_domain::frame::{Lane, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, RollupStore, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollups, of_hours, of_rows};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::{FoldRules, Partial};
use birdsong_testkit::{MemoryStore, sample_partial};
use proptest::prelude::*;

use crate::{DAY, overview};

const REGIONS: [&str; 2] = ["a", "b"];

/// A put of a window: lane, position in three days of windows, and what it has.
type Put = (usize, i64, u64);

fn lanes() -> [Lane; 5] {
    [
        Lane::posts("a", Network::X, 0),
        Lane::posts("a", Network::X, 1),
        Lane::posts("a", Network::DEMO, 0),
        Lane::posts("b", Network::X, 0),
        Lane::ledger(Network::X, "x"),
    ]
}

async fn put(store: &MemoryStore, (lane, at, seed): Put, size: WindowSize) {
    let windows = 3 * DAY_MS / size.ms();
    let key = PartialKey { lane: lanes()[lane].clone(), window: WindowStart(DAY + at % windows * size.ms()) };
    // As an aggregator does: the next fence, on condition of the last one.
    let stored = store.load(&key).await.unwrap();
    let fence = stored.as_ref().map_or(0, |partial| partial.fence.as_str().parse::<u64>().unwrap()) + 1;
    let expected =
        stored.map_or(Expected::Absent, |Partial { generation, fence, .. }| Expected::At { generation, fence });
    store.put(&key, &sample_partial(1, fence.into(), seed), &expected).await.unwrap();
}

/// Roll-ups straight from the windows.
async fn made(
    store: &MemoryStore,
    size: WindowSize,
    now_ms: i64,
) -> BTreeMap<birdsong_domain::rollup::RollupKey, Vec<u8>> {
    let mut all = Rollups::new();
    for region in [REGIONS[0], REGIONS[1], STREAM] {
        let rows = store.query(region, WindowStart(0), WindowStart(i64::MAX)).await.unwrap();
        let hours = of_rows(rows, Period::Hour, size);
        all.extend(of_hours(hours.clone(), size));
        all.extend(hours);
    }
    let is_final = |start_ms: i64, period: Period| {
        start_ms + period.ms(size) <= now_ms - FoldRules::default().lateness_ms - MARGIN_MS
    };
    let encoded = all.into_iter().filter(|(key, _)| is_final(key.start_ms, key.period));
    encoded.map(|(key, rollup)| (key, rollup.encode().unwrap())).collect()
}

fn encoded(parts: &[Part]) -> Vec<(i64, Lane, Vec<u8>)> {
    parts.iter().map(|part| (part.start_ms, part.lane.clone(), part.rollup.encode().unwrap())).collect()
}

fn puts() -> impl Strategy<Value = Vec<Put>> {
    prop::collection::vec((0usize..5, 0i64..864, 0u64..50), 1..60)
}

/// What an overview takes over from the one before it begins where its own day does.
#[tokio::test]
async fn an_overview_has_no_hours_from_before_its_day() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let mut digest = Digest::new(store.clone(), rules);
    let per_hour = HOUR_MS / rules.size.ms();
    for last_hour in [30, 40] {
        for hour in last_hour - 30..=last_hour {
            put(&store, (0, hour * per_hour, 7), rules.size).await;
        }
        digest.run(&REGIONS, DAY + (last_hour + 2) * HOUR_MS, || false).await.unwrap();
        let overview = overview(&*store).await;
        let hours: Vec<_> = overview.regions["a"].hours.keys().map(|hour| (hour - DAY) / HOUR_MS).collect();
        assert_eq!(hours, Vec::from_iter(last_hour - 24..=last_hour));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Runs come in between, some are cut short at any place, and two run at the same time.
    #[test]
    fn any_order_of_work_gives_the_same_bytes(
        puts in puts(),
        runs in prop::collection::vec((0usize..60, 0i64..80, 0u32..6), 0..6),
        minutes in prop::sample::select(vec![5u32, 15, 45, 60]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let size = WindowSize::from_secs(minutes * 60).unwrap();
            let rules = FoldRules { size, ..FoldRules::default() };
            let store = Arc::new(MemoryStore::default());
            let mut digests = [Digest::new(store.clone(), rules), Digest::new(store.clone(), rules)];
            for (n, window) in puts.iter().enumerate() {
                put(&store, *window, size).await;
                for (_, hour, steps) in runs.iter().filter(|(after, _, _)| *after == n) {
                    let left = std::cell::Cell::new(*steps);
                    let is_over = || left.replace(left.get().saturating_sub(1)) == 0;
                    let [one, other] = &mut digests;
                    let now_ms = DAY + hour * HOUR_MS;
                    let (first, second) =
                        tokio::join!(one.run(&REGIONS, now_ms, is_over), other.run(&REGIONS, now_ms, || false));
                    first.unwrap();
                    second.unwrap();
                }
            }
            let now_ms = DAY + 5 * DAY_MS;
            let outcome = digests[0].run(&REGIONS, now_ms, || false).await.unwrap();
            assert!(!outcome.has_more);
            let expected = made(&store, size, now_ms).await;
            assert_eq!(store.dump_rollups(), expected);
            assert!(store.changes(10).await.unwrap().is_empty());
            // Again, there is nothing to do.
            let again = digests[1].run(&REGIONS, now_ms, || false).await.unwrap();
            assert_eq!((again.stored, again.redone), (0, 0));
        });
    }

    /// What is read is the same, whether it comes from roll-ups or from windows.
    #[test]
    fn reading_does_not_depend_on_the_digest(puts in puts(), more in puts(), hour in 0i64..80) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let rules = FoldRules::default();
            let store = Arc::new(MemoryStore::default());
            for window in puts {
                put(&store, window, rules.size).await;
            }
            Digest::new(store.clone(), rules).run(&REGIONS, DAY + hour * HOUR_MS, || false).await.unwrap();
            for window in more {
                put(&store, window, rules.size).await;
            }
            let stale = Stale::new(&store.changes(usize::MAX).await.unwrap());
            let parts = Parts::new(1 << 30);
            for region in [REGIONS[0], REGIONS[1], STREAM] {
                for period in Period::ALL {
                    let range = (DAY - DAY_MS, DAY + 4 * DAY_MS);
                    // Twice: the second time, what is final is kept.
                    let kept = Some((&parts, "1", DAY + 9 * DAY_MS));
                    let reader = Reader { store: &*store, rules, stale: &stale, until_ms: i64::MAX, kept };
                    let first = reader.parts(region, Grain::Period(period), range).await.unwrap();
                    let read = reader.parts(region, Grain::Period(period), range).await.unwrap();
                    assert_eq!(encoded(&first), encoded(&read));
                    let rows = store.query(region, WindowStart(0), WindowStart(i64::MAX)).await.unwrap();
                    let hours = of_rows(rows, Period::Hour, rules.size);
                    let made = if period == Period::Day { of_hours(hours, rules.size) } else { hours };
                    let made = made.into_iter().map(|(key, rollup)| (key.start_ms, key.lane, rollup.encode().unwrap()));
                    assert_eq!(encoded(&read), made.collect::<Vec<_>>(), "{region} {period:?}");
                }
            }
        });
    }

    /// The overview is the same, whether the runs before knew some hours or not.
    #[test]
    fn the_overview_does_not_depend_on_earlier_runs(
        puts in puts(),
        runs in prop::collection::vec((0usize..60, 0i64..80), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let rules = FoldRules::default();
            let (store, twin) = (Arc::new(MemoryStore::default()), Arc::new(MemoryStore::default()));
            let mut digest = Digest::new(store.clone(), rules);
            for (n, window) in puts.iter().enumerate() {
                put(&store, *window, rules.size).await;
                put(&twin, *window, rules.size).await;
                for (_, hour) in runs.iter().filter(|(after, _)| *after == n) {
                    digest.run(&REGIONS, DAY + hour * HOUR_MS, || false).await.unwrap();
                }
            }
            let now_ms = DAY + 73 * HOUR_MS;
            digest.run(&REGIONS, now_ms, || false).await.unwrap();
            Digest::new(twin.clone(), rules).run(&REGIONS, now_ms, || false).await.unwrap();
            let shown = async |store: &MemoryStore| {
                let mut value = serde_json::to_value(overview(store).await).unwrap();
                // Times of puts and of runs differ, and those of these posts have nothing to do with their windows.
                value["version"].take();
                value["newest_post_ms"].take();
                for region in REGIONS {
                    value["regions"][region]["changed_ms"].take();
                    value["regions"][region]["usual"].take();
                }
                value
            };
            assert_eq!(shown(&store).await, shown(&twin).await);
        });
    }
}

/// A roll-up that cannot be read is made again from windows, by readers and by the next run that looks at it.
#[tokio::test]
async fn an_hour_that_is_not_final_waits() {
    let rules = FoldRules::default();
    let store = Arc::new(MemoryStore::default());
    put(&store, (0, 0, 3), rules.size).await;
    let mut digest = Digest::new(store.clone(), rules);
    let final_ms = DAY + HOUR_MS + rules.lateness_ms + MARGIN_MS;
    for (now_ms, rollups, changes) in [(final_ms - 1, 0, 1), (final_ms, 1, 1), (final_ms + DAY_MS, 2, 0)] {
        digest.run(&REGIONS, now_ms, || false).await.unwrap();
        let listed = store.changes(10).await.unwrap();
        assert_eq!((store.dump_rollups().len(), listed.len()), (rollups, changes), "{now_ms}: {listed:?}");
    }
}

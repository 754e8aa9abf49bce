//! Rules 1.1 and 8.1. The contract of every store of roll-ups.

use std::time::{SystemTime, UNIX_EPOCH};

use birdsong_domain::frame::{Lane, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{
    Change, Expected, PartialKey, PutOutcome, RollupStore, RowVersion, Settings, WindowStore,
};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollup, RollupKey};
use birdsong_domain::time::WindowStart;

use crate::sample_partial;

/// A time of today's order, at the start of a day.
const DAY: i64 = 20_000 * DAY_MS;

/// Runs the whole suite, each part against a fresh, empty store from `make`, which lists changes at once.
///
/// # Panics
/// When the store breaks the contract of [`RollupStore`]; the message names the place.
pub async fn rollup_store_contract<S: WindowStore + RollupStore + Settings>(make: impl AsyncFn() -> S) {
    a_rollup_comes_back_as_the_same_bytes(&make().await).await;
    a_rollup_is_put_only_on_its_revision(&make().await).await;
    regions_and_periods_do_not_mix(&make().await).await;
    each_put_and_each_removal_is_a_change(&make().await).await;
    a_change_is_settled_only_as_it_was_seen(&make().await).await;
    hours_are_listed_before_days(&make().await).await;
    the_newest_windows_are_live(&make().await).await;
    a_setting_is_replaced_only_as_it_was_seen(&make().await).await;
}

fn rollup(seed: u64) -> Rollup {
    Rollup::of_window(Ok(sample_partial(2, 1u64.into(), seed)))
}

fn key(region: &str, period: Period, start_ms: i64) -> RollupKey {
    RollupKey { start_ms, lane: Lane::posts(region, Network::X, 0), period }
}

fn window(region: &str, start_ms: i64) -> PartialKey {
    PartialKey { lane: Lane::posts(region, Network::X, 0), window: WindowStart(start_ms) }
}

async fn put<S: RollupStore>(store: &S, key: &RollupKey, rollup: Option<&Rollup>, expected: Option<u64>) -> PutOutcome {
    store.put_rollup(key, rollup, expected).await.expect("put_rollup")
}

async fn put_window<S: WindowStore>(store: &S, region: &str, start_ms: i64, seed: u64) {
    let partial = sample_partial(1, 1u64.into(), seed);
    let put = store.put(&window(region, start_ms), &partial, &Expected::Absent).await.expect("put");
    assert_eq!(put, PutOutcome::Stored);
}

async fn changes<S: RollupStore>(store: &S) -> Vec<Change> {
    store.changes(1000).await.expect("changes")
}

/// Changes without their stamps, sorted.
async fn changed<S: RollupStore>(store: &S) -> Vec<(String, Period, i64)> {
    let mut changed: Vec<_> =
        changes(store).await.into_iter().map(|change| (change.region, change.period, change.start_ms)).collect();
    changed.sort();
    changed
}

async fn a_rollup_comes_back_as_the_same_bytes<S: RollupStore>(store: &S) {
    let key = key("a", Period::Hour, DAY);
    for (expected, seed) in [(None, 1), (Some(1), 70)] {
        let stored = rollup(seed);
        assert_eq!(put(store, &key, Some(&stored), expected).await, PutOutcome::Stored);
        let rows = store.rollups("a", Period::Hour, DAY, DAY + 1).await.expect("rollups");
        assert_eq!((rows.len(), &rows[0].key, rows[0].revision), (1, &key, expected.unwrap_or(0) + 1));
        let read = rows[0].rollup.as_ref().expect("it can be read");
        assert_eq!(read.encode().expect("encode"), stored.encode().expect("encode"));
        assert!(read.is_revised && read.known.contains(0));
    }
}

async fn a_rollup_is_put_only_on_its_revision<S: RollupStore>(store: &S) {
    let key = key("a", Period::Day, DAY);
    let row = rollup(3);
    assert_eq!(put(store, &key, Some(&row), Some(1)).await, PutOutcome::Conflict, "there is none");
    assert_eq!(put(store, &key, Some(&row), None).await, PutOutcome::Stored);
    assert_eq!(put(store, &key, Some(&row), None).await, PutOutcome::Conflict, "there is one");
    assert_eq!(put(store, &key, None, Some(2)).await, PutOutcome::Conflict, "it has another revision");
    assert_eq!(put(store, &key, Some(&row), Some(1)).await, PutOutcome::Stored);
    assert_eq!(put(store, &key, Some(&row), Some(1)).await, PutOutcome::Conflict, "it has a newer revision");
    assert_eq!(put(store, &key, None, Some(2)).await, PutOutcome::Stored);
    assert!(store.rollups("a", Period::Day, DAY, DAY + 1).await.expect("rollups").is_empty());
}

async fn regions_and_periods_do_not_mix<S: RollupStore>(store: &S) {
    let ledger = RollupKey { lane: Lane::ledger(Network::X, "x"), ..key("a", Period::Hour, DAY) };
    let keys = [
        key("a", Period::Hour, DAY - HOUR_MS),
        key("a", Period::Hour, DAY),
        RollupKey { lane: Lane::posts("a", Network::DEMO, 0), ..key("a", Period::Hour, DAY) },
        key("a", Period::Hour, DAY + 40 * DAY_MS),
        key("a", Period::Day, DAY),
        key("ab", Period::Hour, DAY),
        ledger.clone(),
    ];
    for key in &keys {
        assert_eq!(put(store, key, Some(&rollup(1)), None).await, PutOutcome::Stored);
    }
    let found = async |region: &str, period, from_ms, to_ms| {
        let rows = store.rollups(region, period, from_ms, to_ms).await.expect("rollups");
        rows.into_iter().map(|row| row.key).collect::<Vec<_>>()
    };
    let (start, end) = (DAY - 400 * DAY_MS, DAY + 400 * DAY_MS);
    let all = [keys[0].clone(), keys[2].clone(), keys[1].clone(), keys[3].clone()];
    assert_eq!(found("a", Period::Hour, start, end).await, all, "by start, then lane");
    assert_eq!(found("a", Period::Hour, DAY - HOUR_MS, DAY).await, [keys[0].clone()], "half open");
    assert_eq!(found("a", Period::Day, start, end).await, [keys[4].clone()]);
    assert_eq!(found(STREAM, Period::Hour, start, end).await, [ledger]);
}

async fn each_put_and_each_removal_is_a_change<S: WindowStore + RollupStore>(store: &S) {
    assert!(changed(store).await.is_empty());
    put_window(store, "a", DAY + 300_000, 1).await;
    put_window(store, "a", DAY + HOUR_MS - 300_000, 2).await;
    put_window(store, "b", DAY + HOUR_MS, 3).await;
    put_window(store, "b", -300_000, 4).await;
    let of = |region: &str, start_ms| (region.to_owned(), Period::Hour, start_ms);
    assert_eq!(changed(store).await, [of("a", DAY), of("b", -HOUR_MS), of("b", DAY + HOUR_MS)]);
    for change in changes(store).await {
        assert!(store.settle(&change).await.expect("settle"));
    }
    assert!(changed(store).await.is_empty());
    let key = window("a", DAY + 300_000);
    let version: RowVersion = store.version(&key).await.expect("version").expect("it is there");
    assert!(store.remove(&key, &version).await.expect("remove"));
    assert_eq!(changed(store).await, [of("a", DAY)]);
}

async fn a_change_is_settled_only_as_it_was_seen<S: RollupStore>(store: &S) {
    store.add_change("a", Period::Hour, DAY).await.expect("add_change");
    let [seen] = &changes(store).await[..] else { panic!("one change") };
    store.add_change("a", Period::Hour, DAY).await.expect("add_change");
    assert!(!store.settle(seen).await.expect("settle"), "it changed again");
    let [again] = &changes(store).await[..] else { panic!("one change") };
    assert!(store.settle(again).await.expect("settle"));
    assert!(!store.settle(again).await.expect("settle"), "it is gone");
}

async fn hours_are_listed_before_days<S: RollupStore>(store: &S) {
    for (period, start_ms) in [(Period::Day, DAY), (Period::Hour, DAY + HOUR_MS), (Period::Hour, DAY)] {
        store.add_change("a", period, start_ms).await.expect("add_change");
    }
    let order: Vec<_> = changes(store).await.into_iter().map(|change| (change.period, change.start_ms)).collect();
    assert_eq!(order, [(Period::Hour, DAY), (Period::Hour, DAY + HOUR_MS), (Period::Day, DAY)]);
    assert_eq!(store.changes(1).await.expect("changes").len(), 1);
}

async fn the_newest_windows_are_live<S: WindowStore + RollupStore>(store: &S) {
    // Only what is of now may be shown as live.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let first = since_1970.as_millis() as i64 / 300_000 * 300_000 - 300_000;
    put_window(store, "a", first, 1).await;
    put_window(store, "a", first + 300_000, 2).await;
    put_window(store, "b", first + 300_000, 3).await;
    store.publish().await.expect("publish");
    let live = store.live(&["a", "b"], WindowStart(first + 300_000)).await.expect("live");
    let mut found = live.windows;
    found.retain(|window| window.key.window.0 >= first + 300_000);
    found.sort_by(|a, b| a.key.cmp(&b.key));
    for (live, (region, seed)) in found.iter().zip([("a", 2), ("b", 3)]) {
        assert_eq!(live.key, window(region, first + 300_000));
        let stored = sample_partial(1, 1u64.into(), seed).aggregate;
        assert_eq!(live.aggregate.as_ref().expect("it can be read").encode_lean(), stored.encode_lean());
    }
    let hours = if first / HOUR_MS == (first + 300_000) / HOUR_MS { 2 } else { 3 };
    assert_eq!((found.len(), live.changes.len(), live.has_more), (2, hours, false));
}

async fn a_setting_is_replaced_only_as_it_was_seen<S: RollupStore + Settings>(store: &S) {
    let replace = async |expected, value| store.replace_setting("k", expected, value).await.expect("replace_setting");
    assert!(!replace(Some("a"), "b").await);
    assert!(replace(None, "a").await);
    assert!(!replace(None, "b").await);
    assert!(!replace(Some("b"), "c").await);
    assert!(replace(Some("a"), "b").await);
    assert_eq!(store.setting("k").await.expect("setting").as_deref(), Some("b"));
}

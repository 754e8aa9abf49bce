//! Rule 2.1. The contract of every window store.

use std::sync::Arc;

use birdsong_domain::frame::{Frame, FrameHeader, Lane, Ledger, STREAM, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, PutOutcome, RowVersion, SequenceNumber, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{Aggregate, FoldRules, MAX_PARTIAL_BYTES, Partial};

/// 56 digits, like those of Kinesis, and its successor.
const LONG: &str = "49590338271490256608559692538361571095921575989136588898";
const LONG_NEXT: &str = "49590338271490256608559692538361571095921575989136588899";

/// Runs the whole suite, each part against a fresh, empty store from `make`.
///
/// # Panics
/// When the store breaks the contract of [`WindowStore`]; the message names the place.
pub async fn window_store_contract<S: WindowStore + 'static>(make: impl AsyncFn() -> S) {
    an_empty_store_returns_nothing(&make().await).await;
    a_partial_comes_back_as_the_same_bytes(&make().await).await;
    a_put_succeeds_only_on_its_condition(&make().await).await;
    fences_are_compared_as_whole_numbers(&make().await).await;
    a_row_is_replaced_only_in_the_version_that_was_seen(&make().await).await;
    a_row_is_removed_only_in_the_version_that_was_seen(&make().await).await;
    keys_of_all_regions_are_listed(&make().await).await;
    a_reprocess_and_live_aggregation_lose_nothing(Arc::new(make().await)).await;
    a_query_is_half_open_and_sorted(&make().await).await;
    regions_do_not_mix(&make().await).await;
    networks_and_sources_do_not_mix(&make().await).await;
    a_long_query_is_whole(&make().await).await;
    of_many_putters_one_wins(Arc::new(make().await)).await;
    no_update_is_lost(Arc::new(make().await)).await;
}

/// A partial that fills every part of its aggregate; other seeds make other numbers, and the larger
/// `seed % 100`, the larger the partial (about 1 to 2 KiB encoded).
#[must_use]
pub fn sample_partial(generation: u32, fence: SequenceNumber, seed: u64) -> Partial {
    let post = |n: u64| SlimPost {
        id: u128::from(n),
        time_ms: (n as i64 * 997) % 300_000,
        author: Some(scatter(seed + n)),
        kind: Kind::ALL[(n % 4) as usize],
        located: Located::ALL[(n % 5) as usize],
        is_copy: n.is_multiple_of(7),
        lang: ["en", "fr", "", "日本"][(n % 4) as usize].into(),
        hashtags: vec![format!("Tag{:x}", scatter(n % 150)), "Été".into()],
        mentions: 1,
        hosts: vec![format!("host{}.example", n % 40)],
        ..SlimPost::default()
    };
    let header = FrameHeader {
        lane: Lane::posts("sample", Network::X, 0),
        source: "test".into(),
        run: "run".into(),
        counter: 1,
        cut_ms: 299_999,
        cut: 1,
        live: true,
        ledger: Ledger { received: seed, filtered: seed, unasked_permille: seed % 3, ..Ledger::default() },
        ..FrameHeader::default()
    };
    let mut aggregate = Aggregate::default();
    let frame = Frame { header, posts: (0..400 + seed % 100 * 20).map(post).collect(), damage: None };
    aggregate.fold(FoldRules::default(), WindowStart(0), &frame);
    Partial { generation, fence, aggregate, stored_ms: 0 }
}

/// The state of a partial with a field of a release that does not exist yet.
///
/// # Panics
/// When the partial cannot be encoded.
#[must_use]
pub fn newer_state(partial: &Partial) -> Vec<u8> {
    let state = zstd::bulk::decompress(&partial.encode().expect("encode"), MAX_PARTIAL_BYTES).expect("zstd");
    let mut state = state[..state.len() - 4].to_vec();
    // A tag of two bytes, the length, and as many bytes.
    state.extend([0xe8, 0x07, 3, 1, 2, 3]);
    let sum = crc32fast::hash(&state);
    state.extend(sum.to_le_bytes());
    zstd::bulk::compress(&state, 3).expect("zstd")
}

/// Spreads small numbers over all 64 bits (the finalizer of `SplitMix64`), so that a sample compresses no
/// better than real authors do.
fn scatter(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Bucket `bucket` of a region's posts, or the ledger of a source with that number.
fn key(region: &str, bucket: u16, window: i64) -> PartialKey {
    let lane = match region {
        STREAM => Lane::ledger(Network::MASTODON, &format!("mastodon:{bucket}")),
        _ => Lane::posts(region, Network::X, bucket),
    };
    PartialKey { lane, window: WindowStart(window) }
}

fn bucket_of(lane: &Lane) -> u16 {
    match lane {
        Lane::Posts { bucket, .. } => *bucket,
        Lane::Ledger { source, .. } => source.rsplit(':').next().expect("a number").parse().expect("a number"),
    }
}

fn number(digits: &str) -> SequenceNumber {
    SequenceNumber::parse(digits).expect("digits")
}

fn at(generation: u32, fence: &str) -> Expected {
    Expected::At { generation, fence: number(fence) }
}

fn bytes(partial: &Partial) -> (u32, Vec<u8>) {
    (partial.generation, partial.encode().expect("encode"))
}

async fn stored(store: &impl WindowStore, key: &PartialKey) -> Option<(u32, Vec<u8>)> {
    store.load(key).await.expect("load").as_ref().map(bytes)
}

async fn put(store: &impl WindowStore, key: &PartialKey, partial: &Partial, expected: &Expected) -> PutOutcome {
    store.put(key, partial, expected).await.expect("put")
}

async fn fill(store: &impl WindowStore, key: &PartialKey) {
    let partial = sample_partial(1, 1u64.into(), 1);
    assert_eq!(put(store, key, &partial, &Expected::Absent).await, PutOutcome::Stored, "{key:?}");
}

async fn windows(store: &impl WindowStore, region: &str, from: i64, to: i64) -> Vec<(i64, u16)> {
    let found = store.query(region, WindowStart(from), WindowStart(to)).await.expect("query");
    assert!(found.iter().all(|(key, _)| key.lane.region() == region), "a query returns one region's partials");
    found.iter().map(|(key, _)| (key.window.0, bucket_of(&key.lane))).collect()
}

async fn an_empty_store_returns_nothing(store: &impl WindowStore) {
    let key = key("a", 0, 0);
    assert_eq!(stored(store, &key).await, None);
    assert_eq!(windows(store, "a", -1_000_000, 1_000_000).await, []);
    assert_eq!(store.newest("a").await.expect("newest"), None);
    let partial = sample_partial(1, 1u64.into(), 1);
    assert_eq!(put(store, &key, &partial, &at(1, "1")).await, PutOutcome::Conflict, "nothing is there to be at");
    assert_eq!(stored(store, &key).await, None, "a conflict stores nothing");
}

async fn a_partial_comes_back_as_the_same_bytes(store: &impl WindowStore) {
    let empty = Partial { generation: 0, fence: number("0"), aggregate: Aggregate::default(), stored_ms: 0 };
    let newer = Partial::decode(2, &newer_state(&sample_partial(2, number("8"), 1))).expect("decode");
    assert!(newer.aggregate.is_newer());
    let partials = [empty, sample_partial(1, number("7"), 1), sample_partial(u32::MAX, number(LONG), 99), newer];
    for (n, partial) in partials.iter().enumerate() {
        let key = key("a", 0, n as i64 * 300_000);
        assert_eq!(put(store, &key, partial, &Expected::Absent).await, PutOutcome::Stored);
        assert_eq!(stored(store, &key).await, Some(bytes(partial)), "partial {n} by load");
    }
    let found = store.query("a", WindowStart(0), WindowStart(1_200_000)).await.expect("query");
    assert!(
        found.iter().map(|(_, partial)| bytes(partial.as_ref().expect("readable"))).eq(partials.iter().map(bytes)),
        "by query"
    );
}

async fn a_put_succeeds_only_on_its_condition(store: &impl WindowStore) {
    let key = key("a", 3, 300_000);
    let first = sample_partial(2, number("20"), 1);
    let second = sample_partial(2, number("30"), 2);
    assert_eq!(put(store, &key, &first, &Expected::Absent).await, PutOutcome::Stored);
    let wrong = [Expected::Absent, at(1, "20"), at(3, "20"), at(2, "19"), at(2, "21"), at(20, "2"), at(2, "30")];
    for expected in wrong {
        assert_eq!(put(store, &key, &second, &expected).await, PutOutcome::Conflict, "{expected:?}");
        assert_eq!(stored(store, &key).await, Some(bytes(&first)), "a conflict changes nothing: {expected:?}");
    }
    assert_eq!(put(store, &key, &second, &at(2, "20")).await, PutOutcome::Stored);
    assert_eq!(stored(store, &key).await, Some(bytes(&second)));
    // The answer to a put was lost and the writer repeats it.
    assert_eq!(put(store, &key, &second, &at(2, "20")).await, PutOutcome::Conflict, "a repeated put");
    // A reprocess may put an older fence under a newer generation.
    let third = sample_partial(3, number("25"), 3);
    assert_eq!(put(store, &key, &third, &at(2, "30")).await, PutOutcome::Stored);
    assert_eq!(put(store, &key, &second, &at(2, "30")).await, PutOutcome::Conflict, "another generation");
    assert_eq!(stored(store, &key).await, Some(bytes(&third)));
}

async fn fences_are_compared_as_whole_numbers(store: &impl WindowStore) {
    let key = key("a", 0, 0);
    assert_eq!(put(store, &key, &sample_partial(1, number("9"), 1), &Expected::Absent).await, PutOutcome::Stored);
    let long = sample_partial(1, number(LONG), 2);
    for other in ["90", "99", "0", LONG] {
        assert_eq!(put(store, &key, &long, &at(1, other)).await, PutOutcome::Conflict, "9 is not {other}");
    }
    assert_eq!(put(store, &key, &long, &at(1, "009")).await, PutOutcome::Stored, "zeros in front do not count");
    let next = sample_partial(1, number(LONG_NEXT), 3);
    // The three are one number in 64-bit floats.
    for other in [LONG_NEXT, &LONG[..55], &format!("{LONG}0")] {
        assert_eq!(put(store, &key, &next, &at(1, other)).await, PutOutcome::Conflict, "{LONG} is not {other}");
    }
    assert_eq!(put(store, &key, &next, &at(1, LONG)).await, PutOutcome::Stored);
}

async fn version(store: &impl WindowStore, key: &PartialKey) -> Option<RowVersion> {
    store.version(key).await.expect("version")
}

async fn a_row_is_replaced_only_in_the_version_that_was_seen(store: &impl WindowStore) {
    let key = key("a", 2, 300_000);
    assert_eq!(version(store, &key).await, None);
    let first = sample_partial(1, number(LONG), 1);
    put(store, &key, &first, &Expected::Absent).await;
    let seen = version(store, &key).await.expect("a version");
    assert_eq!((seen.generation, seen.fence.as_ref()), (Some(1), Some(&number(LONG))));
    assert_eq!(version(store, &key).await.as_ref(), Some(&seen), "looking changes nothing");
    // Whatever is written changes the version, be it the generation, the fence, or one after the other.
    let mut old = vec![seen];
    for (generation, fence) in [(1, LONG_NEXT), (2, LONG_NEXT), (3, LONG), (u32::MAX, "9"), (0, "0")] {
        let next = sample_partial(generation, number(fence), u64::from(generation % 7));
        let now = version(store, &key).await.expect("a version");
        assert_eq!(put(store, &key, &next, &Expected::Row(now.clone())).await, PutOutcome::Stored);
        assert_eq!(stored(store, &key).await, Some(bytes(&next)));
        if !old.contains(&now) {
            old.push(now);
        }
        for version in &old {
            assert_eq!(put(store, &key, &first, &Expected::Row(version.clone())).await, PutOutcome::Conflict);
        }
        assert_eq!(stored(store, &key).await, Some(bytes(&next)), "a conflict changes nothing");
    }
    let absent = PartialKey { window: WindowStart(0), ..key.clone() };
    assert_eq!(put(store, &absent, &first, &Expected::Row(old.swap_remove(0))).await, PutOutcome::Conflict);
    assert_eq!(stored(store, &absent).await, None, "there is no row of any version");
}

async fn a_row_is_removed_only_in_the_version_that_was_seen(store: &impl WindowStore) {
    let (key, other) = (key("a", 0, 300_000), key("a", 1, 300_000));
    let (first, second) = (sample_partial(1, number("7"), 1), sample_partial(1, number("8"), 2));
    put(store, &key, &first, &Expected::Absent).await;
    put(store, &other, &first, &Expected::Absent).await;
    let seen = version(store, &key).await.expect("a version");
    put(store, &key, &second, &at(1, "7")).await;
    assert!(!store.remove(&key, &seen).await.expect("remove"), "another writer was faster");
    assert_eq!(stored(store, &key).await, Some(bytes(&second)));
    let now = version(store, &key).await.expect("a version");
    assert!(store.remove(&key, &now).await.expect("remove"));
    assert_eq!((stored(store, &key).await, version(store, &key).await), (None, None));
    assert!(store.remove(&key, &now).await.expect("remove"), "what is gone is gone");
    assert_eq!(windows(store, "a", 0, 900_000).await, [(300_000, 1)], "other rows stay");
    assert_eq!(put(store, &key, &second, &Expected::Row(now)).await, PutOutcome::Conflict);
    assert_eq!(put(store, &key, &first, &Expected::Absent).await, PutOutcome::Stored, "and may come again");
}

async fn keys_of_all_regions_are_listed(store: &impl WindowStore) {
    async fn keys(store: &impl WindowStore, from: i64, to: i64) -> Vec<PartialKey> {
        let mut keys = store.keys(WindowStart(from), WindowStart(to)).await.expect("keys");
        keys.sort();
        keys
    }
    assert_eq!(keys(store, i64::MIN, i64::MAX).await, []);
    let mut all = Vec::new();
    for region in ["a", "a#", "_stream", "montréal"] {
        for (bucket, window) in [(0, -300_000), (0, 0), (7, 300_000), (u16::MAX, 86_400_000 * 9)] {
            all.push(key(region, bucket, window));
        }
    }
    for key in &all {
        fill(store, key).await;
    }
    all.sort();
    assert_eq!(keys(store, i64::MIN, i64::MAX).await, all);
    for (from, to) in [(0, 300_000), (1, 300_001), (-300_000, 0), (300_000, 0), (0, 86_400_000 * 9)] {
        let inside: Vec<_> = all.iter().filter(|key| (from..to).contains(&key.window.0)).cloned().collect();
        assert_eq!(keys(store, from, to).await, inside, "{from}..{to}");
    }
}

/// One removes every row that it sees, the others count on; whichever wins, each count that was stored is either in
/// the row or was in a version that was removed.
async fn a_reprocess_and_live_aggregation_lose_nothing<S: WindowStore + 'static>(store: Arc<S>) {
    const UPDATES: u64 = 12;
    let key = key("a", 0, 0);
    let (remover_store, remover_key) = (store.clone(), key.clone());
    let remover = tokio::spawn(async move {
        let mut removed = 0;
        for _ in 0..UPDATES {
            if let Some(version) = remover_store.version(&remover_key).await.expect("version")
                && remover_store.remove(&remover_key, &version).await.expect("remove")
            {
                let fence = version.fence.expect("a fence");
                removed += fence.as_str().parse::<u64>().expect("a small fence");
            }
            tokio::task::yield_now().await;
        }
        removed
    });
    let mut done = 0;
    while done < UPDATES {
        let before = store.load(&key).await.expect("load");
        let expected = before.as_ref().map_or(Expected::Absent, |partial| Expected::At {
            generation: partial.generation,
            fence: partial.fence.clone(),
        });
        let mut partial = before.unwrap_or_else(|| sample_partial(1, 0u64.into(), 1));
        let count: u64 = partial.fence.as_str().parse().expect("a small fence");
        partial.fence = (count + 1).into();
        done += u64::from(put(&*store, &key, &partial, &expected).await == PutOutcome::Stored);
    }
    let removed = remover.await.expect("the remover");
    let left = version(&*store, &key).await.and_then(|version| version.fence);
    let left: u64 = left.map_or(0, |fence| fence.as_str().parse().expect("a small fence"));
    assert_eq!(removed + left, UPDATES);
}

async fn a_query_is_half_open_and_sorted(store: &impl WindowStore) {
    let mut all = Vec::new();
    // Windows before 1970 and of different numbers of digits, buckets too: text order would be wrong.
    for window in [-3_000_000, -300_000, 0, 300_000, 600_000, 3_000_000, 1_700_000_100_000] {
        for bucket in [0, 2, 10, u16::MAX] {
            all.push((window, bucket));
        }
    }
    for (window, bucket) in all.iter().rev() {
        fill(store, &key("a", *bucket, *window)).await;
    }
    assert_eq!(windows(store, "a", i64::MIN, i64::MAX).await, all);
    for (from, to) in [(-300_000, 600_000), (-3_000_000, -300_000), (1, 300_001), (600_000, 600_000), (1, 2)] {
        let inside: Vec<_> = all.iter().copied().filter(|(window, _)| (from..to).contains(window)).collect();
        assert_eq!(windows(store, "a", from, to).await, inside, "{from}..{to}");
    }
    assert_eq!(windows(store, "a", 600_000, 0).await, [], "a range that ends before its start is empty");
}

async fn regions_do_not_mix(store: &impl WindowStore) {
    let regions = ["a", "a#", "a#0", "ab", "A", "_stream", "montréal", "東京", "'; --", "a%"];
    for (n, region) in regions.iter().enumerate() {
        assert_eq!(store.newest(region).await.expect("newest"), None, "{region}");
        fill(store, &key(region, 0, n as i64 * 300_000)).await;
        fill(store, &key(region, 1, -300_000)).await;
    }
    for (n, region) in regions.iter().enumerate() {
        let newest = n as i64 * 300_000;
        assert_eq!(windows(store, region, i64::MIN, i64::MAX).await, [(-300_000, 1), (newest, 0)], "{region}");
        assert_eq!(store.newest(region).await.expect("newest"), Some(WindowStart(newest)), "{region}");
    }
    fill(store, &key("a", 5, 900_000)).await;
    assert_eq!(store.newest("a").await.expect("newest"), Some(WindowStart(900_000)), "newest over all buckets");
    assert_eq!(store.newest("").await.expect("newest"), None);
}

async fn networks_and_sources_do_not_mix(store: &impl WindowStore) {
    let posts = |network: &str, bucket| Lane::posts("a", Network::parse(network).expect("a network"), bucket);
    // In the order of lanes, which is that of networks, then of buckets as numbers.
    let lanes = [posts("bluesky", 0), posts("bluesky", 2), posts("bluesky", 10), posts("x", 0), posts("x-1", 0)];
    let sources = ["mastodon:example.org", "mastodon:example.org:8080", &"é".repeat(300), "rss:https://a.example/#b"];
    let ledgers: Vec<_> = sources.iter().map(|source| Lane::ledger(Network::MASTODON, source)).collect();
    for (n, lane) in lanes.iter().chain(&ledgers).enumerate() {
        let key = PartialKey { lane: lane.clone(), window: WindowStart(0) };
        let partial = sample_partial(1, number("1"), n as u64);
        assert_eq!(put(store, &key, &partial, &Expected::Absent).await, PutOutcome::Stored, "{lane}");
        assert_eq!(stored(store, &key).await, Some(bytes(&partial)), "{lane}");
    }
    let found = async |region| -> Vec<Lane> {
        let rows = store.query(region, WindowStart(0), WindowStart(1)).await.expect("query");
        rows.into_iter().map(|(key, _)| key.lane).collect()
    };
    assert_eq!(found("a").await, lanes);
    let mut sorted = ledgers;
    sorted.sort();
    assert_eq!(found(STREAM).await, sorted);
}

async fn a_long_query_is_whole(store: &impl WindowStore) {
    // Together more than the 1 MB that DynamoDB returns in one page.
    let partial = sample_partial(1, number(LONG), 5);
    let size = partial.encode().expect("encode").len();
    let count = (1_200_000 / size + 1) as i64;
    for n in 0..count {
        let key = key("a", 0, n * 60_000);
        assert_eq!(put(store, &key, &partial, &Expected::Absent).await, PutOutcome::Stored);
    }
    let expected: Vec<_> = (0..count).map(|n| (n * 60_000, 0)).collect();
    assert_eq!(windows(store, "a", 0, count * 60_000).await, expected);
}

async fn of_many_putters_one_wins<S: WindowStore + 'static>(store: Arc<S>) {
    let key = key("a", 0, 0);
    let mut expected = Expected::Absent;
    for round in 1..=5u32 {
        let mut tasks = tokio::task::JoinSet::new();
        for putter in 0..8u64 {
            let (store, key, expected) = (store.clone(), key.clone(), expected.clone());
            let partial = sample_partial(round, (u64::from(round) * 100 + putter).into(), putter);
            tasks.spawn(async move { (put(&*store, &key, &partial, &expected).await, partial) });
        }
        let ended = tasks.join_all().await;
        let mut winners = ended.iter().filter(|(outcome, _)| *outcome == PutOutcome::Stored);
        let (_, winner) = winners.next().expect("one of the putters wins");
        assert!(winners.next().is_none(), "two putters with the same expectation both won");
        assert_eq!(stored(&*store, &key).await, Some(bytes(winner)), "what is stored is the winner's");
        expected = Expected::At { generation: winner.generation, fence: winner.fence.clone() };
    }
}

async fn no_update_is_lost<S: WindowStore + 'static>(store: Arc<S>) {
    const TASKS: u64 = 4;
    const UPDATES: u64 = 5;
    let key = key("a", 0, 0);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (store, key) = (store.clone(), key.clone());
        tasks.spawn(async move {
            let mut done = 0;
            while done < UPDATES {
                let before = store.load(&key).await.expect("load");
                let expected = before.as_ref().map_or(Expected::Absent, |partial| Expected::At {
                    generation: partial.generation,
                    fence: partial.fence.clone(),
                });
                let mut partial = before.unwrap_or_else(|| sample_partial(1, 0u64.into(), 1));
                let count: u64 = partial.fence.as_str().parse().expect("a small fence");
                partial.fence = (count + 1).into();
                done += u64::from(put(&*store, &key, &partial, &expected).await == PutOutcome::Stored);
            }
        });
    }
    tasks.join_all().await;
    let partial = store.load(&key).await.expect("load").expect("a partial");
    assert_eq!(partial.fence, (TASKS * UPDATES).into(), "each put that was stored counts");
}

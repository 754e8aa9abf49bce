//! Rule 1.1. Events are a pure function of the windows, in whatever order these come and whoever looks at them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use birdsong_digest::watch::Standing;
use birdsong_digest::{Digest, reference};
use birdsong_domain::event::{Event, EventKind, GapReason, Subject};
use birdsong_domain::frame::{Frame, FrameHeader, Lane, Ledger, STREAM, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{DocumentKind, DocumentStore, Expected, PartialKey, PortError, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore};
use proptest::prelude::*;

use crate::{DAY, events, watched};

fn author(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Posts with a hashtag each; 0 to 9 by different authors.
fn tagged(tag: &str, count: u64, authors: u64) -> Vec<SlimPost> {
    let tags: Vec<String> = if tag.is_empty() { vec![] } else { vec![tag.to_owned()] };
    let post = |n: u64| SlimPost {
        author: Some(author(n % authors + 1)),
        hashtags: tags.clone(),
        lang: "fr".into(),
        ..SlimPost::default()
    };
    (0..count).map(post).collect()
}

async fn put(store: &MemoryStore, lane: Lane, rules: FoldRules, start_ms: i64, posts: Vec<SlimPost>, ledger: Ledger) {
    let key = PartialKey { lane: lane.clone(), window: WindowStart(start_ms) };
    let stored = store.load(&key).await.unwrap();
    let fence = stored.as_ref().map_or(0, |partial| partial.fence.as_str().parse::<u64>().unwrap()) + 1;
    let (expected, mut aggregate) = match stored {
        Some(Partial { generation, fence, aggregate, .. }) => (Expected::At { generation, fence }, aggregate),
        None => (Expected::Absent, Aggregate::default()),
    };
    let posts = posts.into_iter().map(|post| SlimPost { time_ms: start_ms, ..post }).collect();
    // Frame 1 is that of a run's start.
    let header =
        FrameHeader { lane, run: "run".into(), counter: fence + 1, cut_ms: start_ms, ..FrameHeader::default() };
    aggregate.fold(rules, key.window, &Frame { header, posts, ..Frame::default() });
    aggregate.ledger.add(&ledger);
    let partial = Partial { generation: 1, fence: fence.into(), aggregate, stored_ms: 0 };
    store.put(&key, &partial, &expected).await.unwrap();
}

/// A window of the region `a`, and of the ledger.
async fn window(store: &MemoryStore, rules: FoldRules, start_ms: i64, posts: Vec<SlimPost>) {
    put(store, Lane::posts("a", Network::X, 0), rules, start_ms, posts, Ledger::default()).await;
    put(store, Lane::ledger(Network::X, "x"), rules, start_ms, vec![], Ledger::default()).await;
}

/// Eight days with some posts in each window, and a burst an hour before the end.
async fn with_burst(store: &MemoryStore, rules: FoldRules) -> i64 {
    let windows = 8 * DAY_MS / rules.size.ms();
    for at in 0..windows {
        let start_ms = DAY + at * rules.size.ms();
        let mut posts = tagged("", 3 + (at * 7 % 3) as u64, 50);
        posts.extend(tagged("daily", 2, 9));
        if at >= windows - 12 && at < windows - 6 {
            posts.extend(tagged("Goal", 20, 17));
            posts.extend(tagged("flood", 30, 1));
        }
        window(store, rules, start_ms, posts).await;
    }
    DAY + windows * rules.size.ms()
}

#[tokio::test]
async fn a_burst_is_an_event_and_a_flood_is_not() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let end_ms = with_burst(&store, rules).await;
    let mut digest = Digest::new(store.clone(), rules);
    digest.run(&["a"], end_ms - 30 * 60_000 + 200_000, || false).await.unwrap();
    let found = events(&store, "a").await;
    let goal = found.iter().find(|event| event.subject.to_string() == "#Goal").unwrap();
    assert_eq!((goal.kind, goal.start_ms, goal.is_open), (EventKind::Rising, end_ms - HOUR_MS, true));
    assert_eq!((goal.observed, goal.span_ms, goal.is_new), (120, HOUR_MS, true));
    assert!(goal.authors.unwrap() >= 8 && goal.top_author_permille.unwrap() < 500, "{goal:?}");
    assert!(found.iter().all(|event| event.subject.to_string() != "#flood"), "{found:?}");
    let spike = found.iter().find(|event| event.kind == EventKind::Spike).unwrap();
    assert_eq!(spike.subject, Subject::Region);
    assert!(spike.carriers.iter().any(|carrier| carrier.subject.to_string() == "#Goal"), "{spike:?}");
    // Posts without author count as none.
    assert!((17..=60).contains(&spike.authors.unwrap()), "{spike:?}");
    let watched = watched(&store, "a").await;
    let standing = |tag: &str| {
        watched.rising.iter().find(|rising| rising.subject.to_string() == tag).map(|rising| rising.standing)
    };
    assert_eq!(standing("#Goal"), Some(Standing::New));
    assert_eq!(standing("#flood"), Some(Standing::Flooded));
    assert_eq!(standing("#daily"), Some(Standing::Evergreen));
    let goal = watched.rising.iter().find(|rising| rising.subject.to_string() == "#Goal").unwrap();
    assert_eq!(goal.profile.as_ref().unwrap().languages[0].0, "fr");
    assert_eq!(goal.networks, [(Network::X, 120)]);
    let (usual, low, high) = watched.usual.values().next().copied().unwrap();
    assert!(low < usual && usual < high && (60_000..90_000).contains(&usual), "{low} {usual} {high}");

    // Later it has ended, and is still one event.
    window(&store, rules, end_ms, tagged("daily", 2, 9)).await;
    for n in 1..12 {
        window(&store, rules, end_ms + n * rules.size.ms(), tagged("", 3, 9)).await;
    }
    digest.run(&["a"], end_ms + HOUR_MS + 200_000, || false).await.unwrap();
    let found = events(&store, "a").await;
    let goals: Vec<_> = found.iter().filter(|event| event.subject.to_string() == "#Goal").collect();
    assert_eq!((goals.len(), goals[0].is_open, goals[0].start_ms), (1, false, end_ms - HOUR_MS));
}

#[tokio::test]
async fn a_revision_has_the_late_posts_of_its_windows() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let end_ms = with_burst(&store, rules).await;
    let window_ms = end_ms - 3 * HOUR_MS;
    let key = PartialKey { lane: Lane::posts("a", Network::X, 0), window: WindowStart(window_ms) };
    let mut partial = store.load(&key).await.unwrap().unwrap();
    let expected = Expected::At { generation: partial.generation, fence: partial.fence.clone() };
    let header = FrameHeader {
        lane: key.lane.clone(),
        run: "later".into(),
        counter: 1,
        cut_ms: end_ms,
        live: true,
        ..FrameHeader::default()
    };
    let post = SlimPost { time_ms: window_ms, ..SlimPost::default() };
    let frame = Frame { header, posts: vec![post.clone(), post], damage: None };
    partial.aggregate.fold(rules, key.window, &frame);
    store.put(&key, &partial, &expected).await.unwrap();
    Digest::new(store.clone(), rules).run(&["a"], end_ms + 200_000, || false).await.unwrap();
    let found = events(&store, "a").await;
    let revision = found.iter().find(|event| event.kind == EventKind::Revision).unwrap();
    assert_eq!((revision.start_ms, revision.windows), (window_ms, 1));
    assert_eq!((revision.late, revision.late_ms), (2, Some(end_ms)));
}

#[tokio::test]
async fn gaps_and_samples_are_events_of_the_collection() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let ledger = |missed_ms, unasked_permille| Ledger { missed_ms, unasked_permille, ..Ledger::default() };
    for at in 0..60 {
        let start_ms = DAY + at * rules.size.ms();
        let ledger = match at {
            5 | 6 => ledger(200_000, 0),
            30..40 => ledger(0, 900),
            // No record at all.
            50 | 51 => continue,
            _ => ledger(0, 0),
        };
        put(&store, Lane::ledger(Network::X, "x"), rules, start_ms, vec![], ledger).await;
    }
    let mut digest = Digest::new(store.clone(), rules);
    digest.run(&["a"], DAY + 6 * HOUR_MS, || false).await.unwrap();
    let found = events(&store, STREAM).await;
    let found: Vec<_> = found
        .iter()
        .map(|event| {
            (event.kind, (event.start_ms - DAY) / rules.size.ms(), event.windows, event.reason, event.sampled_permille)
        })
        .collect();
    assert_eq!(
        found,
        [
            (EventKind::Gap, 5, 2, Some(GapReason::Missed), None),
            (EventKind::Sampled, 30, 10, None, Some(100)),
            (EventKind::Gap, 50, 2, Some(GapReason::Unwatched), None),
        ]
    );
}

#[tokio::test]
async fn a_silence_is_an_event_when_the_source_is_connected() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let windows = 5 * 288;
    for at in 0..windows {
        let posts = if at < windows - 12 { tagged("", 6 + at as u64 % 3, 50) } else { vec![] };
        window(&store, rules, DAY + at * rules.size.ms(), posts).await;
    }
    let end_ms = DAY + windows * rules.size.ms();
    Digest::new(store.clone(), rules).run(&["a"], end_ms + 200_000, || false).await.unwrap();
    let found = events(&store, "a").await;
    let silence = found.iter().find(|event| event.kind == EventKind::Silence).unwrap();
    assert_eq!((silence.start_ms, silence.observed, silence.is_open), (end_ms - HOUR_MS, 0, true));
    assert!((70_000..100_000).contains(&silence.expected_milli), "{silence:?}");
}

/// A fifth of the posts is left for three hours, then none for an hour and a half, then all again. After a while the level follows, so
/// that the drop has ended by then.
#[tokio::test]
async fn a_silence_takes_the_place_of_a_drop_and_ends_when_posts_are_as_usual() {
    let size = WindowSize::from_secs(900).unwrap();
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules { size, ..FoldRules::default() });
    let (first, last) = (6 * 96 + 30, 6 * 96 + 60);
    let mut digest = Digest::new(store.clone(), rules);
    let mut found = vec![];
    for at in 0..last {
        let usual = 200 + at as u64 * 7 % 5;
        let count = match at - first {
            0..12 => 40,
            12..18 => 0,
            _ => usual,
        };
        window(&store, rules, DAY + at * size.ms(), tagged("", count, 50)).await;
        if [first + 3, first + 11, first + 17, last - 1].contains(&at) {
            digest.run(&["a"], DAY + (at + 1) * size.ms() + 180_000, || false).await.unwrap();
            found.push(events(&store, "a").await);
        }
    }
    let of = |kind: EventKind, events: &[Event]| {
        let found: Vec<_> =
            events.iter().filter(|event| event.kind == kind && event.subject == Subject::Region).collect();
        assert!(found.len() <= 1, "{found:?}");
        found.first().map(|event| {
            let position = |ms: i64| (ms - DAY) / size.ms() - first;
            let compared =
                (event.observed, event.span_ms / size.ms(), event.expected_milli, event.low_milli, event.high_milli);
            let times = (position(event.start_ms), position(event.end_ms), position(event.peak_ms), event.is_open);
            (times, compared, event.score_milli, event.season_milli)
        })
    };
    let shown: Vec<_> =
        found.iter().map(|events| [EventKind::Drop, EventKind::Silence].map(|kind| of(kind, events))).collect();
    let drop = Some(((2, 5, 3, false), (40, 1, 161_508, 144_231, 221_587), 8_991, -8_991));
    let silence = |is_open| Some(((12, 18, 18, is_open), (0, 6, 403_993, 0, 0), 403_993, 0));
    let going_on = Some(((2, 4, 3, true), (40, 1, 161_508, 144_231, 221_587), 8_991, -8_991));
    assert_eq!(shown, [[going_on, None], [drop, None], [drop, silence(true)], [drop, silence(false)]]);
}

/// Notes the longest range of documents that was asked for, in milliseconds.
#[derive(Debug, Default)]
struct Longest(AtomicI64);

impl Hook for Longest {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        if let Call::Documents(from_ms, to_ms) = call {
            self.0.fetch_max(to_ms.saturating_sub(from_ms), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What happened: documents were asked for up to the end of time, and the function on AWS made a query for each year.
#[tokio::test]
async fn no_range_of_documents_is_longer_than_what_can_be_there() {
    let store = Arc::new(Hooked { rows: Arc::new(MemoryStore::default()), hook: Longest::default() });
    let rules = FoldRules::default();
    let end_ms = with_burst(&store.rows, rules).await;
    let mut digest = Digest::new(store.clone(), rules);
    for now_ms in [end_ms + 200_000, end_ms + HOUR_MS] {
        digest.run(&["a"], now_ms, || false).await.unwrap();
    }
    let days = store.hook.0.load(Ordering::Relaxed) / DAY_MS;
    assert!((60..100).contains(&days), "{days} days");
}

/// A region that is added on the ninth day of an installation, twelve hours before midnight; its burst is on the day after.
async fn added_later(store: &MemoryStore, rules: FoldRules) -> i64 {
    let per_day = DAY_MS / rules.size.ms();
    let end = 10 * per_day;
    for at in 0..end {
        let start_ms = DAY + at * rules.size.ms();
        put(store, Lane::ledger(Network::X, "x"), rules, start_ms, vec![], Ledger::default()).await;
        if at >= 8 * per_day + per_day / 2 {
            let posts = if at >= end - 6 { 80 } else { 20 + (at * 7 % 5) as u64 };
            put(store, Lane::posts("a", Network::X, 0), rules, start_ms, tagged("", posts, 50), Ledger::default())
                .await;
        }
    }
    DAY + end * rules.size.ms()
}

/// Seven days of another place's counts before the region was added.
async fn put_reference(store: &MemoryStore) {
    let minutes = (DAY_MS / 60_000..8 * DAY_MS / 60_000).map(|minute| (DAY + minute * 60_000, 3 + minute as u64 % 2));
    reference::put(store, "a", &minutes.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_unusual_in_a_region_before_it_has_a_baseline() {
    let (store, rules) = (Arc::new(MemoryStore::default()), FoldRules::default());
    let end_ms = added_later(&store, rules).await;
    Digest::new(store.clone(), rules).run(&["a"], end_ms + 200_000, || false).await.unwrap();
    // The ledgers know the days before, in which nobody looked for the region.
    assert_eq!(events(&store, "a").await, []);
    assert_eq!(watched(&store, "a").await.usual, BTreeMap::new());
}

#[tokio::test]
async fn reference_counts_are_the_baseline_of_a_new_region_whenever_they_come() {
    let rules = FoldRules::default();
    let (before, after) = (Arc::new(MemoryStore::default()), Arc::new(MemoryStore::default()));
    put_reference(&before).await;
    let end_ms = added_later(&before, rules).await;
    Digest::new(before.clone(), rules).run(&["a"], end_ms + 200_000, || false).await.unwrap();
    let found = events(&before, "a").await;
    let [spike] = &found[..] else { panic!("{found:?}") };
    assert_eq!(spike.kind, EventKind::Spike);
    assert!((end_ms - HOUR_MS..=end_ms - 6 * rules.size.ms()).contains(&spike.start_ms), "{spike:?}");
    assert!(spike.baseline_days >= 6 && spike.expected_milli < spike.observed * 400, "{spike:?}");

    added_later(&after, rules).await;
    let mut digest = Digest::new(after.clone(), rules);
    digest.run(&["a"], end_ms + 200_000, || false).await.unwrap();
    assert_eq!(events(&after, "a").await, []);
    put_reference(&after).await;
    // Series that were read are used again for an hour.
    window(&after, rules, end_ms, tagged("", 20, 50)).await;
    digest.run(&["a"], end_ms + 2 * HOUR_MS, || false).await.unwrap();
    let of_spikes = |events: Vec<Event>| events.into_iter().filter(|event| event.kind == EventKind::Spike).collect();
    let spikes: Vec<Event> = of_spikes(events(&after, "a").await);
    assert_eq!((spikes.len(), spikes[0].start_ms, spikes[0].observed), (1, spike.start_ms, spike.observed));
}

/// A change: the position of a window of an hour in ten days, and the posts that it gets.
type Change = (i64, u64, bool);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_order_of_windows_and_runs_gives_the_same_events(
        late in prop::collection::vec((0i64..240, 1u64..40, any::<bool>()), 0..8),
        runs in prop::collection::vec((0usize..9, 100i64..250, 0u32..9), 0..6),
        bursts in prop::collection::vec((150i64..238, 20u64..60), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let size = WindowSize::from_secs(3600).unwrap();
            let rules = FoldRules { size, ..FoldRules::default() };
            let (store, fresh) = (Arc::new(MemoryStore::default()), Arc::new(MemoryStore::default()));
            for store in [&store, &fresh] {
                for at in 0..240 {
                    let mut posts = tagged("daily", 4 + at as u64 % 3, 9);
                    bursts.iter().filter(|(burst, _)| *burst == at).for_each(|(_, n)| posts.extend(tagged("burst", *n, 30)));
                    window(store, rules, DAY + at * HOUR_MS, posts).await;
                }
            }
            let mut digests = [Digest::new(store.clone(), rules), Digest::new(store.clone(), rules)];
            let apply = async |store: &MemoryStore, (at, posts, is_gap): Change| {
                let start_ms = DAY + at * HOUR_MS;
                let missed_ms = if is_gap { 3_000_000 } else { 0 };
                let ledger = Ledger { missed_ms, ..Ledger::default() };
                put(store, Lane::posts("a", Network::X, 0), rules, start_ms, tagged("late", posts, 20), Ledger::default()).await;
                put(store, Lane::ledger(Network::X, "x"), rules, start_ms, vec![], ledger).await;
            };
            for n in 0..9 {
                for (_, hour, steps) in runs.iter().filter(|(after, _, _)| *after == n) {
                    let left = std::cell::Cell::new(*steps);
                    let is_over = || left.replace(left.get().saturating_sub(1)) == 0;
                    digests[n % 2].run(&["a"], DAY + hour * HOUR_MS, is_over).await.unwrap();
                }
                if let Some(change) = late.get(n) {
                    apply(&store, *change).await;
                }
            }
            for change in &late {
                apply(&fresh, *change).await;
            }
            let now_ms = DAY + 243 * HOUR_MS;
            let mut last = Digest::new(store.clone(), rules);
            while last.run(&["a"], now_ms, || false).await.unwrap().has_more {}
            Digest::new(fresh.clone(), rules).run(&["a"], now_ms, || false).await.unwrap();
            for region in ["a", STREAM] {
                let (found, expected) = (events(&store, region).await, events(&fresh, region).await);
                assert_eq!(found, expected);
            }
            let series = async |store: &MemoryStore| {
                let documents = store.documents(DocumentKind::Series, "a", 0, i64::MAX).await.unwrap();
                documents.into_iter().map(|document| (document.start_ms, document.body)).collect::<BTreeMap<_, _>>()
            };
            assert_eq!(series(&store).await, series(&fresh).await);
            assert_eq!(watched(&store, "a").await, watched(&fresh, "a").await);
        });
    }
}

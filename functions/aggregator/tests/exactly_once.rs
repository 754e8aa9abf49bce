//! Rules 1.1 and 2.2. A stored window is a pure function of the log, whatever happens on the way.

use std::sync::Arc;

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame::{self, FrameHeader, Lane, Ledger, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{LogRecord, PartialKey, WindowStore};
use birdsong_domain::post::{Kind, Located};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Fault, MemoryStore, newer_state};
use proptest::prelude::*;

fn record(n: u64, lane: u16, posts: &[(i64, u64)]) -> LogRecord {
    let header = FrameHeader {
        lane: Lane::posts("r", Network::X, lane),
        source: "test".into(),
        run: "run".into(),
        counter: n,
        cut_ms: 400_000 + n as i64 * 20_000,
        cut: 1,
        live: true,
        // Some sources were sampled.
        ledger: Ledger { received: n, unasked_permille: [0, 750, 0, 300][(n % 4) as usize], ..Ledger::default() },
        ..FrameHeader::default()
    };
    let mut lines = Vec::new();
    for (t, a) in posts {
        let post = SlimPost {
            id: u128::from(*a),
            time_ms: *t,
            author: Some(*a),
            kind: Kind::ALL[(*a % 4) as usize],
            located: Located::Text,
            is_copy: *a % 5 == 0,
            lang: ["en", "fr", ""][(*a % 3) as usize].into(),
            hashtags: vec![format!("T{}", a % 130)],
            mentions: 1,
            ..SlimPost::default()
        };
        lines.extend(serde_json::to_vec(&post).unwrap());
        lines.push(b'\n');
    }
    LogRecord { sequence: n.into(), arrived_ms: 0, lane: None, bytes: frame::encode(&header, &lines).unwrap() }
}

fn log() -> impl Strategy<Value = Vec<LogRecord>> {
    let posts = prop::collection::vec((0i64..900_000, 0u64..400), 0..12);
    prop::collection::vec((0u16..3, posts), 1..14).prop_map(|records| {
        records.iter().enumerate().map(|(n, (lane, posts))| record(n as u64 + 1, *lane, posts)).collect()
    })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn undisturbed(log: &[LogRecord]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    run(Aggregator::new(store.clone(), FoldRules::default(), 64).fold_batch("0", log)).unwrap();
    store
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![3 => Just(Fault::None), 1 => Just(Fault::Lost), 1 => Just(Fault::AnswerLost)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    /// Two aggregators, each with its own cache, read the same shard with other batch cuts,
    /// crash at any put, restart behind an older checkpoint and get batches twice.
    #[test]
    fn crashes_duplicates_cuts_and_rivals_change_no_byte(
        log in log(),
        steps in prop::collection::vec((any::<bool>(), 1usize..6, 0usize..4, any::<bool>()), 1..12),
        faults in prop::collection::vec(fault(), 0..24),
        cache in 1usize..6,
    ) {
        let expected = undisturbed(&log).dump();
        let store = Arc::new(MemoryStore::default());
        store.inject(faults);
        let new = || Aggregator::new(store.clone(), FoldRules::default(), cache);
        let mut rivals = [(new(), 0usize), (new(), 0usize)];
        run(async {
            for (who, take, back, crash) in steps {
                let (aggregator, checkpoint) = &mut rivals[usize::from(who)];
                let from = checkpoint.saturating_sub(back);
                let to = (from + take).min(log.len());
                if aggregator.fold_batch("0", &log[from..to]).await.is_ok() {
                    *checkpoint = (*checkpoint).max(to);
                }
                if crash {
                    *aggregator = new();
                }
            }
            // In the end each record has been folded until its batch succeeded.
            for (aggregator, checkpoint) in &mut rivals {
                while aggregator.fold_batch("0", &log[*checkpoint..]).await.is_err() {}
            }
        });
        prop_assert_eq!(store.dump(), expected);
    }
}

// Rule 4.6.
#[test]
fn a_damaged_record_is_reported_and_the_rest_is_folded() {
    let mut log: Vec<_> = (1..=3).map(|n| record(n, 0, &[(1000, n)])).collect();
    *log[1].bytes.last_mut().unwrap() ^= 1;
    let store = Arc::new(MemoryStore::default());
    let outcome = run(Aggregator::new(store.clone(), FoldRules::default(), 8).fold_batch("0", &log)).unwrap();
    assert_eq!((outcome.aggregated + outcome.late, outcome.dead.len()), (2, 1));
    assert_eq!(outcome.dead[0].sequence_number, "2");
    let counted = |window| {
        let key = PartialKey { lane: Lane::posts("r", Network::X, 0), window: WindowStart(window) };
        let aggregate = run(store.load(&key)).unwrap().unwrap().aggregate;
        (aggregate.posts(), aggregate.damage.records)
    };
    assert_eq!((counted(0), counted(300_000)), ((2, 0), (0, 1)), "the window of the cut has the flaw");
}

// Rule 4.6.
#[test]
fn a_damaged_window_restarts_and_every_other_one_continues() {
    let log = [record(1, 0, &[(1000, 1)])];
    let store = undisturbed(&log);
    let key = store.dump().into_keys().next().unwrap();
    store.overwrite(key.clone(), 1, vec![1, 2, 3]);
    let mut aggregator = Aggregator::new(store.clone(), FoldRules::default(), 8);
    let outcome = run(aggregator.fold_batch("0", &[record(2, 0, &[(1000, 2)]), record(3, 1, &[(1000, 3)])])).unwrap();
    assert_eq!((outcome.aggregated + outcome.late, outcome.dead.len()), (2, 1));
    assert_eq!(outcome.dead[0].lane, Some(key.lane.to_string()));
    let partial = run(store.load(&key)).unwrap().unwrap();
    assert_eq!((partial.aggregate.posts(), partial.aggregate.damage.resets), (1, 1));
}

// Rule 1.5.
/// An append that timed out and did succeed is sent again: the log has its frames twice.
#[test]
fn frames_that_are_in_the_log_twice_count_once() {
    let posts = |n: u64| -> Vec<(i64, u64)> { (0..5).map(|i| ((n * 5 + i) as i64 * 1000, n * 5 + i)).collect() };
    let frames: Vec<_> = (1..=20).map(|n| record(n, 0, &posts(n))).collect();
    // The first half again, then two that changed places.
    let order = (1..=10).chain(1..=10).chain([12, 11]).chain(13..=20);
    let repeated: Vec<_> = order
        .enumerate()
        .map(|(at, n): (usize, usize)| LogRecord { sequence: (at as u64 + 1).into(), ..frames[n - 1].clone() })
        .collect();
    let counts = |log: &[LogRecord]| -> Vec<_> {
        let stored = undisturbed(log).dump().into_iter();
        let read = stored.map(|(key, (generation, bytes))| {
            let aggregate = birdsong_domain::window::Partial::decode(generation, &bytes).unwrap().aggregate;
            (key, aggregate.kinds, aggregate.primary, aggregate.frames, aggregate.mentions, aggregate.ledger)
        });
        read.collect()
    };
    assert_eq!(counts(&repeated), counts(&frames));
}

// Rule 1.9.
#[test]
fn nothing_is_folded_onto_a_window_of_a_newer_release() {
    let log: Vec<_> = (1..=2).map(|n| record(n, 0, &[(n as i64, n)])).collect();
    let store = undisturbed(&log[..1]);
    let (key, (generation, state)) = store.dump().into_iter().next().unwrap();
    let newer = newer_state(&birdsong_domain::window::Partial::decode(generation, &state).unwrap());
    store.overwrite(key.clone(), generation, newer.clone());
    let mut aggregator = Aggregator::new(store.clone(), birdsong_domain::window::FoldRules::default(), 8);
    let error = run(aggregator.fold_batch("0", &log)).unwrap_err().to_string();
    assert!(error.contains("a newer release of Birdsong wrote window"), "{error}");
    assert_eq!(store.dump()[&key], (generation, newer), "it is as it was");
}

//! Rule 1.20. A copy has the counts of its original byte for byte, and the new place counts on from it.

use std::sync::Arc;

use birdsong_aggregator::Aggregator;
use birdsong_aggregator::copy::{Copied, Progress, copy};
use birdsong_aggregator::reprocess::{ReprocessError, reprocess};
use birdsong_domain::frame::{self, FrameHeader, Lane, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{
    COPIED_MS, DocumentKey, DocumentKind, DocumentStore, FrameRecord, KEY_FINGERPRINT, LogRecord, PartialKey,
    PortError, PostLog, ReadFrom, SequenceNumber, Settings, WINDOW_SECS, WindowStore,
};
use birdsong_domain::post::Located;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart};
use birdsong_domain::window::{FoldRules, Partial};
use birdsong_testkit::{Call, Fault, Hook, Hooked, MemoryStore};

const NOW_MS: i64 = 10 * DAY_MS;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// A record with one post of `t`, in milliseconds.
fn record(sequence: u64, region: &str, t: i64) -> LogRecord {
    let lane = Lane::posts(region, Network::X, 0);
    // Each place has its own streamer, and each start of a streamer is a run.
    let run = format!("run-{}", sequence / 1_000_000);
    let header = FrameHeader { lane, run, counter: sequence, cut_ms: t, ..FrameHeader::default() };
    let post = SlimPost {
        id: u128::from(sequence) << 40 | t as u128,
        time_ms: t,
        author: Some(sequence % 9),
        located: Located::Text,
        lang: "en".into(),
        ..SlimPost::default()
    };
    let bytes = frame::encode(&header, &serde_json::to_vec(&post).unwrap()).unwrap();
    LogRecord { sequence: sequence.into(), arrived_ms: t, lane: None, bytes }
}

fn fold(store: &Arc<MemoryStore>, records: &[LogRecord]) {
    run(Aggregator::new(store.clone(), FoldRules::default(), 64).fold_batch("0", records)).unwrap();
}

fn set(store: &MemoryStore, key: &str, value: &str) {
    run(store.set_setting(key, value)).unwrap();
}

/// Posts of nine days in two regions, behind high sequence numbers.
fn original() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    set(&store, WINDOW_SECS, "300");
    set(&store, KEY_FINGERPRINT, "abc");
    let records: Vec<_> =
        (0..400).map(|n| record(1_000_000 + n, ["a", "b"][n as usize % 2], n as i64 * DAY_MS / 44)).collect();
    fold(&store, &records);
    store
}

/// All windows: generation, and state bytes without the fence.
fn windows(store: &MemoryStore) -> Vec<(String, i64, u32, Vec<u8>)> {
    let unfenced = |generation: u32, state: &[u8]| {
        Partial { fence: 0u64.into(), ..Partial::decode(generation, state).unwrap() }.encode().unwrap()
    };
    let of = |(key, (generation, state)): (PartialKey, (u32, Vec<u8>))| {
        (key.lane.to_string(), key.window.0, generation, unfenced(generation, &state))
    };
    store.dump().into_iter().map(of).collect()
}

fn copied(from: &MemoryStore, to: &MemoryStore) -> Copied {
    run(copy(from, to, NOW_MS, |_| ())).unwrap()
}

#[test]
fn a_copy_is_equal_and_a_second_one_does_nothing() {
    let (from, to, back) = (original(), MemoryStore::default(), MemoryStore::default());
    let all = windows(&from);
    assert_eq!(copied(&from, &to), Copied { copied: all.len() as u64, ..Copied::default() });
    assert_eq!(windows(&to), all);
    assert_eq!(copied(&from, &to), Copied { same: all.len() as u64, ..Copied::default() });
    // And back, to the place itself as to an empty one.
    assert_eq!(copied(&to, &from), Copied { same: all.len() as u64, ..Copied::default() });
    copied(&to, &back);
    assert_eq!(back.dump(), to.dump());
    for key in [WINDOW_SECS, KEY_FINGERPRINT] {
        assert_eq!(run(to.setting(key)).unwrap(), run(from.setting(key)).unwrap());
    }
}

#[test]
fn the_new_place_counts_on_from_the_first_record_of_its_log() {
    let (from, to) = (original(), Arc::new(MemoryStore::default()));
    copied(&from, &to);
    // Both places get the same post, behind different sequence numbers.
    let t = 4 * DAY_MS + 5;
    fold(&from, &[record(2_000_000, "a", t)]);
    fold(&to, &[record(1, "a", t)]);
    let posts = |store: &MemoryStore| {
        let rows = run(store.query("a", WindowStart(4 * DAY_MS), WindowStart(4 * DAY_MS + 300_000))).unwrap();
        rows.into_iter().map(|(_, partial)| partial.unwrap().aggregate.posts()).sum::<u64>()
    };
    assert_eq!((posts(&from), posts(&to)), (2, 2));
    // What it counted stays, whatever the old place has by now.
    fold(&from, &[record(2_000_001, "a", t + 1)]);
    let again = copied(&from, &to);
    assert_eq!((again.kept, again.copied, again.replaced), (1, 0, 0));
    assert_eq!(posts(&to) + 1, posts(&from));
}

#[test]
fn a_window_that_changed_at_the_old_place_is_replaced_as_long_as_it_is_a_copy() {
    let (from, to) = (original(), MemoryStore::default());
    copied(&from, &to);
    fold(&from, &[record(2_000_000, "a", 5 * DAY_MS + 1), record(2_000_001, "c", 5 * DAY_MS)]);
    let again = copied(&from, &to);
    assert_eq!((again.copied, again.replaced, again.kept), (1, 1, 0));
    assert_eq!(windows(&to), windows(&from));
}

#[test]
fn a_copy_that_was_cut_short_is_continued() {
    let (from, to) = (original(), MemoryStore::default());
    let mut faults = vec![Fault::Lost];
    faults.resize(120, Fault::None);
    faults.insert(60, Fault::AnswerLost);
    to.inject(faults);
    let mut tries = 0;
    while run(copy(&*from, &to, NOW_MS, |_| ())).is_err() {
        tries += 1;
    }
    assert_eq!(tries, 2);
    assert_eq!(windows(&to), windows(&from));
}

#[test]
fn a_place_of_other_windows_or_of_another_key_is_refused_as_it_is() {
    for (key, value) in [(WINDOW_SECS, "60"), (KEY_FINGERPRINT, "def")] {
        let to = MemoryStore::default();
        set(&to, key, value);
        let error = run(copy(&*original(), &to, NOW_MS, |_| ())).unwrap_err();
        assert!(matches!(&error, PortError::Refused { .. }) && error.to_string().contains("empty place"), "{error}");
        assert!(to.dump().is_empty());
    }
    let error = run(copy(&MemoryStore::default(), &MemoryStore::default(), NOW_MS, |_| ())).unwrap_err();
    assert!(error.to_string().contains("nothing to copy"), "{error}");
}

#[test]
fn a_damaged_window_is_counted_and_left_out() {
    let (from, to) = (original(), MemoryStore::default());
    let key = from.dump().into_keys().nth(7).unwrap();
    from.overwrite(key.clone(), 1, b"damaged".to_vec());
    let result = copied(&from, &to);
    assert_eq!((result.damaged, result.copied), (1, from.dump().len() as u64 - 1));
    assert!(!to.dump().contains_key(&key));
}

#[test]
fn notes_come_along_and_others_stay() {
    let (from, to) = (original(), MemoryStore::default());
    let day = |day: i64| DocumentKey { kind: DocumentKind::Notes, region: "a".into(), start_ms: day * DAY_MS };
    for key in [day(2), day(300)] {
        run(from.put_document(&key, Some(b"from"), None)).unwrap();
    }
    run(to.put_document(&day(2), Some(b"to"), None)).unwrap();
    let result = copied(&from, &to);
    assert_eq!((result.documents, result.kept_documents), (1, 1));
    let there = run(to.documents(DocumentKind::Notes, "a", 0, 400 * DAY_MS)).unwrap();
    assert_eq!(there.iter().map(|document| &document.body[..]).collect::<Vec<_>>(), [&b"to"[..], b"from"]);
    let again = copied(&from, &to);
    assert_eq!((again.documents, again.kept_documents), (0, 1), "what is the same is not kept in spite of the copy");
}

#[test]
fn the_progress_counts_the_windows_of_each_day() {
    let (from, to) = (original(), MemoryStore::default());
    let mut reported = vec![];
    run(copy(&*from, &to, NOW_MS, |progress| reported.push(progress))).unwrap();
    let of = from.dump().len() as u64;
    // Ten days, 44 posts each, in turns of two regions.
    let windows: Vec<_> = (0..=9).flat_map(|day| [day * 44, day * 44 + 22]).chain([of]).take(reported.len()).collect();
    assert_eq!((of, reported.len()), (400, 21));
    assert!(reported.iter().all(|progress| progress.of == of));
    assert_eq!(reported.iter().map(|progress| progress.windows).collect::<Vec<_>>()[..19], windows[..19]);
    assert_eq!(reported.last(), Some(&Progress { windows: of, of }));
}

/// Somebody else writes the same windows and notes just before they are put.
struct Rival {
    rows: Arc<MemoryStore>,
    windows: Vec<(PartialKey, u32, Vec<u8>)>,
    note: DocumentKey,
}

impl Hook for Rival {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        match call {
            Call::Put => {
                for (key, generation, state) in &self.windows {
                    self.rows.overwrite(key.clone(), *generation, state.clone());
                }
            }
            Call::PutDocument => {
                self.rows.put_document(&self.note, Some(b"rival"), None).await?;
            }
            _ => (),
        }
        Ok(())
    }
}

#[test]
fn what_others_wrote_meanwhile_stays() {
    let (from, rows) = (original(), Arc::new(MemoryStore::default()));
    let note = DocumentKey { kind: DocumentKind::Notes, region: "a".into(), start_ms: 0 };
    run(from.put_document(&note, Some(b"from"), None)).unwrap();
    // Three windows of the same day and region.
    let windows: Vec<_> = from.dump().into_iter().take(3).map(|(key, (_, state))| (key, 7, state)).collect();
    let to = Hooked { rows: rows.clone(), hook: Rival { rows: rows.clone(), windows: windows.clone(), note } };
    let result = run(copy(&*from, &to, NOW_MS, |_| ())).unwrap();
    assert_eq!((result.kept, result.copied, result.replaced), (3, 397, 0));
    assert_eq!((result.documents, result.kept_documents), (0, 1));
    for (key, generation, state) in windows {
        assert_eq!(rows.dump()[&key], (generation, state));
    }
}

/// A log that was always empty.
struct EmptyLog;

impl PostLog for EmptyLog {
    async fn append(&self, _: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        vec![]
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec!["0".into()])
    }

    async fn complete_since(&self, _: &str) -> Result<i64, PortError> {
        Ok(i64::MIN)
    }

    async fn read(&self, _: &str, _: &ReadFrom, _: usize) -> Result<Vec<LogRecord>, PortError> {
        Ok(vec![])
    }
}

#[test]
fn a_reprocess_does_not_fold_copied_windows_from_a_log_that_lacks_their_posts() {
    let (from, to) = (original(), MemoryStore::default());
    copied(&from, &to);
    assert_eq!(run(to.setting(COPIED_MS)).unwrap(), Some(NOW_MS.to_string()));
    let before = to.dump();
    let reprocessed = |from_ms: i64| {
        let range = WindowStart(from_ms)..WindowStart(NOW_MS + DAY_MS);
        run(reprocess(&EmptyLog, &to, FoldRules::default(), range, false, |_| ()))
    };
    assert!(matches!(reprocessed(0), Err(ReprocessError::Gone { .. })));
    assert!(matches!(reprocessed(NOW_MS), Err(ReprocessError::Gone { .. })));
    assert_eq!(reprocessed(NOW_MS + FUTURE_LIMIT_MS).unwrap().entries.len(), 0);
    assert_eq!(to.dump(), before);
    // A copy of a copy has the same limit.
    let third = MemoryStore::default();
    run(copy(&to, &third, 5, |_| ())).unwrap();
    assert_eq!(run(third.setting(COPIED_MS)).unwrap(), Some(NOW_MS.to_string()));
}

//! The contract of every store of documents.

use birdsong_domain::ports::{DocumentKey, DocumentKind, DocumentStore, MAX_DOCUMENT_BYTES, PortError, PutOutcome};
use birdsong_domain::rollup::DAY_MS;

/// A time of today's order, at the start of a day.
const DAY: i64 = 20_000 * DAY_MS;

/// Runs the whole suite, each part against a fresh, empty store from `make`.
///
/// # Panics
/// When the store breaks the contract of [`DocumentStore`]; the message names the place.
pub async fn document_store_contract<S: DocumentStore>(make: impl AsyncFn() -> S) {
    a_document_comes_back_as_it_was_put(&make().await).await;
    a_document_is_put_only_on_its_revision(&make().await).await;
    kinds_regions_and_days_do_not_mix(&make().await).await;
    a_document_that_is_too_large_is_refused(&make().await).await;
}

fn key(kind: DocumentKind, region: &str, start_ms: i64) -> DocumentKey {
    DocumentKey { kind, region: region.to_owned(), start_ms }
}

async fn put<S: DocumentStore>(store: &S, key: &DocumentKey, body: Option<&[u8]>, expected: Option<u64>) -> PutOutcome {
    store.put_document(key, body, expected).await.expect("put_document")
}

/// Starts, revisions and bodies.
async fn all<S: DocumentStore>(store: &S, kind: DocumentKind, region: &str) -> Vec<(i64, u64, Vec<u8>)> {
    let documents = store.documents(kind, region, 0, DAY + 400 * DAY_MS).await.expect("documents");
    documents.into_iter().map(|document| (document.start_ms, document.revision, document.body)).collect()
}

async fn a_document_comes_back_as_it_was_put<S: DocumentStore>(store: &S) {
    let key = key(DocumentKind::Events, "a", DAY);
    for (expected, body) in [(None, b"\0one".to_vec()), (Some(1), vec![7; 300_000]), (Some(2), vec![1])] {
        assert_eq!(put(store, &key, Some(&body), expected).await, PutOutcome::Stored);
        assert_eq!(all(store, DocumentKind::Events, "a").await, [(DAY, expected.unwrap_or(0) + 1, body)]);
    }
}

async fn a_document_is_put_only_on_its_revision<S: DocumentStore>(store: &S) {
    let key = key(DocumentKind::Watch, "a", 0);
    assert_eq!(put(store, &key, Some(b"x"), Some(1)).await, PutOutcome::Conflict);
    assert_eq!(put(store, &key, Some(b"x"), None).await, PutOutcome::Stored);
    assert_eq!(put(store, &key, Some(b"y"), None).await, PutOutcome::Conflict);
    assert_eq!(put(store, &key, Some(b"y"), Some(1)).await, PutOutcome::Stored);
    assert_eq!(put(store, &key, Some(b"z"), Some(1)).await, PutOutcome::Conflict);
    assert_eq!(put(store, &key, None, Some(1)).await, PutOutcome::Conflict);
    assert_eq!(all(store, DocumentKind::Watch, "a").await, [(0, 2, b"y".to_vec())]);
    assert_eq!(put(store, &key, None, Some(2)).await, PutOutcome::Stored);
    assert_eq!(put(store, &key, None, None).await, PutOutcome::Stored);
    assert!(all(store, DocumentKind::Watch, "a").await.is_empty());
}

async fn kinds_regions_and_days_do_not_mix<S: DocumentStore>(store: &S) {
    let days = [0, 1, 27, 28, 31, 59, 366];
    for kind in DocumentKind::ALL {
        for region in ["a", "a#b", "_stream"] {
            for day in days.iter().rev() {
                let body = format!("{} {region} {day}", kind.as_str()).into_bytes();
                let key = key(kind, region, DAY + day * DAY_MS);
                assert_eq!(put(store, &key, Some(&body), None).await, PutOutcome::Stored);
            }
        }
    }
    for kind in DocumentKind::ALL {
        for region in ["a", "a#b", "_stream"] {
            let body = |day: i64| format!("{} {region} {day}", kind.as_str()).into_bytes();
            let expected = days.map(|day| (DAY + day * DAY_MS, 1, body(day)));
            assert_eq!(all(store, kind, region).await, expected);
            let some = store.documents(kind, region, DAY + 1, DAY + 31 * DAY_MS).await.expect("documents");
            let starts: Vec<_> = some.into_iter().map(|document| (document.start_ms - DAY) / DAY_MS).collect();
            assert_eq!(starts, [1, 27, 28], "the end is exclusive");
        }
    }
    assert!(all(store, DocumentKind::Notes, "b").await.is_empty());
}

async fn a_document_that_is_too_large_is_refused<S: DocumentStore>(store: &S) {
    let key = key(DocumentKind::Notes, "a", DAY);
    let refused = store.put_document(&key, Some(&vec![0; MAX_DOCUMENT_BYTES + 1]), None).await;
    assert!(matches!(refused, Err(PortError::Refused { .. })), "{refused:?}");
    assert_eq!(put(store, &key, Some(&vec![0; MAX_DOCUMENT_BYTES]), None).await, PutOutcome::Stored);
}

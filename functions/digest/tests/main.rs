//! The tests of the digest, in one program: several would each compile it for the store in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod events;
mod overview;
mod read;
mod rollups;
mod story;

use birdsong_digest::overview::Overview;
use birdsong_digest::watch::Watched;
use birdsong_domain::event::{Event, decode_all};
use birdsong_domain::ports::{DocumentKind, DocumentStore, OVERVIEW, Settings};
use birdsong_domain::rollup::DAY_MS;
use birdsong_testkit::MemoryStore;

/// A midnight.
const DAY: i64 = 20_000 * DAY_MS;

/// The events of a region that are stored.
async fn events(store: &MemoryStore, region: &str) -> Vec<Event> {
    let documents = store.documents(DocumentKind::Events, region, 0, i64::MAX).await.unwrap();
    documents.into_iter().flat_map(|document| decode_all(&document.body).unwrap()).collect()
}

/// What was found in a region last.
async fn watched(store: &MemoryStore, region: &str) -> Watched {
    let documents = store.documents(DocumentKind::Watch, region, 0, 1).await.unwrap();
    Watched::decode(&documents[0].body).unwrap()
}

/// The overview that is stored.
async fn overview(store: &impl Settings) -> Overview {
    Overview::parse(&store.setting(OVERVIEW).await.unwrap().unwrap()).unwrap()
}

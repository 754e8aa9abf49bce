//! The windows that the aggregator makes of a log, and the part of them that two runs share.
//!
//! A window of a disturbed run equals that of an undisturbed one byte for byte in its stored form,
//! except for what describes the log and the connection instead of the posts:
//!
//! - generation, fence, and the numbers of the frames: positions in the log;
//! - `frames`: how often the log was written to, and whether the source was connected;
//! - `lag.sum_ms` and `lag.max_ms`, `late` and `primary_late`: how long posts were on their way. `lag.count`
//!   is the same;
//! - windows of a region without posts: a frame counts in the window in which it was cut, too;
//! - the windows of [`STREAM`]: the ledger. It has no posts; its sum must be that of the frames, so that
//!   a test can ask whether it balances.
//!
//! Whatever depends on the order of posts is compared, too, as each lane keeps the order of its source: which
//! counters the top hashtags and hosts keep when there are too many, their spellings by first sight, and
//! the estimate of the authors. Only where the source itself changes the order ([`Order::Free`]) the
//! authors are compared without the sketch's order-dependent estimate; the registers
//! must be the same, the hashtags and hosts must have been few enough to be counted exactly, and the profiles of hashtags,
//! which start with their fifth posts, are left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame::{self, Ledger, STREAM};
use birdsong_domain::ports::{LogRecord, PartialKey};
use birdsong_domain::profile::Profiles;
use birdsong_domain::topk::TopK;
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use birdsong_testkit::{MemoryStore, of_posts};

use super::world::World;

/// Whether a source sends posts in a fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Always the same.
    Kept,
    /// What it missed comes in another order than it would have come in.
    Free,
}

/// The windows with posts, without what may differ.
pub(crate) struct Windows(BTreeMap<PartialKey, Aggregate>);

impl Windows {
    /// Of all that the log has.
    pub(crate) async fn of(world: &World) -> Self {
        let records = world.records.lock().unwrap().clone();
        let (windows, ledger) = fold(&records).await;
        assert_eq!(ledger, world.counted().1, "the ledgers of the windows are those of the frames");
        Self(windows)
    }

    /// Of the frames of one source.
    pub(crate) async fn of_source(world: &World, source: &str) -> Self {
        let mut records = world.records.lock().unwrap().clone();
        records.retain(|record| frame::decode(&record.bytes).unwrap().header.source == source);
        Self(fold(&records).await.0)
    }

    /// What was counted, by lane and window.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&PartialKey, &Aggregate)> {
        self.0.iter()
    }

    /// Panics with the first window that is not the same.
    pub(crate) fn assert_same(&self, what: &str, expected: &Self, order: Order) {
        assert!(!expected.0.is_empty(), "{what}: no windows");
        for (key, expected) in &expected.0 {
            let Some(found) = self.0.get(key) else { panic!("{what}: no window {key:?} of {}", summary(expected)) };
            let is_same = stored(found, order) == stored(expected, order);
            assert!(is_same, "{what}: {key:?}\n   found {}\nexpected {}", summary(found), summary(expected));
        }
        let more: Vec<_> = self.0.keys().filter(|key| !expected.0.contains_key(*key)).take(3).collect();
        assert!(more.is_empty(), "{what}: {more:?} should not be there");
    }
}

/// The windows with posts, and the sum of all ledgers.
async fn fold(records: &[LogRecord]) -> (BTreeMap<PartialKey, Aggregate>, Ledger) {
    let store = Arc::new(MemoryStore::default());
    let mut aggregator = Aggregator::new(store.clone(), FoldRules::default(), 16);
    for batch in records.chunks(250) {
        let outcome = aggregator.fold_batch("0", batch).await.unwrap();
        assert!(outcome.dead.is_empty(), "{outcome:?}");
    }
    let (mut windows, mut ledger) = (BTreeMap::new(), Ledger::default());
    for (key, (generation, state)) in store.dump() {
        let aggregate = Partial::decode(generation, &state).unwrap().aggregate;
        ledger.add(&aggregate.ledger);
        if aggregate.posts() > 0 {
            assert_ne!(key.lane.region(), STREAM, "a ledger counts no posts");
            windows.insert(key, of_posts(&aggregate));
        } else if !key.lane.is_ledger() {
            let nothing = stored(&Aggregate::default(), Order::Kept);
            assert_eq!(stored(&of_posts(&aggregate), Order::Kept), nothing, "{key:?}");
        }
    }
    (windows, ledger)
}

fn stored(shared: &Aggregate, order: Order) -> Vec<u8> {
    let mut aggregate = shared.clone();
    if order == Order::Free {
        // A union has the registers of its parts and an estimate of them alone.
        aggregate.authors.known.merge(&shared.authors.known);
        let is_exact = [&aggregate.hashtags.top, &aggregate.hosts.top]
            .iter()
            .all(|top| top.as_ref().is_none_or(|top| top.error() == 0));
        assert!(is_exact, "counted exactly");
        // A profile lacks the first posts of its hashtag.
        aggregate.hashtags.profiles = Profiles::default();
    }
    Partial { generation: 0, fence: 0u64.into(), aggregate, stored_ms: 0 }.encode().unwrap()
}

fn summary(aggregate: &Aggregate) -> String {
    let Aggregate { kinds, per_minute, languages, mentions, matched_by, primary, newest, lag, ledger, .. } = aggregate;
    let authors = aggregate.authors.known.estimate();
    let top = |top: &Option<TopK>| top.as_ref().map(|top| top.top(usize::MAX));
    let (hashtags, hosts) = (top(&aggregate.hashtags.top), top(&aggregate.hosts.top));
    format!(
        "kinds {kinds:?}, minutes {per_minute:?}, languages {languages:?}, authors {authors:?}, {mentions:?}, \
         {matched_by:?}, {primary:?}, {newest:?}, {lag:?}, {ledger:?}, hashtags {hashtags:?}, \
         hosts {hosts:?}"
    )
}

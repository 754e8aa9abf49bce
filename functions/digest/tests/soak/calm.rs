//! The same posts without trouble, each once, and the comparison with it.

use std::path::Path;
use std::sync::Arc;

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame::{Ledger, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{LogRecord, PartialKey, PortError, WindowStore};
use birdsong_domain::rollup::HOUR_MS;
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::{FoldRules, Partial};
use birdsong_embedded::SqliteStore;
use birdsong_streamer::cutter::{CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_testkit::of_posts;

use crate::world::{EXTRA, Posts, START_MS, regions};

/// Seconds of posts between two cuts.
const CUT_SECS: u64 = 10;

/// Counts all posts into a store in `dir`, in the order of the source.
pub(crate) fn run(dir: &Path, posts: Posts) -> Ledger {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let regions = regions(false);
        let lanes = Lanes::new(&regions, Network::DEMO);
        let origin = Origin { source: "demo".into(), run: "calm".into(), live: true, connected_ms: START_MS };
        let rules = CutRules { max_age_ms: i64::MAX, ..CutRules::default() };
        // Each post comes once: nothing needs to be remembered.
        let sent = SentRules { memory_posts: 1 << 16, keep_ms: Some(60_000), ..SentRules::live(dir.to_owned()) };
        let mut cutter = Cutter::new(origin, rules, WindowSize::FIVE_MINUTES, lanes.clone(), SharedSent::new(sent));
        let store = Arc::new(SqliteStore::open(dir).expect("a folder of our own"));
        let mut aggregator = Aggregator::new(store, FoldRules::default(), 512);
        let mut sequence = 0u64;
        let mut next = 0;
        while next < posts.count {
            let until = (next + posts.rate * CUT_SECS).min(posts.count);
            let mut batch = Batch::default();
            (next..until).for_each(|number| batch.add(&regions, &lanes, &posts.post(number)));
            next = until;
            let (arrived_ms, mut frames) = (posts.arrives_ms(next), vec![]);
            cutter.take(&batch, arrived_ms, &mut frames).expect("the index can be read");
            cutter.cut(arrived_ms, &mut frames);
            let mut records = vec![];
            for frame in frames {
                let record = frame.encode().expect("a frame can be encoded");
                sequence += 1;
                let (lane, bytes) = (Some(record.lane), record.bytes);
                records.push(LogRecord { sequence: sequence.into(), arrived_ms, lane, bytes });
            }
            let outcome = aggregator.fold_batch("0", &records).await.expect("the store answers");
            assert!(outcome.dead.is_empty(), "{outcome:?}");
        }
        cutter.ledger()
    })
}

/// The bytes of what the posts of a window gave.
fn bytes(partial: &Partial) -> Vec<u8> {
    let aggregate = of_posts(&partial.aggregate);
    let alone = Partial { generation: 0, fence: 0u64.into(), aggregate, stored_ms: 0 };
    alone.encode().expect("a partial can be encoded")
}

/// Keys of all windows that are compared.
async fn keys(store: &SqliteStore) -> Result<Vec<PartialKey>, PortError> {
    let mut keys = store.keys(WindowStart(i64::MIN), WindowStart(i64::MAX)).await?;
    keys.retain(|key| ![STREAM, EXTRA].contains(&key.lane.region()));
    Ok(keys)
}

/// A window, if it has posts: a frame without posts opens one, too, and says that its source was connected.
async fn window(store: &SqliteStore, key: &PartialKey) -> Result<Option<Partial>, PortError> {
    Ok(store.load(key).await?.filter(|partial| partial.aggregate.posts() > 0))
}

/// How many windows were compared, or the first one that is not that of the calm run.
pub(crate) async fn compare(found: &SqliteStore, calm: &SqliteStore) -> Result<usize, String> {
    let failed = |error: PortError| error.to_string();
    let mut both = keys(found).await.map_err(failed)?;
    both.extend(keys(calm).await.map_err(failed)?);
    both.sort_unstable();
    both.dedup();
    let mut count = 0;
    for key in both {
        let found = window(found, &key).await.map_err(failed)?;
        let calm = window(calm, &key).await.map_err(failed)?;
        if found.as_ref().map(bytes) != calm.as_ref().map(bytes) {
            let posts = |partial: &Option<Partial>| partial.as_ref().map_or(0, |partial| partial.aggregate.posts());
            return Err(format!("{key:?} has {} posts, in the calm run {}", posts(&found), posts(&calm)));
        }
        count += usize::from(calm.is_some());
    }
    Ok(count)
}

/// What the windows of the store count: the sum of the ledgers, and each post once.
pub(crate) async fn counted(store: &SqliteStore) -> Result<(Ledger, u64), String> {
    let all = store.keys(WindowStart(i64::MIN), WindowStart(i64::MAX)).await.map_err(|error| error.to_string())?;
    let hours = |is_ledger: bool| {
        let of_kind = all.iter().filter(move |key| key.lane.is_ledger() == is_ledger);
        let mut hours: Vec<_> =
            of_kind.map(|key| (key.lane.region().to_owned(), key.window.0.div_euclid(HOUR_MS) * HOUR_MS)).collect();
        hours.sort_unstable();
        hours.dedup();
        hours
    };
    let (mut ledger, mut posts) = (Ledger::default(), 0);
    // Ledgers first: their posts were folded before them.
    for (region, hour) in hours(true).into_iter().chain(hours(false)) {
        let rows = store.query(&region, WindowStart(hour), WindowStart(hour + HOUR_MS)).await;
        for (_, partial) in rows.map_err(|error| error.to_string())? {
            // The window of a damaged record can be read, and has the damage as a count.
            let partial = partial.map_err(|error| error.to_string())?;
            ledger.add(&partial.aggregate.ledger);
            posts += partial.aggregate.primary.0;
        }
    }
    Ok((ledger, posts))
}

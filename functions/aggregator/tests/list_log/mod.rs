//! A log that is a list.

use std::sync::{Arc, Mutex};

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame::{self, FrameHeader, Lane, SlimPost};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::post::Located;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;
use birdsong_testkit::MemoryStore;

/// A log that is a list, with a part at its end that readers see only after some readings to the end.
pub(crate) struct ListLog {
    pub(crate) records: Vec<LogRecord>,
    pub(crate) hidden: Mutex<usize>,
    /// Readings to the end before that part is seen.
    pub(crate) hidden_for: Mutex<u32>,
    pub(crate) since: i64,
}

impl PostLog for ListLog {
    async fn append(&self, _: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        vec![]
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec!["0".into()])
    }

    async fn complete_since(&self, _: &str) -> Result<i64, PortError> {
        Ok(self.since)
    }

    async fn read(&self, _: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        let mut hidden = self.hidden.lock().unwrap();
        let visible = &self.records[..self.records.len() - *hidden];
        let found: Vec<_> = visible
            .iter()
            .filter(|record| match from {
                ReadFrom::Oldest => true,
                ReadFrom::Time(time) => record.arrived_ms >= *time,
                ReadFrom::After(sequence) => record.sequence > *sequence,
            })
            .take(limit)
            .cloned()
            .collect();
        if found.is_empty() {
            let mut hidden_for = self.hidden_for.lock().unwrap();
            *hidden_for = hidden_for.saturating_sub(1);
            if *hidden_for == 0 {
                *hidden = 0;
            }
        }
        Ok(found)
    }
}

/// A log of several shards.
pub(crate) struct Shards(pub(crate) Vec<ListLog>);

impl Shards {
    fn shard(&self, name: &str) -> &ListLog {
        &self.0[name.parse::<usize>().unwrap()]
    }
}

impl PostLog for Shards {
    async fn append(&self, _: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        vec![]
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok((0..self.0.len()).map(|shard| shard.to_string()).collect())
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        self.shard(shard).complete_since(shard).await
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        self.shard(shard).read(shard, from, limit).await
    }
}

pub(crate) fn record(n: u64, lane: Lane, t: i64) -> LogRecord {
    let header = FrameHeader {
        lane,
        source: "test".into(),
        run: "run".into(),
        counter: n,
        cut_ms: t,
        cut: 1,
        live: true,
        ..FrameHeader::default()
    };
    let post = SlimPost {
        id: u128::from(n),
        time_ms: t,
        author: Some(n % 9),
        located: Located::Text,
        lang: "en".into(),
        hashtags: vec![format!("t{}", n % 200)],
        ..SlimPost::default()
    };
    let line = serde_json::to_vec(&post).unwrap();
    LogRecord { sequence: n.into(), arrived_ms: t, lane: None, bytes: frame::encode(&header, &line).unwrap() }
}

pub(crate) fn list(records: Vec<LogRecord>) -> ListLog {
    ListLog { records, hidden: Mutex::new(0), hidden_for: Mutex::new(1), since: i64::MIN }
}

pub(crate) fn log(hidden: usize) -> ListLog {
    let lane = |n: u64| Lane::posts(["a", "b"][n as usize % 2], Network::X, 0);
    let records = (1..=600u64).map(|n| record(n, lane(n), n as i64 * 2000)).collect();
    ListLog { hidden: Mutex::new(hidden), ..list(records) }
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

pub(crate) const ALL: std::ops::Range<WindowStart> = WindowStart(i64::MIN / 2)..WindowStart(i64::MAX / 2);

pub(crate) fn folded(log: &ListLog) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    run(Aggregator::new(store.clone(), FoldRules::default(), 64).fold_batch("0", &log.records)).unwrap();
    store
}

pub(crate) fn states(store: &MemoryStore) -> Vec<Vec<u8>> {
    store.dump().into_values().map(|(_, bytes)| bytes).collect()
}

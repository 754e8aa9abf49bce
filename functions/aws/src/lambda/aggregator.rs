//! The function `aggregator`: a batch of one shard's records into stored windows.

use std::sync::Arc;

use birdsong_aggregator::Aggregator;
use birdsong_aggregator::dead_letter::{DeadLetter, DeadLetters};
use birdsong_domain::ports::{LogRecord, PortError, WindowStore};
use birdsong_domain::window::FoldRules;
use tokio::sync::Mutex;

use super::event::{BatchResponse, KinesisEvent};
use super::metrics::BatchMetrics;
use crate::Bucket;

/// Partials kept warm between invocations, about 20 KB each: 40 MB of the function's 256.
const WARM_PARTIALS: usize = 2048;

/// The handler; one for as long as the function is warm.
#[derive(Debug)]
pub struct Handler<S, Q> {
    aggregator: Mutex<Aggregator<S>>,
    dead_letters: Q,
}

/// Why an invocation failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The payload is no event of a Kinesis event source mapping.
    #[error("the event is not one of a Kinesis event source mapping: {0}; is the function's trigger the post log?")]
    Event(serde_json::Error),
}

impl DeadLetters for Bucket {
    async fn keep(&self, letter: &DeadLetter) -> Result<(), PortError> {
        let body = serde_json::to_vec(letter)
            .map_err(|e| PortError::Refused { what: "the quarantine", reason: e.to_string() })?;
        self.put(&letter.key(), "application/json", body).await
    }
}

impl<S: WindowStore, Q: DeadLetters> Handler<S, Q> {
    /// A handler with a cold cache.
    #[must_use]
    pub fn new(store: Arc<S>, rules: FoldRules, dead_letters: Q) -> Self {
        Self { aggregator: Mutex::new(Aggregator::new(store, rules, WARM_PARTIALS)), dead_letters }
    }

    /// Folds the batch of an event. The answer names the first record that has to come again, if any;
    /// everything that was stored by then is skipped by its fence when it does.
    ///
    /// A record or window that is damaged becomes a dead letter and is done with. When that cannot be kept, the
    /// batch has to come again: nothing is lost silently.
    ///
    /// # Errors
    /// When the event is not one for this function.
    pub async fn handle(&self, payload: &str, now_ms: i64) -> Result<(BatchResponse, BatchMetrics), HandlerError> {
        let event: KinesisEvent<'_> = serde_json::from_str(payload).map_err(HandlerError::Event)?;
        let mut metrics = BatchMetrics { records: event.records.len() as u64, ..BatchMetrics::default() };
        let Some(first) = event.records.first() else { return Ok((BatchResponse::default(), metrics)) };
        metrics.lag_ms = u64::try_from(now_ms - first.arrived_ms()).unwrap_or(0);
        let again = || BatchResponse::again_from(&first.kinesis.sequence_number);
        let mut records = Vec::with_capacity(event.records.len());
        let mut dead = vec![];
        for record in &event.records {
            match record.log_record() {
                Ok(record) => records.push(record),
                Err(reason) => {
                    let (sequence, arrived_ms) = (0u64.into(), record.arrived_ms());
                    let unplaced = LogRecord { sequence, arrived_ms, lane: None, bytes: vec![] };
                    let data = record.kinesis.data.clone().into_owned();
                    let letter = DeadLetter::record(record.shard(), &unplaced, reason.to_owned(), data);
                    let sequence_number = record.kinesis.sequence_number.clone().into_owned();
                    dead.push(DeadLetter { sequence_number, ..letter });
                }
            }
        }
        let mut aggregator = self.aggregator.lock().await;
        let outcome = match aggregator.fold_batch(first.shard(), &records).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::warn!(%error, records = records.len(), "the batch has to come again");
                return Ok((again(), metrics));
            }
        };
        if let Err(error) = aggregator.publish().await {
            tracing::warn!(%error, "the newest windows are stored, but not shown before the next batch");
        }
        drop(aggregator);
        dead.extend(outcome.dead);
        metrics.posts = outcome.aggregated + outcome.late;
        metrics.late = outcome.late;
        metrics.conflicts = outcome.conflicts;
        metrics.partials = outcome.stored;
        for mut letter in dead {
            // Of a record with unreadable base64 the text is kept.
            if letter.data.is_empty() && letter.window.is_none() {
                let of = |number: &str| event.records.iter().find(|record| record.kinesis.sequence_number == number);
                let data = of(&letter.sequence_number).map(|record| record.kinesis.data.clone().into_owned());
                letter.data = data.unwrap_or_default();
            }
            if let Err(error) = self.dead_letters.keep(&letter).await {
                tracing::error!(%error, "a dead letter could not be kept; the batch has to come again");
                return Ok((again(), metrics));
            }
            tracing::error!(
                key = letter.key(),
                lane = letter.lane,
                reason = letter.reason,
                "damage: see the dead letter"
            );
            metrics.quarantined += 1;
        }
        Ok((BatchResponse::default(), metrics))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::frame::{self, FrameHeader, Lane};
    use birdsong_domain::network::Network;
    use birdsong_testkit::{Fault, MemoryStore};
    use serde_json::json;
    use std::sync::Mutex as SyncMutex;

    #[derive(Default)]
    struct Kept {
        poison: SyncMutex<Vec<DeadLetter>>,
        is_down: bool,
    }

    impl DeadLetters for Kept {
        async fn keep(&self, poison: &DeadLetter) -> Result<(), PortError> {
            if self.is_down {
                return Err(PortError::Unavailable { what: "the bucket", reason: "no answer".into() });
            }
            self.poison.lock().unwrap().push(poison.clone());
            Ok(())
        }
    }

    fn frame(n: u64) -> Vec<u8> {
        let header = FrameHeader {
            lane: Lane::posts("r", Network::X, 0),
            source: "test".into(),
            run: "run".into(),
            counter: n,
            cut_ms: n as i64 * 1000,
            cut: 1,
            live: true,
            ..FrameHeader::default()
        };
        let post = format!("{{\"i\":{n},\"t\":{},\"a\":{n},\"k\":\"original\",\"l\":\"all\"}}\n", n * 1000);
        frame::encode(&header, post.as_bytes()).unwrap()
    }

    fn event(records: &[(u64, String)]) -> String {
        let records: Vec<_> = records
            .iter()
            .map(|(n, data)| {
                json!({
                    "kinesis": {"sequenceNumber": n.to_string(), "data": data, "approximateArrivalTimestamp": 1.5},
                    "eventID": format!("shardId-000000000000:{n}"),
                })
            })
            .collect();
        json!({"Records": records}).to_string()
    }

    fn good(numbers: std::ops::RangeInclusive<u64>) -> Vec<(u64, String)> {
        numbers.map(|n| (n, base64_simd::STANDARD.encode_to_string(frame(n)))).collect()
    }

    fn handler(store: &Arc<MemoryStore>, kept: &Arc<Kept>) -> Handler<MemoryStore, Arc<Kept>> {
        Handler::new(store.clone(), FoldRules::default(), kept.clone())
    }

    #[tokio::test]
    async fn deliveries_in_any_cut_store_the_same_bytes() {
        let kept = Arc::new(Kept::default());
        let (whole, parts) = (Arc::new(MemoryStore::default()), Arc::new(MemoryStore::default()));
        let (answer, metrics) = handler(&whole, &kept).handle(&event(&good(1..=9)), 4500).await.unwrap();
        assert_eq!(answer, BatchResponse::default());
        assert_eq!((metrics.records, metrics.posts, metrics.lag_ms), (9, 9, 3000));

        parts.inject(vec![Fault::None, Fault::AnswerLost, Fault::Lost]);
        let mut function = handler(&parts, &kept);
        for range in [1..=3, 1..=5, 4..=7, 2..=9] {
            let batch = event(&good(range.clone()));
            // Lambda repeats a failed batch, with a warm function or a new one.
            while function.handle(&batch, 4500).await.unwrap().0 != BatchResponse::default() {
                if range == (4..=7) {
                    function = handler(&parts, &kept);
                }
            }
        }
        assert_eq!(parts.dump(), whole.dump());
        assert!(kept.poison.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_unavailable_store_brings_the_batch_again_from_its_first_record() {
        let store = Arc::new(MemoryStore::default());
        store.inject(vec![Fault::Lost]);
        let function = handler(&store, &Arc::default());
        let (answer, _) = function.handle(&event(&good(4..=6)), 0).await.unwrap();
        assert_eq!(answer, BatchResponse::again_from("4"));
        let (answer, metrics) = function.handle(&event(&good(4..=6)), 0).await.unwrap();
        assert_eq!((answer, metrics.posts), (BatchResponse::default(), 3));
    }

    #[tokio::test]
    async fn poison_is_quarantined_once_it_is_safe_and_the_rest_counts() {
        let store = Arc::new(MemoryStore::default());
        let mut records = good(1..=5);
        records[1].1 = "not base64!".into();
        records[3].1 = base64_simd::STANDARD.encode_to_string(b"no frame");
        let away = Arc::new(Kept { is_down: true, ..Kept::default() });
        let (answer, _) = handler(&store, &away).handle(&event(&records), 0).await.unwrap();
        assert_eq!(answer, BatchResponse::again_from("1"));

        let kept = Arc::new(Kept::default());
        let (answer, metrics) = handler(&store, &kept).handle(&event(&records), 0).await.unwrap();
        assert_eq!((answer, metrics.quarantined), (BatchResponse::default(), 2));
        let poison = kept.poison.lock().unwrap();
        assert_eq!(poison[0].key(), "quarantine/1970/01/01/shardId-000000000000-2.json");
        assert_eq!(poison[0].data, "not base64!");
        assert!(poison[0].reason.starts_with("not a frame of a version that this program knows"), "{:?}", poison[0]);
        assert_eq!(poison[1].sequence_number, "4");
        let posts: u64 = store
            .dump()
            .into_values()
            .map(|(generation, bytes)| {
                birdsong_domain::window::Partial::decode(generation, &bytes).unwrap().aggregate.posts()
            })
            .sum();
        assert_eq!(posts, 3);
    }

    // Rule 4.6.
    #[tokio::test]
    async fn a_damaged_window_restarts_and_is_reported() {
        let store = Arc::new(MemoryStore::default());
        handler(&store, &Arc::default()).handle(&event(&good(1..=2)), 0).await.unwrap();
        let key = store.dump().into_keys().next().unwrap();
        store.overwrite(key.clone(), 1, b"damaged".to_vec());
        let kept = Arc::new(Kept::default());
        let (answer, metrics) = handler(&store, &kept).handle(&event(&good(3..=4)), 0).await.unwrap();
        assert_eq!((answer, metrics.quarantined), (BatchResponse::default(), 1));
        let (generation, state) = store.dump().remove(&key).unwrap();
        let aggregate = birdsong_domain::window::Partial::decode(generation, &state).unwrap().aggregate;
        assert_eq!((aggregate.posts(), aggregate.damage.resets), (2, 1));
        let letter = kept.poison.lock().unwrap()[0].clone();
        assert_eq!((letter.lane.as_deref(), letter.window.as_deref()), (Some("r#x#0"), Some("1970-01-01T00:00:00Z")));
    }

    #[tokio::test]
    async fn an_event_of_another_kind_is_an_error() {
        let function = handler(&Arc::default(), &Arc::default());
        let error = function.handle(r#"{"Records":[{"s3":{}}]}"#, 0).await.unwrap_err();
        assert!(error.to_string().contains("Kinesis event source mapping"), "{error}");
        assert_eq!(function.handle("{}", 0).await.unwrap().0, BatchResponse::default());
    }
}

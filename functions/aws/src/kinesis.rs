//! The post log on Kinesis Data Streams.
//!
//! # Order
//!
//! A lane is a partition key, so its records are in one shard, and a shard has one order. Windows are computed
//! from that order, not from the order of the calls to append (rule 1.1): the fence
//! is a sequence number, and every later read of the log has the same order.
//!
//! `PutRecords` may accept a later record of a lane and refuse an earlier one of the same request.
//! The accepted one cannot be withdrawn, and it is acknowledged, since the log does have it; the
//! caller sends the refused one again, behind it. So within one request two frames of a lane may
//! change places. No post is lost or counted twice by this, and each frame carries its own time and
//! ledger, so lateness and completeness stay right. Only ties among rare hashtags may be decided
//! differently.
//!
//! From one request to the next the order is kept: once a frame of a lane failed, later ones of it
//! are held back and reported as failed, too. (To have no exchange at all, a request could hold one
//! frame of each lane. Then a backlog of a lane, after an outage, would drain at one frame per round
//! trip.)
//!
//! # What may be twice in the log
//!
//! A request that timed out may have been carried out; sent again, by the SDK or by the caller, its
//! frames are in the log twice, under two sequence numbers. Kinesis cannot detect this; the fold
//! does: a frame's run and number count once (`birdsong_domain::window`).

mod lineage;
mod requests;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry, Record, ShardIteratorType};
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::errors::port_error;
use requests::{Request, Requests};

const PUT_RECORDS: &str = "Kinesis PutRecords";
const GET_RECORDS: &str = "Kinesis GetRecords";
const GET_SHARD_ITERATOR: &str = "Kinesis GetShardIterator";
const LIST_SHARDS: &str = "Kinesis ListShards";
const DESCRIBE_STREAM: &str = "Kinesis DescribeStreamSummary";

/// A shard allows five reads a second to all its readers, and Lambda uses one of them.
const READ_PAUSE: Duration = Duration::from_millis(250);
/// Tries of a read: another reader may use up the shard's throughput for several seconds.
const READ_TRIES: u32 = 8;
/// A read ends early when its records have this many bytes, to bound memory.
const READ_BYTES: usize = 16 << 20;
/// Records that one `GetRecords` may ask for.
const MAX_READ_RECORDS: usize = 10_000;
/// Fresh iterators in a row that are expired at once, before the service is reported as broken.
const MAX_EXPIRED: u32 = 3;
/// Our clock and that of Kinesis may differ, and retention is not exact to the second.
const RETENTION_MARGIN_MS: i64 = 60_000;

/// A [`PostLog`] on a Kinesis data stream. Its shards are the stream's, parents before children.
#[derive(Debug)]
pub struct KinesisLog {
    client: Client,
    stream: String,
    read_pause: Duration,
    places: Mutex<HashMap<String, Place>>,
}

/// Where a shard was last read.
#[derive(Debug)]
struct Place {
    read: Instant,
    /// The iterator that continues from there.
    next: Option<(ReadFrom, String)>,
}

impl KinesisLog {
    /// The log in the stream named `stream`. Nothing is called before the first use.
    #[must_use]
    pub fn new(client: Client, stream: String) -> Self {
        Self { client, stream, read_pause: READ_PAUSE, places: Mutex::default() }
    }

    /// Waits `pause` between two reads of a shard instead of 250 ms, which is what a stream shared
    /// with one Lambda function bears. For emulators.
    #[must_use]
    pub fn with_read_pause(self, pause: Duration) -> Self {
        Self { read_pause: pause, ..self }
    }

    async fn put(&self, frames: &[FrameRecord], request: &Request) -> Result<Vec<PutRecordsResultEntry>, PortError> {
        let mut call = self.client.put_records().stream_name(&self.stream);
        for entry in &request.entries {
            let record = PutRecordsRequestEntry::builder()
                .partition_key(&entry.key)
                .data(Blob::new(frames[entry.index].bytes.as_slice()))
                .build()
                .map_err(|e| PortError::Refused { what: PUT_RECORDS, reason: e.to_string() })?;
            call = call.records(record);
        }
        let answer = call.send().await.map_err(|e| port_error(PUT_RECORDS, &e))?;
        Ok(answer.records)
    }

    /// What reads do when they are throttled: the client's own way, with more patience.
    fn patient(&self) -> aws_sdk_kinesis::config::Builder {
        let retry = self.client.config().retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let tries = retry.max_attempts().max(READ_TRIES);
        aws_sdk_kinesis::Config::builder().retry_config(retry.with_max_attempts(tries))
    }

    async fn iterator(&self, shard: &str, from: &ReadFrom) -> Result<String, PortError> {
        let call = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard);
        let call = match from {
            ReadFrom::After(sequence) => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.as_str()),
            // A time to come is refused.
            ReadFrom::Time(time_ms) if *time_ms > 0 => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis((*time_ms).min(system_ms()))),
            ReadFrom::Oldest | ReadFrom::Time(_) => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let answer = call.customize().config_override(self.patient()).send().await;
        let answer = answer.map_err(|e| port_error(GET_SHARD_ITERATOR, &e))?;
        answer.shard_iterator.ok_or_else(|| PortError::Unavailable {
            what: GET_SHARD_ITERATOR,
            reason: "the answer has no iterator".to_owned(),
        })
    }

    /// One page, or `None` when the iterator is too old (5 minutes).
    async fn page(&self, shard: &str, iterator: &str, limit: usize) -> Result<Option<GetRecordsOutput>, PortError> {
        let wait = self.places().get(shard).map(|place| place.read + self.read_pause);
        if let Some(wait) = wait {
            tokio::time::sleep_until(wait).await;
        }
        let limit = i32::try_from(limit.min(MAX_READ_RECORDS)).unwrap_or(i32::MAX);
        let call = self.client.get_records().shard_iterator(iterator).limit(limit);
        let answer = call.customize().config_override(self.patient()).send().await;
        self.places().insert(shard.to_owned(), Place { read: Instant::now(), next: None });
        match answer {
            Ok(page) => Ok(Some(page)),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_expired_iterator_exception()) => Ok(None),
            Err(error) => Err(port_error(GET_RECORDS, &error)),
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock()
    }

    /// The iterator left by the read that ended at `from`.
    fn known_iterator(&self, shard: &str, from: &ReadFrom) -> Option<String> {
        let mut places = self.places();
        let next = places.get_mut(shard)?.next.take()?;
        (next.0 == *from).then_some(next.1)
    }
}

fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn number(digits: &str, what: &'static str) -> Result<SequenceNumber, PortError> {
    SequenceNumber::parse(digits)
        .ok_or_else(|| PortError::Refused { what, reason: format!("{digits:?} is not a sequence number") })
}

fn outcome(entry: Option<&PutRecordsResultEntry>) -> Result<SequenceNumber, PortError> {
    let unavailable = |reason: String| Err(PortError::Unavailable { what: PUT_RECORDS, reason });
    let Some(entry) = entry else { return unavailable("the answer leaves this record out".to_owned()) };
    match (&entry.error_code, &entry.sequence_number) {
        (None, Some(digits)) => number(digits, PUT_RECORDS),
        (code, _) => unavailable(format!(
            "{}: {}",
            code.as_deref().unwrap_or("no sequence number"),
            entry.error_message.as_deref().unwrap_or("no message")
        )),
    }
}

fn log_record(record: Record) -> Result<LogRecord, PortError> {
    let arrived_ms = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    let arrived_ms = arrived_ms.ok_or_else(|| PortError::Refused {
        what: GET_RECORDS,
        reason: format!("record {} has no time of arrival", record.sequence_number),
    })?;
    let sequence = number(&record.sequence_number, GET_RECORDS)?;
    let lane = record.partition_key.and_then(|key| key.try_into().ok());
    Ok(LogRecord { sequence, arrived_ms, lane, bytes: record.data.into_inner() })
}

impl PostLog for KinesisLog {
    /// Sends the frames in as few requests as Kinesis allows, one after the other. When a whole
    /// request fails (after the SDK's retries), the frames behind it are not tried. Of single frames
    /// that fail, only later ones of their lane wait; nothing is sent again here.
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let mut outcomes: Vec<_> = frames.iter().map(|_| None).collect();
        let mut requests = Requests::new(frames);
        loop {
            let mut request = requests.cut();
            for (index, error) in request.left.drain(..) {
                outcomes[index] = Some(Err(error));
            }
            if request.entries.is_empty() {
                break;
            }
            match self.put(frames, &request).await {
                Ok(answers) => {
                    for (n, entry) in request.entries.iter().enumerate() {
                        let outcome = outcome(answers.get(n));
                        if outcome.is_err() {
                            requests.hold(entry.index);
                        }
                        outcomes[entry.index] = Some(outcome);
                    }
                }
                Err(error) => {
                    for index in request.entries.iter().map(|entry| entry.index).chain(requests.rest()) {
                        outcomes[index] = Some(Err(same(&error)));
                    }
                    break;
                }
            }
        }
        let unanswered = || PortError::Unavailable { what: PUT_RECORDS, reason: "not sent".to_owned() };
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(unanswered()))).collect()
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let call = self.client.list_shards();
            // With a token the stream may not be named again.
            let call = match token {
                None => call.stream_name(&self.stream),
                Some(token) => call.next_token(token),
            };
            let page = call.send().await.map_err(|e| port_error(LIST_SHARDS, &e))?;
            shards.extend(page.shards.unwrap_or_default());
            token = page.next_token;
            if token.is_none() {
                return Ok(lineage::parents_first(shards));
            }
        }
    }

    /// Computed from the present retention of the stream. Does not detect a retention that was shortened and
    /// extended again less than that time ago.
    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        if !self.shards().await?.iter().any(|name| name == shard) {
            let reason = format!("the stream {} has no shard {shard:?}", self.stream);
            return Err(PortError::Refused { what: LIST_SHARDS, reason });
        }
        let answer = self.client.describe_stream_summary().stream_name(&self.stream).send().await;
        let answer = answer.map_err(|e| port_error(DESCRIBE_STREAM, &e))?;
        let Some(summary) = answer.stream_description_summary else {
            let reason = "the answer describes no stream".to_owned();
            return Err(PortError::Unavailable { what: DESCRIBE_STREAM, reason });
        };
        let kept_ms = i64::from(summary.retention_period_hours) * 3_600_000;
        let since = system_ms() - kept_ms + RETENTION_MARGIN_MS;
        let created = summary.stream_creation_timestamp.to_millis().unwrap_or(i64::MIN);
        Ok(if created > since { i64::MIN } else { since })
    }

    /// Kinesis returns empty pages on the way through hours without records; they are
    /// skipped until there are records, or it reports the end.
    ///
    /// Times of arrival are approximate, and need not grow along a shard.
    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        let mut at = from.clone();
        let mut iterator = match self.known_iterator(shard, from) {
            Some(iterator) => iterator,
            None => self.iterator(shard, from).await?,
        };
        let (mut records, mut size, mut expired) = (Vec::new(), 0, 0);
        while records.len() < limit && size < READ_BYTES {
            let Some(page) = self.page(shard, &iterator, limit - records.len()).await? else {
                expired += 1;
                if expired > MAX_EXPIRED {
                    let reason = "each new iterator is reported as expired".to_owned();
                    return Err(PortError::Unavailable { what: GET_RECORDS, reason });
                }
                iterator = self.iterator(shard, &at).await?;
                continue;
            };
            expired = 0;
            for record in page.records {
                let record = log_record(record)?;
                // Some services count in whole seconds, and times to come were not asked for.
                if let ReadFrom::Time(time_ms) = at
                    && record.arrived_ms < time_ms
                {
                    continue;
                }
                size += record.bytes.len();
                at = ReadFrom::After(record.sequence.clone());
                records.push(record);
            }
            // A shard that was split or merged has an end, and no iterator behind it.
            let Some(next) = page.next_shard_iterator else { return Ok(records) };
            iterator = next;
            if page.millis_behind_latest.unwrap_or(0) == 0 {
                break;
            }
        }
        if let Some(place) = self.places().get_mut(shard) {
            place.next = Some((at, iterator));
        }
        Ok(records)
    }
}

/// [`PortError`] is not `Clone`, yet each frame of a failed request has the same error.
fn same(error: &PortError) -> PortError {
    match error {
        PortError::Unavailable { what, reason } => PortError::Unavailable { what, reason: reason.clone() },
        PortError::Corrupt { what, reason } => PortError::Corrupt { what: what.clone(), reason: reason.clone() },
        PortError::Refused { what, reason } => PortError::Refused { what, reason: reason.clone() },
    }
}

//! The event that a Kinesis event source mapping sends, and the answer to it. Only what is used is
//! read, borrowed from the payload.

use std::borrow::Cow;

use birdsong_domain::ports::{LogRecord, SequenceNumber};
use serde::{Deserialize, Serialize};

/// A batch of one shard's records, in order.
#[derive(Debug, Deserialize)]
pub struct KinesisEvent<'a> {
    /// May be missing.
    #[serde(rename = "Records", borrow, default)]
    pub records: Vec<EventRecord<'a>>,
}

/// One record of the event.
#[derive(Debug, Deserialize)]
pub struct EventRecord<'a> {
    /// The record itself.
    #[serde(borrow)]
    pub kinesis: KinesisData<'a>,
    /// `shardId-000000000006:` and the sequence number.
    #[serde(rename = "eventID", borrow, default)]
    pub event_id: Cow<'a, str>,
}

/// The record itself.
#[derive(Debug, Deserialize)]
pub struct KinesisData<'a> {
    /// Written as the lane.
    #[serde(rename = "partitionKey", borrow, default)]
    pub partition_key: Cow<'a, str>,
    /// Position in the shard, decimal digits.
    #[serde(rename = "sequenceNumber", borrow)]
    pub sequence_number: Cow<'a, str>,
    /// Base64.
    #[serde(borrow)]
    pub data: Cow<'a, str>,
    /// Seconds since 1970, with milliseconds behind the point.
    #[serde(rename = "approximateArrivalTimestamp", default)]
    pub arrived_secs: f64,
}

impl EventRecord<'_> {
    /// The shard's name, as far as the event contains it.
    #[must_use]
    pub fn shard(&self) -> &str {
        self.event_id.split_once(':').map_or("shard", |(shard, _)| shard)
    }

    /// Arrival in the log, in milliseconds.
    #[must_use]
    pub fn arrived_ms(&self) -> i64 {
        (self.kinesis.arrived_secs * 1000.0).round() as i64
    }

    /// The record as the log had it. Data that is not base64 becomes a record without bytes, which is no frame.
    ///
    /// # Errors
    /// When its sequence number is no number, so that it has no place in the log.
    pub fn log_record(&self) -> Result<LogRecord, &'static str> {
        let sequence =
            SequenceNumber::parse(&self.kinesis.sequence_number).ok_or("its sequence number is no number")?;
        let bytes = base64_simd::STANDARD.decode_to_vec(self.kinesis.data.as_bytes()).unwrap_or_default();
        let lane = self.kinesis.partition_key.clone().into_owned().try_into().ok();
        Ok(LogRecord { sequence, arrived_ms: self.arrived_ms(), lane, bytes })
    }
}

/// The event that a batch had when Lambda gave it up and wrote it to the failure destination.
///
/// # Errors
/// When `object` is not such a batch.
pub fn given_up(object: &[u8]) -> Result<Vec<LogRecord>, String> {
    /// With the event as a text, as S3 destinations have it, or as an object.
    #[derive(Deserialize)]
    struct Failure {
        payload: serde_json::Value,
    }

    let failure: Failure = serde_json::from_slice(object).map_err(|error| error.to_string())?;
    let event = match failure.payload {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let event: KinesisEvent<'_> = serde_json::from_str(&event).map_err(|error| error.to_string())?;
    event.records.iter().map(|record| record.log_record().map_err(str::to_owned)).collect()
}

/// The answer: an empty list when all is done, else the first record that has to come again. Lambda
/// uses the lowest number as the checkpoint.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct BatchResponse {
    /// At most one.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<ItemFailure>,
}

/// One record that has to come again, with all behind it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ItemFailure {
    /// Its sequence number.
    #[serde(rename = "itemIdentifier")]
    pub sequence_number: String,
}

impl BatchResponse {
    /// Everything from this record on has to come again.
    #[must_use]
    pub fn again_from(sequence_number: &str) -> Self {
        Self { failures: vec![ItemFailure { sequence_number: sequence_number.to_owned() }] }
    }
}

#[cfg(test)]
mod tests {
    use birdsong_domain::frame::Lane;
    use birdsong_domain::network::Network;

    use super::*;

    #[test]
    fn an_event_is_read_and_what_is_not_used_may_be_anything() {
        let text = r#"{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"pk","sequenceNumber":
            "49590338271490256608559692538361571095921575989136588898","data":"QlNG","approximateArrivalTimestamp":1607497475.123},
            "eventSource":"aws:kinesis","eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
            "awsRegion":"us-east-1"}],"window":null}"#;
        let event: KinesisEvent<'_> = serde_json::from_str(text).unwrap();
        let record = event.records[0].log_record().unwrap();
        assert_eq!(record.sequence.as_str(), "49590338271490256608559692538361571095921575989136588898");
        assert_eq!((record.arrived_ms, &record.bytes[..]), (1_607_497_475_123, &b"BSF"[..]));
        assert_eq!(event.records[0].shard(), "shardId-000000000006");
        assert!(serde_json::from_str::<KinesisEvent<'_>>("{}").unwrap().records.is_empty());
    }

    #[test]
    fn a_batch_that_was_given_up_is_read_from_a_text_or_an_object() {
        let event = r#"{"Records":[{"kinesis":{"partitionKey":"oslo#x#1","sequenceNumber":"12","data":"QlNG"}}]}"#;
        let as_text = serde_json::json!({ "requestContext": {}, "payload": event }).to_string();
        let as_object = format!(r#"{{"payload":{event}}}"#);
        for object in [as_text, as_object] {
            let records = given_up(object.as_bytes()).unwrap();
            assert_eq!((records.len(), &records[0].bytes[..]), (1, &b"BSF"[..]));
            assert_eq!(records[0].lane, Some(Lane::posts("oslo", Network::X, 1)));
        }
        for odd in [
            "",
            "{}",
            r#"{"payload":"no JSON"}"#,
            r#"{"payload":{"Records":[{"kinesis":{"sequenceNumber":"x","data":""}}]}}"#,
        ] {
            assert!(given_up(odd.as_bytes()).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_has_a_reason() {
        let record = |sequence: &str, data: &str| EventRecord {
            kinesis: KinesisData {
                partition_key: "oslo#x#1".into(),
                sequence_number: sequence.to_owned().into(),
                data: data.to_owned().into(),
                arrived_secs: 0.0,
            },
            event_id: "".into(),
        };
        assert_eq!(record("x", "QlNG").log_record(), Err("its sequence number is no number"));
        let record = record("1", "Q*NG").log_record().unwrap();
        assert_eq!((record.lane, &record.bytes[..]), (Some(Lane::posts("oslo", Network::X, 1)), &b""[..]));
    }

    #[test]
    fn the_answer_has_the_names_that_lambda_reads() {
        let text = serde_json::to_string(&BatchResponse::again_from("17")).unwrap();
        assert_eq!(text, r#"{"batchItemFailures":[{"itemIdentifier":"17"}]}"#);
        assert_eq!(serde_json::to_string(&BatchResponse::default()).unwrap(), r#"{"batchItemFailures":[]}"#);
    }
}

//! What cannot be read or stored, kept with its reason: it neither blocks the rest nor vanishes.

use std::future::Future;

use birdsong_domain::ports::{LogRecord, PartialKey, PortError, SequenceNumber};
use birdsong_domain::time::{parse_rfc3339, rfc3339};
use serde::{Deserialize, Serialize};

/// A log record that is no frame, or a window that could not be read or stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Shard of the record, or of the records that were folded.
    pub shard: String,
    /// Position of the record in its shard, or of the last one that was folded.
    pub sequence_number: String,
    /// Arrival in the log, RFC 3339.
    pub arrived: String,
    /// The lane, as far as it is known.
    pub lane: Option<String>,
    /// Start of the window, RFC 3339; `None` for a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// The record as it came, base64. A window's posts are in the log: a reprocess restores it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data: String,
}

impl DeadLetter {
    /// For a record that cannot be read. `data` is its content in base64.
    #[must_use]
    pub fn record(shard: &str, record: &LogRecord, reason: String, data: String) -> Self {
        Self {
            shard: shard.to_owned(),
            sequence_number: record.sequence.as_str().to_owned(),
            arrived: rfc3339(record.arrived_ms),
            lane: record.lane.as_ref().map(ToString::to_string),
            window: None,
            reason,
            data,
        }
    }

    /// For a window that cannot be read or stored; `last` is the last record that was to be folded into it.
    #[must_use]
    pub fn window(shard: &str, key: &PartialKey, last: &LogRecord, reason: String) -> Self {
        Self {
            lane: Some(key.lane.to_string()),
            window: Some(rfc3339(key.window.0)),
            ..Self::record(shard, last, reason, String::new())
        }
    }

    /// The record as it was in the log; `None` for a window, or when its text was altered.
    #[must_use]
    pub fn log_record(&self) -> Option<LogRecord> {
        Some(LogRecord {
            sequence: SequenceNumber::parse(&self.sequence_number)?,
            arrived_ms: parse_rfc3339(&self.arrived)?,
            lane: self.lane.clone().and_then(|lane| lane.try_into().ok()),
            bytes: base64_simd::STANDARD.decode_to_vec(&self.data).ok().filter(|bytes| !bytes.is_empty())?,
        })
    }

    /// `quarantine/YYYY/MM/DD/SHARD-SEQUENCE.json`, for a window with its lane and start behind the number: the
    /// same record always has the same key, so that a repeated delivery adds nothing.
    #[must_use]
    pub fn key(&self) -> String {
        let day = self.arrived.get(..10).unwrap_or("unknown").replace('-', "/");
        let window = match (&self.lane, &self.window) {
            (Some(lane), Some(start)) => {
                // The name of a source may be an address, and longer than that of a file.
                let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
                let lane: String = lane.chars().take(100).map(|c| if is_plain(&c) { c } else { '-' }).collect();
                format!("-{lane}-{}", start.replace(':', ""))
            }
            _ => String::new(),
        };
        format!("quarantine/{day}/{}-{}{window}.json", self.shard, self.sequence_number)
    }
}

/// Where dead letters go.
pub trait DeadLetters: Send + Sync {
    /// Keeps a letter; once it returns `Ok` the letter is safe there.
    fn keep(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), PortError>> + Send;
}

impl<D: DeadLetters> DeadLetters for std::sync::Arc<D> {
    fn keep(&self, letter: &DeadLetter) -> impl Future<Output = Result<(), PortError>> + Send {
        (**self).keep(letter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::frame::Lane;
    use birdsong_domain::network::Network;
    use birdsong_domain::time::WindowStart;

    #[test]
    fn a_letter_has_one_name() {
        let record = LogRecord { sequence: 17u64.into(), arrived_ms: 0, lane: None, bytes: vec![] };
        let letter = DeadLetter::record("0", &record, "why".into(), "QlNG".into());
        assert_eq!(letter.key(), "quarantine/1970/01/01/0-17.json");
        let key = PartialKey { lane: Lane::posts("oslo", Network::X, 2), window: WindowStart(300_000) };
        let letter = DeadLetter::window("0", &key, &record, "why".into());
        assert_eq!(letter.key(), "quarantine/1970/01/01/0-17-oslo-x-2-1970-01-01T000500Z.json");
        let lane = Lane::ledger(Network::WEB, &format!("rss:https://a.example/{}", "é/".repeat(80)));
        let key = DeadLetter::window("0", &PartialKey { lane, ..key }, &record, "why".into()).key();
        let name = key.strip_prefix("quarantine/1970/01/01/").unwrap();
        assert!(name.len() < 255 && name.starts_with("0-17-_stream-web-rss-https---a.example-"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b'/'), "{name}");
        assert!(!serde_json::to_string(&letter).unwrap().contains("data"));
    }

    #[test]
    fn a_letter_returns_its_record_unless_somebody_altered_it() {
        let lane = Some(Lane::posts("oslo", Network::X, 2));
        let record =
            LogRecord { sequence: 17u64.into(), arrived_ms: 1_700_000_000_000, lane, bytes: b"no frame".to_vec() };
        let data = base64_simd::STANDARD.encode_to_string(&record.bytes);
        let letter = DeadLetter::record("0", &record, "why".into(), data);
        assert_eq!(letter.log_record(), Some(record.clone()));
        let altered = [
            DeadLetter { sequence_number: "seventeen".into(), ..letter.clone() },
            DeadLetter { arrived: "yesterday".into(), ..letter.clone() },
            DeadLetter { data: "*".into(), ..letter.clone() },
            DeadLetter { data: String::new(), ..letter.clone() },
        ];
        assert!(altered.iter().all(|letter| letter.log_record().is_none()));
        let unnamed = DeadLetter { lane: Some("no lane".into()), ..letter };
        assert_eq!(unnamed.log_record(), Some(LogRecord { lane: None, ..record }));
    }
}

//! Where records go that are no frames: one object each, with the reason, so that they neither block
//! their shard nor vanish.

use std::future::Future;

use birdsong_domain::ports::PortError;
use birdsong_domain::time::rfc3339;
use serde::Serialize;

use crate::Bucket;

/// A record put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Poison {
    /// Shard that it came from.
    pub shard: String,
    /// Its position there.
    pub sequence_number: String,
    /// When the log took it, RFC 3339.
    pub arrived: String,
    /// What is wrong with it.
    pub reason: String,
    /// The record as it came, base64.
    pub data: String,
}

impl Poison {
    /// `quarantine/YYYY/MM/DD/SHARD-SEQUENCE.json`: the same record always has the same key, so that
    /// a repeated delivery adds nothing.
    #[must_use]
    pub fn key(&self) -> String {
        let day = self.arrived.get(..10).unwrap_or("unknown").replace('-', "/");
        format!("quarantine/{day}/{}-{}.json", self.shard, self.sequence_number)
    }

    /// For a record that arrived at this time (milliseconds).
    #[must_use]
    pub fn new(shard: &str, sequence_number: &str, arrived_ms: i64, reason: String, data: &str) -> Self {
        Self {
            shard: shard.to_owned(),
            sequence_number: sequence_number.to_owned(),
            arrived: rfc3339(arrived_ms),
            reason,
            data: data.to_owned(),
        }
    }
}

/// Takes what cannot be read.
pub trait Quarantine: Send + Sync {
    /// Keeps a record; once it returns `Ok` the record is safe there.
    fn keep(&self, poison: &Poison) -> impl Future<Output = Result<(), PortError>> + Send;
}

impl Quarantine for Bucket {
    async fn keep(&self, poison: &Poison) -> Result<(), PortError> {
        let body = serde_json::to_vec(poison)
            .map_err(|e| PortError::Refused { what: "the quarantine", reason: e.to_string() })?;
        self.put(&poison.key(), "application/json", body).await
    }
}

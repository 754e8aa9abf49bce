//! The function `digest`: roll-ups and the overview, each minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use birdsong_digest::{Digest, Outcome};
use birdsong_domain::region::Region;
use birdsong_domain::window::FoldRules;
use birdsong_domain::{format, ports};
use serde_json::{Value, json};

use super::api::window_size;
use crate::DynamoStore;

/// How long an invocation works. What is left then is done by the next one.
const WORK: Duration = Duration::from_secs(20);

/// The handler; one for as long as the function is warm.
#[derive(Debug)]
pub struct Handler {
    store: Arc<DynamoStore>,
    digest: Option<(Option<String>, Digest<DynamoStore>)>,
}

impl Handler {
    /// A handler over the table of `store`.
    #[must_use]
    pub fn new(store: Arc<DynamoStore>) -> Self {
        Self { store, digest: None }
    }

    /// One run, for the regions that the streamer published.
    ///
    /// # Errors
    /// When the table fails or is of another release. The next run continues.
    pub async fn handle(&mut self, now_ms: i64) -> Result<Outcome> {
        let started = Instant::now();
        let mut settings = self.store.settings().await?;
        let window_secs = settings.remove(ports::WINDOW_SECS);
        if !format::check_stated(settings.get(ports::FORMAT).map(String::as_str), window_secs.is_some())? {
            return Ok(Outcome::default());
        }
        let regions: Vec<Region> = serde_json::from_str(settings.get(ports::REGIONS).map_or("[]", String::as_str))
            .context("the store's catalogue of regions is damaged")?;
        let regions: Vec<_> = regions.iter().map(|region| &*region.id).collect();
        let rules = FoldRules { size: window_size(window_secs.as_deref())?, ..FoldRules::default() };
        let digest = match &mut self.digest {
            Some((known, digest)) if *known == window_secs => digest,
            digest => &mut digest.insert((window_secs, Digest::new(self.store.clone(), rules))).1,
        };
        Ok(digest.run(&regions, now_ms, || started.elapsed() > WORK).await?)
    }
}

/// The metrics of a run, for standard output, in CloudWatch's embedded metric format.
#[must_use]
pub fn metrics_line(outcome: Outcome, duration_ms: u64, namespace: &str, now_ms: i64) -> Value {
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    json!({
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": [["service"]],
                "Metrics": [
                    metric("redone", "Count"),
                    metric("rollups", "Count"),
                    metric("digest_conflicts", "Count"),
                    metric("digest_ms", "Milliseconds"),
                ],
            }],
        },
        "service": "digest",
        "redone": outcome.redone,
        "rollups": outcome.stored,
        "digest_conflicts": outcome.conflicts,
        "digest_ms": duration_ms,
        "has_more": outcome.has_more,
    })
}

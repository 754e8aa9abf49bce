//! The function `digest`: roll-ups and the overview, each minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use birdsong_digest::{Digest, Outcome};
use birdsong_domain::metrics::{cloudwatch, digest as metrics};
use birdsong_domain::region::Region;
use birdsong_domain::window::FoldRules;
use birdsong_domain::{format, ports};
use serde_json::Value;

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
    let samples = [
        (&metrics::REDONE, outcome.redone.into()),
        (&metrics::ROLLUPS, outcome.stored.into()),
        (&metrics::CONFLICTS, outcome.conflicts.into()),
        (&metrics::DURATION, duration_ms.into()),
    ];
    let mut line = cloudwatch::line(&metrics::GROUP, &[], &samples, namespace, now_ms);
    line["has_more"] = outcome.has_more.into();
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_line_with_its_metrics() {
        let outcome = Outcome { redone: 3, stored: 2, conflicts: 1, has_more: true };
        let line = metrics_line(outcome, 40, "birds-of-paris", 1_700_000_000_000);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Namespace"], &line["service"]), (&"birds-of-paris".into(), &"digest".into()));
        let values = ["redone", "rollups", "digest_conflicts", "digest_ms"].map(|name| line[name].as_u64());
        assert_eq!((values, &line["has_more"]), ([Some(3), Some(2), Some(1), Some(40)], &true.into()));
        assert_eq!(directive["Metrics"].as_array().map(Vec::len), Some(4));
    }
}

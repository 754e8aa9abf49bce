//! The function `digest`: roll-ups, events, the overview and alerts, each minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use birdsong_alerts::{Alerts, Channels, KnownEvents};
use birdsong_digest::{Digest, Outcome};
use birdsong_domain::alert::Alert;
use birdsong_domain::metrics::{cloudwatch, digest as metrics};
use birdsong_domain::region::Region;
use birdsong_domain::window::FoldRules;
use birdsong_domain::{format, ports};
use serde_json::Value;

use super::api::window_size;
use crate::DynamoStore;

/// How long an invocation works, without alerts, whose tries last up to 8 s. What is left then is done by the next one.
const WORK: Duration = Duration::from_secs(15);

/// The handler; one for as long as the function is warm.
#[derive(Debug)]
pub struct Handler {
    store: Arc<DynamoStore>,
    digest: Option<(Option<String>, Digest<DynamoStore>)>,
    /// The channels of alerts, and the address of the dashboard.
    alerts: Option<(Channels, String)>,
    /// Events for the alerts, as they were read last.
    events: KnownEvents,
}

impl Handler {
    /// A handler over the table of `store`.
    #[must_use]
    pub fn new(store: Arc<DynamoStore>) -> Self {
        Self { store, digest: None, alerts: None, events: KnownEvents::default() }
    }

    /// With alerts by these channels. Their links lead to the dashboard at `public_url`, which may be empty.
    #[must_use]
    pub fn with_alerts(self, channels: Channels, public_url: String) -> Self {
        Self { alerts: Some((channels, public_url)), ..self }
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
        let ids: Vec<_> = regions.iter().map(|region| &*region.id).collect();
        let rules = FoldRules { size: window_size(window_secs.as_deref())?, ..FoldRules::default() };
        let digest = match &mut self.digest {
            Some((known, digest)) if *known == window_secs => digest,
            digest => &mut digest.insert((window_secs, Digest::new(self.store.clone(), rules))).1,
        };
        let outcome = digest.run(&ids, now_ms, || started.elapsed() > WORK).await?;
        if let (Some((channels, public_url)), Some(list)) = (&self.alerts, settings.get(ports::ALERTS)) {
            let list: Vec<Alert> = serde_json::from_str(list).context("the stored list of alerts is damaged")?;
            let alerts = Alerts::new(list, channels.clone(), public_url).with_regions(regions, rules);
            alerts
                .run_latest(&*self.store, &mut self.events, outcome.watched > 0, now_ms)
                .await
                .context("alerts cannot be sent")?;
        }
        Ok(outcome)
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
        let outcome = Outcome { redone: 3, stored: 2, conflicts: 1, watched: 4, has_more: true };
        let line = metrics_line(outcome, 40, "birds-of-paris", 1_700_000_000_000);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Namespace"], &line["service"]), (&"birds-of-paris".into(), &"digest".into()));
        let values = ["redone", "rollups", "digest_conflicts", "digest_ms"].map(|name| line[name].as_u64());
        assert_eq!((values, &line["has_more"]), ([Some(3), Some(2), Some(1), Some(40)], &true.into()));
        assert_eq!(directive["Metrics"].as_array().map(Vec::len), Some(4));
    }
}

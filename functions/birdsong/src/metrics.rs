//! What a streamer reports: the states of its sources for the API, and their metrics for CloudWatch and Prometheus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use birdsong_domain::frame::Ledger;
use birdsong_domain::metrics::{Sample, cloudwatch, source};
use birdsong_domain::ports::{self, Settings};
use birdsong_domain::status::{SourceState, SourceStatus};
use birdsong_streamer::status::{SourceEntry, StatusRegistry};
use parking_lot::Mutex;

use crate::{now_ms, print};

/// How often the states are written, and how often they are looked at for a status that changed, which is written at once.
const STATES_EVERY: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the states that another process wrote are read.
const READ_EVERY: Duration = Duration::from_secs(5);
/// How often metrics are printed.
const METRICS_EVERY: Duration = Duration::from_secs(60);

pub(crate) async fn write_states<S: Settings>(settings: &S, status: &StatusRegistry) -> Result<()> {
    let now_ms = now_ms();
    let mut states = status.states();
    states.iter_mut().for_each(|state| state.updated_at_ms = Some(now_ms));
    Ok(settings.set_setting(ports::SOURCES, &serde_json::to_string(&states)?).await?)
}

/// Writes the states for the API, and metrics for CloudWatch into `namespace`, from time to time.
pub(crate) async fn report<S: Settings>(settings: Arc<S>, status: Arc<StatusRegistry>, namespace: Option<String>) {
    let mut before = Vec::<(String, Ledger)>::new();
    let mut metrics = tokio::time::interval(METRICS_EVERY);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut written: Option<(Instant, Vec<SourceStatus>)> = None;
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let now: Vec<_> = status.states().iter().map(|state| state.status).collect();
                if written.as_ref().is_some_and(|(at, before)| at.elapsed() < STATES_EVERY && *before == now) {
                    continue;
                }
                match write_states(&*settings, &status).await {
                    Ok(()) => written = Some((Instant::now(), now)),
                    Err(error) => tracing::warn!("the sources' states could not be written: {error}"),
                }
            },
            _ = metrics.tick() => for entry in status.entries() {
                let source = &entry.state.source;
                let last = before.iter().find(|(name, _)| name == source).map(|(_, ledger)| *ledger).unwrap_or_default();
                if let Some(namespace) = &namespace {
                    print::out_json(&metrics_line(namespace, &entry, last, now_ms()));
                }
                before.retain(|(name, _)| name != source);
                before.push((source.clone(), entry.ledger));
            },
        }
    }
}

/// Current states of the sources for the API of this process: its own, or those that a streamer beside it writes to the
/// settings.
#[derive(Clone)]
pub(crate) struct States {
    status: Arc<StatusRegistry>,
    /// What the settings had last; `None` when this process has sources itself.
    stored: Option<Arc<Mutex<Vec<SourceState>>>>,
}

impl States {
    pub(crate) fn new(status: Arc<StatusRegistry>, are_elsewhere: bool) -> Self {
        Self { status, stored: are_elsewhere.then(Arc::default) }
    }

    /// Keeps the settings or itself up to date, until it is dropped.
    pub(crate) async fn keep<S: Settings>(self, settings: Arc<S>) {
        let Some(stored) = &self.stored else { return report(settings, self.status, None).await };
        let mut ticks = tokio::time::interval(READ_EVERY);
        loop {
            ticks.tick().await;
            let read = settings.setting(ports::SOURCES).await;
            match read.map(|text| serde_json::from_str(text.as_deref().unwrap_or("[]"))) {
                Ok(Ok(states)) => *stored.lock() = states,
                Ok(Err(error)) => tracing::warn!("the stored states of the sources are damaged: {error}"),
                Err(error) => tracing::warn!("the states of the sources cannot be read: {error}"),
            }
        }
    }

    pub(crate) fn current(&self) -> Vec<SourceState> {
        self.stored.as_ref().map_or_else(|| self.status.states(), |stored| stored.lock().clone())
    }
}

/// What happened since `last`, in the embedded metric format that CloudWatch reads out of log lines.
fn metrics_line(namespace: &str, entry: &SourceEntry, last: Ledger, now_ms: i64) -> serde_json::Value {
    cloudwatch::line(&source::GROUP, &[&entry.state.source], &samples(entry, last, now_ms), namespace, now_ms)
}

/// What happened at a source since `last`, and its current state. What is not known is left out.
pub(crate) fn samples(entry: &SourceEntry, last: Ledger, now_ms: i64) -> Vec<Sample> {
    let (now, state) = (&entry.ledger, &entry.state);
    let mut samples = vec![
        (&source::RECEIVED, now.received.saturating_sub(last.received).into()),
        (&source::SENT, now.sent.saturating_sub(last.sent).into()),
        (&source::FILTERED, now.filtered.saturating_sub(last.filtered).into()),
        (&source::UNREADABLE, now.quarantined.saturating_sub(last.quarantined).into()),
        (&source::DUPLICATES, now.duplicates.saturating_sub(last.duplicates).into()),
        (&source::DROPPED, now.dropped.saturating_sub(last.dropped).into()),
        (&source::RECONNECTS, state.reconnects.into()),
        (&source::GAPS, state.gaps.into()),
        (&source::WAITING, entry.waiting_bytes.into()),
        (&source::CONNECTED, (state.status == SourceStatus::Connected).into()),
        (&source::SAMPLED, state.sampled.unwrap_or(1.0).into()),
    ];
    // Below zero when the source's clock is ahead of ours.
    samples.extend(entry.newest_ms.map(|newest_ms| (&source::LAG, (now_ms - newest_ms).into())));
    if let Some(dollars) = state.spent_dollars {
        let is_paused = state.paused_until_ms.is_some_and(|until_ms| now_ms < until_ms);
        samples.extend([(&source::PAUSED, is_paused.into()), (&source::SPENT, dollars.into())]);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_metrics_line_has_what_happened_since_the_last_one_and_the_current_state() {
        let ledger = Ledger { received: 30, sent: 20, dropped: 4, ..Ledger::default() };
        let state = SourceState {
            source: "x".into(),
            status: SourceStatus::Connected,
            sampled: Some(0.25),
            spent_dollars: Some(7.5),
            ..SourceState::default()
        };
        let mut entry = SourceEntry { state, newest_ms: Some(10_250), ledger, ..SourceEntry::default() };
        let last = Ledger { received: 10, sent: 5, ..Ledger::default() };
        let shown = |entry: &SourceEntry| {
            let line = metrics_line("birds-of-paris", entry, last, 10_000);
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "birds-of-paris");
            let of_line = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().clone();
            for metric in &of_line {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
            }
            (of_line.len(), line)
        };
        let (metrics, line) = shown(&entry);
        assert_eq!((&line["received"], &line["sent"], &line["dropped"]), (&json!(20), &json!(15), &json!(4)));
        assert_eq!((&line["lag_ms"], &line["connected"]), (&json!(-250), &json!(1)), "clocks differ");
        assert_eq!((&line["sampled"], &line["spent_dollars"]), (&json!(0.25), &json!(7.5)));
        assert_eq!(line["paused"], json!(0));
        for (until_ms, is_paused) in [(10_001, 1), (10_000, 0)] {
            entry.state.paused_until_ms = Some(until_ms);
            assert_eq!(shown(&entry).1["paused"], json!(is_paused), "the budget is used up until {until_ms}");
        }
        entry.state = SourceState { status: SourceStatus::Waiting, ..SourceState::default() };
        entry.newest_ms = None;
        let (fewer, line) = shown(&entry);
        assert_eq!((&line["connected"], &line["sampled"]), (&json!(0), &json!(1.0)));
        assert_eq!((fewer, line.get("lag_ms"), line.get("spent_dollars")), (metrics - 3, None, None));
        assert_eq!(line.get("paused"), None, "a source that is free has no budget");
    }
}

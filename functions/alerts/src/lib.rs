//! Alerts: which events are worth a message, and webhooks, mail, SNS and the log by which it goes.
//!
//! [`Alerts::run`] is called after each run of the digest. What was sent is in one document of each alert, which is put
//! on its revision: a delivery is claimed there before it is tried, and taken off after it. So several runs at once send
//! once, and what a crash left open is retried under the same id.
//!
//! ```
//! use birdsong_alerts::engine;
//! use birdsong_alerts::state::{State, Tried};
//! use birdsong_domain::alert::Alert;
//! use birdsong_domain::event::{Event, EventKind, Subject};
//!
//! let alert = Alert { id: "desk".into(), log: true, ..Alert::default() };
//! let event = Event {
//!     is_open: true,
//!     observed: 900,
//!     score_milli: 14_000,
//!     ..Event::new("montreal", EventKind::Spike, Subject::Region, 1_700_000_100_000)
//! };
//! let (mut state, now_ms) = (State::default(), 1_700_000_400_000);
//! let due = engine::decide(&alert, &mut state, &[event.clone()], now_ms);
//! assert_eq!(due[0].0, format!("desk-{}-new-log", event.id));
//! engine::finish(&mut state, &[(due[0].0.clone(), Tried::Delivered)], now_ms);
//! assert!(engine::decide(&alert, &mut state, &[event], now_ms + 60_000).is_empty(), "each event once");
//! ```

pub mod channel;
#[cfg(feature = "smtp")]
mod email;
pub mod engine;
pub mod message;
pub mod read;
pub mod state;
pub mod webhook;

use birdsong_digest::documents;
use birdsong_domain::alert::Alert;
use birdsong_domain::event::Event;
use birdsong_domain::ports::{DocumentKey, DocumentKind, DocumentStore, PortError, RollupStore, WindowStore};
use birdsong_domain::region::Region;
use birdsong_domain::window::FoldRules;
use futures_util::future::join_all;

pub use channel::{Channels, Publish, Secret};
use message::Written;
use read::Day;
use state::{Channel, Delivery, Message, State, Tried};

/// How often a put is repeated because another run was faster.
const MAX_CONFLICTS: usize = 8;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Deliveries that were given up.
    pub given_up: u64,
}

/// How long events that were read are used, when the digest found nothing, in milliseconds.
const KNOWN_MS: i64 = 10 * 60_000;

/// Events as they were read last, between runs.
#[derive(Debug, Default)]
pub struct KnownEvents {
    read_ms: Option<i64>,
    events: Vec<Event>,
}

/// The alerts of a deployment.
#[derive(Debug)]
pub struct Alerts {
    alerts: Vec<Alert>,
    channels: Channels,
    /// Address of the dashboard, without a slash at its end; empty when it is not known.
    public_url: String,
    regions: Vec<Region>,
    rules: FoldRules,
}

impl Alerts {
    /// Alerts whose messages link to the dashboard at `public_url`, which may be empty.
    #[must_use]
    pub fn new(alerts: Vec<Alert>, channels: Channels, public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { alerts, channels, public_url, regions: vec![], rules: FoldRules::default() }
    }

    /// With these regions, whose names and totals are in messages, and the rules by which their windows were folded.
    #[must_use]
    pub fn with_regions(self, regions: Vec<Region>, rules: FoldRules) -> Self {
        Self { regions, rules, ..self }
    }

    /// The alerts.
    #[must_use]
    pub fn list(&self) -> &[Alert] {
        &self.alerts
    }

    /// The regions.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Sends what is due of the events of the last three hours. They are read again when `is_news`, and now and then in
    /// case that another digest found some.
    ///
    /// # Errors
    /// When the store fails. The next run continues.
    pub async fn run_latest<S>(
        &self,
        store: &S,
        known: &mut KnownEvents,
        is_news: bool,
        now_ms: i64,
    ) -> Result<Outcome, PortError>
    where
        S: DocumentStore + WindowStore + RollupStore,
    {
        if self.alerts.is_empty() {
            return Ok(Outcome::default());
        }
        let age_ms = known.read_ms.map(|read_ms| now_ms.saturating_sub(read_ms));
        if is_news || age_ms.is_none_or(|age_ms| !(0..KNOWN_MS).contains(&age_ms)) {
            let regions: Vec<&str> = self.regions.iter().map(|region| &*region.id).collect();
            let range = (now_ms.saturating_sub(read::LOOK_BACK_MS), now_ms.saturating_add(1));
            // When it fails, the next run reads.
            known.read_ms = None;
            known.events = read::events(store, &regions, range).await?;
            known.read_ms = Some(now_ms);
        }
        self.run(store, &known.events, now_ms).await
    }

    /// Sends what is due. `events` are all of the last three hours. One alert that fails stops no other.
    ///
    /// # Errors
    /// The first failure of the store. The next run continues.
    pub async fn run<S>(&self, store: &S, events: &[Event], now_ms: i64) -> Result<Outcome, PortError>
    where
        S: DocumentStore + WindowStore + RollupStore,
    {
        let runs = join_all(self.alerts.iter().map(|alert| self.run_one(store, alert, events, now_ms))).await;
        let mut all = Outcome::default();
        for run in runs {
            let run = run?;
            all.delivered += run.delivered;
            all.failed += run.failed;
            all.given_up += run.given_up;
        }
        Ok(all)
    }

    async fn run_one<S>(&self, store: &S, alert: &Alert, events: &[Event], now_ms: i64) -> Result<Outcome, PortError>
    where
        S: DocumentStore + WindowStore + RollupStore,
    {
        let mut due = vec![];
        let is_claimed = update(store, &alert.id, |state| due = engine::decide(alert, state, events, now_ms)).await?;
        if !is_claimed || due.is_empty() {
            return Ok(Outcome::default());
        }
        let results = join_all(due.iter().map(|(id, delivery)| self.deliver(store, alert, id, delivery, now_ms))).await;
        let mut outcome = Outcome::default();
        for ((id, delivery), (_, tried)) in due.iter().zip(&results) {
            match tried {
                Tried::Delivered => outcome.delivered += 1,
                Tried::Failed { reason, .. } => {
                    outcome.failed += 1;
                    let channel = delivery.channel.as_str();
                    if delivery.tries >= engine::MAX_TRIES {
                        outcome.given_up += 1;
                        tracing::error!(
                            alert = alert.id,
                            channel,
                            delivery = id,
                            "an alert was not delivered: {reason}"
                        );
                    } else {
                        tracing::warn!(
                            alert = alert.id,
                            channel,
                            delivery = id,
                            "an alert will be sent again: {reason}"
                        );
                    }
                }
            }
        }
        update(store, &alert.id, |state| engine::finish(state, &results, now_ms)).await?;
        Ok(outcome)
    }

    async fn deliver<S>(&self, store: &S, alert: &Alert, id: &str, delivery: &Delivery, now_ms: i64) -> (String, Tried)
    where
        S: DocumentStore + WindowStore + RollupStore,
    {
        let day = match &delivery.message {
            Message::Daily { day_ms } => {
                let is_asked = |id: &String| alert.regions.is_empty() || alert.regions.contains(id);
                let regions: Vec<Region> = self.regions.iter().filter(|region| is_asked(&region.id)).cloned().collect();
                let range = alert.time_zone.day_of(*day_ms);
                match Day::read(store, self.rules, &regions, range).await {
                    Ok(day) => Some(day),
                    Err(error) => return (id.to_owned(), channel::failed(error.to_string())),
                }
            }
            _ => None,
        };
        let written = self.write(alert, &delivery.message, day.as_ref(), delivery.made_ms);
        (id.to_owned(), self.send(alert, id, delivery.channel, &written, now_ms).await)
    }

    fn write(&self, alert: &Alert, message: &Message, day: Option<&Day>, made_ms: i64) -> Written {
        let region = message.event().and_then(|event| self.regions.iter().find(|region| region.id == event.region));
        message::write(alert, message, region, day, &self.public_url, made_ms)
    }

    async fn send(&self, alert: &Alert, id: &str, channel: Channel, written: &Written, now_ms: i64) -> Tried {
        match channel {
            Channel::Webhook => match &alert.webhook {
                Some(webhook) => {
                    self.channels.webhook(webhook, id, written.json(&alert.id, id).as_bytes(), now_ms).await
                }
                None => channel::failed("the alert has no webhook any more"),
            },
            Channel::Email => match &alert.email {
                #[cfg(feature = "smtp")]
                Some(config) => email::send(&self.channels, config, id, &written.title, &written.plain()).await,
                #[cfg(not(feature = "smtp"))]
                Some(_) => {
                    channel::failed("this program sends no mail: on AWS, subscribe the address to the SNS topic")
                }
                None => channel::failed("the alert has no mail any more"),
            },
            Channel::Sns => self.channels.topic(id, &written.title, &written.plain()).await,
            Channel::Log => {
                let (kind, link) = (written.message, written.link.as_deref().unwrap_or_default());
                tracing::info!(alert = alert.id, kind, link, "{}", written.title);
                Tried::Delivered
            }
        }
    }

    /// Sends a made-up event through each channel of an alert, without regard to its state. Returns what happened.
    pub async fn test(&self, alert: &Alert, now_ms: i64) -> Vec<(Channel, Tried)> {
        let region = alert.regions.first().cloned().or_else(|| self.regions.first().map(|region| region.id.clone()));
        let message = Message::Test { event: Box::new(message::sample(&region.unwrap_or_default(), now_ms)) };
        let written = self.write(alert, &message, None, now_ms);
        let mut results = vec![];
        for channel in engine::channels(alert) {
            let id = format!("{}-test-{now_ms:x}-{}", alert.id, channel.as_str());
            results.push((channel, self.send(alert, &id, channel, &written, now_ms).await));
        }
        results
    }

    /// Names of environment variables that the alerts need and that are not set.
    #[must_use]
    pub fn missing_variables(&self) -> Vec<String> {
        let mut missing = vec![];
        for alert in &self.alerts {
            let webhook = alert.webhook.iter().flat_map(|webhook| [Some(&webhook.url), webhook.secret.as_ref()]);
            let values = webhook.chain(alert.email.iter().map(|email| Some(&email.smtp))).flatten();
            let names = values.filter(|value| self.channels.value(value).is_err()).filter_map(|value| value.variable());
            missing.extend(names.map(str::to_owned));
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

/// The state of an alert.
///
/// # Errors
/// When the store fails, or the state is damaged.
pub async fn state<S: DocumentStore>(store: &S, id: &str) -> Result<State, PortError> {
    let stored = store.documents(DocumentKind::Alert, id, 0, 1).await?.pop();
    stored.map_or_else(|| Ok(State::default()), |document| read_state(id, &document.body))
}

fn read_state(id: &str, body: &[u8]) -> Result<State, PortError> {
    serde_json::from_slice(body)
        .map_err(|error| PortError::Corrupt { what: format!("the state of the alert {id}"), reason: error.to_string() })
}

/// Changes the state of an alert, and stores it if that changed it. Returns whether the last change holds: `false` when
/// others were faster each time.
async fn update<S: DocumentStore>(store: &S, id: &str, mut with: impl FnMut(&mut State)) -> Result<bool, PortError> {
    let key = DocumentKey { kind: DocumentKind::Alert, region: id.to_owned(), start_ms: 0 };
    let changed = documents::change(store, &key, MAX_CONFLICTS, |body| {
        let before = body.map_or_else(|| Ok(State::default()), |body| read_state(id, body))?;
        let mut state = before.clone();
        with(&mut state);
        if state == before {
            return Ok(documents::Change::Keep);
        }
        let body = serde_json::to_vec(&state).map_err(|error| PortError::cannot_encode(error.into()))?;
        Ok::<_, PortError>(documents::Change::Put(body))
    });
    Ok(changed.await?.is_some())
}

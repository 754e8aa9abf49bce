//! How messages go out. Nothing here repeats an address or a secret in an error, in `Debug` or in the log.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::alert::{Value, Webhook};

use crate::state::Tried;
use crate::webhook;

/// Longest time for a try, in all.
pub const TIMEOUT: Duration = Duration::from_secs(8);
/// Longest time for a name look-up, a connection and its TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// What `publish` returns: whether it was published, or why not.
pub type Published<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A topic that passes messages on, such as one of SNS.
pub trait Publish: Send + Sync {
    /// Publishes a message. `subject` is one line of at most 100 ASCII characters; `delivery` identifies the message.
    fn publish<'a>(&'a self, delivery: &'a str, subject: &'a str, text: &'a str) -> Published<'a>;
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

type Variables = Arc<dyn Fn(&str) -> Option<Secret> + Send + Sync>;

/// The channels of this program.
#[derive(Clone)]
pub struct Channels {
    client: reqwest::Client,
    variables: Variables,
    topic: Option<Arc<dyn Publish>>,
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("has_topic", &self.topic.is_some()).finish_non_exhaustive()
    }
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("HTTPS cannot be set up: {0}")]
pub struct NoTls(String);

impl Channels {
    /// Channels whose variables `variables` resolves, such as from the environment.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(variables: impl Fn(&str) -> Option<Secret> + Send + Sync + 'static) -> Result<Self, NoTls> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("birdsong/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A signed message goes to the host that it is meant for, and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| NoTls(error.without_url().to_string()))?;
        Ok(Self { client, variables: Arc::new(variables), topic: None })
    }

    /// With a topic for alerts that have `sns = true`.
    #[must_use]
    pub fn with_topic(self, topic: Arc<dyn Publish>) -> Self {
        Self { topic: Some(topic), ..self }
    }

    pub(crate) fn value(&self, value: &Value) -> Result<Secret, String> {
        match value {
            Value::Plain(text) => Ok(Secret::new(text.clone())),
            Value::Variable(name) => (self.variables)(name)
                .filter(|secret| !secret.0.trim().is_empty())
                .map(|secret| Secret::new(secret.0.trim().to_owned()))
                .ok_or_else(|| format!("the environment variable {name} is not set")),
        }
    }

    pub(crate) async fn webhook(&self, config: &Webhook, delivery: &str, body: &[u8], now_ms: i64) -> Tried {
        let resolved = self.value(&config.url).and_then(|url| {
            let secret = config.secret.as_ref().map(|secret| self.value(secret)).transpose()?;
            Ok((url, secret))
        });
        match resolved {
            Ok((url, secret)) => webhook::post(&self.client, &url, secret.as_ref(), delivery, body, now_ms).await,
            Err(reason) => failed(reason),
        }
    }

    pub(crate) async fn topic(&self, delivery: &str, subject: &str, text: &str) -> Tried {
        let Some(topic) = &self.topic else { return failed("there is no SNS topic here: it needs AWS") };
        let subject: String =
            subject.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect();
        let subject = subject.trim_start().chars().take(100).collect::<String>();
        match tokio::time::timeout(TIMEOUT, topic.publish(delivery, &subject, text)).await {
            Ok(Ok(())) => Tried::Delivered,
            Ok(Err(reason)) => failed(reason),
            Err(_) => failed("the topic did not answer in time"),
        }
    }
}

pub(crate) fn failed(reason: impl Into<String>) -> Tried {
    Tried::Failed { reason: reason.into(), wait_ms: None }
}

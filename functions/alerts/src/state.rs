//! What an alert has sent, and what it has to send: the document of the alert.

use std::collections::BTreeMap;

use birdsong_domain::event::Event;
use serde::{Deserialize, Serialize};

/// Most series that are remembered.
pub(crate) const MAX_SERIES: usize = 500;
/// Most deliveries that wait.
pub(crate) const MAX_WAITING: usize = 100;

/// The state of one alert, as JSON in the document of its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What was sent about each series: by region, kind and subject.
    pub series: BTreeMap<String, Sent>,
    /// Deliveries that are not done, by their id.
    pub waiting: BTreeMap<String, Delivery>,
    /// Start of the last day whose digest was sent, in milliseconds.
    pub daily_ms: Option<i64>,
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Deliveries that were given up.
    pub failed: u64,
    /// Messages that were left out, because too many were waiting.
    pub skipped: u64,
    /// When something was delivered last, in milliseconds.
    pub delivered_ms: Option<i64>,
    /// What was given up last, and why.
    pub problem: Option<Problem>,
}

/// The last message about a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Id of the event.
    pub event: String,
    /// When the message was made, in milliseconds.
    pub at_ms: i64,
    /// Score of the event then, in thousandths.
    pub score_milli: i64,
    /// How many messages there were about the event.
    pub messages: u64,
    /// Whether it was over then, or its end was sent.
    pub is_over: bool,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// An event that is news.
    New {
        /// The event as it was.
        event: Box<Event>,
    },
    /// An event that has become much stronger.
    Stronger {
        /// The event as it was.
        event: Box<Event>,
    },
    /// An event that is over.
    Over {
        /// The event as it was.
        event: Box<Event>,
    },
    /// The digest of a day.
    Daily {
        /// Start of the day, in milliseconds.
        day_ms: i64,
    },
    /// A test of the channels.
    Test {
        /// A made-up event.
        event: Box<Event>,
    },
}

impl Message {
    /// The name in webhooks: `new`, `stronger`, `over`, `daily` or `test`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::New { .. } => "new",
            Self::Stronger { .. } => "stronger",
            Self::Over { .. } => "over",
            Self::Daily { .. } => "daily",
            Self::Test { .. } => "test",
        }
    }

    /// The event that it is about.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::New { event } | Self::Stronger { event } | Self::Over { event } | Self::Test { event } => Some(event),
            Self::Daily { .. } => None,
        }
    }
}

/// A way by which messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// HTTP requests.
    Webhook,
    /// Mail.
    Email,
    /// The topic on AWS.
    Sns,
    /// The log.
    Log,
}

impl Channel {
    /// The name in the regions file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Sns => "sns",
            Self::Log => "log",
        }
    }
}

/// One message on its way by one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The channel.
    pub channel: Channel,
    /// The message.
    pub message: Message,
    /// When the message was made, in milliseconds.
    pub made_ms: i64,
    /// Tries that were started.
    #[serde(default)]
    pub tries: u32,
    /// When it is tried next, in milliseconds: after a failure, or when a try has ended without a word.
    pub next_ms: i64,
}

/// Why a delivery was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Id of the delivery.
    pub delivery: String,
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Why the last try failed. Names no address and no secret.
    pub reason: String,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The receiver has it.
    Delivered,
    /// It failed.
    Failed {
        /// Why, without addresses and secrets.
        reason: String,
        /// The receiver wants no other try before this many milliseconds.
        wait_ms: Option<i64>,
    },
}

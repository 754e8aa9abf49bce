//! Alerts: which events are worth a message, and where it goes. No secret is in them: addresses and keys that are secret
//! are names of environment variables.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::event::text::{Language, UtcOffset};
use crate::trend::Sensitivity;

/// Most alerts of a regions file.
pub const MAX_ALERTS: usize = 50;

/// A time of the day in which nothing is sent; it may go over midnight. In minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First minute of the day.
    pub from: u16,
    /// First minute after it.
    pub to: u16,
}

impl QuietHours {
    /// Whether a minute of the day belongs to it.
    #[must_use]
    pub fn contains(self, minute: u16) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// A text of the regions file, or the name of an environment variable that has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Value {
    /// The text itself. No secret.
    Plain(String),
    /// Written `$NAME`.
    Variable(String),
}

impl Value {
    /// The name of the environment variable, if it is one.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Variable(name) => Some(name),
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        match text.strip_prefix('$') {
            Some(name) => Self::Variable(name.to_owned()),
            None => Self::Plain(text),
        }
    }
}

impl From<Value> for String {
    fn from(value: Value) -> Self {
        match value {
            Value::Plain(text) => text,
            Value::Variable(name) => format!("${name}"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.clone()))
    }
}

/// HTTP requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Address, `http` or `https`.
    pub url: Value,
    /// Key of the signature; always the name of a variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Value>,
}

/// Mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// Receivers.
    pub to: Vec<String>,
    /// Sender.
    pub from: String,
    /// Server: `smtp://HOST:PORT` or `smtps://USER:PASSWORD@HOST`.
    pub smtp: Value,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Short name for machines.
    pub id: String,
    /// Ids of regions; all of them when empty.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Kinds of events.
    pub kinds: Vec<EventKind>,
    /// How unusual rising hashtags and hosts, and spikes, must be.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// Least posts: observed ones, and usual ones for a drop or silence.
    #[serde(default)]
    pub minimum: u64,
    /// When nothing is sent.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    /// Times of the day are those of the clocks there.
    #[serde(default)]
    pub time_zone: UtcOffset,
    /// Least time between two messages about the same kind of event of the same series, in milliseconds.
    pub cool_down_ms: i64,
    /// Whether the end of an event is sent, too.
    #[serde(default)]
    pub resolved: bool,
    /// Language of the texts.
    #[serde(default)]
    pub language: Language,
    /// Minute of the day at which the digest of the day before is sent.
    #[serde(default)]
    pub daily: Option<u16>,
    /// Channel: HTTP requests.
    #[serde(default)]
    pub webhook: Option<Webhook>,
    /// Channel: mail.
    #[serde(default)]
    pub email: Option<Email>,
    /// Channel: the topic of the deployment on AWS.
    #[serde(default)]
    pub sns: bool,
    /// Channel: the log of the program.
    #[serde(default)]
    pub log: bool,
}

impl Default for Alert {
    /// Without a channel.
    fn default() -> Self {
        Self {
            id: String::new(),
            regions: vec![],
            kinds: vec![EventKind::Rising, EventKind::Spike, EventKind::Drop, EventKind::Silence],
            sensitivity: Sensitivity::Balanced,
            minimum: 0,
            quiet_hours: None,
            time_zone: UtcOffset::UTC,
            cool_down_ms: 7_200_000,
            resolved: false,
            language: Language::English,
            daily: None,
            webhook: None,
            email: None,
            sns: false,
            log: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let night = QuietHours { from: 22 * 60, to: 7 * 60 };
        assert_eq!(
            [21 * 60 + 59, 22 * 60, 0, 419, 420].map(|minute| night.contains(minute)),
            [false, true, true, true, false]
        );
        let noon = QuietHours { from: 720, to: 780 };
        assert_eq!([719, 720, 779, 780].map(|minute| noon.contains(minute)), [false, true, true, false]);
    }

    #[test]
    fn what_is_published_comes_back() {
        let alert = Alert {
            id: "city".into(),
            daily: Some(420),
            webhook: Some(Webhook { url: Value::Variable("HOOK".into()), secret: Some(Value::Variable("KEY".into())) }),
            quiet_hours: Some(QuietHours { from: 1, to: 2 }),
            time_zone: UtcOffset::parse("+02:00").unwrap(),
            ..Alert::default()
        };
        let text = serde_json::to_string(&alert).unwrap();
        assert!(text.contains("\"$HOOK\"") && text.contains("\"+02:00\""), "{text}");
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), alert);
    }
}

//! Messages in words, and as the JSON of webhooks.

use birdsong_domain::alert::Alert;
use birdsong_domain::event::text::{self, Language, Style};
use birdsong_domain::event::{Carrier, Event, EventKind, Subject};
use birdsong_domain::lane::STREAM;
use birdsong_domain::region::Region;
use birdsong_domain::time::rfc3339;
use serde_json::{Value, json};

use crate::read::Day;
use crate::state::Message;

/// A message, ready for each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// [`Message::name`].
    pub message: &'static str,
    /// One line.
    pub title: String,
    /// The rest, in whole sentences.
    pub summary: String,
    /// The view of the dashboard, if its address is known.
    pub link: Option<String>,
    region: Option<(String, String)>,
    event: Option<Event>,
}

/// Writes a message in the language of the alert. `day` is there for a daily digest.
#[must_use]
pub fn write(
    alert: &Alert,
    message: &Message,
    region: Option<&Region>,
    day: Option<&Day>,
    public_url: &str,
    made_ms: i64,
) -> Written {
    let place = region.map_or("", |region| &*region.name);
    let style = Style { offset: alert.time_zone, now_ms: Some(made_ms), ..Style::new(alert.language, place) };
    let is_french = alert.language == Language::French;
    let event = message.event();
    let (title, summary) = match (message, event) {
        (Message::Over { .. }, Some(event)) => (style.headline_over(event), style.text(event).summary()),
        (Message::Stronger { .. }, Some(event)) => {
            let word = if is_french { "Encore plus fort\u{a0}: " } else { "Even stronger: " };
            (format!("{word}{}", style.headline(event)), style.text(event).summary())
        }
        (Message::Test { .. }, Some(event)) => {
            let word = if is_french { "Essai\u{a0}: " } else { "Test: " };
            let note = if is_french {
                "Ceci est un essai, rien ne s’est produit."
            } else {
                "This is a test; nothing happened."
            };
            (format!("{word}{}", style.headline(event)), format!("{note} {}", style.text(event).summary()))
        }
        (_, Some(event)) => (style.headline(event), style.text(event).summary()),
        (_, None) => {
            let text = day.map(|day| day.text(&style)).unwrap_or_default();
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            (format!("Birdsong, {first}"), rest.trim().to_owned())
        }
    };
    let link = match (event, message) {
        _ if public_url.is_empty() => None,
        (Some(event), _) => Some(text::link(public_url, event)),
        (None, Message::Daily { day_ms }) => {
            let (from_ms, to_ms) = alert.time_zone.day_of(*day_ms);
            Some(text::view(public_url, None, from_ms, to_ms))
        }
        (None, _) => None,
    };
    let region = event
        .filter(|event| event.region != STREAM)
        .map(|event| (event.region.clone(), if place.is_empty() { event.region.clone() } else { place.to_owned() }));
    Written { message: message.name(), title, summary, link, region, event: event.cloned() }
}

impl Written {
    /// Plain text of all, for mail and topics.
    #[must_use]
    pub fn plain(&self) -> String {
        let parts = [Some(&self.title), Some(&self.summary), self.link.as_ref()];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        parts.map(|part| format!("{part}\n")).collect::<Vec<_>>().join("\n")
    }

    /// The body of a webhook. `text` is what Slack and those that follow it show; in it, `&`, `<` and `>` are escaped as
    /// they want it, so that no text from outside is a link or calls everybody.
    #[must_use]
    pub fn json(&self, alert: &str, delivery: &str) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let mut text = escaped(&self.title);
        for part in [Some(&self.summary), self.link.as_ref()].into_iter().flatten().filter(|part| !part.is_empty()) {
            text.push('\n');
            text.push_str(&escaped(part));
        }
        let region = self.region.as_ref().map(|(id, name)| json!({ "id": id, "name": name }));
        let event = self.event.as_ref().and_then(|event| serde_json::to_value(event).ok()).map(with_times);
        json!({
            "text": text,
            "message": self.message,
            "title": self.title,
            "summary": self.summary,
            "event": event,
            "region": region,
            "link": self.link,
            "alert": alert,
            "delivery": delivery,
        })
        .to_string()
    }
}

/// The event with its times for people who read JSON.
fn with_times(mut event: Value) -> Value {
    for (field, name) in [("start_ms", "start"), ("end_ms", "end"), ("peak_ms", "peak")] {
        if let Some(time_ms) = event[field].as_i64() {
            event[name] = rfc3339(time_ms).into();
        }
    }
    event
}

/// A made-up event, for tests of the channels.
#[must_use]
pub fn sample(region: &str, now_ms: i64) -> Event {
    let start_ms = now_ms - now_ms.rem_euclid(300_000) - 900_000;
    let tag = |text: &str| Subject::Hashtag { key: text.to_lowercase(), shown: text.to_owned() };
    Event {
        end_ms: start_ms + 900_000,
        is_open: true,
        peak_ms: start_ms + 900_000,
        observed: 31,
        span_ms: 900_000,
        expected_milli: 4_000,
        low_milli: 2_000,
        high_milli: 7_000,
        score_milli: 12_000,
        level_milli: 14_000,
        season_milli: 12_000,
        authors: Some(24),
        top_author_permille: Some(65),
        carriers: vec![Carrier { subject: tag("Test"), observed: 18, expected_milli: 1_500 }],
        baseline_days: 7,
        ..Event::new(region, EventKind::Rising, tag("Birdsong"), start_ms)
    }
}

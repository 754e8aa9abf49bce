//! Events in words, in English and French: for alerts, feeds and the daily digest.
//!
//! ```
//! use birdsong_domain::event::text::{Language, Style};
//! use birdsong_domain::event::{Event, EventKind, Subject};
//!
//! let tag = Subject::Hashtag { key: "goal".into(), shown: "Goal".into() };
//! let start_ms = 1_700_000_100_000;
//! let event = Event {
//!     is_open: true,
//!     observed: 31,
//!     span_ms: 900_000,
//!     expected_milli: 4_000,
//!     ..Event::new("montreal", EventKind::Rising, tag, start_ms)
//! };
//! let style = Style { now_ms: Some(start_ms), ..Style::new(Language::English, "Montréal") };
//! assert_eq!(
//!     style.headline(&event),
//!     "Montréal: #Goal, 31 posts in 15 minutes, usually 4, 7.8×, since 22:15 UTC"
//! );
//! let style = Style { language: Language::French, ..style };
//! assert_eq!(
//!     style.headline(&event).replace(['\u{a0}', '\u{202f}'], " "),
//!     "Montréal : #Goal, 31 publications en 15 minutes contre 4 d’habitude (7,8×), depuis 22 h 15 UTC"
//! );
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Carrier, Event, EventKind, GapReason, Subject};
use crate::lane::STREAM;
use crate::network::Network;
use crate::printable::printable;
use crate::time::rfc3339;
use crate::trend::Sensitivity;

/// Most events of a region that a daily digest lists.
const MAX_DAILY_EVENTS: usize = 10;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A language that texts are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// French.
    #[serde(rename = "fr")]
    French,
}

impl Language {
    /// The code: `en` or `fr`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// Reads what [`Language::code`] wrote.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::English, Self::French].into_iter().find(|language| language.code() == code)
    }
}

/// A fixed offset from UTC, in minutes, at most 14 hours either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct UtcOffset(i16);

/// A text that is no offset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an offset is UTC, or a sign, hours and minutes up to 14:00, such as +02:00 or -03:30, not {0:?}")]
pub struct BadOffset(String);

impl UtcOffset {
    /// UTC itself.
    pub const UTC: Self = Self(0);

    /// Reads `UTC`, `Z`, `+02:00` or `-03:30`.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, BadOffset> {
        let bad = || BadOffset(text.chars().take(40).collect());
        if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") {
            return Ok(Self::UTC);
        }
        let (sign, clock) = match text.as_bytes().first() {
            Some(b'+') => (1, &text[1..]),
            Some(b'-') => (-1, &text[1..]),
            _ => return Err(bad()),
        };
        let minutes = parse_clock(clock).filter(|minutes| *minutes <= 14 * 60).ok_or_else(bad)?;
        Ok(Self(sign * i16::try_from(minutes).map_err(|_| bad())?))
    }

    /// A time as the clocks there show it, in milliseconds.
    #[must_use]
    pub fn local_ms(self, time_ms: i64) -> i64 {
        time_ms.saturating_add(i64::from(self.0) * MINUTE_MS)
    }

    /// The time when the clocks there show this one.
    #[must_use]
    pub fn utc_ms(self, local_ms: i64) -> i64 {
        local_ms.saturating_sub(i64::from(self.0) * MINUTE_MS)
    }

    /// Start and end of the day there that contains a time, in milliseconds.
    #[must_use]
    pub fn day_of(self, time_ms: i64) -> (i64, i64) {
        let local_ms = self.local_ms(time_ms);
        let start_ms = self.utc_ms(local_ms - local_ms.rem_euclid(DAY_MS));
        (start_ms, start_ms.saturating_add(DAY_MS))
    }

    /// For people: `UTC`, `UTC+2`, `UTC-3:30`.
    fn shown(self) -> String {
        let minutes = self.0.unsigned_abs();
        let sign = if self.0 < 0 { '−' } else { '+' };
        match (minutes / 60, minutes % 60) {
            (0, 0) => "UTC".to_owned(),
            (hours, 0) => format!("UTC{sign}{hours}"),
            (hours, rest) => format!("UTC{sign}{hours}:{rest:02}"),
        }
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs());
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl From<UtcOffset> for String {
    fn from(offset: UtcOffset) -> Self {
        offset.to_string()
    }
}

impl TryFrom<String> for UtcOffset {
    type Error = BadOffset;
    fn try_from(text: String) -> Result<Self, BadOffset> {
        Self::parse(&text)
    }
}

/// Reads `07:30` as minutes; up to `23:59`.
#[must_use]
pub fn parse_clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| -> Option<u16> {
        (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// How texts are written.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// The language.
    pub language: Language,
    /// Times are those of the clocks there.
    pub offset: UtcOffset,
    /// Name of the region for people. Not used for what happened to the collection of all regions.
    pub place: &'a str,
    /// Times on the day of this one are without a date, those of its year without a year; in milliseconds. `None` is that
    /// each time has both.
    pub now_ms: Option<i64>,
    /// Whether times name their offset.
    pub has_zone: bool,
}

/// An event in words. Each text but the headline is one or more whole sentences; it is empty where there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Where, what, compared with what, since when.
    pub headline: String,
    /// How sure it is that this is unusual, or why it is a fact.
    pub certainty: String,
    /// Who posted.
    pub authors: String,
    /// The hashtags and hosts that carry it.
    pub carriers: String,
    /// What is not known.
    pub unknown: String,
}

impl Text {
    /// All but the headline, as one paragraph.
    #[must_use]
    pub fn summary(&self) -> String {
        let parts = [&self.certainty, &self.authors, &self.carriers, &self.unknown];
        parts.into_iter().filter(|part| !part.is_empty()).map(|part| &**part).collect::<Vec<_>>().join(" ")
    }
}

/// What a daily digest says about a region.
#[derive(Clone, Copy, Debug, Default)]
pub struct DailyRegion<'a> {
    /// Name for people.
    pub name: &'a str,
    /// Posts of the day; `None` when they cannot be read.
    pub posts: Option<u64>,
    /// Whether posts are missing from that.
    pub is_lower_bound: bool,
    /// The events and notes of the day, in any order.
    pub events: &'a [Event],
}

impl<'a> Style<'a> {
    /// Texts about a region, with dates and UTC.
    #[must_use]
    pub fn new(language: Language, place: &'a str) -> Self {
        Self { language, offset: UtcOffset::UTC, place, now_ms: None, has_zone: true }
    }

    /// The event in words.
    #[must_use]
    pub fn text(&self, event: &Event) -> Text {
        Text {
            headline: self.headline(event),
            certainty: self.certainty(event),
            authors: self.authors(event),
            carriers: self.carriers(event),
            unknown: self.unknown(event),
        }
    }

    /// Where, what, compared with what, since when; in one line.
    #[must_use]
    pub fn headline(&self, event: &Event) -> String {
        let colon = self.pick(": ", "\u{a0}: ");
        match self.series(event) {
            Some(series) => format!("{}, {series}{colon}{}", self.place_of(event), self.news(event)),
            None => format!("{}{colon}{}", self.place_of(event), self.news(event)),
        }
    }

    /// The same for an event that is over: that it is, and how long it lasted.
    #[must_use]
    pub fn headline_over(&self, event: &Event) -> String {
        let lasted = self.duration((event.end_ms - event.start_ms).max(0));
        match self.language {
            Language::English => format!("Over after {lasted}: {}", self.headline(event)),
            Language::French => format!("Terminé après {lasted}\u{a0}: {}", self.headline(event)),
        }
    }

    /// The kind of an event as a noun, such as for a category.
    #[must_use]
    pub fn kind(&self, kind: EventKind) -> &'static str {
        let (english, french) = match kind {
            EventKind::Rising => ("rising", "en hausse"),
            EventKind::Spike => ("spike", "pic"),
            EventKind::Drop => ("drop", "baisse"),
            EventKind::Silence => ("silence", "silence"),
            EventKind::Gap => ("gap", "lacune"),
            EventKind::Sampled => ("sample", "échantillon"),
            EventKind::Restart => ("restart", "redémarrage"),
            EventKind::Revision => ("correction", "correction"),
            EventKind::Note => ("note", "note"),
        };
        self.pick(english, french)
    }

    fn pick<T>(&self, english: T, french: T) -> T {
        match self.language {
            Language::English => english,
            Language::French => french,
        }
    }

    fn place_of<'e>(&self, event: &'e Event) -> Cow<'e, str>
    where
        'a: 'e,
    {
        if event.region == STREAM {
            return Cow::Borrowed(self.pick("All regions", "Toutes les régions"));
        }
        let place = if self.place.is_empty() { &*event.region } else { self.place };
        printable(place)
    }

    /// What the headline names beside the place.
    fn series(&self, event: &Event) -> Option<Cow<'static, str>> {
        match &event.subject {
            Subject::Network { network } => Some(self.network(*network)),
            _ => None,
        }
    }

    fn network(&self, network: Network) -> Cow<'static, str> {
        match network {
            Network::X => "X".into(),
            Network::BLUESKY => "Bluesky".into(),
            Network::MASTODON => "Mastodon".into(),
            Network::DEMO => self.pick("demo", "démo").into(),
            Network::WEB => self.pick("web sites", "sites web").into(),
            other => other.to_string().into(),
        }
    }

    fn subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Region => self.pick("all posts", "toutes les publications").to_owned(),
            Subject::Network { network } => self.network(*network).into_owned(),
            Subject::Hashtag { .. } => printable(&subject.to_string()).into_owned(),
            Subject::Host { host } => {
                let host = printable(host);
                self.pick(format!("links to {host}"), format!("liens vers {host}"))
            }
        }
    }

    /// The headline without the place.
    fn news(&self, event: &Event) -> String {
        let what = match &event.subject {
            Subject::Region | Subject::Network { .. } => String::new(),
            subject => format!("{}, ", self.subject(subject)),
        };
        match event.kind {
            EventKind::Rising | EventKind::Spike => {
                let factor = event.factor_milli().map(|factor| self.factor(factor));
                let usual = match factor {
                    _ if event.is_new => {
                        self.pick(", not seen in the days before", ", jamais vu les jours précédents").into()
                    }
                    None => self.pick(", usually none", " contre aucune d’habitude").into(),
                    Some(factor) => {
                        let usual = self.milli(event.expected_milli);
                        self.pick(
                            format!(", usually {usual}, {factor}"),
                            format!(" contre {usual} d’habitude ({factor})"),
                        )
                    }
                };
                format!("{what}{}{usual}, {}", self.posts_in(event), self.when(event))
            }
            EventKind::Drop => {
                let only = if event.observed == 0 { "" } else { self.pick("only ", "seulement ") };
                let usual = self.milli(event.expected_milli);
                let percent = fewer_percent(event);
                let fewer = match percent {
                    0 => String::new(),
                    _ => self.pick(format!(", {percent}% fewer"), format!(" (−{percent}\u{a0}%)")),
                };
                let usual = self.pick(format!(", usually {usual}"), format!(" contre {usual} d’habitude"));
                format!("{what}{only}{}{usual}{fewer}, {}", self.posts_in(event), self.when(event))
            }
            EventKind::Silence => {
                let (usual, when) = (self.milli(event.expected_milli), self.when(event));
                let span = self.duration(event.span_ms);
                match self.language {
                    Language::English => format!("{what}no posts {when}, usually {usual} in {span}"),
                    Language::French => format!("{what}aucune publication {when}, contre {usual} en {span} d’habitude"),
                }
            }
            EventKind::Gap => {
                let when = self.when(event);
                let missing = match (self.language, event.is_open) {
                    (Language::English, true) => "posts have been missing",
                    (Language::English, false) => "posts are missing",
                    (Language::French, _) => "des publications manquent",
                };
                format!("{what}{missing} {when}")
            }
            EventKind::Sampled => {
                let share = event.sampled_permille.map(|share| self.percent(share));
                let when = self.when(event);
                let what_came = match (self.language, share, event.is_open) {
                    (Language::English, Some(share), true) => format!("only {share} of the posts have been requested"),
                    (Language::English, Some(share), false) => format!("only {share} of the posts were requested"),
                    (Language::English, None, true) => "only a share of the posts has been requested".into(),
                    (Language::English, None, false) => "only a share of the posts was requested".into(),
                    (Language::French, Some(share), _) => format!("{share} seulement des publications demandées"),
                    (Language::French, None, _) => "une partie seulement des publications demandées".into(),
                };
                format!("{what}{what_came} {when}")
            }
            EventKind::Restart => {
                let at = Event { is_open: false, end_ms: event.start_ms, ..event.clone() };
                format!("{} {}", self.pick("collection restarted", "la collecte a redémarré"), self.when(&at))
            }
            EventKind::Revision => {
                let when = self.when(&Event { is_open: false, ..event.clone() });
                format!("{what}{} {when}", self.pick("counts corrected", "chiffres corrigés"))
            }
            EventKind::Note => printable(event.text.as_deref().unwrap_or_default()).into_owned(),
        }
    }

    fn posts_in(&self, event: &Event) -> String {
        let posts = self.posts(event.observed);
        match event.span_ms {
            ..=0 => posts,
            span_ms => format!("{posts} {} {}", self.pick("in", "en"), self.duration(span_ms)),
        }
    }

    fn certainty(&self, event: &Event) -> String {
        let windows = self.windows(event.windows);
        let say = |english: &str, french: &str| self.pick(english, french).to_owned();
        match event.kind {
            EventKind::Rising | EventKind::Spike | EventKind::Drop | EventKind::Silence => {
                let mut sentences = vec![self.score(event), self.range(event)];
                if event.kind == EventKind::Silence {
                    sentences.push(say(
                        "Its sources were connected all the time.",
                        "Ses sources étaient pourtant connectées.",
                    ));
                }
                sentences.retain(|sentence| !sentence.is_empty());
                sentences.join(" ")
            }
            EventKind::Gap => {
                let reason = match event.reason {
                    Some(GapReason::Unwatched) => say("No streamer was running.", "Aucune collecte n’était en marche."),
                    Some(GapReason::Missed) => say(
                        "A source was not connected, and what was posted meanwhile cannot be fetched any more.",
                        "Une source n’était pas connectée, et les publications de ce temps ne peuvent plus être récupérées.",
                    ),
                    Some(GapReason::Lost) => say(
                        "Posts were dropped, or a source did not deliver them.",
                        "Des publications ont été abandonnées, ou une source ne les a pas livrées.",
                    ),
                    Some(GapReason::Damaged) => {
                        say("Stored data is damaged.", "Des données enregistrées sont endommagées.")
                    }
                    None => say("The reason is not known.", "La raison n’est pas connue."),
                };
                match event.windows {
                    0 => reason,
                    1 => format!(
                        "{reason} {}",
                        self.pick(
                            "The count of one window is a lower bound.",
                            "Le compte d’une fenêtre est un minimum."
                        )
                    ),
                    _ => self.pick(
                        format!("{reason} The counts of {windows} are lower bounds."),
                        format!("{reason} Les comptes de {windows} sont des minimums."),
                    ),
                }
            }
            EventKind::Sampled => say(
                "The counts are those of a sample, so the true numbers are higher.",
                "Les comptes sont ceux d’un échantillon\u{a0}; les vrais nombres sont plus élevés.",
            ),
            EventKind::Restart => say(
                "A streamer started again. Posts that may be missing are reported as a gap.",
                "Un collecteur a redémarré. Les publications qui pourraient manquer sont signalées comme lacune.",
            ),
            EventKind::Revision => {
                let changed = match (event.windows, self.language) {
                    (0, Language::English) => "Counts changed after they were final".into(),
                    (0, Language::French) => "Des comptes définitifs ont changé".into(),
                    (1, Language::English) => "One window changed after it was final".into(),
                    (1, Language::French) => "Une fenêtre définitive a changé".into(),
                    (_, Language::English) => format!("{} changed after they were final", capitalized(&windows)),
                    (_, Language::French) => format!("{} définitives ont changé", capitalized(&windows)),
                };
                let late = match (event.late, self.language) {
                    (0, _) => String::new(),
                    (late, Language::English) => format!(", by {} that came late", self.posts(late)),
                    (1, Language::French) => format!(", par {} arrivée en retard", self.posts(1)),
                    (late, Language::French) => format!(", par {} arrivées en retard", self.posts(late)),
                };
                format!("{changed}{late}.")
            }
            EventKind::Note => {
                let when = self.when(&Event { is_open: false, ..event.clone() });
                format!("Note, {when}.")
            }
        }
    }

    /// How clear it is, against both baselines.
    fn score(&self, event: &Event) -> String {
        if event.score_milli == 0 {
            return String::new();
        }
        let is_from = |sensitivity: Sensitivity| event.score_milli.saturating_abs() >= sensitivity.theta_milli();
        let clear = if is_from(Sensitivity::Strict) {
            self.pick("Very clear", "Très net")
        } else if is_from(Sensitivity::Balanced) {
            self.pick("Clear", "Net")
        } else {
            self.pick("Less clear", "Moins net")
        };
        let is_less = matches!(event.kind, EventKind::Drop | EventKind::Silence);
        let away = match (self.language, is_less) {
            (Language::English, false) => "above",
            (Language::English, true) => "below",
            (Language::French, false) => "au-dessus",
            (Language::French, true) => "au-dessous",
        };
        let times = |milli: i64| self.milli(milli.unsigned_abs());
        let colon = self.pick(": ", "\u{a0}: ");
        let days = match (event.baseline_days, self.language) {
            (0, _) => String::new(),
            (1, Language::English) => " (1 day compared)".into(),
            (1, Language::French) => " (1 jour comparé)".into(),
            (days, Language::English) => format!(" ({} days compared)", self.count(days)),
            (days, Language::French) => format!(" ({} jours comparés)", self.count(days)),
        };
        let level = match self.language {
            Language::English => format!("{away} the level of recent days"),
            Language::French => format!("{away} du niveau des derniers jours"),
        };
        let season = match self.language {
            Language::English => format!("{away} the same time of other days"),
            Language::French => format!("{away} de la même heure des autres jours"),
        };
        let usual = self.pick("times the usual variation", "fois la variation habituelle");
        let and = self.pick(", and", ", et");
        let said = match (event.level_milli, event.season_milli) {
            (0, 0) => format!("{} {usual} {level}", times(event.score_milli)),
            (0, by) => format!("{} {usual} {season}", times(by)),
            (by, 0) => format!("{} {usual} {level}", times(by)),
            (a, b) => {
                let (a, b) = (times(a), times(b));
                let word = self.pick("times", "fois");
                format!("{a} {usual} {level}{and} {b} {word} {season}")
            }
        };
        format!("{clear}{colon}{said}{days}.")
    }

    /// What is usual on four of five days.
    fn range(&self, event: &Event) -> String {
        if event.high_milli == 0 || event.high_milli < event.low_milli {
            return String::new();
        }
        let (low, high) = (whole(event.low_milli), whole(event.high_milli));
        let (from, to) = (self.count(low), self.posts(high));
        match (self.language, low == high) {
            (Language::English, true) => format!("On four of five days there are about {to}."),
            (Language::English, false) => format!("On four of five days there are {from} to {to}."),
            (Language::French, true) => format!("Quatre jours sur cinq, on en attend environ {}.", self.count(high)),
            (Language::French, false) => {
                format!("Quatre jours sur cinq, on en attend de {from} à {}.", self.count(high))
            }
        }
    }

    fn authors(&self, event: &Event) -> String {
        if !event.kind.is_comparison() || event.observed == 0 {
            return String::new();
        }
        let Some(authors) = event.authors else { return String::new() };
        let text = match (self.language, authors) {
            (Language::English, 1) => "One author".to_owned(),
            (Language::French, 1) => "Un seul auteur".to_owned(),
            (Language::English, n) => format!("About {} authors", self.count(n)),
            (Language::French, n) => format!("Environ {} auteurs", self.count(n)),
        };
        match event.top_author_permille.filter(|_| authors > 1).map(|share| self.percent(share)) {
            None => format!("{text}."),
            Some(share) => self.pick(
                format!("{text}, none of whom wrote more than {share} of the posts."),
                format!("{text}\u{a0}; aucun n’a écrit plus de {share} des publications."),
            ),
        }
    }

    fn carriers(&self, event: &Event) -> String {
        if event.carriers.is_empty() || !matches!(event.kind, EventKind::Rising | EventKind::Spike) {
            return match event.kind {
                EventKind::Spike => {
                    self.pick("No hashtag and no link stands out.", "Aucun hashtag ni lien ne ressort.").to_owned()
                }
                _ => String::new(),
            };
        }
        let carrier = |carrier: &Carrier| {
            let usual = match carrier.expected_milli {
                0 => self.pick("usually none", "aucune d’habitude").to_owned(),
                milli => {
                    let usual = self.milli(milli);
                    self.pick(format!("usually {usual}"), format!("{usual} d’habitude"))
                }
            };
            let (name, posts) = (self.subject(&carrier.subject), self.posts(carrier.observed));
            self.pick(format!("{name} (at least {posts}, {usual})"), format!("{name} (au moins {posts}, {usual})"))
        };
        let list = self.list(&event.carriers.iter().map(carrier).collect::<Vec<_>>());
        self.pick(format!("Carried above all by {list}."), format!("Porté surtout par {list}."))
    }

    fn unknown(&self, event: &Event) -> String {
        if !event.kind.is_comparison() {
            return String::new();
        }
        let mut sentences: Vec<Cow<'_, str>> = vec![];
        let mut say = |english: &'static str, french: &'static str| sentences.push(self.pick(english, french).into());
        let is_more = matches!(event.kind, EventKind::Rising | EventKind::Spike);
        match (event.authors, event.top_author_permille) {
            (None, _) if is_more => {
                say("Not known: how many people posted.", "On ne sait pas combien de personnes ont publié.")
            }
            (Some(2..), None) if is_more => say(
                "Not known: how much the most active author wrote.",
                "On ne sait pas combien a écrit l’auteur le plus actif.",
            ),
            _ => (),
        }
        if matches!(event.subject, Subject::Hashtag { .. } | Subject::Host { .. }) {
            say("The count is a lower bound.", "Le compte est un minimum.");
        }
        if event.baseline_days == 0 {
            say(
                "There is no baseline yet, so what is usual is an estimate.",
                "Il n’y a pas encore de référence\u{a0}: l’habitude est une estimation.",
            );
        }
        if event.missing_permille > 0 {
            let share = self.percent(event.missing_permille);
            sentences.push(
                self.pick(
                    format!("{share} of the windows compared with are missing."),
                    format!("{share} des fenêtres de comparaison manquent."),
                )
                .into(),
            );
        }
        if let Some(share) = event.sampled_permille.filter(|share| *share < 1000) {
            let share = self.percent(share);
            sentences.push(
                self.pick(
                    format!("The counts are those of a sample of {share}."),
                    format!("Les comptes sont ceux d’un échantillon de {share}."),
                )
                .into(),
            );
        }
        sentences.join(" ")
    }

    /// Since when, or from when to when.
    fn when(&self, event: &Event) -> String {
        let (start, end) = (self.local(event.start_ms), self.local(event.end_ms.max(event.start_ms)));
        let now = self.now_ms.map(|now_ms| self.local(now_ms));
        let has_date = now.is_none_or(|now| now.day != start.day || (!event.is_open && now.day != end.day));
        let zone = if self.has_zone { format!(" {}", self.offset.shown()) } else { String::new() };
        let (from, to) = (self.clock(start), self.clock(end));
        let date = |local: Local| self.date(local, now.is_none_or(|now| now.year != local.year));
        let is_point = event.end_ms <= event.start_ms;
        match (self.language, has_date) {
            (Language::English, false) if event.is_open => format!("since {from}{zone}"),
            (Language::English, false) if is_point => format!("at {from}{zone}"),
            (Language::English, false) => format!("from {from} to {to}{zone}"),
            (Language::English, true) if event.is_open => format!("since {from}{zone} on {}", date(start)),
            (Language::English, true) if is_point => format!("at {from}{zone} on {}", date(start)),
            (Language::English, true) if start.day == end.day => {
                format!("from {from} to {to}{zone} on {}", date(start))
            }
            (Language::English, true) => format!("from {from} on {} to {to}{zone} on {}", date(start), date(end)),
            (Language::French, false) if event.is_open => format!("depuis {from}{zone}"),
            (Language::French, false) if is_point => format!("à {from}{zone}"),
            (Language::French, false) => format!("de {from} à {to}{zone}"),
            (Language::French, true) if event.is_open => format!("depuis le {} à {from}{zone}", date(start)),
            (Language::French, true) if is_point => format!("le {} à {from}{zone}", date(start)),
            (Language::French, true) if start.day == end.day => format!("le {} de {from} à {to}{zone}", date(start)),
            (Language::French, true) => format!("du {} à {from} au {} à {to}{zone}", date(start), date(end)),
        }
    }

    fn local(&self, time_ms: i64) -> Local {
        let local_ms = self.offset.local_ms(time_ms);
        let text = rfc3339(local_ms);
        let number =
            |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        Local {
            day: local_ms.div_euclid(DAY_MS),
            year: number(0..4),
            month: number(5..7),
            day_of_month: number(8..10),
            hour: number(11..13),
            minute: number(14..16),
        }
    }

    fn clock(&self, Local { hour, minute, .. }: Local) -> String {
        match (self.language, minute) {
            (Language::English, _) => format!("{hour:02}:{minute:02}"),
            (Language::French, 0) => format!("{hour}\u{a0}h"),
            (Language::French, _) => format!("{hour}\u{a0}h\u{a0}{minute:02}"),
        }
    }

    fn date(&self, local: Local, has_year: bool) -> String {
        const ENGLISH: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        const FRENCH: [&str; 12] = [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ];
        let month = self.pick(ENGLISH, FRENCH)[(local.month.clamp(1, 12) - 1) as usize];
        let first = if local.day_of_month == 1 { self.pick("", "er") } else { "" };
        let year = if has_year { format!(" {}", local.year) } else { String::new() };
        format!("{}{first} {month}{year}", local.day_of_month)
    }

    fn weekday(&self, day: i64) -> &'static str {
        const ENGLISH: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
        const FRENCH: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];
        // 1970-01-01 was a Thursday.
        self.pick(ENGLISH, FRENCH)[(day + 3).rem_euclid(7) as usize]
    }

    /// `15 minutes`, `2 hours`, `1 hour 30 minutes`, `3 days`.
    fn duration(&self, ms: i64) -> String {
        let minutes = ms.max(0).div_euclid(MINUTE_MS);
        let unit = |n: i64, english: &str, french: &str| {
            let number = self.count(n.unsigned_abs());
            let word = self.pick(english, french);
            let is_plural = self.pick(n != 1, n >= 2);
            format!("{number} {word}{}", if is_plural { "s" } else { "" })
        };
        match (minutes / 60, minutes % 60) {
            (0, 0) if ms > 0 => unit(ms / 1000, "second", "seconde"),
            (0, rest) => unit(rest, "minute", "minute"),
            (hours, 0) if hours >= 48 && hours % 24 == 0 => unit(hours / 24, "day", "jour"),
            (hours, 0) => unit(hours, "hour", "heure"),
            (hours, rest) => match self.language {
                Language::English => format!("{} {}", unit(hours, "hour", ""), unit(rest, "minute", "")),
                Language::French => format!("{}\u{a0}h\u{a0}{rest:02}", self.count(hours.unsigned_abs())),
            },
        }
    }

    fn posts(&self, n: u64) -> String {
        match (self.language, n) {
            (Language::English, 0) => "no posts".into(),
            (Language::English, 1) => "1 post".into(),
            (Language::English, n) => format!("{} posts", self.count(n)),
            (Language::French, 0) => "aucune publication".into(),
            (Language::French, 1) => "1 publication".into(),
            (Language::French, n) => format!("{} publications", self.count(n)),
        }
    }

    fn windows(&self, n: u64) -> String {
        let number = self.count(n);
        match (self.language, n) {
            (Language::English, 1) => "1 window".into(),
            (Language::English, _) => format!("{number} windows"),
            (Language::French, 0 | 1) => format!("{number} fenêtre"),
            (Language::French, _) => format!("{number} fenêtres"),
        }
    }

    /// `7.8×`, `12×`.
    fn factor(&self, milli: u64) -> String {
        format!("{}×", self.milli(milli))
    }

    fn percent(&self, permille: u64) -> String {
        let text = if permille < 100 { self.milli(permille * 100) } else { self.count((permille + 5) / 10) };
        self.pick(format!("{text}%"), format!("{text}\u{a0}%"))
    }

    /// A whole number with its thousands apart.
    fn count(&self, n: u64) -> String {
        let digits = n.to_string();
        let mut text = String::with_capacity(digits.len() * 2);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(self.pick(',', '\u{202f}'));
            }
            text.push(digit);
        }
        text
    }

    /// A number in thousandths: one decimal below 10, none above.
    fn milli(&self, milli: u64) -> String {
        let tenths = milli.saturating_add(50) / 100;
        match tenths {
            0 if milli > 0 => self.pick("less than 0.1".to_owned(), "moins de 0,1".to_owned()),
            ..100 if !tenths.is_multiple_of(10) => format!("{}{}{}", tenths / 10, self.pick('.', ','), tenths % 10),
            _ => self.count(whole(milli)),
        }
    }

    fn list(&self, items: &[String]) -> String {
        match items {
            [] => String::new(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} {} {last}", first.join(", "), self.pick("and", "et")),
        }
    }

    /// What happened on a day in all regions: totals, the biggest events by score, notes, and what is missing. `day_ms` is
    /// any time of that day. What happened to the collection of all regions is in `collection`.
    #[must_use]
    pub fn daily(&self, day_ms: i64, regions: &[DailyRegion<'_>], collection: &[Event]) -> String {
        let day = self.local(day_ms);
        let (weekday, date, zone) = (self.weekday(day.day), self.date(day, true), self.offset.shown());
        let mut out = self
            .pick(format!("{weekday} {date} ({zone})\n\n"), format!("{} {date} ({zone})\n\n", capitalized(weekday)));
        let style = Self { now_ms: Some(day_ms), has_zone: false, ..*self };
        let mut sorted: Vec<_> = regions.iter().map(|region| (top_score(region.events), region)).collect();
        sorted.sort_by(|(a, ra), (b, rb)| b.cmp(a).then_with(|| ra.name.cmp(rb.name)));
        let is_quiet = |region: &DailyRegion<'_>| region.events.is_empty();
        out += &style.lead(&sorted);
        out.push('\n');
        for (_, region) in sorted.iter().filter(|(_, region)| !is_quiet(region)) {
            out += &format!("\n{}\n", style.total(region));
            out += &style.lines(region.events);
        }
        let quiet: Vec<_> =
            sorted.iter().filter(|(_, region)| is_quiet(region)).map(|(_, region)| style.brief(region)).collect();
        if !quiet.is_empty() && quiet.len() < regions.len() {
            let list = style.list(&quiet);
            out += &self.pick(format!("\nNothing unusual: {list}.\n"), format!("\nRien d’inhabituel\u{a0}: {list}.\n"));
        } else if !quiet.is_empty() {
            out += &format!("\n{}.\n", capitalized(&style.list(&quiet)));
        }
        if !collection.is_empty() {
            out += self.pick("\nAll regions\n", "\nToutes les régions\n");
            out += &style.lines(collection);
        }
        out
    }

    /// The first sentences of a daily digest.
    fn lead(&self, sorted: &[(i64, &DailyRegion<'_>)]) -> String {
        let events = |region: &DailyRegion<'_>| region.events.iter().filter(|event| event.kind.is_comparison()).count();
        let total: usize = sorted.iter().map(|(_, region)| events(region)).sum();
        let places = sorted.iter().filter(|(_, region)| events(region) > 0).count();
        let biggest = sorted.iter().find_map(|(score, region)| {
            let event =
                region.events.iter().find(|event| event.kind.is_comparison() && event.score_milli.abs() == *score)?;
            let style = Style { place: region.name, ..*self };
            let place = match style.series(event) {
                Some(series) => format!("{}, {series}", style.place_of(event)),
                None => style.place_of(event).into_owned(),
            };
            Some(format!("({place}){}{}", self.pick(": ", "\u{a0}: "), style.news(event)))
        });
        let number = |n: usize| self.count(n as u64);
        let (n, of) = (number(total), number(places));
        let Some(biggest) = biggest else {
            return match self.language {
                Language::English => "A quiet day: nothing unusual happened.".into(),
                Language::French => "Journée calme\u{a0}: rien d’inhabituel.".into(),
            };
        };
        match (self.language, total, places) {
            (Language::English, 1, _) => format!("One unusual event {biggest}."),
            (Language::English, _, 1) => format!("{n} unusual events in one region. The clearest {biggest}."),
            (Language::English, ..) => format!("{n} unusual events in {of} regions. The clearest {biggest}."),
            (Language::French, 1, _) => format!("Un événement inhabituel {biggest}."),
            (Language::French, _, 1) => {
                format!("{n} événements inhabituels dans une région. Le plus net {biggest}.")
            }
            (Language::French, ..) => {
                format!("{n} événements inhabituels dans {of} régions. Le plus net {biggest}.")
            }
        }
    }

    fn brief(&self, region: &DailyRegion<'_>) -> String {
        format!("{} ({})", printable(region.name), self.day_total(region))
    }

    fn total(&self, region: &DailyRegion<'_>) -> String {
        format!("{}{}{}", printable(region.name), self.pick(": ", "\u{a0}: "), self.day_total(region))
    }

    fn day_total(&self, region: &DailyRegion<'_>) -> String {
        match (region.posts, region.is_lower_bound) {
            (None, _) => self.pick("number of posts not known", "nombre de publications inconnu").into(),
            (Some(0), true) => {
                self.pick("no posts counted, some are missing", "aucune publication comptée, il en manque").into()
            }
            (Some(n), true) => format!("{} {}", self.pick("at least", "au moins"), self.posts(n)),
            (Some(n), false) => self.posts(n),
        }
    }

    /// Comparisons by score, then notes, then what is missing.
    fn lines(&self, events: &[Event]) -> String {
        let of = |wanted: fn(&Event) -> bool| -> Vec<&Event> { events.iter().filter(|event| wanted(event)).collect() };
        let mut found = of(|event| event.kind.is_comparison());
        found.sort_by_key(|event| (std::cmp::Reverse(event.score_milli.abs()), event.start_ms, &*event.id));
        let more = found.len().saturating_sub(MAX_DAILY_EVENTS);
        let mut out = String::new();
        for event in found.iter().take(MAX_DAILY_EVENTS) {
            let news = match self.series(event) {
                Some(series) => format!("{series}{}{}", self.pick(": ", "\u{a0}: "), self.news(event)),
                None => self.news(event),
            };
            out += &format!("- {}\n", capitalized(&news));
            if !event.carriers.is_empty() {
                out += &format!("  {}\n", self.carriers(event));
            }
        }
        match more {
            0 => (),
            1 => out += self.pick("- and one more\n", "- et un autre\n"),
            _ => {
                out += &self.pick(
                    format!("- and {} more\n", self.count(more as u64)),
                    format!("- et {} autres\n", self.count(more as u64)),
                )
            }
        }
        for kind in [EventKind::Note, EventKind::Gap, EventKind::Sampled, EventKind::Restart, EventKind::Revision] {
            let mut of_kind: Vec<_> = events.iter().filter(|event| event.kind == kind).collect();
            of_kind.sort_by_key(|event| (event.start_ms, &*event.id));
            for event in of_kind.iter().take(MAX_DAILY_EVENTS) {
                let news = match (kind, self.series(event)) {
                    (EventKind::Note, _) => {
                        let text = self.news(event);
                        let when = self.when(&Event { is_open: false, ..(*event).clone() });
                        format!("{}{}{text} ({when})", "Note", self.pick(": ", "\u{a0}: "))
                    }
                    (_, Some(series)) => format!("{series}{}{}", self.pick(": ", "\u{a0}: "), self.news(event)),
                    (_, None) => self.news(event),
                };
                out += &format!("- {}\n", capitalized(&news));
            }
            match of_kind.len().saturating_sub(MAX_DAILY_EVENTS) {
                0 => (),
                more => {
                    let (more, kind) = (self.count(more as u64), self.kind(kind));
                    out +=
                        &self.pick(format!("- and {more} more ({kind})\n"), format!("- et {more} de plus ({kind})\n"));
                }
            }
        }
        out
    }
}

/// Address of the dashboard's view of an event: its region, from an hour before it to an hour after it. `public_url` is the
/// address of the dashboard.
#[must_use]
pub fn link(public_url: &str, event: &Event) -> String {
    const MARGIN_MS: i64 = 3_600_000;
    let region = (event.region != STREAM).then_some(&*event.region);
    let (from_ms, to_ms) = (event.start_ms - MARGIN_MS, event.end_ms.max(event.start_ms) + MARGIN_MS);
    view(public_url, region, from_ms, to_ms)
}

/// Address of the dashboard's view of a region, or of all, and a time in milliseconds.
#[must_use]
pub fn view(public_url: &str, region: Option<&str>, from_ms: i64, to_ms: i64) -> String {
    let public_url = public_url.trim_end_matches('/');
    let region = region.map(|region| format!("region={region}&")).unwrap_or_default();
    format!("{public_url}/?{region}from={}&to={}", rfc3339(from_ms), rfc3339(to_ms))
}

/// A time as clocks show it.
#[derive(Clone, Copy, Debug)]
struct Local {
    day: i64,
    year: i64,
    month: i64,
    day_of_month: i64,
    hour: i64,
    minute: i64,
}

fn whole(milli: u64) -> u64 {
    milli.saturating_add(500) / 1000
}

/// By how many percent the observed number is below the usual one.
fn fewer_percent(event: &Event) -> u64 {
    event.factor_milli().map_or(0, |factor| 1005u64.saturating_sub(factor) / 10)
}

fn top_score(events: &[Event]) -> i64 {
    let scores = events.iter().filter(|event| event.kind.is_comparison()).map(|event| event.score_milli.abs());
    scores.max().unwrap_or(0)
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! Events: what happened to a series of counts, since when, and how sure that is. And notes by people.
//!
//! Events are a pure function of windows: whoever looks at the same windows finds the same events (rule 1.1). Their ids are
//! made from what they say, so an event that goes on keeps its id.
//!
//! ```
//! use birdsong_domain::event::{Event, EventKind, Subject};
//!
//! let tag = Subject::Hashtag { key: "goal".into(), shown: "Goal".into() };
//! let event = Event {
//!     start_ms: 1_700_000_100_000,
//!     observed: 31,
//!     expected_milli: 4_000,
//!     ..Event::new("montreal", EventKind::Rising, tag, 1_700_000_100_000)
//! };
//! assert_eq!(event.id, "montreal-rising-18bcfe6eea0-a612");
//! assert_eq!(event.factor_milli(), Some(7_750));
//! assert_eq!(event.subject.to_string(), "#Goal");
//! let json = serde_json::to_string(&event)?;
//! assert_eq!(serde_json::from_str::<Event>(&json)?, event);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::sealed;
use crate::wire::DecodeError;

/// Most hashtags and hosts that an event names as carriers.
pub const MAX_CARRIERS: usize = 5;
/// Longest text of a note, in characters.
pub const MAX_NOTE_CHARS: usize = 500;
/// Most notes of a region on one day.
pub const MAX_NOTES: usize = 200;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A hashtag or host has far more posts than usual.
    Rising,
    /// A region, or a network in it, has far more posts than usual.
    Spike,
    /// It has far fewer posts than usual.
    Drop,
    /// It has no posts at all, although its sources are connected.
    Silence,
    /// Posts are missing: a source was not connected, or posts were lost.
    Gap,
    /// A source was asked for a share of its posts only.
    Sampled,
    /// A streamer started again.
    Restart,
    /// Windows changed after they were final.
    Revision,
    /// A note by a person.
    Note,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Rising,
        Self::Spike,
        Self::Drop,
        Self::Silence,
        Self::Gap,
        Self::Sampled,
        Self::Restart,
        Self::Revision,
        Self::Note,
    ];

    /// The name in the API, in files and in ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Spike => "spike",
            Self::Drop => "drop",
            Self::Silence => "silence",
            Self::Gap => "gap",
            Self::Sampled => "sampled",
            Self::Restart => "restart",
            Self::Revision => "revision",
            Self::Note => "note",
        }
    }

    /// Reads what [`EventKind::as_str`] wrote.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it compares counts with what is usual. The others state facts of the collection.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Rising | Self::Spike | Self::Drop | Self::Silence)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The series that something happened to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Subject {
    /// All posts of the region.
    Region,
    /// Its posts of one network.
    Network {
        /// The network.
        network: Network,
    },
    /// Its posts with a hashtag.
    Hashtag {
        /// Folded form, which identifies it ([`crate::hashtag::key`]).
        key: String,
        /// The form that was written most often.
        shown: String,
    },
    /// Its posts with a link to a host.
    Host {
        /// The host.
        host: String,
    },
}

impl Subject {
    /// A text that identifies the series within its region.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Region => String::new(),
            Self::Network { network } => format!("@{network}"),
            Self::Hashtag { key, .. } => format!("#{key}"),
            Self::Host { host } => format!("/{host}"),
        }
    }

    /// The hashtag or host as people wrote it.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        match self {
            Self::Hashtag { shown, .. } => Some(shown),
            Self::Host { host } => Some(host),
            Self::Region | Self::Network { .. } => None,
        }
    }
}

/// For people: `#Goal`, `news.example`, `bluesky`, `all posts`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("all posts"),
            Self::Network { network } => write!(f, "{network}"),
            Self::Hashtag { shown, .. } => write!(f, "#{shown}"),
            Self::Host { host } => f.write_str(host),
        }
    }
}

/// Why posts are missing or windows are not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// No streamer ran.
    Unwatched,
    /// A source had no connection, and its posts of that time cannot be fetched any more.
    Missed,
    /// Posts were dropped, or a source did not deliver them.
    Lost,
    /// Log records or stored windows are damaged.
    Damaged,
}

/// A hashtag or host that rose inside a spike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carrier {
    /// The hashtag or host.
    pub subject: Subject,
    /// Posts with it at the peak, at least.
    pub observed: u64,
    /// Posts as usual, in thousandths.
    pub expected_milli: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Identifies it: region, kind, start and a hash of the subject.
    pub id: String,
    /// Region id; [`crate::lane::STREAM`] for what happened to the collection of all regions.
    pub region: String,
    /// What kind of thing.
    pub kind: EventKind,
    /// To what.
    pub subject: Subject,
    /// Start of the first window that belongs to it, in milliseconds.
    pub start_ms: i64,
    /// End of the last window that belongs to it, in milliseconds, so far if it goes on.
    pub end_ms: i64,
    /// Whether it may still go on.
    #[serde(skip_serializing_if = "is_false")]
    pub is_open: bool,
    /// End of the windows with the highest score, in milliseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub peak_ms: i64,
    /// Posts in the windows of the peak ([`Event::span_ms`] long), at least.
    #[serde(skip_serializing_if = "is_default")]
    pub observed: u64,
    /// Length of the windows that `observed` and `expected_milli` count, in milliseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub span_ms: i64,
    /// Posts as usual in windows like those, in thousandths.
    #[serde(skip_serializing_if = "is_default")]
    pub expected_milli: u64,
    /// Lower end of the range in which the number of posts usually is on four of five days, in thousandths.
    #[serde(skip_serializing_if = "is_default")]
    pub low_milli: u64,
    /// Upper end of it.
    #[serde(skip_serializing_if = "is_default")]
    pub high_milli: u64,
    /// The score at the peak, in thousandths of a standard deviation; 0 where nothing is compared.
    #[serde(skip_serializing_if = "is_default")]
    pub score_milli: i64,
    /// The score against the level of the last days.
    #[serde(skip_serializing_if = "is_default")]
    pub level_milli: i64,
    /// The score against the same time of other days.
    #[serde(skip_serializing_if = "is_default")]
    pub season_milli: i64,
    /// Distinct authors of the posts at the peak, about; `None` when not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<u64>,
    /// Share of the largest author, in thousandths, at most; `None` when not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_author_permille: Option<u64>,
    /// Hashtags and hosts that rose most inside it, at most [`MAX_CARRIERS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub carriers: Vec<Carrier>,
    /// Days that the comparison uses.
    #[serde(skip_serializing_if = "is_default")]
    pub baseline_days: u64,
    /// Share of the windows of the baseline that are missing, in thousandths.
    #[serde(skip_serializing_if = "is_default")]
    pub missing_permille: u64,
    /// Whether the hashtag or host was not seen in the days before.
    #[serde(skip_serializing_if = "is_false")]
    pub is_new: bool,
    /// Why posts are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<GapReason>,
    /// Smallest share of the posts that a source was asked for, in thousandths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_permille: Option<u64>,
    /// Number of windows that are missing, sampled or revised.
    #[serde(skip_serializing_if = "is_default")]
    pub windows: u64,
    /// Late posts of windows that are revised.
    #[serde(skip_serializing_if = "is_default")]
    pub late: u64,
    /// When the last of them came, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<i64>,
    /// The text of a note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Event {
    fn default() -> Self {
        Self {
            id: String::new(),
            region: String::new(),
            kind: EventKind::Note,
            subject: Subject::Region,
            start_ms: 0,
            end_ms: 0,
            is_open: false,
            peak_ms: 0,
            observed: 0,
            span_ms: 0,
            expected_milli: 0,
            low_milli: 0,
            high_milli: 0,
            score_milli: 0,
            level_milli: 0,
            season_milli: 0,
            authors: None,
            top_author_permille: None,
            carriers: vec![],
            baseline_days: 0,
            missing_permille: 0,
            is_new: false,
            reason: None,
            sampled_permille: None,
            windows: 0,
            late: 0,
            late_ms: None,
            text: None,
        }
    }
}

impl Event {
    /// An event that starts at `start_ms`, with its id.
    #[must_use]
    pub fn new(region: &str, kind: EventKind, subject: Subject, start_ms: i64) -> Self {
        let hash = siphasher::sip::SipHasher13::new().hash(subject.id().as_bytes()) & 0xffff;
        let id = format!("{}-{kind}-{start_ms:x}-{hash:04x}", region.trim_start_matches('_'));
        Self { id, region: region.to_owned(), kind, subject, start_ms, end_ms: start_ms, ..Self::default() }
    }

    /// A note, on the whole region, or on all when that is [`crate::lane::STREAM`]. Its text is cut to [`MAX_NOTE_CHARS`],
    /// without control characters; `None` when nothing is left of it.
    #[must_use]
    pub fn note(region: &str, (start_ms, end_ms): (i64, i64), text: &str) -> Option<Self> {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_NOTE_CHARS).collect();
        let hash = siphasher::sip::SipHasher13::new().hash(text.as_bytes()) & 0xffff_ffff;
        let note = Self::new(region, EventKind::Note, Subject::Region, start_ms);
        let id = format!("{}-{hash:08x}", note.id);
        (!text.is_empty()).then(|| Self { id, end_ms: end_ms.max(start_ms), text: Some(text), ..note })
    }

    /// `observed` divided by what is usual, in thousandths; `None` when nothing is usual.
    #[must_use]
    pub fn factor_milli(&self) -> Option<u64> {
        let factor = u128::from(self.observed) * 1_000_000;
        let factor = factor.checked_div(self.expected_milli.into())?;
        Some(u64::try_from(factor).unwrap_or(u64::MAX))
    }
}

/// The stored form of a list of events or notes: JSON; CRC-32; zstd-compressed.
///
/// # Errors
/// When it is larger than 1 MiB uncompressed, or zstd fails.
pub fn encode_all(events: &[Event]) -> std::io::Result<Vec<u8>> {
    sealed::seal(serde_json::to_vec(events)?)
}

/// Reads what [`encode_all`] wrote.
///
/// # Errors
/// When the bytes are damaged.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let plain = sealed::open(bytes)?;
    serde_json::from_slice(&plain).map_err(|error| DecodeError { at: error.column(), what: "a list of events" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_ends_where_it_was_said_and_not_before_it_starts() {
        let end_ms = |to_ms| Event::note("fog", (1_000, to_ms), "a test").unwrap().end_ms;
        assert_eq!((end_ms(9_000), end_ms(1_000), end_ms(0)), (9_000, 1_000, 1_000));
    }

    #[test]
    fn names_are_read_back_and_are_those_of_the_stored_form() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(EventKind::parse("Rising"), None);
    }

    #[test]
    fn a_note_is_one_line_of_bounded_length() {
        let note = |text: &str| Event::note("a", (5, 3), text);
        assert_eq!(note("  a\tgoal,\n\u{1b}[2Jat last ").unwrap().text.as_deref(), Some("a goal, [2Jat last"));
        assert_eq!(note(" \n\u{7}"), None);
        let long = note(&"é".repeat(900)).unwrap();
        assert_eq!(long.text.map(|text| text.chars().count()), Some(MAX_NOTE_CHARS));
        assert_eq!((note("x").unwrap().start_ms, note("x").unwrap().end_ms), (5, 5));
        assert_ne!(note("x").unwrap().id, note("y").unwrap().id);
    }

    #[test]
    fn stored_events_come_back_and_damage_is_noticed() {
        let events = vec![
            Event { is_open: true, observed: 3, ..Event::new("a", EventKind::Spike, Subject::Region, 300_000) },
            Event::note("a", (5, 9), "Derby").unwrap(),
        ];
        let bytes = encode_all(&events).unwrap();
        assert_eq!(decode_all(&bytes).unwrap(), events);
        assert_eq!(decode_all(&encode_all(&[]).unwrap()).unwrap(), []);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode_all(&damaged).map_or(true, |read| read == events), "byte {at}");
        }
        assert!(decode_all(b"[]").is_err());
    }

    #[test]
    fn what_an_event_does_not_have_is_not_stored() {
        let event = serde_json::to_value(Event::new("a", EventKind::Gap, Subject::Region, 5)).unwrap();
        let keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["end_ms", "id", "kind", "region", "start_ms", "subject"]);
        let note = Event::note("a", (5, 9), "x").unwrap().id;
        let hash = note.strip_prefix(&Event::new("a", EventKind::Note, Subject::Region, 5).id);
        assert!(hash.is_some_and(|hash| hash.len() == 9), "{note}: a hyphen and 32 bits in hex");
    }

    #[test]
    fn hashtags_and_hosts_are_shown_as_people_write_them() {
        let tag = Subject::Hashtag { key: "goal".into(), shown: "Goal".into() };
        let host = Subject::Host { host: "a.example".into() };
        let subjects = [tag, host, Subject::Region, Subject::Network { network: Network::X }];
        assert_eq!(subjects.each_ref().map(Subject::shown), [Some("Goal"), Some("a.example"), None, None]);
    }

    #[test]
    fn an_id_differs_by_region_kind_start_and_subject() {
        let ids = [
            Event::new("a", EventKind::Spike, Subject::Region, 0),
            Event::new("b", EventKind::Spike, Subject::Region, 0),
            Event::new("a", EventKind::Drop, Subject::Region, 0),
            Event::new("a", EventKind::Spike, Subject::Region, 1),
            Event::new("a", EventKind::Spike, Subject::Network { network: Network::X }, 0),
        ]
        .map(|event| event.id);
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
    }
}

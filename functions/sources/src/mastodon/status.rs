//! One status, as every server with Mastodon's client API sends it, read into a post.

use std::borrow::Cow;

use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::post::{AuthorKey, Kind, PostId, SourcePost, link_host};
use birdsong_domain::time::parse_rfc3339;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sonic_rs::LazyValue;

use super::html::{self, Words};
use super::{MAX_EVENT_BYTES, NAME};
use crate::archive::json::{self, Text};
use crate::archive::{LineError, is_too_deep};

/// When a status was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// As it happened, at this time in milliseconds. The author's server may claim any time, so its
    /// word does not count.
    Live(i64),
    /// Later, from the timeline: between these times in milliseconds nobody listened. The time that
    /// the author's server claims is taken as far as it lies between them.
    Between(i64, i64),
}

impl Seen {
    fn time_ms(self, claimed_ms: Option<i64>) -> i64 {
        match self {
            Self::Live(now_ms) => now_ms,
            Self::Between(from_ms, to_ms) => claimed_ms.unwrap_or(to_ms).clamp(from_ms.min(to_ms), to_ms),
        }
    }
}

/// What a status was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its id at this server: its place in the timeline.
    pub id: Option<String>,
    /// Its time.
    pub time_ms: i64,
    /// Whether it was handed on. It is not when its author does not want to be indexed.
    pub is_post: bool,
}

/// Why a status could not be read. It says nothing of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Longer than 1 MiB.
    #[error("the event is longer than 1 MiB")]
    TooLong,
    /// No JSON, or a field of another type than it should have.
    #[error(transparent)]
    Json(#[from] LineError),
    /// Without the address that tells it from all others.
    #[error("the status has no uri")]
    NoUri,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    uri: Option<Text<'a>>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    in_reply_to_id: Option<IgnoredAny>,
    #[serde(borrow)]
    language: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    spoiler_text: Option<Text<'a>>,
    /// The status that is passed on.
    #[serde(borrow)]
    reblog: Option<LazyValue<'a>>,
    #[serde(borrow)]
    quote: Option<Quote<'a>>,
    #[serde(borrow)]
    account: Option<Account<'a>>,
    mentions: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    tags: Option<Vec<Tag<'a>>>,
    #[serde(borrow)]
    card: Option<Card<'a>>,
}

#[derive(Deserialize)]
struct Quote<'a> {
    #[serde(borrow)]
    state: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Account<'a> {
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    acct: Option<Text<'a>>,
    noindex: Option<bool>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Card<'a> {
    #[serde(borrow)]
    url: Option<Text<'a>>,
}

/// Reads one status and hands it to `each`. `key` hashes the author.
///
/// # Errors
/// When it is no JSON, too long, or has no `uri`.
pub fn read_status(
    json: &[u8],
    seen: Seen,
    key: &AuthorKey,
    each: &mut dyn FnMut(&SourcePost<'_>),
) -> Result<Read, StatusError> {
    if json.len() > MAX_EVENT_BYTES {
        return Err(StatusError::TooLong);
    }
    if is_too_deep(json) {
        return Err(LineError::TooDeep.into());
    }
    let status: Status<'_> = json::read(json)?;
    let uri = status.uri.as_ref().map(|uri| &*uri.0).filter(|uri| !uri.is_empty()).ok_or(StatusError::NoUri)?;
    let time_ms = seen.time_ms(status.created_at.as_ref().and_then(|text| parse_rfc3339(&text.0)));
    let id = status.id.as_ref().map(|id| id.0.as_ref().to_owned());
    let account = status.account.as_ref();
    if account.is_some_and(|account| account.noindex == Some(true)) {
        return Ok(Read { id, time_ms, is_post: false });
    }
    // `acct` is complete only for accounts of other servers; those always have a `url`, too.
    let author = account.and_then(|account| account.url.as_ref().or(account.acct.as_ref()));
    let author = author.filter(|author| !author.0.is_empty()).map(|author| key.hash(NAME, &author.0));
    // Of a repost, the words of the original count.
    let original: Option<Status<'_>> = match &status.reblog {
        Some(raw) => Some(json::read(raw.as_raw_str().as_bytes())?),
        None => None,
    };
    let shown = original.as_ref().unwrap_or(&status);
    let mut words = Words::default();
    if let Some(warning) = shown.spoiler_text.as_ref().filter(|text| !text.0.is_empty()) {
        words.text.push_str(&warning.0);
        words.text.push('\n');
    }
    if let Some(content) = &shown.content {
        html::read(&content.0, &mut words);
    }
    let card = shown.card.as_ref().and_then(|card| card.url.as_ref());
    let mut hosts: Vec<Cow<'_, str>> = vec![];
    for address in words.links.iter().map(String::as_str).chain(card.map(|url| &*url.0)) {
        if let Some(host) = link_host(address)
            && hosts.len() < MAX_PER_POST
            && !hosts.contains(&host)
        {
            hosts.push(host);
        }
    }
    let is_quote = status
        .quote
        .as_ref()
        .is_some_and(|quote| quote.state.as_ref().is_none_or(|state| matches!(&*state.0, "accepted" | "pending")));
    each(&SourcePost {
        id: PostId::text(NAME, uri),
        time_ms,
        author,
        kind: Kind::of(original.is_some(), is_quote, status.in_reply_to_id.is_some()),
        lang: Cow::Borrowed(shown.language.as_ref().map_or("", |language| &language.0)),
        hashtags: shown
            .tags
            .iter()
            .flatten()
            .filter_map(|tag| tag.name.as_ref())
            .take(MAX_PER_POST)
            .map(|tag| Cow::Borrowed(&*tag.0))
            .collect(),
        long_hashtags: 0,
        mentions: shown.mentions.as_ref().map_or(0, Vec::len) as u32,
        hosts,
        text: Cow::Borrowed(words.text.trim()),
        point: None,
        place: None,
        rule_tags: vec![],
        repost_of: None,
    });
    Ok(Read { id, time_ms, is_post: true })
}

/// Whether an id is newer than another of the same server. Ids are numbers of growing length, or, at
/// other software, texts of one length that sort by time.
pub(super) fn is_newer(id: &str, than: &str) -> bool {
    (id.len(), id) > (than.len(), than)
}

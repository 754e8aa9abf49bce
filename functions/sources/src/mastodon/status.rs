//! One status, as every server with Mastodon's client API sends it, read into a post.

use std::borrow::Cow;

use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::language;
use birdsong_domain::post::{InstallationKey, Kind, SourcePost, link_host};
use birdsong_domain::time::parse_rfc3339;

use super::NAME;
use super::client::MAX_EVENT_BYTES;
use super::tags;
use crate::archive::LineError;
use crate::html::{self, Words};
use crate::json::{self, Count, Flag, Id, Raw, Text, is_too_deep, object};

/// When a status was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// As it happened, at this time in milliseconds. The author's server may claim any time, so its
    /// word does not count.
    Live(i64),
    /// Later, from the timeline: the source was disconnected between these times in milliseconds. The time that
    /// the author's server claims is limited to that range.
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
    /// Whether it was handed on. It is not when its author opted out of indexing.
    pub is_post: bool,
}

/// Why a status could not be read. It quotes nothing of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Longer than 1 MiB.
    #[error("the event is longer than 1 MiB")]
    TooLong,
    /// No JSON.
    #[error(transparent)]
    Json(#[from] LineError),
    /// Without the address that identifies it.
    #[error("the status has no uri")]
    NoUri,
}

object! {
    struct Status<'a> {
        id: Option<Id<'a>> = "id",
        uri: Option<Id<'a>> = "uri",
        created_at: Option<Text<'a>> = "created_at",
        in_reply_to_id: Option<Id<'a>> = "in_reply_to_id",
        /// Filled without the id beside it when the server does not know the post that is answered.
        in_reply_to_account_id: Option<Id<'a>> = "in_reply_to_account_id",
        language: Option<Text<'a>> = "language",
        content: Option<Text<'a>> = "content",
        spoiler_text: Option<Text<'a>> = "spoiler_text",
        /// The status that is passed on.
        reblog: Option<Raw<'a>> = "reblog",
        quote: Option<Quote<'a>> = "quote",
        /// The quoted status, in Akkoma, Fedibird and others.
        quote_id: Option<Id<'a>> = "quote_id",
        pleroma: Option<Pleroma<'a>> = "pleroma",
        account: Option<Account<'a>> = "account",
        mentions: Count = "mentions",
        tags: Vec<Tag<'a>> = "tags",
        card: Option<Card<'a>> = "card",
        media: Count = "media_attachments",
    }
}

object! {
    /// Mastodon: the state of a quote, and the quoted status. Other software: the quoted status itself.
    struct Quote<'a> {
        state: Option<Text<'a>> = "state",
        quoted_status: Option<Quoted<'a>> = "quoted_status",
        quoted_status_id: Option<Id<'a>> = "quoted_status_id",
        id: Option<Id<'a>> = "id" | "uri",
    }
}

object! {
    struct Quoted<'a> {
        id: Option<Id<'a>> = "id" | "uri",
    }
}

object! {
    struct Pleroma<'a> {
        quote: Option<Quoted<'a>> = "quote",
        quote_id: Option<Id<'a>> = "quote_id" | "quote_url",
    }
}

object! {
    struct Account<'a> {
        url: Option<Id<'a>> = "url",
        acct: Option<Id<'a>> = "acct",
        noindex: Flag = "noindex",
    }
}

object! {
    struct Tag<'a> {
        name: Option<Text<'a>> = "name",
    }
}

object! {
    struct Card<'a> {
        url: Option<Text<'a>> = "url",
    }
}

impl Status<'_> {
    /// Whether it is a status at all and no empty shell.
    fn is_status(&self) -> bool {
        self.id.is_some() || self.uri.is_some() || self.content.is_some()
    }

    fn is_reply(&self) -> bool {
        self.in_reply_to_id.is_some() || self.in_reply_to_account_id.is_some()
    }

    fn is_quote(&self) -> bool {
        let names_one = |quoted: &Option<Quoted<'_>>| quoted.as_ref().is_some_and(|quoted| quoted.id.is_some());
        let pleroma = self.pleroma.as_ref();
        match self.quote.as_ref().map(|quote| (quote, &quote.state)) {
            // Allowed by the quoted author, or maybe soon. The last three mean that the owner of our token has
            // blocked or muted an account, which does not concern the quote.
            Some((_, Some(state))) => {
                matches!(&*state.0, "accepted" | "pending" | "blocked_account" | "blocked_domain" | "muted_account")
            }
            Some((quote, None))
                if quote.id.is_some() || quote.quoted_status_id.is_some() || names_one(&quote.quoted_status) =>
            {
                true
            }
            _ => {
                self.quote_id.is_some()
                    || pleroma.is_some_and(|pleroma| pleroma.quote_id.is_some() || names_one(&pleroma.quote))
            }
        }
    }
}

/// Longest id of a status that is used as a mark in the timeline. Mastodon's have 18 digits, others' up to 40 bytes.
const MAX_ID_BYTES: usize = 64;

/// Reads one status and hands it to `each`. `key` hashes the author.
///
/// # Errors
/// When it is no JSON, too long, or has no `uri`.
pub fn read_status(
    json: &[u8],
    seen: Seen,
    key: &InstallationKey,
    each: &mut dyn FnMut(&SourcePost<'_>),
) -> Result<Read, StatusError> {
    if json.len() > MAX_EVENT_BYTES {
        return Err(StatusError::TooLong);
    }
    if is_too_deep(json) {
        return Err(LineError::TooDeep.into());
    }
    let status: Status<'_> = json::read::<Option<Status<'_>>>(json)?.unwrap_or_default();
    let uri = status.uri.as_ref().map(|uri| &*uri.0).ok_or(StatusError::NoUri)?;
    let time_ms = seen.time_ms(status.created_at.as_ref().and_then(|text| parse_rfc3339(&text.0)));
    let id = status.id.as_ref().filter(|id| id.0.len() <= MAX_ID_BYTES).map(|id| id.0.as_ref().to_owned());
    let account = status.account.as_ref();
    if account.is_some_and(|account| account.noindex.0) {
        return Ok(Read { id, time_ms, is_post: false });
    }
    // `acct` is complete only for accounts of other servers; those always have a `url`, too.
    let author = account.and_then(|account| account.url.as_ref().or(account.acct.as_ref()));
    let author = author.filter(|author| !author.0.is_empty()).map(|author| key.hash(NAME, &author.0));
    // Of a repost, the words of the original count.
    let original: Option<Status<'_>> = match &status.reblog {
        Some(raw) => json::read::<Option<Status<'_>>>(raw.bytes())?.filter(Status::is_status),
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
    let names = shown.tags.iter().filter_map(|tag| tag.name.as_ref()).map(|name| &*name.0);
    let (hashtags, long_hashtags) = tags::as_written(names, &words.text);
    each(&SourcePost {
        id: key.post(NAME, uri.as_bytes()),
        time_ms,
        author,
        kind: Kind::of(original.is_some(), status.is_quote(), status.is_reply()),
        lang: shown.language.as_ref().map_or(Cow::Borrowed(""), |language| language::of_post(&language.0)),
        hashtags,
        long_hashtags,
        mentions: shown.mentions.0.min(MAX_PER_POST as u32),
        hosts,
        has_media: shown.media.0 > 0,
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

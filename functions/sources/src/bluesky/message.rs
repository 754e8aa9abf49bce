//! One message of Jetstream's first wire (`/subscribe`), read into a post.

use std::borrow::Cow;

use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::hashtag;
use birdsong_domain::post::{AuthorKey, Kind, PostId, SourcePost, link_host};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sonic_rs::LazyValue;

use super::{NAME, POST, REPOST};
use crate::archive::json::{self, Text};
use crate::archive::{LineError, is_too_deep};

/// Longest message that is read. Records of posts stay below 100 KB; anybody can write one of 1 MB.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Hosts of the platform itself, whose links lead to posts rather than out.
const OWN_HOSTS: [&str; 2] = ["bsky.app", "go.bsky.app"];

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the server saw it, in microseconds since 1970: its place in the stream. A message of a
    /// kind that is not known may have none.
    pub time_us: Option<i64>,
    /// What it says.
    pub what: What,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A new post or repost; it was handed on.
    Post,
    /// Anything else, such as `delete`, `update`, `account` or `identity`.
    Notice(&'static str),
}

/// Why a message could not be read. It says nothing of the message's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE_BYTES`], unpacked.
    #[error("the message is longer than 1 MiB")]
    TooLong,
    /// No JSON, or a field of another type than it should have.
    #[error(transparent)]
    Json(#[from] LineError),
    /// A post without author, time or key.
    #[error("the post has no did, no time_us or no rkey")]
    Incomplete,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    did: Option<Text<'a>>,
    time_us: Option<i64>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    commit: Option<Commit<'a>>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow)]
    operation: Option<Text<'a>>,
    #[serde(borrow)]
    collection: Option<Text<'a>>,
    #[serde(borrow)]
    rkey: Option<Text<'a>>,
    /// Read only when the collection is one that counts.
    #[serde(borrow)]
    record: Option<LazyValue<'a>>,
}

#[derive(Deserialize, Default)]
struct Record<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    langs: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    facets: Option<Vec<Facet<'a>>>,
    #[serde(borrow)]
    tags: Option<Vec<Text<'a>>>,
    reply: Option<IgnoredAny>,
    #[serde(borrow)]
    embed: Option<Embed<'a>>,
}

#[derive(Deserialize)]
struct Facet<'a> {
    #[serde(borrow)]
    features: Option<Vec<Feature<'a>>>,
}

#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(borrow, rename = "$type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    tag: Option<Text<'a>>,
    #[serde(borrow)]
    uri: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Embed<'a> {
    #[serde(borrow)]
    record: Option<Embedded<'a>>,
    #[serde(borrow)]
    external: Option<Link<'a>>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
}

/// What is shown in a post: the record itself, or, beside pictures, one level further in.
#[derive(Deserialize)]
struct Embedded<'a> {
    #[serde(borrow)]
    uri: Option<Text<'a>>,
    #[serde(borrow)]
    record: Option<Link<'a>>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow)]
    external: Option<Link<'a>>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow)]
    uri: Option<Text<'a>>,
}

/// The record of a repost.
#[derive(Deserialize)]
struct Repost<'a> {
    #[serde(borrow)]
    subject: Option<Link<'a>>,
}

impl Repost<'_> {
    /// The post that is passed on.
    fn original(&self) -> Option<PostId> {
        let uri = self.subject.as_ref()?.uri.as_ref()?.0.strip_prefix("at://")?;
        let (did, rest) = uri.split_once('/')?;
        let (POST, rkey) = rest.split_once('/')? else { return None };
        Some(post_id(NAME, did, rkey))
    }
}

fn post_id(space: &str, did: &str, rkey: &str) -> PostId {
    PostId::text(space, &[did, "/", rkey].concat())
}

/// Reads one message and hands a new post or repost to `each`. `key` hashes the author.
///
/// The time is the one at which the server saw the record, never `createdAt`, which the author's
/// program makes up. Of up to three languages the first one counts. A repost has neither text, tags
/// nor language, but names its original: the stream does not repeat that.
///
/// # Errors
/// When the message is no JSON, too long, or lacks what a post must have.
pub fn read_message(
    message: &[u8],
    key: &AuthorKey,
    each: &mut dyn FnMut(&SourcePost<'_>),
) -> Result<Event, MessageError> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(MessageError::TooLong);
    }
    if is_too_deep(message) {
        return Err(LineError::TooDeep.into());
    }
    let outer: Outer<'_> = json::read(message)?;
    let time_us = outer.time_us;
    let notice = |what| Ok(Event { time_us, what: What::Notice(what) });
    let Some(commit) = &outer.commit else {
        return notice(match outer.kind.as_ref().map(|kind| &*kind.0) {
            Some("account") => "account",
            Some("identity") => "identity",
            _ => "unknown",
        });
    };
    match commit.operation.as_ref().map(|operation| &*operation.0) {
        Some("create") => (),
        Some("update") => return notice("update"),
        Some("delete") => return notice("delete"),
        _ => return notice("unknown"),
    }
    let collection = commit.collection.as_ref().map(|collection| &*collection.0);
    let is_repost = collection == Some(REPOST);
    if !is_repost && collection != Some(POST) {
        return notice("other");
    }
    let (Some(did), Some(rkey), Some(seen_us)) = (&outer.did, &commit.rkey, time_us) else {
        return Err(MessageError::Incomplete);
    };
    let record: Record<'_> = match &commit.record {
        Some(record) if !is_repost => json::read(record.as_raw_str().as_bytes())?,
        _ => Record::default(),
    };
    let repost_of = match &commit.record {
        Some(record) if is_repost => json::read::<Repost<'_>>(record.as_raw_str().as_bytes())?.original(),
        _ => None,
    };
    // The author's programs choose the keys, so a repost and a post may have the same one.
    let space = if is_repost { "bluesky-repost" } else { NAME };
    let embed = record.embed.as_ref();
    let (hashtags, mentions, hosts) = record.entities();
    each(&SourcePost {
        id: post_id(space, &did.0, &rkey.0),
        time_ms: seen_us.div_euclid(1000),
        author: Some(key.hash(NAME, &did.0)),
        kind: Kind::of(is_repost, embed.is_some_and(Embed::is_quote), record.reply.is_some()),
        lang: Cow::Borrowed(record.langs.as_ref().and_then(|langs| langs.first()).map_or("", |lang| &lang.0)),
        hashtags,
        long_hashtags: 0,
        mentions,
        hosts,
        text: Cow::Borrowed(record.text.as_ref().map_or("", |text| &text.0)),
        point: None,
        place: None,
        rule_tags: vec![],
        repost_of,
    });
    Ok(Event { time_us, what: What::Post })
}

impl Record<'_> {
    /// Hashtags, number of mentions, hosts of links: from the facets of the text, and from what
    /// stands beside it.
    fn entities(&self) -> (Vec<Cow<'_, str>>, u32, Vec<Cow<'_, str>>) {
        let (mut hashtags, mut mentions, mut hosts) = (vec![], 0, vec![]);
        for feature in self.facets.iter().flatten().filter_map(|facet| facet.features.as_ref()).flatten() {
            match feature.kind.as_ref().map(|kind| &*kind.0) {
                Some("app.bsky.richtext.facet#tag") => add_tag(&mut hashtags, feature.tag.as_ref()),
                Some("app.bsky.richtext.facet#mention") => mentions += 1,
                Some("app.bsky.richtext.facet#link") => add_host(&mut hosts, feature.uri.as_ref()),
                _ => (),
            }
        }
        self.tags.iter().flatten().for_each(|tag| add_tag(&mut hashtags, Some(tag)));
        if let Some(embed) = &self.embed {
            let media = embed.media.as_ref().and_then(|media| media.external.as_ref());
            for link in embed.external.iter().chain(media) {
                add_host(&mut hosts, link.uri.as_ref());
            }
        }
        (hashtags, mentions, hosts)
    }
}

impl Embed<'_> {
    /// Lists, feeds and starter packs are embedded the same way as quoted posts are.
    fn is_quote(&self) -> bool {
        let record = self.record.as_ref();
        let uri = record.and_then(|record| {
            record.uri.as_ref().or_else(|| record.record.as_ref().and_then(|inner| inner.uri.as_ref()))
        });
        // at://did/collection/rkey
        uri.is_some_and(|uri| uri.0.split('/').nth(3) == Some(POST))
    }
}

/// The same tag may stand in the text and beside it. A tag with `$` before it is a cashtag.
fn add_tag<'p>(tags: &mut Vec<Cow<'p, str>>, tag: Option<&'p Text<'_>>) {
    let Some(tag) = tag.map(|tag| &*tag.0).filter(|tag| !tag.is_empty() && !tag.starts_with('$')) else { return };
    if tags.len() < MAX_PER_POST && !tags.iter().any(|known| hashtag::fold(known) == hashtag::fold(tag)) {
        tags.push(Cow::Borrowed(tag));
    }
}

fn add_host<'p>(hosts: &mut Vec<Cow<'p, str>>, uri: Option<&'p Text<'_>>) {
    if let Some(host) = uri.and_then(|uri| link_host(&uri.0))
        && hosts.len() < MAX_PER_POST
        && !OWN_HOSTS.contains(&&*host)
        && !hosts.contains(&host)
    {
        hosts.push(host);
    }
}

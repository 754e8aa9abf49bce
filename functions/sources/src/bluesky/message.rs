//! One message of Jetstream's first wire (`/subscribe`), read into a post.

use std::borrow::Cow;

use super::{NAME, POST, REPOST};
use crate::archive::LineError;
use crate::json::{self, Raw, Text, is_too_deep, object};
use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::hashtag::Hashtags;
use birdsong_domain::language;
use birdsong_domain::post::{InstallationKey, Kind, PostId, SourcePost, link_host};

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
    /// Its content.
    pub what: What,
}

/// The content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A new post or repost; it was handed on.
    Post,
    /// Anything else, such as `delete`, `update`, `account` or `identity`.
    Notice(&'static str),
}

/// Why a message could not be read. It quotes nothing of the message's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Longer than [`MAX_MESSAGE_BYTES`], unpacked.
    #[error("the message is longer than 1 MiB")]
    TooLong,
    /// No JSON.
    #[error(transparent)]
    Json(#[from] LineError),
    /// JSON, but no object, or one without any field.
    #[error("the message is not a JSON object with fields")]
    NoObject,
    /// A post without author, time or key.
    #[error("the post has no did, no time_us or no rkey")]
    Incomplete,
}

object! {
    struct Outer<'a> {
        did: Option<Text<'a>> = "did",
        time_us: Option<i64> = "time_us",
        kind: Option<Text<'a>> = "kind",
        commit: Option<Commit<'a>> = "commit",
    }
}

object! {
    struct Commit<'a> {
        operation: Option<Text<'a>> = "operation",
        collection: Option<Text<'a>> = "collection",
        rkey: Option<Text<'a>> = "rkey",
        /// Read only when the collection is one that counts.
        record: Option<Raw<'a>> = "record",
    }
}

object! {
    struct Record<'a> {
        text: Option<Text<'a>> = "text",
        langs: Vec<Text<'a>> = "langs",
        facets: Vec<Facet<'a>> = "facets",
        tags: Vec<Text<'a>> = "tags",
        reply: Option<Reply<'a>> = "reply",
        embed: Option<Embed<'a>> = "embed",
    }
}

object! {
    struct Facet<'a> {
        features: Vec<Feature<'a>> = "features",
    }
}

object! {
    struct Feature<'a> {
        kind: Option<Text<'a>> = "$type",
        tag: Option<Text<'a>> = "tag",
        uri: Option<Text<'a>> = "uri",
    }
}

object! {
    /// The post that is answered, and the first of its thread.
    struct Reply<'a> {
        parent: Option<Link<'a>> = "parent",
        root: Option<Link<'a>> = "root",
    }
}

object! {
    struct Embed<'a> {
        kind: Option<Text<'a>> = "$type",
        record: Option<Embedded<'a>> = "record",
        external: Option<Link<'a>> = "external",
        media: Option<Media<'a>> = "media",
    }
}

object! {
    /// What is shown in a post: the record itself, or, beside pictures, one level further in.
    struct Embedded<'a> {
        uri: Option<Text<'a>> = "uri",
        record: Option<Link<'a>> = "record",
    }
}

object! {
    struct Media<'a> {
        kind: Option<Text<'a>> = "$type",
        external: Option<Link<'a>> = "external",
    }
}

object! {
    struct Link<'a> {
        uri: Option<Text<'a>> = "uri",
    }
}

object! {
    /// The record of a repost.
    struct Repost<'a> {
        subject: Option<Link<'a>> = "subject",
    }
}

impl Repost<'_> {
    /// The post that is passed on.
    fn original(&self, key: &InstallationKey) -> Option<PostId> {
        let uri = self.subject.as_ref()?.uri.as_ref()?.0.strip_prefix("at://")?;
        let (did, rest) = uri.split_once('/')?;
        let (POST, rkey) = rest.split_once('/')? else { return None };
        Some(post_id(key, NAME, did, rkey))
    }
}

fn post_id(key: &InstallationKey, space: &str, did: &str, rkey: &str) -> PostId {
    key.post(space, [did, "/", rkey].concat().as_bytes())
}

/// Reads one message and hands a new post or repost to `each`. `key` hashes the author.
///
/// The time is the one at which the server saw the record, never `createdAt`, which the author's
/// program makes up. Of its languages the first one that is a language counts. A repost has neither text, tags
/// nor language, but names its original: the stream does not repeat that.
///
/// # Errors
/// When the message is no JSON, too long, or lacks what a post must have.
pub fn read_message(
    message: &[u8],
    key: &InstallationKey,
    each: &mut dyn FnMut(&SourcePost<'_>),
) -> Result<Event, MessageError> {
    if message.len() > MAX_MESSAGE_BYTES {
        return Err(MessageError::TooLong);
    }
    if is_too_deep(message) {
        return Err(LineError::TooDeep.into());
    }
    let outer = json::read::<Option<Outer<'_>>>(message)?.ok_or(MessageError::NoObject)?;
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
    fn filled<'t>(text: &'t Option<Text<'_>>) -> Option<&'t str> {
        text.as_ref().map(|text| &*text.0).filter(|text| !text.is_empty())
    }
    let (Some(did), Some(rkey), Some(seen_us)) = (filled(&outer.did), filled(&commit.rkey), time_us) else {
        return Err(MessageError::Incomplete);
    };
    let record: Record<'_> = match &commit.record {
        Some(record) if !is_repost => json::read::<Option<Record<'_>>>(record.bytes())?.unwrap_or_default(),
        _ => Record::default(),
    };
    let repost_of = match &commit.record {
        Some(record) if is_repost => {
            json::read::<Option<Repost<'_>>>(record.bytes())?.as_ref().and_then(|repost| repost.original(key))
        }
        _ => None,
    };
    // The author's programs choose the keys, so a repost and a post may have the same one.
    let space = if is_repost { "bluesky-repost" } else { NAME };
    let embed = record.embed.as_ref();
    let Named { hashtags, long_hashtags, mentions, hosts } = record.named();
    each(&SourcePost {
        id: post_id(key, space, did, rkey),
        time_ms: seen_us.div_euclid(1000),
        author: Some(key.hash(NAME, did)),
        kind: Kind::of(is_repost, embed.is_some_and(Embed::is_quote), record.is_reply()),
        lang: record.lang(),
        hashtags,
        long_hashtags,
        mentions,
        hosts,
        has_media: embed.is_some_and(Embed::has_media),
        text: Cow::Borrowed(record.text.as_ref().map_or("", |text| &text.0)),
        point: None,
        place: None,
        rule_tags: vec![],
        repost_of,
    });
    Ok(Event { time_us, what: What::Post })
}

/// What a post names.
struct Named<'p> {
    hashtags: Vec<Cow<'p, str>>,
    long_hashtags: u32,
    mentions: u32,
    hosts: Vec<Cow<'p, str>>,
}

impl Record<'_> {
    /// From the facets of the text, and from the tags beside it. A tag that starts with `$` is a
    /// cashtag.
    fn named(&self) -> Named<'_> {
        let features = || self.facets.iter().flat_map(|facet| &facet.features);
        let is = |feature: &&Feature<'_>, kind: &str| {
            let of = feature.kind.as_ref().and_then(|of| of.0.strip_prefix("app.bsky.richtext.facet#"));
            of == Some(kind)
        };
        let mut tags = Hashtags::default();
        let in_text = features().filter(|feature| is(feature, "tag")).filter_map(|feature| feature.tag.as_ref());
        for tag in in_text.chain(&self.tags).filter(|tag| !tag.0.trim_start().starts_with('$')) {
            tags.add(Cow::Borrowed(&tag.0));
        }
        let mut hosts: Vec<Cow<'_, str>> = vec![];
        let in_text = features().filter(|feature| is(feature, "link")).filter_map(|feature| feature.uri.as_ref());
        let card = self.embed.iter().flat_map(|embed| {
            let media = embed.media.as_ref().and_then(|media| media.external.as_ref());
            embed.external.iter().chain(media).filter_map(|link| link.uri.as_ref())
        });
        for host in in_text.chain(card).filter_map(|uri| link_host(&uri.0)) {
            if hosts.len() < MAX_PER_POST && !OWN_HOSTS.contains(&&*host) && !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let mentions = features().filter(|feature| is(feature, "mention")).take(MAX_PER_POST).count() as u32;
        let (hashtags, long_hashtags) = tags.finish();
        Named { hashtags, long_hashtags, mentions, hosts }
    }

    /// The first of its languages that is one.
    fn lang(&self) -> Cow<'_, str> {
        let known = self.langs.iter().find_map(|lang| language::canonical(&lang.0));
        known.unwrap_or_else(|| self.langs.first().map_or(Cow::Borrowed(""), |lang| language::of_post(&lang.0)))
    }

    fn is_reply(&self) -> bool {
        let names_a_post = |link: &Link<'_>| link.uri.as_ref().is_some_and(|uri| !uri.0.is_empty());
        self.reply.as_ref().is_some_and(|reply| reply.parent.iter().chain(&reply.root).any(names_a_post))
    }
}

impl Embed<'_> {
    /// Pictures or a video, alone or beside a quoted post. A card of a link is no media, not even of one to a GIF.
    fn has_media(&self) -> bool {
        let is_media = |kind: &Option<Text<'_>>| {
            let kind = kind.as_ref().and_then(|kind| kind.0.strip_prefix("app.bsky.embed."));
            matches!(kind, Some("images" | "video"))
        };
        is_media(&self.kind) || self.media.as_ref().is_some_and(|media| is_media(&media.kind))
    }

    /// Lists, feeds and starter packs are embedded the same way as quoted posts are.
    fn is_quote(&self) -> bool {
        let uri = self.record.as_ref().and_then(|record| {
            let filled = |uri: &&Text<'_>| !uri.0.is_empty();
            let inner = record.record.as_ref().and_then(|inner| inner.uri.as_ref());
            record.uri.as_ref().filter(filled).or(inner)
        });
        // at://did/collection/rkey
        uri.is_some_and(|uri| uri.0.split('/').nth(3) == Some(POST))
    }
}

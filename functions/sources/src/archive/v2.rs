//! Posts of the X API v2, in both spellings of the fields that were renamed in 2026.

use std::borrow::Cow;

use birdsong_domain::language;
use birdsong_domain::post::{GeoBox, InstallationKey, Kind, SourcePost};
use birdsong_domain::time::{parse_rfc3339, parse_v1_time, snowflake_ms};

use super::LineError;
use super::entities::Entities;
use super::place;
use super::text::unescape;
use crate::json::{FirstId, Id, NotEmpty, Numbers, Text, object};

object! {
    /// A rule of the stream that matched.
    pub(super) struct Rule<'a> {
        tag: Option<Text<'a>> = "tag",
    }
}

object! {
    /// A v2 post, flattened or not.
    pub(super) struct Post<'a> {
        id: Option<Id<'a>> = "id",
        text: Option<Text<'a>> = "text",
        created_at: Option<Id<'a>> = "created_at",
        author_id: Option<Id<'a>> = "author_id",
        lang: Option<Text<'a>> = "lang",
        entities: Option<Entities<'a>> = "entities",
        attachments: Option<Attachments> = "attachments",
        geo: Option<Box<Geo<'a>>> = "geo",
        references: Vec<Reference<'a>> = "referenced_tweets" | "referenced_posts",
        note: Option<Box<Note<'a>>> = "note_tweet" | "note_post",
        first_version: FirstId = "edit_history_tweet_ids" | "edit_history_post_ids",
    }
}

object! {
    /// The full form of a post that is longer than `text` shows.
    struct Note<'a> {
        text: Option<Text<'a>> = "text",
        entities: Option<Entities<'a>> = "entities",
    }
}

object! {
    /// A referenced post; flattened archives put the whole post here.
    struct Reference<'a> {
        kind: Option<Text<'a>> = "type",
        id: Option<Id<'a>> = "id",
        text: Option<Text<'a>> = "text",
        entities: Option<Entities<'a>> = "entities",
        attachments: Option<Attachments> = "attachments",
        note: Option<Box<Note<'a>>> = "note_tweet" | "note_post",
    }
}

object! {
    /// What is attached. Polls are no media.
    struct Attachments {
        /// Ids; flattened archives have the media themselves, too.
        media: NotEmpty = "media_keys" | "media",
    }
}

object! {
    struct Geo<'a> {
        place_id: Option<Id<'a>> = "place_id",
        coordinates: Option<Coordinates> = "coordinates",
        /// Flattened: the place's own `geo`.
        geo: Option<PlaceGeo> = "geo",
        bbox: Numbers = "bbox",
    }
}

object! {
    pub(super) struct Coordinates {
        pub(super) coordinates: Numbers = "coordinates",
    }
}

object! {
    struct PlaceGeo {
        bbox: Numbers = "bbox",
    }
}

object! {
    /// What the posts of a line refer to.
    pub(super) struct Includes<'a> {
        posts: Vec<Reference<'a>> = "tweets" | "posts",
        places: Vec<Place<'a>> = "places",
    }
}

object! {
    struct Place<'a> {
        id: Option<Id<'a>> = "id",
        geo: Option<PlaceGeo> = "geo",
    }
}

impl<'a> Post<'a> {
    /// Whether this is a post beyond doubt, so that its other fields need no check.
    pub(super) fn is_plain(&self) -> bool {
        self.id.is_some() && self.text.is_some() && (self.author_id.is_some() || self.first_version.0.is_some())
    }

    /// The first reference of one of these kinds. One without an id refers to nothing.
    fn reference(&self, kinds: &[&str]) -> Option<&Reference<'a>> {
        let is_kind = |reference: &&Reference<'a>| {
            reference.id.is_some() && reference.kind.as_ref().is_some_and(|kind| kinds.contains(&&*kind.0))
        };
        self.references.iter().find(is_kind)
    }

    fn repost(&self) -> Option<&Reference<'a>> {
        self.reference(&["retweeted", "reposted"])
    }
}

impl Geo<'_> {
    /// The area that a flattened post has within it.
    fn own_area(&self) -> Option<GeoBox> {
        self.geo.as_ref().and_then(|place| place::from_edges(&place.bbox)).or_else(|| place::from_edges(&self.bbox))
    }

    fn area(&self, includes: Option<&Includes<'_>>) -> Option<GeoBox> {
        self.own_area().or_else(|| {
            let id = self.place_id.as_ref()?;
            let places = includes?.places.iter().filter(|place| place.id.as_ref() == Some(id));
            places.filter_map(|place| place::from_edges(&place.geo.as_ref()?.bbox)).next()
        })
    }
}

impl Reference<'_> {
    fn has_words(&self) -> bool {
        self.text.is_some() || self.entities.is_some() || self.note.is_some()
    }
}

/// One v2 post as the pipeline needs it.
pub(super) fn post<'p>(
    post: &'p Post<'_>,
    includes: Option<&'p Includes<'_>>,
    rules: &'p [Rule<'_>],
    key: &InstallationKey,
) -> Result<SourcePost<'p>, LineError> {
    let own_id = post.id.as_ref().and_then(Id::number).ok_or(LineError::NoId)?;
    let id = first_version(own_id, post.first_version.0);
    let written = || post.created_at.as_ref().and_then(written_ms);
    let time_ms = snowflake_ms(id).or_else(written).ok_or(LineError::NoTime)?;
    let repost = post.repost();
    let kind =
        Kind::of(repost.is_some(), post.reference(&["quoted"]).is_some(), post.reference(&["replied_to"]).is_some());
    // The original of a repost: inlined, or among the includes.
    let original = repost.and_then(|reference| {
        if reference.has_words() {
            return Some(reference);
        }
        includes?.posts.iter().find(|one| one.id == reference.id && one.has_words())
    });
    let (text, entities, note, attachments) = match original {
        Some(original) => (&original.text, &original.entities, &original.note, &original.attachments),
        None => (&post.text, &post.entities, &post.note, &post.attachments),
    };
    let text = note.as_ref().and_then(|note| note.text.as_ref()).or(text.as_ref());
    let entities = note.as_ref().and_then(|note| note.entities.as_ref()).or(entities.as_ref());
    let geo = post.geo.as_ref().filter(|_| repost.is_none());
    let (hashtags, long_hashtags) = entities.map(Entities::hashtags).unwrap_or_default();
    Ok(SourcePost {
        id: key.x_post(id),
        time_ms,
        author: author_hash(key, post.author_id.as_ref()),
        kind,
        lang: post.lang.as_ref().map_or(Cow::Borrowed(""), |lang| language::of_post(&lang.0)),
        hashtags,
        long_hashtags,
        mentions: entities.map_or(0, Entities::mentions),
        hosts: entities.map(Entities::hosts).unwrap_or_default(),
        has_media: attachments.as_ref().is_some_and(|attachments| attachments.media.0),
        text: unescape(text.map_or("", |text| &text.0)),
        point: geo.and_then(|geo| place::point(&geo.coordinates.as_ref()?.coordinates, false)),
        place: geo.and_then(|geo| geo.area(includes)),
        rule_tags: rule_tags(rules),
        repost_of: None,
    })
}

/// The hash of an author of X. X names none by default (`author_id` is to be asked for), so a post may
/// be without.
pub(super) fn author_hash(key: &InstallationKey, author: Option<&Id<'_>>) -> Option<u64> {
    author.filter(|author| !author.0.is_empty()).map(|author| key.hash("x", &author.0))
}

/// The id of the first version of a post. Each edit has a new id, larger than the ones before; it is
/// one post, with the identity and the time of the first (X, "Edit posts").
pub(super) fn first_version(id: u64, versions: impl IntoIterator<Item = u64>) -> u64 {
    versions.into_iter().fold(id, u64::min)
}

/// A time in any form that writers of archives use: that of v2 or v1.1, or, as pandas writes it, a number of
/// milliseconds, or of seconds.
pub(super) fn written_ms(time: &Id<'_>) -> Option<i64> {
    /// In milliseconds this is 1973, in seconds 5138.
    const FEWEST_MS: i64 = 100_000_000_000;
    parse_rfc3339(&time.0)
        .or_else(|| parse_v1_time(&time.0))
        .or_else(|| time.0.parse().ok().filter(|n| *n > 0).map(|n: i64| if n < FEWEST_MS { n * 1000 } else { n }))
}

/// The tags of the rules that matched.
pub(super) fn rule_tags<'p>(rules: &'p [Rule<'_>]) -> Vec<Cow<'p, str>> {
    rules.iter().filter_map(|rule| rule.tag.as_ref()).map(|tag| Cow::Borrowed(&*tag.0)).collect()
}

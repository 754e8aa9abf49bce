//! Statuses of the v1.1 API, the format of most archives before 2023.

use std::borrow::Cow;

use birdsong_domain::language;
use birdsong_domain::post::{GeoBox, InstallationKey, Kind, SourcePost};
use birdsong_domain::time::snowflake_ms;

use super::LineError;
use super::entities::{Entities, ExtendedEntities};
use super::place;
use super::text::unescape;
use super::v2::{Coordinates, Rule, author_hash, first_version, rule_tags, written_ms};
use crate::json::{FirstId, Flag, Id, Named, Numbers, Text, object};

object! {
    /// A status.
    pub(super) struct Status<'a> {
        id: Option<Id<'a>> = "id",
        id_str: Option<Id<'a>> = "id_str",
        timestamp_ms: Option<Id<'a>> = "timestamp_ms",
        created_at: Option<Id<'a>> = "created_at",
        user: Option<User<'a>> = "user",
        lang: Option<Text<'a>> = "lang",
        text: Option<Text<'a>> = "text",
        full_text: Option<Text<'a>> = "full_text",
        entities: Option<Entities<'a>> = "entities",
        extended_entities: Option<ExtendedEntities> = "extended_entities",
        extended_tweet: Option<Extended<'a>> = "extended_tweet",
        retweeted_status: Option<Original<'a>> = "retweeted_status",
        quoted_status: Option<Original<'a>> = "quoted_status",
        quoted_status_id: Named = "quoted_status_id" | "quoted_status_id_str",
        is_quote_status: Flag = "is_quote_status",
        in_reply_to_status_id: Named = "in_reply_to_status_id" | "in_reply_to_status_id_str",
        coordinates: Option<Coordinates> = "coordinates",
        geo: Option<Coordinates> = "geo",
        place: Option<Place> = "place",
        matching_rules: Vec<Rule<'a>> = "matching_rules",
        edit_history: Option<EditHistory<'a>> = "edit_history",
        first_version: FirstId = "edit_history_tweet_ids" | "edit_history_post_ids",
        edit_info: Option<EditInfo<'a>> = "edit_info",
    }
}

object! {
    /// Another status: what a repost passes on, or a quote shows. It nests no further.
    struct Original<'a> {
        id: Named = "id" | "id_str",
        text: Option<Text<'a>> = "text",
        full_text: Option<Text<'a>> = "full_text",
        entities: Option<Entities<'a>> = "entities",
        extended_entities: Option<ExtendedEntities> = "extended_entities",
        extended_tweet: Option<Extended<'a>> = "extended_tweet",
    }
}

object! {
    struct User<'a> {
        id_str: Option<Id<'a>> = "id_str",
        id: Option<Id<'a>> = "id",
    }
}

object! {
    /// The full form of a status longer than 140 characters.
    struct Extended<'a> {
        full_text: Option<Text<'a>> = "full_text",
        entities: Option<Entities<'a>> = "entities",
        extended_entities: Option<ExtendedEntities> = "extended_entities",
    }
}

object! {
    struct Place {
        bounding_box: Option<BoundingBox> = "bounding_box",
    }
}

object! {
    struct BoundingBox {
        /// Rings of longitude and latitude.
        coordinates: Vec<Vec<Numbers>> = "coordinates",
    }
}

object! {
    /// The versions of an edited status, in files of Gnip.
    struct EditHistory<'a> {
        initial: Option<Id<'a>> = "initial_tweet_id",
        first: FirstId = "edit_tweet_ids",
    }
}

object! {
    /// The same in an account's own export.
    struct EditInfo<'a> {
        initial: Option<EditControl> = "initial",
        edit: Option<Edit<'a>> = "edit",
    }
}

object! {
    struct EditControl {
        first: FirstId = "editTweetIds",
    }
}

object! {
    struct Edit<'a> {
        initial: Option<Id<'a>> = "initialTweetId",
    }
}

impl Original<'_> {
    /// Whether it is a post at all and no empty shell.
    fn is_post(&self) -> bool {
        self.id.0 || self.has_words()
    }

    fn has_words(&self) -> bool {
        self.text.is_some() || self.full_text.is_some() || self.entities.is_some() || self.extended_tweet.is_some()
    }
}

impl Status<'_> {
    /// The ids of the versions that it names, the first among them.
    fn versions(&self) -> impl Iterator<Item = u64> {
        let number = |id: &Option<Id<'_>>| id.as_ref().and_then(Id::number);
        let history = self.edit_history.as_ref();
        let info = self.edit_info.as_ref();
        let versions = [
            self.first_version.0,
            history.and_then(|history| number(&history.initial)),
            history.and_then(|history| history.first.0),
            info.and_then(|info| info.initial.as_ref()?.first.0),
            info.and_then(|info| number(&info.edit.as_ref()?.initial)),
        ];
        versions.into_iter().flatten()
    }

    /// The area of the place that it names.
    fn area(&self) -> Option<GeoBox> {
        place::from_ring(self.place.as_ref()?.bounding_box.as_ref()?.coordinates.first()?)
    }
}

/// Where a status came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The API.
    Api,
    /// An account's own export, which has neither `retweeted_status` nor `quoted_status`: a repost is recognized by
    /// the start of its text, a quote by its link.
    Export,
}

/// One status as the pipeline needs it. `rules` are those that the line has beside it.
pub(super) fn post<'p>(
    status: &'p Status<'_>,
    origin: Origin,
    rules: &'p [Rule<'_>],
    key: &InstallationKey,
) -> Result<SourcePost<'p>, LineError> {
    let own_id = status.id_str.as_ref().and_then(Id::number).or_else(|| status.id.as_ref().and_then(Id::number));
    let id = first_version(own_id.ok_or(LineError::NoId)?, status.versions());
    let stamped = || status.timestamp_ms.as_ref().and_then(|text| text.0.parse().ok());
    let written = || status.created_at.as_ref().and_then(written_ms);
    let time_ms = snowflake_ms(id).or_else(stamped).or_else(written).ok_or(LineError::NoTime)?;

    let original = status.retweeted_status.as_ref().filter(|original| original.is_post());
    let shown = original.filter(|original| original.has_words());
    let (text, full_text, entities, extended) = match shown {
        Some(original) => (&original.text, &original.full_text, &original.entities, &original.extended_tweet),
        None => (&status.text, &status.full_text, &status.entities, &status.extended_tweet),
    };
    let of_post = shown.map_or(&status.extended_entities, |original| &original.extended_entities).as_ref();
    let of_extended = extended.as_ref().and_then(|extended| extended.extended_entities.as_ref());
    let in_entities = [entities, extended.as_ref().map_or(&None, |extended| &extended.entities)];
    let has_media = [of_post, of_extended].into_iter().flatten().any(|extended| extended.media.0)
        || in_entities.into_iter().flatten().any(|entities| entities.media.0);
    let extended_text = extended.as_ref().and_then(|extended| extended.full_text.as_ref());
    let text = extended_text.or(full_text.as_ref()).or(text.as_ref()).map_or("", |text| &text.0);
    let entities = extended.as_ref().and_then(|extended| extended.entities.as_ref()).or(entities.as_ref());

    let is_export = origin == Origin::Export;
    let is_repost = original.is_some() || (is_export && text.starts_with("RT @"));
    let is_quote = status.quoted_status.as_ref().is_some_and(Original::is_post)
        || status.quoted_status_id.0
        || status.is_quote_status.0
        || (is_export && entities.is_some_and(Entities::links_to_a_post));
    // `in_reply_to_user_id` alone is a post that starts with a mention: it answers no other post.
    let is_reply = status.in_reply_to_status_id.0;
    // `coordinates` has the longitude first, the older `geo` the latitude.
    let point = || {
        let point = |field: &Option<Coordinates>, swapped| place::point(&field.as_ref()?.coordinates, swapped);
        point(&status.coordinates, false).or_else(|| point(&status.geo, true))
    };
    let user = status.user.as_ref().and_then(|user| user.id_str.as_ref().or(user.id.as_ref()));
    let (hashtags, long_hashtags) = entities.map(Entities::hashtags).unwrap_or_default();
    Ok(SourcePost {
        id: key.x_post(id),
        time_ms,
        author: author_hash(key, user),
        kind: Kind::of(is_repost, is_quote, is_reply),
        lang: status.lang.as_ref().map_or(Cow::Borrowed(""), |lang| language::of_post(&lang.0)),
        hashtags,
        long_hashtags,
        mentions: entities.map_or(0, Entities::mentions),
        hosts: entities.map(Entities::hosts).unwrap_or_default(),
        has_media,
        text: unescape(text),
        point: if is_repost { None } else { point() },
        place: if is_repost { None } else { status.area() },
        rule_tags: rule_tags(if rules.is_empty() { &status.matching_rules } else { rules }),
        repost_of: None,
    })
}

//! Statuses of the v1.1 API, as most archives before 2023 hold them.

use std::borrow::Cow;

use birdsong_domain::post::{AuthorKey, GeoBox, Kind, PostId, SourcePost};
use birdsong_domain::time::{parse_rfc3339, parse_v1_time, snowflake_ms};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::LineError;
use super::json::{Id, Text};
use super::v2::{Coordinates, Rule, author_hash, geo_box, hosts, point};

/// A status.
#[derive(Deserialize)]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    id_str: Option<Id<'a>>,
    #[serde(borrow)]
    timestamp_ms: Option<Id<'a>>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
    #[serde(borrow)]
    lang: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    full_text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
    #[serde(borrow)]
    extended_tweet: Option<Extended<'a>>,
    #[serde(borrow)]
    retweeted_status: Option<Original<'a>>,
    quoted_status: Option<IgnoredAny>,
    quoted_status_id: Option<IgnoredAny>,
    quoted_status_id_str: Option<IgnoredAny>,
    is_quote_status: Option<bool>,
    in_reply_to_status_id_str: Option<IgnoredAny>,
    in_reply_to_status_id: Option<IgnoredAny>,
    in_reply_to_user_id_str: Option<IgnoredAny>,
    in_reply_to_user_id: Option<IgnoredAny>,
    coordinates: Option<Coordinates>,
    geo: Option<Coordinates>,
    place: Option<Place>,
    #[serde(borrow)]
    matching_rules: Option<Vec<Rule<'a>>>,
}

/// The status that a repost passes on. It may nest no further, so depth is bounded.
#[derive(Deserialize)]
struct Original<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    full_text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
    #[serde(borrow)]
    extended_tweet: Option<Extended<'a>>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id_str: Option<Id<'a>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
}

/// The full form of a status longer than 140 characters.
#[derive(Deserialize)]
struct Extended<'a> {
    #[serde(borrow)]
    full_text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
}

#[derive(Deserialize)]
struct Entities<'a> {
    #[serde(borrow)]
    hashtags: Option<Vec<Hashtag<'a>>>,
    user_mentions: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    urls: Option<Vec<Url<'a>>>,
}

#[derive(Deserialize)]
struct Hashtag<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Url<'a> {
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    expanded_url: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Place {
    bounding_box: Option<BoundingBox>,
}

#[derive(Deserialize)]
struct BoundingBox {
    /// Rings of longitude and latitude.
    coordinates: Option<Vec<Vec<Vec<f64>>>>,
}

/// One status as the pipeline wants it.
pub(super) fn post<'p>(status: &'p Status<'_>, key: &AuthorKey) -> Result<SourcePost<'p>, LineError> {
    let id = status.id_str.as_ref().or(status.id.as_ref()).and_then(Id::number).ok_or(LineError::NoId)?;
    let stamped = || status.timestamp_ms.as_ref().and_then(|text| text.0.parse().ok());
    let written = || {
        let text = &status.created_at.as_ref()?.0;
        parse_v1_time(text).or_else(|| parse_rfc3339(text))
    };
    let time_ms = snowflake_ms(id).or_else(stamped).or_else(written).ok_or(LineError::NoTime)?;
    let is_quote = status.quoted_status.is_some()
        || status.quoted_status_id.is_some()
        || status.quoted_status_id_str.is_some()
        || status.is_quote_status == Some(true);
    let is_reply = status.in_reply_to_status_id_str.is_some()
        || status.in_reply_to_status_id.is_some()
        || status.in_reply_to_user_id_str.is_some()
        || status.in_reply_to_user_id.is_some();
    let (text, full_text, entities, extended) = match &status.retweeted_status {
        Some(original) => (&original.text, &original.full_text, &original.entities, &original.extended_tweet),
        None => (&status.text, &status.full_text, &status.entities, &status.extended_tweet),
    };
    let extended_text = extended.as_ref().and_then(|extended| extended.full_text.as_ref());
    let text = extended_text.or(full_text.as_ref()).or(text.as_ref());
    let entities = extended.as_ref().and_then(|extended| extended.entities.as_ref()).or(entities.as_ref());
    // `coordinates` has the longitude first, the older `geo` the latitude.
    let own = |field: &'p Option<Coordinates>| field.as_ref().and_then(|field| field.coordinates.as_deref());
    let point = own(&status.coordinates)
        .and_then(|numbers| point(numbers, false))
        .or_else(|| own(&status.geo).and_then(|numbers| point(numbers, true)));
    let user = status.user.as_ref().and_then(|user| user.id_str.as_ref().or(user.id.as_ref()));
    Ok(SourcePost {
        id: PostId::x(id),
        time_ms,
        author: author_hash(key, user),
        kind: Kind::of(status.retweeted_status.is_some(), is_quote, is_reply),
        lang: Cow::Borrowed(status.lang.as_ref().map_or("", |lang| &lang.0)),
        hashtags: entities
            .and_then(|entities| entities.hashtags.as_ref())
            .map(|tags| tags.iter().filter_map(|tag| tag.text.as_ref()).map(|tag| Cow::Borrowed(&*tag.0)).collect())
            .unwrap_or_default(),
        long_hashtags: 0,
        mentions: entities.and_then(|entities| entities.user_mentions.as_ref()).map_or(0, Vec::len) as u32,
        hosts: entities
            .and_then(|entities| entities.urls.as_ref())
            .map(|urls| hosts(urls.iter().map(|url| url.expanded_url.as_ref().or(url.url.as_ref()))))
            .unwrap_or_default(),
        text: Cow::Borrowed(text.map_or("", |text| &text.0)),
        point,
        place: if status.retweeted_status.is_some() { None } else { status.place.as_ref().and_then(Place::area) },
        rule_tags: status
            .matching_rules
            .iter()
            .flatten()
            .filter_map(|rule| rule.tag.as_ref())
            .map(|tag| Cow::Borrowed(&*tag.0))
            .collect(),
        repost_of: None,
    })
}

impl Place {
    /// The box around the outer ring. One wider than half the globe is taken to cross the
    /// antimeridian.
    fn area(&self) -> Option<GeoBox> {
        let ring = self.bounding_box.as_ref()?.coordinates.as_ref()?.first()?;
        let points = || ring.iter().filter_map(|corner| point(corner, false));
        let first = points().next()?;
        let (mut west, mut south, mut east, mut north) = (first.lon, first.lat, first.lon, first.lat);
        for corner in points() {
            (west, east) = (west.min(corner.lon), east.max(corner.lon));
            (south, north) = (south.min(corner.lat), north.max(corner.lat));
        }
        if east - west > 180.0 {
            let positive = points().map(|corner| corner.lon).filter(|lon| *lon >= 0.0).fold(180.0, f64::min);
            let negative = points().map(|corner| corner.lon).filter(|lon| *lon < 0.0).fold(-180.0, f64::max);
            (west, east) = (positive, negative);
        }
        geo_box(&[west, south, east, north])
    }
}

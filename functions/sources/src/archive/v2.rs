//! Posts of the X API v2, in both spellings of the fields that were renamed in 2026.

use std::borrow::Cow;

use birdsong_domain::post::{AuthorKey, GeoBox, Kind, Point, PostId, SourcePost, link_host};
use birdsong_domain::time::{parse_rfc3339, snowflake_ms};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::LazyValue;

use super::LineError;
use super::json::{self, Id, Text};

/// Hosts of the platform itself, whose links lead to posts rather than out.
const OWN_HOSTS: [&str; 5] = ["twitter.com", "x.com", "t.co", "pic.twitter.com", "pic.x.com"];

/// The outermost object of a line of any shape.
#[derive(Deserialize)]
pub(super) struct Outer<'a> {
    #[serde(borrow)]
    pub(super) data: Option<Data<'a>>,
    #[serde(borrow)]
    includes: Option<LazyValue<'a>>,
    #[serde(borrow)]
    matching_rules: Option<Vec<Rule<'a>>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
    id_str: Option<IgnoredAny>,
    user: Option<IgnoredAny>,
    text: Option<IgnoredAny>,
    created_at: Option<IgnoredAny>,
    errors: Option<IgnoredAny>,
    title: Option<IgnoredAny>,
    meta: Option<IgnoredAny>,
    delete: Option<IgnoredAny>,
    limit: Option<IgnoredAny>,
    warning: Option<IgnoredAny>,
    disconnect: Option<IgnoredAny>,
    scrub_geo: Option<IgnoredAny>,
    status_withheld: Option<IgnoredAny>,
    user_withheld: Option<IgnoredAny>,
    user_update: Option<IgnoredAny>,
    event: Option<IgnoredAny>,
    friends: Option<IgnoredAny>,
    info: Option<IgnoredAny>,
}

impl Outer<'_> {
    /// The message that this line is, when it is one.
    pub(super) fn notice(&self) -> Option<&'static str> {
        let is_post = self.id_str.is_some() || (self.id.is_some() && self.text.is_some());
        let notices = [
            ("delete", &self.delete),
            ("limit", &self.limit),
            ("warning", &self.warning),
            ("disconnect", &self.disconnect),
            ("scrub_geo", &self.scrub_geo),
            ("status_withheld", &self.status_withheld),
            ("user_withheld", &self.user_withheld),
            ("user_update", &self.user_update),
            ("event", &self.event),
            ("friends", &self.friends),
            ("info", &self.info),
            ("errors", &self.errors),
            ("title", &self.title),
            ("meta", &self.meta),
        ];
        notices.into_iter().find(|(_, field)| field.is_some() && !is_post).map(|(name, _)| name)
    }

    pub(super) fn is_v1(&self) -> bool {
        self.user.is_some() && (self.id_str.is_some() || self.id.is_some())
    }

    pub(super) fn is_flattened(&self) -> bool {
        self.id.is_some() && (self.text.is_some() || self.created_at.is_some())
    }

    pub(super) fn rules(&self) -> &[Rule<'_>] {
        self.matching_rules.as_deref().unwrap_or_default()
    }
}

/// One post, or a page of them.
pub(super) enum Data<'a> {
    One(Box<Post<'a>>),
    /// Each post by itself, so that one that is broken spoils no other.
    Page(Vec<LazyValue<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;
        impl<'de> Visitor<'de> for DataVisitor {
            type Value = Data<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a post or a list of posts")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Data<'de>, A::Error> {
                Ok(Data::One(Box::new(Post::deserialize(MapAccessDeserializer::new(map))?)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Data<'de>, A::Error> {
                Ok(Data::Page(Vec::deserialize(SeqAccessDeserializer::new(seq))?))
            }
        }
        deserializer.deserialize_any(DataVisitor)
    }
}

#[derive(Deserialize)]
pub(super) struct Rule<'a> {
    #[serde(borrow)]
    pub(super) tag: Option<Text<'a>>,
}

/// A v2 post, flattened or not.
#[derive(Deserialize)]
pub(super) struct Post<'a> {
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    author_id: Option<Id<'a>>,
    #[serde(borrow)]
    lang: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
    #[serde(borrow)]
    geo: Option<Geo<'a>>,
    #[serde(borrow)]
    referenced_tweets: Option<Vec<Reference<'a>>>,
    #[serde(borrow)]
    referenced_posts: Option<Vec<Reference<'a>>>,
    #[serde(borrow)]
    note_tweet: Option<Note<'a>>,
    #[serde(borrow)]
    note_post: Option<Note<'a>>,
}

/// The full form of a post that is longer than `text` shows.
#[derive(Deserialize)]
struct Note<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
}

/// A referenced post; flattened archives put the whole post here.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Id<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    entities: Option<Entities<'a>>,
    #[serde(borrow)]
    note_tweet: Option<Note<'a>>,
    #[serde(borrow)]
    note_post: Option<Note<'a>>,
}

#[derive(Deserialize)]
struct Entities<'a> {
    #[serde(borrow)]
    hashtags: Option<Vec<Hashtag<'a>>>,
    mentions: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    urls: Option<Vec<Url<'a>>>,
}

#[derive(Deserialize)]
struct Hashtag<'a> {
    #[serde(borrow)]
    tag: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Url<'a> {
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    expanded_url: Option<Text<'a>>,
    #[serde(borrow)]
    unwound_url: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Geo<'a> {
    #[serde(borrow)]
    place_id: Option<Text<'a>>,
    coordinates: Option<Coordinates>,
    /// Flattened: the place's own `geo`.
    geo: Option<PlaceGeo>,
    bbox: Option<Vec<f64>>,
}

#[derive(Deserialize)]
pub(super) struct Coordinates {
    pub(super) coordinates: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct PlaceGeo {
    bbox: Option<Vec<f64>>,
}

#[derive(Deserialize, Default)]
pub(super) struct Includes<'a> {
    #[serde(borrow)]
    tweets: Option<Vec<Reference<'a>>>,
    #[serde(borrow)]
    posts: Option<Vec<Reference<'a>>>,
    #[serde(borrow)]
    places: Option<Vec<Place<'a>>>,
}

#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    geo: Option<PlaceGeo>,
}

/// Hands on the post or posts of `data`.
pub(super) fn posts(
    data: &Data<'_>,
    outer: &Outer<'_>,
    key: &AuthorKey,
    each: &mut dyn FnMut(Result<SourcePost<'_>, LineError>),
) {
    let includes = || outer.includes.as_ref().map(|lazy| json::read::<Includes<'_>>(lazy.as_raw_str().as_bytes()));
    match data {
        Data::One(one) => {
            // Most posts need nothing of the includes, which are the larger half of a line.
            let includes = if one.needs_includes() { includes() } else { None };
            match includes.transpose() {
                Ok(includes) => each(post(one, includes.as_ref(), outer.rules(), key)),
                Err(error) => each(Err(error)),
            }
        }
        Data::Page(page) => {
            let includes = match includes().transpose() {
                Ok(includes) => includes,
                Err(error) => {
                    page.iter().for_each(|_| each(Err(error.clone())));
                    return;
                }
            };
            for raw in page {
                match json::read::<Post<'_>>(raw.as_raw_str().as_bytes()) {
                    Ok(one) => each(post(&one, includes.as_ref(), outer.rules(), key)),
                    Err(error) => each(Err(error)),
                }
            }
        }
    }
}

impl<'a> Post<'a> {
    fn references(&self) -> &[Reference<'a>] {
        self.referenced_tweets.as_deref().or(self.referenced_posts.as_deref()).unwrap_or_default()
    }

    fn reference(&self, kinds: [&str; 2]) -> Option<&Reference<'a>> {
        self.references().iter().find(|r| r.kind.as_ref().is_some_and(|kind| kinds.contains(&&*kind.0)))
    }

    fn needs_includes(&self) -> bool {
        self.reference(["retweeted", "reposted"]).is_some()
            || self.geo.as_ref().is_some_and(|geo| geo.place_id.is_some() && geo.geo.is_none() && geo.bbox.is_none())
    }
}

/// One v2 post as the pipeline wants it.
pub(super) fn post<'p>(
    post: &'p Post<'_>,
    includes: Option<&'p Includes<'_>>,
    rules: &'p [Rule<'_>],
    key: &AuthorKey,
) -> Result<SourcePost<'p>, LineError> {
    let id = post.id.as_ref().and_then(Id::number).ok_or(LineError::NoId)?;
    let written = || post.created_at.as_ref().and_then(|text| parse_rfc3339(&text.0));
    let time_ms = snowflake_ms(id).or_else(written).ok_or(LineError::NoTime)?;
    let repost = post.reference(["retweeted", "reposted"]);
    let kind = Kind::of(
        repost.is_some(),
        post.reference(["quoted", "quoted"]).is_some(),
        post.reference(["replied_to", "replied_to"]).is_some(),
    );
    // The original of a repost: inlined, or among the includes.
    let original = repost.and_then(|reference| {
        if reference.text.is_some() || reference.entities.is_some() {
            return Some(reference);
        }
        let includes = includes?;
        let included = includes.tweets.as_deref().or(includes.posts.as_deref()).unwrap_or_default();
        included.iter().find(|one| one.id.is_some() && one.id == reference.id)
    });
    let (text, entities, note) = match original {
        Some(original) => {
            (&original.text, &original.entities, original.note_tweet.as_ref().or(original.note_post.as_ref()))
        }
        None => (&post.text, &post.entities, post.note_tweet.as_ref().or(post.note_post.as_ref())),
    };
    let text = note.and_then(|note| note.text.as_ref()).or(text.as_ref());
    let entities = note.and_then(|note| note.entities.as_ref()).or(entities.as_ref());
    let geo = post.geo.as_ref();
    let place = geo.and_then(|geo| {
        let inlined = geo.geo.as_ref().and_then(|place| place.bbox.as_deref()).or(geo.bbox.as_deref());
        let listed = || {
            let places = includes?.places.as_deref()?;
            places.iter().find(|place| place.id.is_some() && place.id == geo.place_id)?.geo.as_ref()?.bbox.as_deref()
        };
        geo_box(inlined.or_else(listed)?)
    });
    Ok(SourcePost {
        id: PostId::x(id),
        time_ms,
        author: author_hash(key, post.author_id.as_ref()),
        kind,
        lang: Cow::Borrowed(post.lang.as_ref().map_or("", |lang| &lang.0)),
        hashtags: entities
            .and_then(|entities| entities.hashtags.as_ref())
            .map(|tags| tags.iter().filter_map(|tag| tag.tag.as_ref()).map(|tag| Cow::Borrowed(&*tag.0)).collect())
            .unwrap_or_default(),
        long_hashtags: 0,
        mentions: entities.and_then(|entities| entities.mentions.as_ref()).map_or(0, Vec::len) as u32,
        hosts: entities
            .and_then(|entities| entities.urls.as_ref())
            .map(|urls| {
                hosts(
                    urls.iter().map(|url| url.unwound_url.as_ref().or(url.expanded_url.as_ref()).or(url.url.as_ref())),
                )
            })
            .unwrap_or_default(),
        text: Cow::Borrowed(text.map_or("", |text| &text.0)),
        point: geo
            .and_then(|geo| geo.coordinates.as_ref()?.coordinates.as_deref())
            .and_then(|coordinates| point(coordinates, false)),
        place,
        rule_tags: rules.iter().filter_map(|rule| rule.tag.as_ref()).map(|tag| Cow::Borrowed(&*tag.0)).collect(),
        repost_of: None,
    })
}

/// The hash of an author of X. X names none by default (`author_id` is to be asked for), so a post may
/// be without.
pub(super) fn author_hash(key: &AuthorKey, author: Option<&Id<'_>>) -> Option<u64> {
    author.filter(|author| !author.0.is_empty()).map(|author| key.hash("x", &author.0))
}

/// The hosts of addresses, each once, without the platform's own.
pub(super) fn hosts<'p>(addresses: impl Iterator<Item = Option<&'p Text<'p>>>) -> Vec<Cow<'p, str>> {
    let mut found: Vec<Cow<'p, str>> = vec![];
    for host in addresses.flatten().filter_map(|address| link_host(&address.0)) {
        if !OWN_HOSTS.contains(&&*host) && !found.contains(&host) {
            found.push(host);
        }
    }
    found
}

/// Longitude and latitude; `swapped` when the latitude comes first. What is off the globe is none.
pub(super) fn point(numbers: &[f64], swapped: bool) -> Option<Point> {
    let [first, second] = numbers else { return None };
    let (lon, lat) = if swapped { (*second, *first) } else { (*first, *second) };
    ((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)).then_some(Point { lon, lat })
}

/// West, south, east, north.
pub(super) fn geo_box(edges: &[f64]) -> Option<GeoBox> {
    let [west, south, east, north] = edges else { return None };
    let (low, high) = (point(&[*west, *south], false)?, point(&[*east, *north], false)?);
    (low.lat <= high.lat).then_some(GeoBox { west: low.lon, south: low.lat, east: high.lon, north: high.lat })
}

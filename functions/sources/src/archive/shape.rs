//! Names objects that are not posts of the X API, so that a user who feeds the wrong file learns which one it is.
//!
//! An object is judged by all of its fields and not by a single one that looks like a post's: users, lists and
//! media come in the same envelopes as posts, and other tools write posts with other names, of which `id`
//! and `text` alone are the same.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::LineError;
use crate::json::{self, Field, Object, Written};

/// A kind of object that is no post of the X API.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// Of each group, the object has at least one field that is filled.
    has: &'static [&'static [&'static str]],
    /// Whether the object is of this shape even when it has a text.
    with_text: bool,
    /// What it is.
    pub what: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

const fn shape(
    with_text: bool,
    has: &'static [&'static [&'static str]],
    what: &'static str,
    remedy: &'static str,
) -> Shape {
    Shape { has, with_text, what, remedy }
}

const FEED_POSTS: &str = "feed the file with posts";
const HYDRATE: &str = "fetch the posts by their ids from the X API and feed its answer";

/// The shapes, of which the first that fits is named.
static SHAPES: &[Shape] = &[
    shape(
        true,
        &[&[
            "rest_id",
            "legacy",
            "__typename",
            "tweet_results",
            "user_results",
            "itemContent",
            "instructions",
            "search_by_raw_query",
            "threaded_conversation_with_injections_v2",
        ]],
        "an export of X's web client (GraphQL), as browser extensions such as Zeeschuimer save it, not a shape of the X API",
        HYDRATE,
    ),
    shape(
        true,
        &[&["rawContent", "renderedContent", "retweetedTweet", "quotedTweet", "inReplyToTweetId"]],
        "an export of snscrape or twscrape, not a shape of the X API",
        HYDRATE,
    ),
    shape(true, &[&["content"], &["date"], &["user"]], "an export of snscrape, not a shape of the X API", HYDRATE),
    shape(
        true,
        &[&["tweet"], &["username", "user_id", "conversation_id"]],
        "an export of twint, not a shape of the X API",
        HYDRATE,
    ),
    shape(
        true,
        &[&["objectType", "verb", "postedTime"], &["actor", "object", "body", "verb"]],
        "a Gnip activity (Activity Streams)",
        "have Gnip or PowerTrack deliver the original format, or fetch the posts by their ids from the X API",
    ),
    shape(
        true,
        &[&["did"], &["commit", "identity", "account", "time_us"]],
        "a message of Bluesky's Jetstream",
        "it is read live, by --source bluesky; replay reads posts of X",
    ),
    shape(
        true,
        &[&["cid", "indexedAt", "$type"], &["record", "uri", "author"]],
        "a record of Bluesky",
        "Bluesky is read live, by --source bluesky; replay reads posts of X",
    ),
    shape(
        true,
        &[&["account"], &["uri", "visibility", "content", "reblog", "spoiler_text"]],
        "a status of Mastodon",
        "it is read live, by --source mastodon:SERVER; replay reads posts of X",
    ),
    shape(
        true,
        &[&["event"], &["payload"]],
        "a streaming message of Mastodon",
        "it is read live, by --source mastodon:SERVER; replay reads posts of X",
    ),
    shape(
        true,
        &[&["dm_conversation_id", "event_type", "message_create", "messageCreate", "dmConversation"]],
        "a direct message, not a post",
        FEED_POSTS,
    ),
    shape(
        true,
        &[&["sender", "sender_id", "sender_id_str"], &["recipient", "recipient_id", "recipient_id_str"]],
        "a direct message, not a post",
        FEED_POSTS,
    ),
    shape(true, &[&["idstr"], &["mid", "user"]], "a status of Weibo", "replay reads posts of X"),
    shape(true, &[&["subreddit", "subreddit_id"]], "a post of Reddit", "replay reads posts of X"),
    shape(
        true,
        &[&["thread_id"], &["body"]],
        "a post as 4CAT maps it, not a shape of the X API",
        "export the dataset from 4CAT in its original NDJSON",
    ),
    shape(
        true,
        &[&[
            "createdAt",
            "fullText",
            "isRetweet",
            "isReply",
            "isQuote",
            "retweetCount",
            "likeCount",
            "conversationId",
            "tweetId",
            "tweetUrl",
            "tweet_id",
            "tweet_url",
            "status_id",
            "permalink",
            "is_retweet",
            "is-retweet",
            "from_user",
            "from_user_name",
            "entities_str",
            "text_html",
        ]],
        "a post as another tool names its fields, not a shape of the X API",
        HYDRATE,
    ),
    shape(false, &[&["trend_name", "tweet_volume"]], "a trend, not a post", FEED_POSTS),
    shape(
        false,
        &[&["tweet_count", "post_count", "total_tweet_count"], &["start", "end", "meta", "total_tweet_count"]],
        "an answer with counts of posts, not posts",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&["project_usage", "project_cap", "daily_project_usage", "daily_client_app_usage"]],
        "an answer about the use of the API, not posts",
        FEED_POSTS,
    ),
    shape(false, &[&["value"], &["id", "tag"]], "a rule of the filtered stream, not a post", FEED_POSTS),
    shape(
        false,
        &[&["redacted_at", "upload_url", "download_url", "event_at"]],
        "an answer about compliance (what was deleted or withheld), not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&["action"], &["reason", "id"]],
        "an answer about compliance (what was deleted or withheld), not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&[
            "delete",
            "drop",
            "undrop",
            "withheld",
            "tweet_edit",
            "post_edit",
            "tweet_withheld",
            "user_delete",
            "user_undelete",
            "user_protect",
            "user_unprotect",
            "user_suspend",
            "user_unsuspend",
            "user_withheld",
            "user_profile_modification",
            "scrub_geo",
        ]],
        "an answer about compliance (what was deleted or withheld), not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&["media_key", "media_url", "media_url_https"]],
        "a medium (picture or video), not a post",
        FEED_POSTS,
    ),
    shape(false, &[&["options", "voting_status"]], "a poll, not a post", FEED_POSTS),
    shape(
        false,
        &[&["host_ids", "speaker_ids", "participant_count", "scheduled_start", "is_ticketed", "state"]],
        "a space, not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&["full_name", "place_type", "contained_within", "bounding_box"]],
        "a place, not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&["owner_id", "member_count", "follower_count", "subscriber_count", "private"], &["name"]],
        "a list or community, not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&[
            "username",
            "screen_name",
            "userName",
            "followers_count",
            "statuses_count",
            "pinned_tweet_id",
            "description",
        ]],
        "a user profile, not a post",
        FEED_POSTS,
    ),
    shape(
        false,
        &[&["like", "follower", "following", "profile", "account", "noteTweet", "block", "mute", "ad", "deviceToken"]],
        "another part of an account's own archive, not posts",
        "feed its data/tweets.js",
    ),
    shape(false, &[&["name"], &["id", "id_str"]], "a user profile or a list, not a post", FEED_POSTS),
];

/// Fields that posts of v1.1 have, and nothing of v2.
const V1: &[&str] = &[
    "id_str",
    "full_text",
    "user",
    "extended_tweet",
    "truncated",
    "favorited",
    "is_quote_status",
    "retweeted_status",
    "in_reply_to_status_id",
    "in_reply_to_status_id_str",
    "in_reply_to_screen_name",
    "timestamp_ms",
];
/// Fields that posts of v2 have, and nothing else.
const V2: &[&str] =
    &["author_id", "edit_history_tweet_ids", "edit_history_post_ids", "referenced_tweets", "referenced_posts"];
/// The words of a post. They may be empty, as those of a picture are.
const TEXTS: &[&str] = &["text", "full_text"];
/// Objects that contain the words of a post.
const LONG_TEXTS: &[&str] = &["extended_tweet", "note_tweet", "note_post"];

/// A set of field names that the table knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Names(u128, u128);

impl Names {
    fn of(names: &[&str]) -> Self {
        names.iter().fold(Self::default(), |set, name| set.and(*BITS.get(name.as_bytes()).unwrap_or(&0)))
    }

    fn and(self, bit: u32) -> Self {
        if bit < 128 { Self(self.0 | 1 << bit, self.1) } else { Self(self.0, self.1 | 1 << (bit - 128)) }
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0 || self.1 & other.1 != 0
    }
}

/// Fields that more than posts have.
const OTHERS: &[&str] = &["id", "entities"];

/// A number for each name.
static BITS: LazyLock<HashMap<&'static [u8], u32>> = LazyLock::new(|| {
    let mut bits = HashMap::new();
    for name in SHAPES
        .iter()
        .flat_map(|shape| shape.has)
        .copied()
        .flatten()
        .chain(V1)
        .chain(V2)
        .chain(TEXTS)
        .chain(LONG_TEXTS)
        .chain(OTHERS)
    {
        let next = bits.len() as u32;
        bits.entry(name.as_bytes()).or_insert(next);
    }
    bits
});

/// The table, and the fields of each format, as sets.
struct Sets {
    shapes: Vec<(Vec<Names>, &'static Shape)>,
    v1: Names,
    v2: Names,
    texts: Names,
    long_texts: Names,
    entities: Names,
    user: Names,
    id: Names,
}

static SETS: LazyLock<Sets> = LazyLock::new(|| Sets {
    shapes: SHAPES.iter().map(|shape| (shape.has.iter().map(|names| Names::of(names)).collect(), shape)).collect(),
    v1: Names::of(V1),
    v2: Names::of(V2),
    texts: Names::of(TEXTS),
    long_texts: Names::of(LONG_TEXTS),
    entities: Names::of(&["entities"]),
    user: Names::of(&["user"]),
    id: Names::of(&["id", "id_str"]),
});

/// Which fields an object has.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    /// At all.
    present: Names,
    /// With something in them.
    filled: Names,
    /// With a text in them, even an empty one.
    texts: Names,
}

impl<'de> Field<'de> for Fields {
    fn is_filled(&self) -> bool {
        self.present != Names::default()
    }

    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        let mut value = Written::default();
        while let Some(bit) = object.name(|name| BITS.get(name).copied())? {
            object.value(&mut value)?;
            let Some(bit) = bit else { continue };
            self.present = self.present.and(bit);
            if value.0.has_content() {
                self.filled = self.filled.and(bit);
            }
            if value.0.is_text() {
                self.texts = self.texts.and(bit);
            }
        }
        Ok(())
    }
}

/// The format of a post of X.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A status of v1.1.
    V1,
    /// A post of v2.
    V2,
}

/// Which format this object has.
///
/// # Errors
/// When it is no post of X, with what it is as far as that is known.
pub(super) fn format_of(object: &[u8]) -> Result<Format, LineError> {
    let fields: Fields = json::read(object)?;
    let sets = &*SETS;
    let is_v2 = fields.filled.meets(sets.v2);
    let has_text = fields.texts.meets(sets.texts) || fields.filled.meets(sets.long_texts);
    // Without its text a post may still have what was found in it. So do the descriptions of users.
    let is_stripped = fields.filled.meets(sets.entities) && (is_v2 || fields.filled.meets(sets.user));
    if !(is_v2 && (has_text || is_stripped)) {
        let fits = |(has, shape): &&(Vec<Names>, &Shape)| {
            (shape.with_text || !(has_text || is_stripped)) && has.iter().all(|names| fields.filled.meets(*names))
        };
        if let Some((_, shape)) = sets.shapes.iter().find(fits) {
            return Err(LineError::NotAPost(shape));
        }
    }
    let has_id = fields.present.meets(sets.id);
    match (has_id, has_text || is_stripped) {
        (true, true) if !is_v2 && fields.present.meets(sets.v1) => Ok(Format::V1),
        (true, true) => Ok(Format::V2),
        (true, false) => Err(LineError::NoText),
        (false, true) => Err(LineError::NoId),
        (false, false) => Err(LineError::UnknownShape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_its_sets() {
        assert!(BITS.len() <= 256, "{}", BITS.len());
        for shape in SHAPES {
            assert!(!shape.has.is_empty() && !shape.what.is_empty() && !shape.remedy.is_empty());
        }
    }

    #[test]
    fn each_shape_is_recognized() {
        for (object, what) in [
            (r#"{"id":"7","name":"N","username":"n"}"#, "user profile"),
            (r#"{"id":"7","name":"N","username":"n","entities":{"url":{"urls":[{"url":"x"}]}}}"#, "user profile"),
            (r#"{"id":7,"id_str":"7","screen_name":"n","entities":{"url":{}},"status":{"text":"x"}}"#, "user profile"),
            (r#"{"id":"7","name":"N","owner_id":"5","member_count":3}"#, "list"),
            (r#"{"id":"7","name":"N"}"#, "user profile or a list"),
            (r#"{"id":"1abc","state":"live","title":"t"}"#, "space"),
            (r#"{"media_key":"3_7","type":"photo","url":"https://x.example"}"#, "medium"),
            (r#"{"id":"7","options":[{"position":1,"label":"a"}]}"#, "poll"),
            (r#"{"id":"7","full_name":"P","geo":{"bbox":[1,2,3,4]}}"#, "place"),
            (r#"{"start":"a","end":"b","tweet_count":0}"#, "counts"),
            (r#"{"end":"b","start":"a","post_count":5}"#, "counts"),
            (r#"{"project_id":"7","project_usage":"5"}"#, "use of the API"),
            (r#"{"id":"7","value":"cat","tag":"t"}"#, "rule"),
            (r#"{"id":"7","action":"delete","created_at":"x","redacted_at":"y","reason":"deleted"}"#, "compliance"),
            (r#"{"tweet_edit":{"tweet":{"id":"7"},"event_at":"x"}}"#, "compliance"),
            (r#"{"id":"7","type":"tweets","status":"created","upload_url":"u"}"#, "compliance"),
            (r#"{"id":"7","text":"x","event_type":"MessageCreate"}"#, "direct message"),
            (r#"{"id_str":"7","text":"x","sender":{"id":1},"recipient":{"id":2}}"#, "direct message"),
            (r#"{"_type":"snscrape.modules.twitter.Tweet","id":7,"rawContent":"x","user":{"id":5}}"#, "snscrape"),
            (r#"{"url":"u","date":"d","content":"x","id":7,"user":{"username":"n"}}"#, "snscrape"),
            (r#"{"id":7,"conversation_id":"7","user_id":5,"username":"n","tweet":"x","near":""}"#, "twint"),
            (r#"{"rest_id":"7","legacy":{"full_text":"x"},"core":{}}"#, "GraphQL"),
            (r#"{"id":"tag:search.twitter.com,2005:7","objectType":"activity","verb":"post","body":"x"}"#, "Gnip"),
            (r#"{"id":"7","text":"x","createdAt":"d","author":{"userName":"n"},"isReply":false}"#, "another tool"),
            (r#"{"id":"7","text":"x","permalink":"p","retweets":0}"#, "another tool"),
            (r#"{"status_id":"7","text":"x","is_retweet":true}"#, "another tool"),
            (r#"{"id":7,"idstr":"7","mid":"7","text":"x","user":{"id":5}}"#, "Weibo"),
            (r#"{"id":"7","uri":"u","account":{"acct":"a"},"content":"x"}"#, "Mastodon"),
            (r#"{"stream":["public"],"event":"update","payload":"{}"}"#, "Mastodon"),
            (r#"{"did":"did:plc:a","time_us":5,"kind":"commit","commit":{"rkey":"k"}}"#, "Jetstream"),
            (r#"{"uri":"at://a","cid":"c","author":{},"record":{"text":"x"}}"#, "Bluesky"),
            (r#"{"like":{"tweetId":"7"}}"#, "account's own archive"),
        ] {
            match format_of(object.as_bytes()) {
                Err(LineError::NotAPost(shape)) => assert!(shape.what.contains(what), "{object}: {shape}"),
                other => panic!("{object}: {other:?}"),
            }
        }
    }

    #[test]
    fn posts_are_posts_with_any_other_fields() {
        for (object, format) in [
            (r#"{"id":"7","text":"x"}"#, Format::V2),
            (r#"{"id":"7","text":""}"#, Format::V2),
            (
                r#"{"id":"7","text":"x","author_id":"5","username":"n","user":{"name":"n"},"description":"d"}"#,
                Format::V2,
            ),
            (
                r#"{"id":"7","author_id":"5","entities":{"hashtags":[{"tag":"t"}]},"withheld":{"copyright":true}}"#,
                Format::V2,
            ),
            (r#"{"id":"7","note_tweet":{"text":"x"}}"#, Format::V2),
            (r#"{"id_str":"7","text":"x"}"#, Format::V1),
            (r#"{"id":7,"full_text":"","user":{"id":5}}"#, Format::V1),
            (r#"{"id":7,"text":"x","in_reply_to_status_id":null}"#, Format::V1),
            (r#"{"id":7,"user":{"id":5},"entities":{"hashtags":[{"text":"t"}]}}"#, Format::V1),
            (r#"{"id":"7","text":"x","createdAt":null,"rawContent":"","legacy":{}}"#, Format::V2),
        ] {
            assert_eq!(format_of(object.as_bytes()), Ok(format), "{object}");
        }
    }

    #[test]
    fn what_is_not_a_post_names_what_it_lacks() {
        for (object, error) in [
            ("{}", LineError::UnknownShape),
            ("[]", LineError::UnknownShape),
            (r#"{"hello":"world"}"#, LineError::UnknownShape),
            (r#"{"id":"7"}"#, LineError::NoText),
            (r#"{"id":"7","text":null}"#, LineError::NoText),
            (r#"{"id":"7","text":{},"entities":{}}"#, LineError::NoText),
            (r#"{"text":"x"}"#, LineError::NoId),
        ] {
            assert_eq!(format_of(object.as_bytes()), Err(error), "{object}");
        }
    }
}

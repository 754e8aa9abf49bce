//! The fields that are requested of each post: exactly those that the reader
//! ([`crate::archive`]) reads. X sends only requested fields, so that a field which is read and
//! missing here is lost silently, and one that is here in vain costs bytes.
//!
//! `sources/tests/x_fields.rs` compares the list with the reader, by way of the fake of X in
//! [`super::fake`], which answers with exactly the requested fields.
//!
//! Users are left out: they are personal data and cost extra, and a post has its `author_id`.

/// Fields that every post has without a request. The versions of an edited post are among
/// them.
pub const DEFAULT_POST_FIELDS: [&str; 3] = ["id", "text", "edit_history_tweet_ids"];
/// Fields of a post, and of a post that another one refers to.
///
/// `note_tweet` has text and hashtags beyond the first 280 characters. `created_at` is read where an id
/// is older than the ids that contain a time.
pub const POST_FIELDS: [&str; 8] =
    ["attachments", "author_id", "created_at", "entities", "geo", "lang", "note_tweet", "referenced_tweets"];
/// Objects beside a post: the place that it names, and the original of a repost, whose own text is cut.
pub const EXPANSIONS: [&str; 2] = ["geo.place_id", "referenced_tweets.id"];
/// Fields of a place beside its id and name, which always come.
pub const PLACE_FIELDS: [&str; 1] = ["geo"];

/// The query of the stream.
#[must_use]
pub fn query() -> String {
    format!(
        "tweet.fields={}&expansions={}&place.fields={}",
        POST_FIELDS.join(","),
        EXPANSIONS.join(","),
        PLACE_FIELDS.join(",")
    )
}

//! Archives of X posts: one JSON object a line, in any shape that the X API ever had.
//!
//! The shape is found line by line: v2 stream lines (`data` is an object), v2 pages (`data` is an
//! array), flattened v2 posts, v1.1 statuses, v1.1 search answers (`statuses`), statuses of an account's own
//! export (`tweet`), and notices that are not posts. Anything else is named as far as it is known ([`Shape`]).

mod entities;
mod files;
mod place;
mod shape;
mod text;
mod v1;
mod v2;

use birdsong_domain::post::{InstallationKey, SourcePost};

pub use files::{Chunk, Each, FileError, Found, Other, Piece, find, read_files, total_bytes, values};
pub use shape::Shape;

use crate::json::{self, Field, Id, List, MAX_DEPTH, Object, Raw, object};
use shape::Format;
use v1::Origin;

/// Longest line that is read. A post with everything that the API can add stays below 1 MiB; a
/// search page of 500 posts below 8 MiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing: the stream's keep-alive.
    Blank,
    /// No post but a message of the stream, such as `delete`, `limit` or `errors`.
    Notice(&'static str),
    /// A `limit` notice of a v1.1 stream: this many posts were withheld since it was connected.
    Withheld(u64),
    /// Posts, handed on one by one.
    Posts,
}

/// Why a line, or one post of a page, could not be read. It quotes nothing of the line's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("the line is longer than 16 MiB")]
    TooLong,
    /// Broken or cut off.
    #[error("not JSON: {what} at byte {at}")]
    Syntax {
        /// What was wrong.
        what: &'static str,
        /// Where, from 0.
        at: usize,
    },
    /// Nested more deeply than any post, which would exhaust the reader's stack.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Something that is known, but no post of the X API.
    #[error("{0}")]
    NotAPost(&'static Shape),
    /// JSON of no shape that is known.
    #[error("neither an X v2 post or page, nor a v1.1 status, nor a notice of the stream")]
    UnknownShape,
    /// An object without words, which a post has even when they are empty.
    #[error("not a post: it has no text")]
    NoText,
    /// A post without a usable id.
    #[error("the post has no id, or one that is no number")]
    NoId,
    /// A post without a time: its id is too old to contain one, and the date is missing or unreadable.
    #[error("the post has no time: neither its id nor created_at has one")]
    NoTime,
}

/// Reads one line and hands its posts to `each`. `key` hashes the authors.
///
/// Of a repost, hashtags, links, mentions and text are those of the original when the line has it;
/// its place is its own, and a repost on X has none.
///
/// # Errors
/// When the line as a whole cannot be read. A page's single posts fail one by one, through `each`.
pub fn read_line(
    line: &[u8],
    key: &InstallationKey,
    each: &mut dyn FnMut(Result<SourcePost<'_>, LineError>),
) -> Result<Line, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong);
    }
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(Line::Blank);
    }
    if line[0] != b'{' {
        return Err(LineError::Syntax { what: "a line begins with {", at: 0 });
    }
    let outer: Outer<'_> = json::read_line::<Option<Outer<'_>>>(line)?.unwrap_or_default();
    match &outer.data {
        Some(Data::One(post)) => {
            let includes = outer.includes.as_ref();
            if post.is_plain() {
                each(v2::post(post, includes, &outer.rules, key));
                return Ok(Line::Posts);
            }
            let data: Option<Envelope<'_>> = json::read(line)?;
            let data = data.as_ref().and_then(|envelope| envelope.data.as_ref()).ok_or(LineError::UnknownShape)?;
            outer.one(data.bytes(), includes, Origin::Api, key, each);
            return Ok(Line::Posts);
        }
        Some(Data::Page(page)) => {
            let includes = outer.includes.as_ref();
            page.iter().for_each(|one| outer.page_item(one.bytes(), includes, key, each));
            return Ok(Line::Posts);
        }
        None => (),
    }
    if let Some(status) = outer.tweet.as_ref().filter(|status| status.is_object()) {
        outer.one(status.bytes(), None, Origin::Export, key, each);
    } else if !outer.statuses.is_empty() {
        outer.statuses.iter().for_each(|one| outer.one(one.bytes(), None, Origin::Api, key, each));
    } else if outer.is_flattened_for_sure() {
        outer.page_item(line, None, key, each);
    } else if outer.is_status_for_sure() {
        outer.status(line, Origin::Api, key, each);
    } else {
        let message = if outer.is_post() { None } else { json::read::<Option<Message<'_>>>(line)? };
        if let Some(notice) = message.as_ref().and_then(Message::notice) {
            return Ok(match message.as_ref().and_then(Message::withheld) {
                Some(total) => Line::Withheld(total),
                None => Line::Notice(notice),
            });
        }
        outer.of_format(shape::format_of(line)?, line, None, Origin::Api, key, each);
    }
    Ok(Line::Posts)
}

/// What is done with each post.
type EachPost<'e> = &'e mut dyn FnMut(Result<SourcePost<'_>, LineError>);

object! {
    /// The outermost object of a line of any shape.
    struct Outer<'a> {
        data: Option<Data<'a>> = "data",
        includes: Option<v2::Includes<'a>> = "includes",
        rules: Vec<v2::Rule<'a>> = "matching_rules",
        statuses: Vec<Raw<'a>> = "statuses",
        tweet: Option<Raw<'a>> = "tweet",
        id: Option<Id<'a>> = "id",
        id_str: Option<Id<'a>> = "id_str",
        author_id: Option<Id<'a>> = "author_id",
        user: Option<Raw<'a>> = "user",
        text: IsText = "text" | "full_text",
        versions: Option<Raw<'a>> = "edit_history_tweet_ids" | "edit_history_post_ids",
    }
}

object! {
    /// A message of the stream that is no post, or the frame of an answer.
    struct Message<'a> {
        errors: Option<Raw<'a>> = "errors",
        title: Option<Raw<'a>> = "title",
        kind: Option<Raw<'a>> = "type",
        detail: Option<Raw<'a>> = "detail",
        meta: Option<Raw<'a>> = "meta",
        delete: Option<Raw<'a>> = "delete",
        limit: Option<Raw<'a>> = "limit",
        warning: Option<Raw<'a>> = "warning",
        disconnect: Option<Raw<'a>> = "disconnect",
        scrub_geo: Option<Raw<'a>> = "scrub_geo",
        status_withheld: Option<Raw<'a>> = "status_withheld",
        user_withheld: Option<Raw<'a>> = "user_withheld",
        user_update: Option<Raw<'a>> = "user_update",
        event: Option<Raw<'a>> = "event",
        payload: Option<Raw<'a>> = "payload",
        friends: Option<Raw<'a>> = "friends" | "friends_str",
        info: Option<Raw<'a>> = "info",
    }
}

object! {
    /// The post of a line, to be looked at again.
    struct Envelope<'a> {
        data: Option<Raw<'a>> = "data",
    }
}

/// One post, or a page of them.
enum Data<'a> {
    One(Box<v2::Post<'a>>),
    /// Each post separately, so that a broken one spoils no other.
    Page(Vec<Raw<'a>>),
}

impl<'de: 'a, 'a> Field<'de> for Option<Data<'a>> {
    fn is_filled(&self) -> bool {
        self.is_some()
    }

    fn object<O: Object<'de>>(&mut self, object: &mut O) -> Result<(), O::Error> {
        let mut post: Option<Box<v2::Post<'a>>> = None;
        post.object(object)?;
        *self = post.map(Data::One);
        Ok(())
    }

    fn list<L: List<'de>>(&mut self, list: L) -> Result<(), L::Error> {
        let mut page: Vec<Raw<'a>> = vec![];
        page.list(list)?;
        *self = Some(Data::Page(page));
        Ok(())
    }
}

/// Whether a field has a text, even an empty one.
#[derive(Clone, Copy, Debug, Default)]
struct IsText(bool);

impl<'de> Field<'de> for IsText {
    fn is_filled(&self) -> bool {
        self.0
    }

    fn text(_: &str) -> Self {
        Self(true)
    }
}

object! {
    /// The content of a `limit` notice.
    struct Limit<'a> {
        track: Option<Id<'a>> = "track",
    }
}

impl Message<'_> {
    /// Posts withheld since the stream was connected, of a `limit` notice.
    fn withheld(&self) -> Option<u64> {
        let limit = json::read::<Option<Limit<'_>>>(self.limit.as_ref()?.bytes()).ok()??;
        limit.track?.number()
    }

    /// The message that this line is, when it is one.
    fn notice(&self) -> Option<&'static str> {
        let is_object = |field: &Option<Raw<'_>>| field.as_ref().is_some_and(Raw::is_object);
        // Messages of the stream are objects; other things have fields of these names, too.
        let messages = [
            ("delete", &self.delete),
            ("limit", &self.limit),
            ("warning", &self.warning),
            ("disconnect", &self.disconnect),
            ("scrub_geo", &self.scrub_geo),
            ("status_withheld", &self.status_withheld),
            ("user_withheld", &self.user_withheld),
            ("user_update", &self.user_update),
            ("info", &self.info),
        ];
        let message = messages.into_iter().find(|(_, field)| is_object(field)).map(|(name, _)| name);
        let others = [
            ("event", self.event.is_some() && self.payload.is_none()),
            ("friends", self.friends.is_some()),
            ("errors", self.errors.is_some()),
            // A problem (RFC 7807).
            ("title", self.title.is_some() && (self.kind.is_some() || self.detail.is_some())),
            ("meta", is_object(&self.meta)),
        ];
        message.or_else(|| others.into_iter().find(|(_, is_so)| *is_so).map(|(name, _)| name))
    }
}

impl Outer<'_> {
    /// Whether this has fields that only posts have, even if it looks like a message.
    fn is_post(&self) -> bool {
        self.text.0 && (self.id.is_some() || self.id_str.is_some())
    }

    /// Whether the line is a v1.1 status beyond doubt.
    fn is_status_for_sure(&self) -> bool {
        self.id_str.is_some() && self.text.0 && self.user.as_ref().is_some_and(Raw::is_object)
    }

    /// Whether the line is a v2 post without an envelope beyond doubt.
    fn is_flattened_for_sure(&self) -> bool {
        self.id.is_some() && self.text.0 && (self.author_id.is_some() || self.versions.is_some())
    }

    /// Hands on what is most likely a v2 post.
    fn page_item(&self, object: &[u8], includes: Option<&v2::Includes<'_>>, key: &InstallationKey, each: EachPost<'_>) {
        match json::read::<Option<v2::Post<'_>>>(object) {
            Ok(Some(post)) if post.is_plain() => each(v2::post(&post, includes, &self.rules, key)),
            Ok(_) => self.one(object, includes, Origin::Api, key, each),
            Err(error) => each(Err(error)),
        }
    }

    /// Hands on the post that this object is, in any format, or what else it is.
    fn one(
        &self,
        object: &[u8],
        includes: Option<&v2::Includes<'_>>,
        origin: Origin,
        key: &InstallationKey,
        each: EachPost<'_>,
    ) {
        match shape::format_of(object) {
            Ok(format) => self.of_format(format, object, includes, origin, key, each),
            Err(error) => each(Err(error)),
        }
    }

    fn of_format(
        &self,
        format: Format,
        object: &[u8],
        includes: Option<&v2::Includes<'_>>,
        origin: Origin,
        key: &InstallationKey,
        each: EachPost<'_>,
    ) {
        match format {
            Format::V1 => self.status(object, origin, key, each),
            Format::V2 => match json::read::<Option<v2::Post<'_>>>(object) {
                Ok(post) => each(v2::post(&post.unwrap_or_default(), includes, &self.rules, key)),
                Err(error) => each(Err(error)),
            },
        }
    }

    /// Hands on a v1.1 status.
    fn status(&self, object: &[u8], origin: Origin, key: &InstallationKey, each: EachPost<'_>) {
        match json::read::<Option<v1::Status<'_>>>(object) {
            Ok(status) => each(v1::post(&status.unwrap_or_default(), origin, &self.rules, key)),
            Err(error) => each(Err(error)),
        }
    }
}

/// Whether both JSON readers find the same in a line.
#[cfg(any(test, feature = "compare"))]
#[must_use]
pub fn do_readers_agree(line: &[u8]) -> bool {
    let (with, without) = json::compared::both(|| {
        let mut posts = vec![];
        let result = read_line(line, &InstallationKey([1; 16]), &mut |post| posts.push(format!("{post:?}")));
        (result, posts)
    });
    with == without
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines of each format.
    const LINES: &[&str] = &[
        r##"{"data":{"id":"1725000000000000000","author_id":"7","created_at":"2023-11-14T22:14:59.414Z","text":"a \u00e9 &amp; b\n#x","lang":"en","entities":{"hashtags":[{"start":0,"end":2,"tag":"x"}],"mentions":[{"username":"u"}],"urls":[{"url":"https://t.co/1","expanded_url":"https:\/\/example.com\/a"}]},"attachments":{"media_keys":["3_1"]},"geo":{"place_id":"p","coordinates":{"type":"Point","coordinates":[1.5,-2.5]}},"public_metrics":{"like_count":0},"referenced_tweets":[{"type":"retweeted","id":"1724"}],"edit_history_tweet_ids":["1725000000000000000"]},"includes":{"users":[{"id":"7","name":"N \ud83d"}],"tweets":[{"id":"1724","text":"original","entities":{"hashtags":[{"tag":"y"}]}}],"places":[{"id":"p","geo":{"bbox":[2.22,48.81,2.47,48.9]}}]},"matching_rules":[{"id":"1","tag":"paris"}]}"##,
        r##"{"data":[{"id":"1725000000000000000","author_id":"7","text":"one"},{"id":"1725000000000000001","text":"two","edit_history_tweet_ids":["1725000000000000001"]},{"id":"7","name":"n","username":"u"}],"includes":{"places":[]},"meta":{"result_count":3}}"##,
        r##"{"created_at":"Tue Nov 14 22:14:59 +0000 2023","id":1725000000000000000,"id_str":"1725000000000000000","text":"RT @a: x","user":{"id":7,"id_str":"7"},"entities":{"hashtags":[{"text":"x"}],"user_mentions":[],"urls":[]},"retweeted_status":{"id":1724,"id_str":"1724","full_text":"x","entities":{"hashtags":[]}},"place":{"bounding_box":{"coordinates":[[[2.0,41.3],[2.0,41.4],[2.2,41.4],[2.2,41.3]]]}},"coordinates":null,"in_reply_to_status_id":null,"lang":"und"}"##,
        r##"{"id":"1725000000000000000","text":"flat","author_id":{"$numberLong":"7"},"created_at":{"$date":"2023-11-14T22:14:59Z"},"geo":{"bbox":[1,2,3,4]}}"##,
        r##"{"delete":{"status":{"id":1,"id_str":"1"}},"timestamp_ms":"1700000000000"}"##,
        r##"{"limit":{"track":12,"timestamp_ms":"1700000000000"}}"##,
        r##"{"tweet":{"id_str":"1725000000000000000","full_text":"mine","created_at":"Tue Nov 14 22:14:59 +0000 2023","entities":{}}}"##,
        r##"{"statuses":[{"id_str":"1725000000000000000","text":"s","user":{"id_str":"7"}}],"search_metadata":{"count":1}}"##,
    ];

    #[test]
    fn usual_lines_need_one_reader_only() {
        for line in LINES {
            let outer = json::compared::simply::<Option<Outer<'_>>>(line);
            assert!(outer.is_some(), "{line}");
            assert!(do_readers_agree(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn values_within_values_need_little_stack() {
        let line = |levels: usize| format!("{{\"id\":{}1{}}}", "{\"$date\":".repeat(levels), "}".repeat(levels));
        for levels in [1, 62, 63, 64, 65, 100] {
            assert!(do_readers_agree(line(levels).as_bytes()), "{levels}");
        }
        let found = read_line(line(20_000).as_bytes(), &InstallationKey([1; 16]), &mut |_| ());
        assert_eq!(found, Err(LineError::TooDeep));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn both_readers_find_the_same_in_lines_that_were_changed(
            line in prop::sample::select(LINES),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..6, 0usize..40), 0..4),
            cut in any::<prop::sample::Index>(),
            is_cut in prop::bool::weighted(0.1),
        ) {
            let mut line = line.as_bytes().to_vec();
            for (at, byte, change, len) in changes {
                if line.is_empty() {
                    break;
                }
                let at = at.index(line.len());
                let signs = b"{}[]:,\"\\ 0-1.etfn";
                match change {
                    0 => line[at] = byte,
                    1 => line.insert(at, byte),
                    2 => drop(line.remove(at)),
                    3 => line[at] = signs[usize::from(byte) % signs.len()],
                    4 => line.insert(at, signs[usize::from(byte) % signs.len()]),
                    // A part comes twice.
                    _ => {
                        let part = line[at..line.len().min(at + len)].to_vec();
                        line.splice(at..at, part);
                    }
                }
            }
            if is_cut && !line.is_empty() {
                line.truncate(cut.index(line.len()));
            }
            prop_assert!(do_readers_agree(&line), "{}", String::from_utf8_lossy(&line));
        }
    }
}

//! The entries of a feed, read into posts.

use std::borrow::Cow;
use std::time::Duration;

use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::hashtag::Hashtags;
use birdsong_domain::language;
use birdsong_domain::post::{InstallationKey, PostId, SourcePost, link_host};
use feed_rs::model;

use crate::html::{self, Words};

use super::SPACE;

/// Longest feed that is read.
pub const MAX_FEED_BYTES: usize = 8 << 20;
/// Most entries of a feed that are read, the first ones.
const MAX_ENTRIES: usize = 1000;
/// Longest id of an entry, in bytes. Ids are often addresses.
const MAX_ID_BYTES: usize = 4096;
/// Most bytes of an entry's text that are matched with regions.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Why a feed cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// It is neither RSS, Atom nor JSON Feed.
    #[error("it is no RSS, Atom or JSON feed")]
    Syntax,
}

/// An entry of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Identity: that of the feed's own id of the entry, within the feed.
    pub id: PostId,
    /// When it was published or changed, as its author claims, in milliseconds.
    pub claimed_ms: Option<i64>,
    author: Option<u64>,
    lang: String,
    hashtags: Vec<String>,
    long_hashtags: u32,
    hosts: Vec<String>,
    text: String,
    has_media: bool,
}

impl Entry {
    /// The post of this entry, with the time at which it counts, in milliseconds.
    #[must_use]
    pub fn post(&self, time_ms: i64) -> SourcePost<'_> {
        SourcePost {
            id: self.id,
            time_ms,
            author: self.author,
            lang: Cow::Borrowed(&self.lang),
            hashtags: self.hashtags.iter().map(|tag| Cow::Borrowed(tag.as_str())).collect(),
            long_hashtags: self.long_hashtags,
            hosts: self.hosts.iter().map(|host| Cow::Borrowed(host.as_str())).collect(),
            text: Cow::Borrowed(&self.text),
            has_media: self.has_media,
            ..SourcePost::default()
        }
    }
}

/// A feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// In the order of the feed.
    pub entries: Vec<Entry>,
    /// Entries that have no id, or one that is too long.
    pub unreadable: u64,
    /// How long it asks readers to wait before the next poll.
    pub ttl: Option<Duration>,
}

/// Reads a feed from this address. `key` hashes ids and authors.
///
/// # Errors
/// When it is no feed. The library's messages quote the input and are left out.
pub fn read_feed(url: &str, bytes: &[u8], key: &InstallationKey) -> Result<Feed, FeedError> {
    // Entries without an id get none: a random one, the library's way, would make each poll count them again.
    let parser = feed_rs::parser::Builder::new()
        .id_generator(|links, title, _| {
            let link = links.first().map(|link| link.href.clone());
            link.or_else(|| title.as_ref().map(|title| title.content.clone())).unwrap_or_default()
        })
        .sanitize_content(false)
        .build();
    let feed = parser.parse(bytes).map_err(|_| FeedError::Syntax)?;
    let ttl = feed.ttl.map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let lang = feed.language.as_deref().unwrap_or_default();
    let (mut entries, mut unreadable) = (vec![], 0);
    for entry in feed.entries.into_iter().take(MAX_ENTRIES) {
        if entry.id.is_empty() || entry.id.len() > MAX_ID_BYTES {
            unreadable += 1;
            continue;
        }
        entries.push(read_entry(url, lang, &entry, key));
    }
    Ok(Feed { entries, unreadable, ttl })
}

fn read_entry(url: &str, lang: &str, entry: &model::Entry, key: &InstallationKey) -> Entry {
    // An id is one of a feed: many number their entries.
    let id = key.post(SPACE, format!("{url}\n{}", entry.id).as_bytes());
    let claimed = entry.published.or(entry.updated);
    let author = entry.authors.first().and_then(|person| {
        let known = person.uri.as_ref().or(person.email.as_ref()).or(person.name.as_ref())?;
        (!known.is_empty()).then(|| key.hash(SPACE, &format!("{url}\n{known}")))
    });
    let mut words = Words::default();
    if let Some(title) = &entry.title {
        html::read(bounded(&title.content), &mut words);
        words.text.push('\n');
    }
    let body = entry.content.as_ref().and_then(|content| content.body.as_deref());
    if let Some(text) = body.or(entry.summary.as_ref().map(|summary| summary.content.as_str())) {
        html::read(bounded(text), &mut words);
    }
    let mut hosts: Vec<String> = vec![];
    for address in entry.links.iter().map(|link| link.href.as_str()).chain(words.links.iter().map(String::as_str)) {
        if let Some(host) = link_host(address)
            && hosts.len() < MAX_PER_POST
            && !hosts.iter().any(|other| *other == host)
        {
            hosts.push(host.into_owned());
        }
    }
    // A category is a hashtag when it could be written as one.
    let mut tags = Hashtags::default();
    for category in &entry.categories {
        let name = category.term.trim().trim_start_matches('#');
        if !name.is_empty() && !name.contains(char::is_whitespace) {
            tags.add(Cow::Borrowed(name));
        }
    }
    let (hashtags, long_hashtags) = tags.finish();
    Entry {
        id,
        claimed_ms: claimed.map(|time| time.timestamp_millis()),
        author,
        lang: language::of_post(entry.language.as_deref().unwrap_or(lang)).into_owned(),
        hashtags: hashtags.into_iter().map(Cow::into_owned).collect(),
        long_hashtags,
        hosts,
        text: words.text.trim().to_owned(),
        has_media: !entry.media.is_empty(),
    }
}

/// The head of a text, cut between characters.
fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

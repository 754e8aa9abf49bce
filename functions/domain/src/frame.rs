//! Frames: the records of the post log.
//!
//! Layout: `BSF` + version byte `3`; CRC-32 (little endian), length (LEB128) and JSON of the header; CRC-32 of
//! the rest, then the uncompressed length of the post lines (LEB128) and one zstd frame with these lines, each a
//! JSON object. A frame without posts ends behind its header.
//!
//! The checksums turn a damaged record into a loud error instead of wrong numbers. The header has one of its own
//! and states how many posts there are in which window: when the posts of a frame are damaged, the windows that
//! they belong to are known. The stated lengths bound what a hostile record can make us allocate.
//!
//! A new key of the header or of a post that an older program may ignore needs no new version; anything else does.
//! Versions `1` and `2`, whose lanes have no network, are refused ([`FrameError::Old`]).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use crate::lane::{BadLane, Lane, STREAM};
use crate::ports::LogRecord;
use crate::post::{Kind, Located, SourcePost};
use crate::unzstd;
use crate::wire::{self, Reader};

const MAGIC: [u8; 4] = *b"BSF3";
const OLD_MAGICS: [[u8; 4]; 2] = [*b"BSF1", *b"BSF2"];
/// Most bytes of post lines, uncompressed, that a frame is written or read with.
pub const MAX_FRAME_BYTES: usize = 8 << 20;
/// Most bytes of a header that a frame is written or read with.
pub const MAX_HEADER_BYTES: usize = 256 << 10;

/// The outcome of the lines of a source. `received = sent + filtered + quarantined + duplicates +
/// dropped`, where a post that matches several regions is sent once here (rule 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Posts that came from the source, readable or not.
    pub received: u64,
    /// Posts that matched at least one region and are in the log.
    pub sent: u64,
    /// Posts that matched no region, and notices that are not posts.
    pub filtered: u64,
    /// Lines that could not be read; they are in quarantine with their reason.
    pub quarantined: u64,
    /// Posts seen before.
    pub duplicates: u64,
    /// Posts dropped because the log was unavailable and the spool full.
    pub dropped: u64,
    /// Milliseconds in which the source was disconnected and whose posts will not come any more;
    /// no posts, so not part of the balance.
    #[serde(skip_serializing_if = "is_default")]
    pub missed_ms: u64,
    /// Of 1000 posts of the source, those that it was not asked for, to stay within a budget; 0 when
    /// all were. The largest of the time that the ledger covers, and no part of the balance.
    #[serde(skip_serializing_if = "is_default")]
    pub unasked_permille: u64,
    /// Posts that the source reports as not delivered (`limit` notices of v1.1 streams); no part of the
    /// balance.
    #[serde(skip_serializing_if = "is_default")]
    pub withheld: u64,
}

impl Ledger {
    /// Adds another ledger's counts. The order in which ledgers are added does not matter.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.filtered += other.filtered;
        self.quarantined += other.quarantined;
        self.duplicates += other.duplicates;
        self.dropped += other.dropped;
        self.missed_ms += other.missed_ms;
        self.withheld += other.withheld;
        self.unasked_permille = self.unasked_permille.max(other.unasked_permille);
    }

    /// Whether every received post is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.received == self.sent + self.filtered + self.quarantined + self.duplicates + self.dropped
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// First line of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameHeader {
    /// The lane that the frame belongs to.
    pub lane: Lane,
    /// The source's name, such as `demo` or `bluesky`.
    pub source: String,
    /// The streamer run that cut the frame; a fresh id each time that numbering starts.
    pub run: String,
    /// Number of the frame within its run and lane, from 1. A repeated append has the same number,
    /// and is folded once.
    pub counter: u64,
    /// When the frame was cut, by the streamer's clock; for archives the newest event time.
    pub cut_ms: i64,
    /// Since when the source has been connected.
    pub connected_ms: i64,
    /// Whether `cut_ms` is real time, so that posts can be late and lag can be measured.
    pub live: bool,
    /// Number of the cut within its run, from 1: the frames of a cut are sent together, the ledger's
    /// last.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cut: u64,
    /// What happened to the source itself, such as time that it missed; only on frames of [`STREAM`].
    #[serde(default, skip_serializing_if = "Ledger::is_empty")]
    pub ledger: Ledger,
    /// What became of the lines since the run's last frame with a ledger, by the start of the window that they
    /// belong to, in milliseconds; only on frames of [`STREAM`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledgers: Vec<(i64, Ledger)>,
    /// The posts of this frame by window; none on frames of [`STREAM`], and in version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<PostCount>,
}

/// How many posts of a frame belong to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(i64, u64, u64)", from = "(i64, u64, u64)")]
pub struct PostCount {
    /// Start of the window, in milliseconds.
    pub window_ms: i64,
    /// All posts.
    pub posts: u64,
    /// Those that are no further copies ([`SlimPost::is_copy`]).
    pub primary: u64,
}

impl From<PostCount> for (i64, u64, u64) {
    fn from(count: PostCount) -> Self {
        (count.window_ms, count.posts, count.primary)
    }
}

impl From<(i64, u64, u64)> for PostCount {
    fn from((window_ms, posts, primary): (i64, u64, u64)) -> Self {
        Self { window_ms, posts, primary }
    }
}

impl FrameHeader {
    /// The header of a record of this lane that arrived at this time, in milliseconds, and whose own header
    /// cannot be read.
    fn unknown(lane: Lane, arrived_ms: i64) -> Self {
        Self { lane, cut_ms: arrived_ms, connected_ms: arrived_ms, live: true, ..Self::default() }
    }

    /// The ledgers of this frame, each with a time in its window, in milliseconds.
    pub fn ledgers(&self) -> impl Iterator<Item = (i64, &Ledger)> {
        std::iter::once((self.cut_ms, &self.ledger)).chain(self.ledgers.iter().map(|(at_ms, ledger)| (*at_ms, ledger)))
    }
}

/// One post in a frame. Text, handles and coordinates are gone (rule 6.1). On the wire its fields have names of one
/// letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlimPost {
    /// Identity ([`crate::post::PostId`]): a streamer that restarts learns from it what the log has.
    #[serde(rename = "i")]
    pub id: u128,
    /// Event time, in milliseconds.
    #[serde(rename = "t")]
    pub time_ms: i64,
    /// Keyed hash of the author, if the source names one.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub author: Option<u64>,
    /// Kind.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// How the region was decided.
    #[serde(rename = "l")]
    pub located: Located,
    /// Whether an earlier region has a copy of this post, too; the ledger counts a post once.
    #[serde(rename = "c", default, skip_serializing_if = "is_default")]
    pub is_copy: bool,
    /// Language in the source's spelling; empty without one.
    #[serde(rename = "g", default, skip_serializing_if = "String::is_empty")]
    pub lang: String,
    /// Hashtags as written, without `#`.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub hashtags: Vec<String>,
    /// Number of mentions.
    #[serde(rename = "m", default, skip_serializing_if = "is_default")]
    pub mentions: u32,
    /// Hosts of links.
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Number of hashtags that were longer than the limit.
    #[serde(rename = "x", default, skip_serializing_if = "is_default")]
    pub long_hashtags: u32,
    /// Whether a photo, video, GIF or audio is attached.
    #[serde(rename = "p", default, skip_serializing_if = "is_default")]
    pub has_media: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Most hashtags and most link hosts of one post that are kept.
pub const MAX_PER_POST: usize = 64;

/// Appends the line of one post to `out`, as [`SlimPost`] reads it, without building one.
pub fn put_line(out: &mut Vec<u8>, post: &SourcePost<'_>, located: Located, is_copy: bool) {
    let number = |out: &mut Vec<u8>, key: &[u8], n: u128| {
        out.extend_from_slice(key);
        let mut digits = [0u8; 39];
        let mut at = digits.len();
        let mut rest = n;
        // Most numbers fit 64 bits, whose division is far cheaper.
        while rest > u128::from(u64::MAX) {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let mut rest = rest as u64;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    };
    let texts = |out: &mut Vec<u8>, key: &[u8], texts: &[Cow<'_, str>]| {
        for (n, text) in texts.iter().take(MAX_PER_POST).enumerate() {
            out.extend_from_slice(if n == 0 { key } else { b"," });
            put_json_text(out, text);
        }
        if !texts.is_empty() {
            out.push(b']');
        }
    };
    number(out, b"{\"i\":", post.id.0);
    if post.time_ms < 0 {
        number(out, b",\"t\":-", u128::from(post.time_ms.unsigned_abs()));
    } else {
        number(out, b",\"t\":", u128::from(post.time_ms.unsigned_abs()));
    }
    if let Some(author) = post.author {
        number(out, b",\"a\":", u128::from(author));
    }
    out.extend_from_slice(match post.kind {
        Kind::Original => b",\"k\":\"original\"".as_slice(),
        Kind::Reply => b",\"k\":\"reply\"",
        Kind::Quote => b",\"k\":\"quote\"",
        Kind::Repost => b",\"k\":\"repost\"",
    });
    out.extend_from_slice(match located {
        Located::Point => b",\"l\":\"point\"".as_slice(),
        Located::Place => b",\"l\":\"place\"",
        Located::Rule => b",\"l\":\"rule\"",
        Located::Text => b",\"l\":\"text\"",
        Located::All => b",\"l\":\"all\"",
    });
    if is_copy {
        out.extend_from_slice(b",\"c\":true");
    }
    if !post.lang.is_empty() {
        out.extend_from_slice(b",\"g\":");
        put_json_text(out, &post.lang);
    }
    texts(out, b",\"h\":[", &post.hashtags);
    if post.mentions > 0 {
        number(out, b",\"m\":", u128::from(post.mentions));
    }
    texts(out, b",\"u\":[", &post.hosts);
    if post.long_hashtags > 0 {
        number(out, b",\"x\":", u128::from(post.long_hashtags));
    }
    if post.has_media {
        out.extend_from_slice(b",\"p\":true");
    }
    out.extend_from_slice(b"}\n");
}

/// Appends a line that [`put_line`] wrote, as that of the first copy of its post.
pub fn put_first_copy(out: &mut Vec<u8>, line: &[u8]) {
    const COPY: &[u8] = b",\"c\":true";
    // No text of a line can contain the mark: a quotation mark in a text has a backslash before it.
    match memchr::memmem::find(line, COPY) {
        Some(at) => {
            out.extend_from_slice(&line[..at]);
            out.extend_from_slice(&line[at + COPY.len()..]);
        }
        None => out.extend_from_slice(line),
    }
}

/// Reads a line exactly as [`put_line`] writes it when no text in it needs an escape; `None` for
/// anything else. Faster than a general JSON reader (`benches/pipeline.rs`, decode_frame).
fn read_line(line: &[u8]) -> Option<SlimPost> {
    let mut rest = std::str::from_utf8(line).ok()?;
    if rest.contains('\\') {
        return None;
    }
    let id = take_number(&mut rest, "{\"i\":")?;
    let time_ms = i64::try_from(take_number(&mut rest, ",\"t\":")?).ok()?;
    let author = match rest.starts_with(",\"a\":") {
        true => Some(u64::try_from(take_number(&mut rest, ",\"a\":")?).ok()?),
        false => None,
    };
    let kind = match take_text(&mut rest, ",\"k\":")? {
        "original" => Kind::Original,
        "reply" => Kind::Reply,
        "quote" => Kind::Quote,
        "repost" => Kind::Repost,
        _ => return None,
    };
    let located = match take_text(&mut rest, ",\"l\":")? {
        "point" => Located::Point,
        "place" => Located::Place,
        "rule" => Located::Rule,
        "text" => Located::Text,
        "all" => Located::All,
        _ => return None,
    };
    let is_copy = take(&mut rest, ",\"c\":true");
    let lang = if rest.starts_with(",\"g\":") { take_text(&mut rest, ",\"g\":")?.to_owned() } else { String::new() };
    let hashtags = take_texts(&mut rest, ",\"h\":[")?;
    let mentions = take_count(&mut rest, ",\"m\":")?;
    let hosts = take_texts(&mut rest, ",\"u\":[")?;
    let long_hashtags = take_count(&mut rest, ",\"x\":")?;
    let has_media = take(&mut rest, ",\"p\":true");
    (rest == "}").then_some(SlimPost {
        id,
        time_ms,
        author,
        kind,
        located,
        is_copy,
        lang,
        hashtags,
        mentions,
        hosts,
        long_hashtags,
        has_media,
    })
}

/// A count that is left out when it is 0.
fn take_count(rest: &mut &str, key: &str) -> Option<u32> {
    if rest.starts_with(key) { u32::try_from(take_number(rest, key)?).ok() } else { Some(0) }
}

fn take(rest: &mut &str, key: &str) -> bool {
    match rest.strip_prefix(key) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// An unsigned number of at most 128 bits without leading zeros.
fn take_number(rest: &mut &str, key: &str) -> Option<u128> {
    let after = rest.strip_prefix(key)?;
    let end = after.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(after.len());
    let digits = &after[..end];
    if digits.is_empty() || (digits.starts_with('0') && digits.len() > 1) {
        return None;
    }
    *rest = &after[end..];
    if digits.len() < 20 {
        return Some(u128::from(digits.bytes().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'))));
    }
    digits.parse().ok()
}

fn take_text<'a>(rest: &mut &'a str, key: &str) -> Option<&'a str> {
    let after = rest.strip_prefix(key)?.strip_prefix('"')?;
    let end = after.bytes().position(|b| b == b'"' || b < 0x20)?;
    if after.as_bytes()[end] != b'"' {
        return None;
    }
    *rest = &after[end + 1..];
    Some(&after[..end])
}

/// A list of texts that may be missing but is never empty.
fn take_texts(rest: &mut &str, key: &str) -> Option<Vec<String>> {
    let mut texts = vec![];
    if take(rest, key) {
        loop {
            texts.push(take_text(rest, "")?.to_owned());
            if take(rest, "]") {
                break;
            }
            if !take(rest, ",") {
                return None;
            }
        }
    }
    Some(texts)
}

fn put_json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for b in text.bytes() {
            match b {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
                0..0x20 => out.extend_from_slice(format!("\\u{b:04x}").as_bytes()),
                _ => out.push(b),
            }
        }
    }
    out.push(b'"');
}

/// Why the bytes of a log record are not a frame, or are one whose posts cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Other magic or version.
    #[error("not a frame of a version that this program knows")]
    Unknown,
    /// A version that older releases wrote.
    #[error("a frame that an older release of Birdsong wrote; this one cannot read it")]
    Old,
    /// The checksum does not match.
    #[error("its checksum does not match")]
    Checksum,
    /// Compressed bytes unreadable, or longer than stated or allowed.
    #[error("the frame does not decompress to the length that it states")]
    Compression,
    /// Header or post line unreadable.
    #[error("line {line} of the frame is not what it should be: {reason}")]
    Line {
        /// 1 for the header, 2 for the first post.
        line: usize,
        /// Error of the JSON reader.
        reason: String,
    },
    /// Header or posts are longer than any frame may be.
    #[error("a frame of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Length of the header or of the posts.
        bytes: usize,
        /// [`MAX_HEADER_BYTES`] or [`MAX_FRAME_BYTES`].
        limit: usize,
    },
}

fn at_most(bytes: usize, limit: usize) -> Result<(), FrameError> {
    if bytes <= limit { Ok(()) } else { Err(FrameError::TooLarge { bytes, limit }) }
}

/// Encodes a frame. `posts` are the post lines, each ended by a newline.
///
/// # Errors
/// When the header cannot be written as JSON, header or posts exceed their limits, or zstd runs out of
/// memory.
pub fn encode(header: &FrameHeader, posts: &[u8]) -> Result<Vec<u8>, FrameError> {
    let first = serde_json::to_vec(header).map_err(|e| FrameError::Line { line: 1, reason: e.to_string() })?;
    at_most(first.len(), MAX_HEADER_BYTES)?;
    at_most(posts.len(), MAX_FRAME_BYTES)?;
    let mut record = Vec::with_capacity(first.len() + posts.len() / 4 + 32);
    record.extend_from_slice(&MAGIC);
    let mut part = |write: &mut dyn FnMut(&mut Vec<u8>)| {
        let at = record.len();
        record.extend_from_slice(&[0; 4]);
        write(&mut record);
        let sum = crc32fast::hash(&record[at + 4..]);
        record[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    };
    part(&mut |record| wire::put_bytes(record, &first));
    if !posts.is_empty() {
        let packed = zstd::bulk::compress(posts, 1).map_err(|_| FrameError::Compression)?;
        part(&mut |record| {
            wire::put_u64(record, posts.len() as u64);
            record.extend_from_slice(&packed);
        });
    }
    Ok(record)
}

/// A decoded frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// First line.
    pub header: FrameHeader,
    /// The other lines; none when they are damaged.
    pub posts: Vec<SlimPost>,
    /// Why the posts, or with an empty [`FrameHeader::run`] the header, too, cannot be read.
    pub damage: Option<FrameError>,
}

impl Frame {
    /// The frame in a record of the log. An unreadable one still names the windows that lack posts: those in
    /// its header, or, without a header, the one in which the record arrived.
    #[must_use]
    pub fn of(record: &LogRecord) -> Self {
        decode(&record.bytes).unwrap_or_else(|damage| Self {
            header: FrameHeader::unknown(record.lane.clone().unwrap_or_default(), record.arrived_ms),
            posts: vec![],
            damage: Some(damage),
        })
    }
}

/// Decodes one log record. A frame whose posts are damaged has its header, no posts, and a description of the damage.
///
/// # Errors
/// When the bytes are not a frame with an undamaged header.
pub fn decode(record: &[u8]) -> Result<Frame, FrameError> {
    if OLD_MAGICS.iter().any(|magic| record.starts_with(magic)) {
        return Err(FrameError::Old);
    }
    let rest = record.strip_prefix(&MAGIC).ok_or(FrameError::Unknown)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Unknown)?;
    let mut reader = Reader::new(rest);
    let header = reader.bytes().map_err(|_| FrameError::Checksum)?;
    let body = reader.rest();
    if crc32fast::hash(&rest[..rest.len() - body.len()]) != u32::from_le_bytes(*sum) {
        return Err(FrameError::Checksum);
    }
    at_most(header.len(), MAX_HEADER_BYTES)?;
    let header: FrameHeader = serde_json::from_slice(header).map_err(at_line(1))?;
    let posts = if body.is_empty() && header.windows.is_empty() { Ok(vec![]) } else { decode_posts(body) };
    Ok(match posts {
        Ok(posts) => Frame { header, posts, damage: None },
        Err(damage) => Frame { header, posts: vec![], damage: Some(damage) },
    })
}

fn decode_posts(body: &[u8]) -> Result<Vec<SlimPost>, FrameError> {
    let lines = unpack(body)?;
    posts_of(lines.split(|b| *b == b'\n'))
}

/// Checksum, length and zstd frame.
fn unpack(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let (sum, body) = body.split_first_chunk::<4>().ok_or(FrameError::Checksum)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(FrameError::Checksum);
    }
    let mut reader = Reader::new(body);
    let length = reader.u64().ok().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MAX_FRAME_BYTES);
    let length = length.ok_or(FrameError::Compression)?;
    let plain = unzstd::decompress(reader.rest(), length).map_err(|_| FrameError::Compression)?;
    if plain.len() == length { Ok(plain) } else { Err(FrameError::Compression) }
}

/// The lines behind the header, which is line 1.
fn posts_of<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Result<Vec<SlimPost>, FrameError> {
    let lines = lines.filter(|line| !line.is_empty()).enumerate();
    // Fast path for lines that we wrote; any other valid line falls back to serde.
    lines
        .map(|(n, line)| read_line(line).map_or_else(|| serde_json::from_slice(line).map_err(at_line(n + 2)), Ok))
        .collect()
}

fn at_line(line: usize) -> impl Fn(serde_json::Error) -> FrameError {
    move |e| FrameError::Line { line, reason: e.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use proptest::prelude::*;

    fn header() -> FrameHeader {
        FrameHeader {
            lane: Lane::posts("montreal", Network::X, 0),
            source: "demo".into(),
            run: "r1".into(),
            counter: 7,
            cut_ms: 1_700_000_100_000,
            connected_ms: 1_700_000_000_000,
            cut: 7,
            live: true,
            ledger: Ledger { received: 3, sent: 2, filtered: 1, ..Ledger::default() },
            ..FrameHeader::default()
        }
    }

    fn post() -> SlimPost {
        SlimPost {
            id: u128::MAX,
            time_ms: 1_700_000_099_000,
            author: Some(u64::MAX),
            kind: Kind::Repost,
            located: Located::Text,
            is_copy: true,
            lang: "fr".into(),
            hashtags: vec!["Montréal".into(), "\n\"".into()],
            mentions: 2,
            hosts: vec!["example.org".into()],
            ..SlimPost::default()
        }
    }

    #[test]
    fn a_copy_becomes_the_first_one_and_nothing_else_changes() {
        let mut text = post();
        text.hashtags = vec![",\"c\":true".into(), "x".into()];
        for copy in [post(), text] {
            let (mut of_copy, mut first) = (lines(std::slice::from_ref(&copy)), vec![]);
            put_first_copy(&mut first, &of_copy);
            assert_eq!(first, lines(&[SlimPost { is_copy: false, ..copy }]));
            of_copy.clone_from(&first);
            first.clear();
            put_first_copy(&mut first, &of_copy);
            assert_eq!(first, of_copy);
        }
    }

    fn lines(posts: &[SlimPost]) -> Vec<u8> {
        let mut out = Vec::new();
        for post in posts {
            serde_json::to_writer(&mut out, post).unwrap();
            out.push(b'\n');
        }
        out
    }

    #[test]
    fn a_frame_comes_back_as_it_went_in() {
        for posts in [vec![], vec![post(), post()]] {
            let bytes = encode(&header(), &lines(&posts)).unwrap();
            assert_eq!(decode(&bytes), Ok(Frame { header: header(), posts, damage: None }));
        }
    }

    // Rule 6.1.
    #[test]
    fn a_line_written_by_hand_is_read_as_the_post_it_was() {
        let source = SourcePost {
            id: crate::post::PostId(u128::MAX),
            time_ms: -1,
            kind: Kind::Quote,
            lang: "a\"\\\n".into(),
            hashtags: vec!["é".into(), "\u{1}".into()],
            long_hashtags: 3,
            mentions: 10,
            hosts: vec!["h.example".into()],
            text: "never stored".into(),
            ..SourcePost::default()
        };
        let mut line = Vec::new();
        put_line(&mut line, &source, Located::Rule, true);
        let post = SlimPost {
            id: u128::MAX,
            time_ms: -1,
            kind: Kind::Quote,
            located: Located::Rule,
            is_copy: true,
            lang: "a\"\\\n".into(),
            hashtags: vec!["é".into(), "\u{1}".into()],
            mentions: 10,
            hosts: vec!["h.example".into()],
            long_hashtags: 3,
            ..SlimPost::default()
        };
        assert_eq!(serde_json::from_slice::<SlimPost>(&line).unwrap(), post);
    }

    #[test]
    fn a_post_without_new_fields_has_the_line_that_it_always_had() {
        let source = SourcePost {
            id: crate::post::PostId(17),
            time_ms: 1_700_000_099_000,
            author: Some(u64::MAX),
            kind: Kind::Reply,
            lang: "fr".into(),
            hashtags: vec!["Montréal".into(), "habs".into()],
            mentions: 2,
            hosts: vec!["h.example".into()],
            ..SourcePost::default()
        };
        let line = |source: &SourcePost<'_>| {
            let mut line = vec![];
            put_line(&mut line, source, Located::Text, false);
            String::from_utf8(line).unwrap()
        };
        let always = "{\"i\":17,\"t\":1700000099000,\"a\":18446744073709551615,\"k\":\"reply\",\"l\":\"text\",\
            \"g\":\"fr\",\"h\":[\"Montréal\",\"habs\"],\"m\":2,\"u\":[\"h.example\"]}\n";
        assert_eq!(line(&source), always);
        // What is new is left out or comes last.
        let nobody = SourcePost { author: None, long_hashtags: 2, ..source };
        assert_eq!(line(&nobody), always.replace(",\"a\":18446744073709551615", "").replace("]}", "],\"x\":2}"));
        let read = read_line(line(&nobody).trim_end().as_bytes()).unwrap();
        assert_eq!((read.author, read.long_hashtags, read.mentions), (None, 2, 2));
    }

    // Rule 4.7.
    #[test]
    fn every_single_flipped_byte_is_noticed() {
        let counted = FrameHeader { windows: vec![PostCount { window_ms: 0, posts: 1, primary: 0 }], ..header() };
        let bytes = encode(&counted, &lines(&[post()])).unwrap();
        let is_header_read = |at: usize| {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            decode(&damaged).is_ok()
        };
        assert!(!is_header_read(20) && is_header_read(bytes.len() - 20));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            // What is damaged behind the header leaves the header.
            let is_noticed = |bytes: &[u8]| match decode(bytes) {
                Ok(frame) => frame.damage.is_some() && frame.posts.is_empty() && frame.header == counted,
                Err(_) => true,
            };
            assert!(is_noticed(&damaged), "byte {at}");
            assert!(is_noticed(&bytes[..at]), "cut at {at}");
        }
    }

    #[test]
    fn a_frame_of_a_sampled_source_states_it_and_others_have_the_bytes_that_they_always_had() {
        let of = |unasked_permille| {
            let ledger = Ledger { unasked_permille, ..header().ledger };
            decode(&encode(&FrameHeader { ledger, ..header() }, b"").unwrap()).unwrap().header.ledger
        };
        assert_eq!((of(0).unasked_permille, of(750).unasked_permille), (0, 750));
        assert!(!Ledger { unasked_permille: 1, ..Ledger::default() }.is_empty(), "a heartbeat states it, too");
        assert!(!serde_json::to_string(&header()).unwrap().contains("unasked"));
    }

    // Rule 4.9.
    #[test]
    fn frames_of_older_releases_are_refused_by_name() {
        let mut bytes = encode(&header(), b"").unwrap();
        for version in [b'1', b'2'] {
            bytes[3] = version;
            assert_eq!(decode(&bytes), Err(FrameError::Old));
        }
        bytes[3] = b'4';
        assert_eq!(decode(&bytes), Err(FrameError::Unknown));
    }

    fn ledger() -> impl Strategy<Value = Ledger> {
        (prop::array::uniform8(0u64..1 << 40), 0u64..=1000).prop_map(|(n, unasked_permille)| Ledger {
            received: n[0],
            sent: n[1],
            filtered: n[2],
            quarantined: n[3],
            duplicates: n[4],
            dropped: n[5],
            missed_ms: n[6],
            withheld: n[7],
            unasked_permille,
        })
    }

    proptest! {
        // Rule 1.6.
        #[test]
        fn ledgers_add_up_to_the_same_in_any_order(a in ledger(), b in ledger(), c in ledger()) {
            let sum = |ledgers: [Ledger; 3]| {
                ledgers.iter().fold(Ledger::default(), |mut sum, ledger| {
                    sum.add(ledger);
                    sum
                })
            };
            let mut bc = b;
            bc.add(&c);
            prop_assert_eq!(sum([a, b, c]), sum([c, a, b]));
            prop_assert_eq!(sum([a, b, c]), sum([Ledger::default(), bc, a]));
        }

        /// The short way reads what the general one reads, or leaves it to that.
        #[test]
        fn the_short_way_agrees_with_the_general_one(
            numbers: (u64, u64, u64, i64), kind in 0usize..4, located in 0usize..5, copy: bool, mentions in 0u32..3,
            texts in prop::collection::vec("[a-zé東\"\\\\\n ]{0,6}", 0..4), change in 0usize..400, byte: u8,
        ) {
            let texts: Vec<Cow<'_, str>> = texts.into_iter().map(Cow::Owned).collect();
            let source = SourcePost { id: crate::post::PostId(u128::from(numbers.0) * u128::from(numbers.1)), time_ms: numbers.3, author: (numbers.2 % 4 > 0).then_some(numbers.2), kind: Kind::ALL[kind], lang: texts.first().cloned().unwrap_or_default(), hashtags: texts.clone(), long_hashtags: mentions / 2, mentions, hosts: texts.into_iter().take(1).collect(), ..SourcePost::default() };
            let mut line = vec![];
            put_line(&mut line, &source, Located::ALL[located], copy);
            line.pop();
            let general = serde_json::from_slice::<SlimPost>(&line).unwrap();
            if let Some(short) = read_line(&line) {
                prop_assert_eq!(&short, &general);
            } else {
                prop_assert!(line.contains(&b'\\') || numbers.3 < 0, "{}", String::from_utf8_lossy(&line));
            }
            // The fast path reads a changed line like the general one, or not at all.
            let at = change % line.len();
            line[at] = byte;
            if let Some(short) = read_line(&line) {
                prop_assert_eq!(short, serde_json::from_slice::<SlimPost>(&line).unwrap());
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let mut framed = MAGIC.to_vec();
            framed.extend(crc32fast::hash(&bytes).to_le_bytes());
            framed.extend(&bytes);
            prop_assert!(decode(&framed).is_err());
            prop_assert!(decode(&bytes).is_err());
        }
    }
}

//! The line of a post: one JSON object, written and read by hand, as both are on the hot path.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{FrameError, at_line, is_default};
use crate::post::{Kind, Located, SourcePost};

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

/// Most hashtags and most link hosts of one post that are kept.
pub const MAX_PER_POST: usize = 64;

/// Appends the line of one post to `out`, as [`SlimPost`] reads it, without building one.
pub fn put_line(out: &mut Vec<u8>, post: &SourcePost<'_>, located: Located, is_copy: bool) {
    let number = |out: &mut Vec<u8>, key: &[u8], n: u128| {
        out.extend_from_slice(key);
        put_number(out, n);
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

/// Digits that surely fit 64 bits, and the power of ten of as many.
const PART_DIGITS: usize = 19;
const PART: u128 = 10_000_000_000_000_000_000;

/// Appends a number in digits. 128 bits are divided as rarely as possible: that takes long.
fn put_number(out: &mut Vec<u8>, n: u128) {
    let mut digits = [b'0'; 2 * PART_DIGITS + 1];
    let mut at = digits.len();
    let mut rest = n;
    while rest >= PART {
        let high = rest / PART;
        let end = at;
        put_digits(&mut digits, &mut at, (rest - high * PART) as u64);
        // With the zeros in front of a low part.
        at = end - PART_DIGITS;
        rest = high;
    }
    put_digits(&mut digits, &mut at, rest as u64);
    out.extend_from_slice(&digits[at..]);
}

/// Writes a number in front of `at`, two digits at a time, and moves `at` to its first one.
fn put_digits(digits: &mut [u8], at: &mut usize, mut rest: u64) {
    let digit = |n: u64| b'0' + n as u8;
    while rest >= 100 {
        let pair = rest % 100;
        rest /= 100;
        *at -= 2;
        (digits[*at], digits[*at + 1]) = (digit(pair / 10), digit(pair % 10));
    }
    if rest >= 10 {
        *at -= 1;
        digits[*at] = digit(rest % 10);
        rest /= 10;
    }
    *at -= 1;
    digits[*at] = digit(rest);
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

/// Whether bytes have no backslash and no control character but the ends of lines: then no text in these lines needs an escape.
fn is_plain(bytes: &[u8]) -> bool {
    // Without branches, so that the compiler makes it a few instructions for many bytes.
    !bytes.iter().fold(false, |found, b| found | (*b == b'\\') | ((*b < 0x20) & (*b != b'\n')))
}

/// Reads the lines of posts; the first of them is line `first` of its frame.
pub(super) fn read_lines(bytes: &[u8], first: usize) -> Result<Vec<SlimPost>, FrameError> {
    /// About as many bytes as a line has.
    const LINE_BYTES: usize = 128;
    let text = simdutf8::basic::from_utf8(bytes).ok().filter(|_| is_plain(bytes));
    let mut posts = Vec::with_capacity(bytes.len() / LINE_BYTES + 1);
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = begin..end;
        begin = end + 1;
        if line.is_empty() {
            continue;
        }
        // The short way for lines that we wrote; any other valid line is left to serde.
        let post = match text {
            Some(text) => text.get(line.clone()).and_then(read_plain),
            None => read_line(&bytes[line.clone()]),
        };
        posts.push(match post {
            Some(post) => post,
            None => serde_json::from_slice(&bytes[line]).map_err(at_line(first + posts.len()))?,
        });
    }
    Ok(posts)
}

/// Reads one line, without its end, as [`read_plain`] does, after a look whether it may.
fn read_line(line: &[u8]) -> Option<SlimPost> {
    let may_be_read = |line: &&str| is_plain(line.as_bytes()) && !line.contains('\n');
    std::str::from_utf8(line).ok().filter(may_be_read).and_then(read_plain)
}

/// Reads a line exactly as [`put_line`] writes it when no text in it needs an escape; `None` for
/// anything else. Faster than a general JSON reader (`benches/pipeline.rs`, decode_frame).
fn read_plain(line: &str) -> Option<SlimPost> {
    let mut rest = line;
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
    let lang = if rest.starts_with(",\"g\":") { take_text(&mut rest, ",\"g\":")?.into() } else { String::new() };
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

#[inline]
fn take(rest: &mut &str, key: &str) -> bool {
    match rest.strip_prefix(key) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// The value of eight digits in ASCII, of which the first is in the lowest byte; `None` when one of them is no digit.
/// Neighbours are combined to numbers of two, four and eight digits, in all parts of the word at once.
#[inline]
#[must_use]
pub fn eight_digits(word: u64) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let are_digits = word & HIGH_HALVES == ZEROS && word.wrapping_add(0x0606_0606_0606_0606) & HIGH_HALVES == ZEROS;
    let twos = ((word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(1 + (10 << 8)) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos.wrapping_mul(1 + (100 << 16)) >> 16) & 0x0000_ffff_0000_ffff;
    are_digits.then(|| fours.wrapping_mul(1 + (10_000 << 32)) >> 32)
}

/// An unsigned number of at most 128 bits without leading zeros.
fn take_number(rest: &mut &str, key: &str) -> Option<u128> {
    /// That many digits always fit.
    const SAFE_DIGITS: usize = 38;
    let after = rest.strip_prefix(key)?;
    let digits = after.as_bytes();
    let (mut number, mut length) = (0u128, 0);
    while length + 8 <= SAFE_DIGITS
        && let Some(eight) = digits.get(length..).and_then(<[u8]>::first_chunk)
        && let Some(value) = eight_digits(u64::from_le_bytes(*eight))
    {
        number = number * 100_000_000 + u128::from(value);
        length += 8;
    }
    // Of numbers with eight digits or more, these are the last ones.
    let (mut last, mut power) = (0u64, 1u64);
    while let Some(digit) = digits.get(length).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if length >= SAFE_DIGITS {
            number = number.checked_mul(power.into())?.checked_add(last.into())?;
            (last, power) = (0, 1);
        }
        last = last * 10 + u64::from(digit);
        power *= 10;
        length += 1;
    }
    if length == 0 || (digits[0] == b'0' && length > 1) {
        return None;
    }
    *rest = &after[length..];
    number.checked_mul(power.into())?.checked_add(last.into())
}

#[inline]
fn take_text<'a>(rest: &mut &'a str, key: &str) -> Option<&'a str> {
    let after = rest.strip_prefix(key)?.strip_prefix('"')?;
    let (text, after) = after.split_at(after.bytes().position(|b| b == b'"')?);
    *rest = &after[1..];
    Some(text)
}

/// A list of texts that may be missing but is never empty.
fn take_texts(rest: &mut &str, key: &str) -> Option<Vec<String>> {
    let mut texts = vec![];
    if take(rest, key) {
        loop {
            texts.push(take_text(rest, "")?.into());
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::tests::{lines, post};

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
        assert_eq!(line(&SourcePost::default()), "{\"i\":0,\"t\":0,\"k\":\"original\",\"l\":\"text\"}\n");
        // What is new is left out or comes last.
        let nobody = SourcePost { author: None, long_hashtags: 2, ..source };
        assert_eq!(line(&nobody), always.replace(",\"a\":18446744073709551615", "").replace("]}", "],\"x\":2}"));
        let read = read_line(line(&nobody).trim_end().as_bytes()).unwrap();
        assert_eq!((read.author, read.long_hashtags, read.mentions), (None, 2, 2));
    }

    #[test]
    fn numbers_of_any_length_come_back() {
        let powers = (0..39).map(|n| 10u128.pow(n));
        for n in powers.flat_map(|n| [n - 1, n, n + 1, n * 3]).chain([u128::MAX, u128::from(u64::MAX) + 1]) {
            let mut line = b"x".to_vec();
            put_number(&mut line, n);
            assert_eq!(line, format!("x{n}").as_bytes());
            let mut rest = std::str::from_utf8(&line).unwrap();
            assert_eq!(take_number(&mut rest, "x"), Some(n));
        }
        assert_eq!(take_number(&mut "x340282366920938463463374607431768211456", "x"), None, "2^128");
    }

    #[test]
    fn what_is_no_number_is_left_alone() {
        for (text, expected) in [
            ("0", Some((0, ""))),
            ("12:", Some((12, ":"))),
            ("12/", Some((12, "/"))),
            ("123456789,", Some((123_456_789, ","))),
            ("", None),
            (",", None),
            ("01", None),
            ("0123456789", None),
        ] {
            let mut rest = text;
            let number = take_number(&mut rest, "");
            assert_eq!(number.map(|number| (number, rest)), expected, "{text}");
        }
        assert_eq!(take_number(&mut &*"9".repeat(100), ""), None);
    }

    #[test]
    fn a_text_is_plain_without_a_backslash_and_control_characters() {
        for (text, expected) in [
            ("", true),
            ("é\n\n", true),
            ("\\", false),
            ("\\\\", false),
            ("\u{1}", false),
            ("\t\t", false),
            ("\u{1}\\", false),
        ] {
            assert_eq!(is_plain(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
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
    }
}

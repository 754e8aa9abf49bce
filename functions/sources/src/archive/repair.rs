//! What JSON allows and JSON readers refuse.

use std::ops::Range;

use birdsong_domain::post::SourcePost;

use super::{Line, LineError};

type Each<'e> = &'e mut dyn FnMut(Result<SourcePost<'_>, LineError>);

/// Reads a line by `read`, and if that refuses it or one of its posts, once more as it is after the repair. What was read at
/// first is not handed on twice.
pub(super) fn with_repair(
    line: &[u8],
    each: Each<'_>,
    mut read: impl FnMut(&[u8], Each<'_>) -> Result<Line, LineError>,
) -> Result<Line, LineError> {
    // Numbers of the posts that could not be read, and why.
    let mut failed = vec![];
    let mut count = 0u32;
    let done = read(line, &mut |post| {
        match post {
            Ok(post) => each(Ok(post)),
            Err(error) => failed.push((count, error)),
        }
        count += 1;
    });
    if done.is_ok() && failed.is_empty() {
        return done;
    }
    let Some(repaired) = repaired(line) else {
        failed.into_iter().for_each(|(_, error)| each(Err(error)));
        return done;
    };
    let mut number = 0u32;
    read(&repaired, &mut |post| {
        if number >= count || failed.iter().any(|(failed, _)| *failed == number) {
            each(post);
        }
        number += 1;
    })
}

const REPLACEMENT: &[u8] = b"\\ufffd";

/// The line with U+FFFD for each escape of half a surrogate pair, such as `\ud83d` alone; None when it has none.
///
/// RFC 8259, section 8.2, allows such escapes, which a cut emoji leaves; there is no character that they could be.
pub(crate) fn repaired(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = line.to_vec();
    let mut is_changed = false;
    let mut at = 0;
    while let Some(skip) = memchr::memchr(b'\\', &line[at..]) {
        let begin = at + skip;
        let Some(unit) = unit(line, begin) else {
            // Another escape, of which the second character may be a backslash.
            at = (begin + 2).min(line.len());
            continue;
        };
        at = begin + 6;
        match unit {
            0xd800..=0xdbff if matches!(self::unit(line, at), Some(0xdc00..=0xdfff)) => at += 6,
            0xd800..=0xdfff => {
                replace(&mut out, begin..begin + 6);
                is_changed = true;
            }
            _ => (),
        }
    }
    is_changed.then_some(out)
}

/// The number of the escape `\uXXXX` at this place.
fn unit(line: &[u8], at: usize) -> Option<u16> {
    let escape = line.get(at..at + 6)?;
    if !escape.starts_with(b"\\u") {
        return None;
    }
    escape[2..].iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

fn replace(out: &mut [u8], escape: Range<usize>) {
    out[escape].copy_from_slice(REPLACEMENT);
}

#[cfg(test)]
mod tests {
    use birdsong_domain::post::AuthorKey;

    use super::super::read_line;
    use super::*;

    #[test]
    fn a_post_with_half_a_pair_counts_and_the_others_of_its_page_once() {
        let post = |n: u64, text: &str| format!(r#"{{"id":"179030584278630400{n}","text":"{text}","author_id":"1"}}"#);
        let page = [post(1, "whole"), post(2, r"cut \ud83d"), post(3, r"\ud83d\ude00")].join(",");
        let flattened = post(4, r"\udc00");
        for (line, count) in [(format!(r#"{{"data":[{page}]}}"#), 3), (flattened, 1)] {
            let mut ids = vec![];
            let read = read_line(line.as_bytes(), &AuthorKey([0; 16]), &mut |post| ids.push(post.unwrap().id));
            assert_eq!(read, Ok(Line::Posts), "{line}");
            assert_eq!(ids.len(), count, "{line}");
            ids.dedup();
            assert_eq!(ids.len(), count, "{line}");
        }
    }

    #[test]
    fn half_a_pair_is_replaced_and_whole_ones_stay() {
        for (line, expected) in [
            (r#"{"text":"cut \ud83d"}"#, Some(r#"{"text":"cut \ufffd"}"#)),
            (r#""\uDE00\ud83d\ude00\uD83D\uD83D\uDE00""#, Some(r#""\ufffd\ud83d\ude00\ufffd\uD83D\uDE00""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\\ud83d \u00e9 \ud83d\ude00""#, None),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r#""\ud8""#, None),
            (r#""\ud83"#, None),
            (r"\", None),
            ("", None),
        ] {
            assert_eq!(repaired(line.as_bytes()).as_deref(), expected.map(str::as_bytes), "{line}");
        }
    }
}

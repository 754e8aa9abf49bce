//! Archives of X posts: one JSON a line, of any of the shapes that the X API ever gave.
//!
//! The shape is found line by line: v2 stream lines (`data` is an object), v2 pages (`data` is an
//! array), flattened v2 posts, v1.1 statuses, and notices that are no posts.

mod files;
pub(crate) mod json;
mod repair;
mod v1;
mod v2;

use birdsong_domain::post::{AuthorKey, SourcePost};

pub use files::{Chunk, Each, FileError, Found, Other, Piece, find, read_files, total_bytes, values};

/// Longest line that is read. A post with everything that the API can add stays below 1 MiB; a
/// search page of 500 posts below 8 MiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// Deepest nesting that is read; posts have about ten levels.
const MAX_DEPTH: usize = 500;

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing: the stream's keep-alive.
    Blank,
    /// No post but a message of the stream, such as `delete`, `limit` or `errors`.
    Notice(&'static str),
    /// Posts, handed on one by one.
    Posts,
}

/// Why a line, or one post of a page, could not be read. It says nothing of the line's text.
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
    /// JSON, but a field that is needed has another type than it should.
    #[error("a field has an unexpected type or occurs twice, at byte {at}")]
    Type {
        /// Where, from 0.
        at: usize,
    },
    /// JSON of no shape that is known.
    #[error("neither an X v2 post or page, nor a v1.1 status, nor a notice of the stream")]
    UnknownShape,
    /// A post without a usable id.
    #[error("the post has no id, or one that is no number")]
    NoId,
    /// A post without a time: its id is too old to hold one, and the date is missing or unreadable.
    #[error("the post has no time: neither its id nor created_at tells it")]
    NoTime,
}

/// Counting brackets is fast and settles nearly every line; only one with many is looked at closely.
pub(crate) fn is_too_deep(line: &[u8]) -> bool {
    // `[` and `{` differ in one bit only. Sums of a byte each are what compilers turn into SIMD.
    let opening: usize =
        line.chunks(255).map(|chunk| usize::from(chunk.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>())).sum();
    if opening <= MAX_DEPTH {
        return false;
    }
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for b in line {
        match b {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => (),
        }
    }
    false
}

/// Reads one line and hands its posts to `each`. `key` hashes the authors.
///
/// Of a repost, hashtags, links, mentions and text are those of the original when the line has it;
/// its place is its own, which on X is none.
///
/// # Errors
/// When the line as a whole cannot be read. A page's single posts fail one by one, through `each`.
pub fn read_line(
    line: &[u8],
    key: &AuthorKey,
    each: &mut dyn FnMut(Result<SourcePost<'_>, LineError>),
) -> Result<Line, LineError> {
    repair::with_repair(line, each, |line, each| read_strict(line, key, each))
}

fn read_strict(
    line: &[u8],
    key: &AuthorKey,
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
    if is_too_deep(line) {
        return Err(LineError::TooDeep);
    }
    let outer: v2::Outer<'_> = json::read(line)?;
    if let Some(data) = &outer.data {
        v2::posts(data, &outer, key, each);
        return Ok(Line::Posts);
    }
    if let Some(notice) = outer.notice() {
        return Ok(Line::Notice(notice));
    }
    if outer.is_v1() {
        let status: v1::Status<'_> = json::read(line)?;
        each(v1::post(&status, key));
    } else if outer.is_flattened() {
        let post: v2::Post<'_> = json::read(line)?;
        each(v2::post(&post, None, outer.rules(), key));
    } else {
        return Err(LineError::UnknownShape);
    }
    Ok(Line::Posts)
}

//! Lines that could not be read: where they were and why, without their words, and how they are kept.

use std::future::Future;
use std::sync::Arc;

use birdsong_domain::ports::PortError;
use birdsong_sources::backoff::Backoff;
use serde::{Deserialize, Serialize};

use crate::send::RETRY;

/// Attempts to store before falling back to the program's log: 0.7 s at most, as the end must not wait longer.
const ATTEMPTS: u32 = 4;
/// Longest shape that is kept, in bytes.
const LONGEST_SHAPE: usize = 512;

/// One line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// File or source that the line came from.
    pub origin: Arc<str>,
    /// Line in the file, from 1.
    pub line: u64,
    /// Why it could not be read.
    pub reason: String,
    /// Length of the line.
    pub size_bytes: u64,
    /// The beginning of the line with its words masked, see [`shape`].
    pub shape: String,
}

impl Unreadable {
    /// For `bytes`, which could not be read for `reason`.
    #[must_use]
    pub fn new(origin: &Arc<str>, line: u64, reason: String, bytes: &[u8]) -> Self {
        Self { origin: origin.clone(), line, reason, size_bytes: bytes.len() as u64, shape: shape(bytes) }
    }
}

/// The beginning of a line, enough to see what kind of thing it is, without any text or handle
/// (rule 6.1): every letter is an `x` and every digit a `0`, except in what looks like a JSON key.
#[must_use]
pub fn shape(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST_SHAPE)]);
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('"').peekable();
    let mut is_inside = false;
    while let Some(part) = parts.next() {
        let is_key = is_inside
            && part.len() <= 40
            && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && parts.peek().is_some_and(|next| next.trim_start().starts_with(':'));
        if is_key {
            out.push_str(part);
        } else {
            out.extend(part.chars().map(|c| match c {
                c if c.is_numeric() => '0',
                c if c.is_ascii_punctuation() || c == ' ' || c == char::REPLACEMENT_CHARACTER => c,
                _ => 'x',
            }));
        }
        if parts.peek().is_some() {
            out.push('"');
        }
        is_inside = !is_inside;
    }
    out
}

/// A store for lines that could not be read.
pub trait UnreadableStore: Send {
    /// Stores lines; they are durable once it returns `Ok`.
    ///
    /// # Errors
    /// When they cannot be stored.
    fn keep(&mut self, lines: &[Unreadable]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Stores unreadable lines, with a few attempts.
pub(crate) struct UnreadableWriter<Q> {
    store: Q,
    /// The last attempt failed.
    is_down: bool,
    /// Why, as long as that is so.
    pub(crate) problem: Option<String>,
}

impl<Q: UnreadableStore> UnreadableWriter<Q> {
    pub(crate) fn new(store: Q) -> Self {
        Self { store, is_down: false, problem: None }
    }

    /// Stores lines. What cannot be stored after some attempts goes to the program's own log; readable posts must
    /// not wait for it forever.
    pub(crate) async fn keep(&mut self, source: &str, lines: &[Unreadable], jitter: fn() -> f64) {
        let mut backoff = Backoff::default();
        let mut attempts_left = if self.is_down { 1 } else { ATTEMPTS };
        loop {
            attempts_left -= 1;
            let Err(error) = self.store.keep(lines).await else {
                (self.is_down, self.problem) = (false, None);
                return;
            };
            if attempts_left == 0 {
                self.is_down = true;
                self.problem = Some(format!("unreadable lines cannot be stored: {error}"));
                tracing::error!(source, "unreadable lines cannot be stored, they are logged here: {error}");
                for Unreadable { line, reason, size_bytes, shape, .. } in lines {
                    tracing::error!(source, line, size_bytes, shape, "unreadable: {reason}");
                }
                return;
            }
            tracing::warn!(source, "unreadable lines cannot be stored, trying again: {error}");
            tokio::time::sleep(backoff.next(RETRY, jitter())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    // Rule 6.1.
    #[test]
    fn a_shape_shows_the_keys_and_hides_the_words() {
        assert_eq!(
            shape(r#"{"data":{"id":"17","text":"Ann said \"yes\" to 東京"#.as_bytes()),
            r#"{"data":{"id":"00","text":"xxx xxxx \"xxx\" xx xx"#
        );
        assert_eq!(shape(b"\xff\xfe secret"), "\u{fffd}\u{fffd} xxxxxx");
        assert!(shape(&[b'a'; 10_000]).len() <= LONGEST_SHAPE);
        // A key is what is in quotation marks before a colon, in lower case and short.
        let long = format!("{{\"{}\": 1", "k".repeat(41));
        for (line, shown) in [
            (r#"{"a_key" : "a_word", "another"}"#, r#"{"a_key" : "x_xxxx", "xxxxxxx"}"#),
            (r#"{"Ann":{"b2":"#, r#"{"xxx":{"x0":"#),
            (r#"ann":b"#, r#"xxx":x"#),
            (long.as_str(), long.replace('k', "x").replace('1', "0").as_str()),
        ] {
            assert_eq!(shape(line.as_bytes()), shown);
        }
    }

    /// Fails for a number of attempts.
    struct Unavailable {
        tries_left: u32,
        kept: usize,
        tries: u32,
    }

    impl UnreadableStore for Unavailable {
        async fn keep(&mut self, lines: &[Unreadable]) -> Result<(), PortError> {
            self.tries += 1;
            if self.tries_left > 0 {
                self.tries_left -= 1;
                return Err(PortError::Unavailable { what: "the bucket", reason: "no answer".into() });
            }
            self.kept += lines.len();
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_quarantine_holds_nothing_up_for_long() {
        let lines = [Unreadable::new(&"test".into(), 1, "half a line".into(), b"{")];
        let mut keeper = UnreadableWriter::new(Unavailable { tries_left: 3, kept: 0, tries: 0 });
        keeper.keep("test", &lines, || 1.0).await;
        assert_eq!((keeper.store.kept, keeper.store.tries, keeper.is_down), (1, 4, false));
        // It is abandoned after some seconds, then tried once for each batch until it is back.
        keeper.store.tries_left = ATTEMPTS + 2;
        let began = Instant::now();
        keeper.keep("test", &lines, || 1.0).await;
        assert!((500..1000).contains(&began.elapsed().as_millis()) && keeper.is_down);
        for (tries, kept) in [(1, 1), (1, 1), (1, 2)] {
            let before = (keeper.store.tries, Instant::now());
            keeper.keep("test", &lines, || 1.0).await;
            assert_eq!((keeper.store.tries - before.0, before.1.elapsed()), (tries, Duration::ZERO));
            assert_eq!((keeper.store.kept, keeper.is_down), (kept, kept == 1));
        }
    }
}
